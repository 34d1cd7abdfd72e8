"""Where the pairs of a notebook come from, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lle_utils.core.images import load_image, read_uint8, to_float
from lle_utils.core.paths import PHOTO_DIR_VARIABLE, data_dir, photo_dir
from lle_utils.data import synthetic
from lle_utils.data.pairs import (
    Pair,
    PairError,
    enumerate_names,
    find_pairs,
    list_photos,
    natural_key,
    paired_folders,
)
from lle_utils.data.scenes import load_scenes, scene_map

UNPAIRED_DIM = synthetic.Camera(exposure=0.08, photons=1500.0, read_noise=0.004)

LICENCES = {
    "synthetic": "photos of scikit-image's wheel, each free to use",
    "lol": "LOL v1: licence not stated",
}


def lol_pairs(split: str) -> list[Pair]:
    """List the pairs of LOL v1.

    Looks in the folder named by ``LLE_DATA_DIR``, first for ``lol/<split>``, then for the
    official layout ``lol_v1/our485`` and ``eval15``; then for that layout in
    ``data/downloads/lol_v1``.

    Args:
        split: ``train`` or ``val``, which are parts of our485 and share no scene, or
            ``test`` for the official eval15.

    Raises:
        FileNotFoundError: If the photos are not there; the message says how to get them.
        PairError: If files do not match, or official photos of the split are missing.
        ValueError: If ``split`` is none of the three.
    """
    if split not in ("train", "val", "test"):
        raise ValueError(f"split is {split!r}; expected 'train', 'val' or 'test'.")
    photos = photo_dir()
    if photos is not None and (photos / "lol" / split).is_dir():
        return find_pairs(*paired_folders(photos / "lol" / split))
    bases = [photos / "lol_v1"] if photos is not None else []
    for base in (*bases, data_dir() / "downloads" / "lol_v1"):
        folder = _official_folder(base, "eval15" if split == "test" else "our485")
        if folder is not None:
            return _select(find_pairs(*paired_folders(folder)), split, folder)
    raise FileNotFoundError(
        f"LOL v1 ({split}) was not found. Run `lle data download lol_v1`, or set "
        f"{PHOTO_DIR_VARIABLE} to a folder that holds lol/{split}/low and lol/{split}/high."
    )


def _official_folder(base: Path, name: str) -> Path | None:
    """Find ``our485`` or ``eval15`` in a download, whose archive may add a top folder or two."""
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        for folder in sorted(base.glob(pattern)):
            if folder.is_dir():
                return folder
    return None


def _select(pairs: list[Pair], split: str, folder: Path) -> list[Pair]:
    wanted = {str(i) for i in load_scenes()["eval15" if split == "test" else split]}
    missing = sorted(wanted - {pair.name for pair in pairs}, key=natural_key)
    if missing:
        raise PairError(f"{folder} lacks {enumerate_names(missing)}; download it again.")
    return [pair for pair in pairs if pair.name in wanted]


def load_pairs(source: str, split: str, seed: int = 0) -> list[tuple]:
    """Load the pairs that the notebooks train on or judge by.

    Args:
        source: ``"lol"``, or ``"synthetic"`` for pairs of the synthetic camera: 24 of 192x192
            pixels for training and 4 of 160x240, of other scenes, for validation.
        split: ``"train"`` or ``"val"``; the two share no scene.
        seed: Decides the synthetic pairs.

    Returns:
        ``(name, low, normal)`` each, uint8 of shape ``(H, W, 3)``.

    Raises:
        ValueError: For another source or split.
        FileNotFoundError: If LOL is not there; the message says how to get it.
    """
    if source not in ("lol", "synthetic") or split not in ("train", "val"):
        raise ValueError(
            f"source is {source!r}, split is {split!r}; expected lol or synthetic, train or val."
        )
    if source == "lol":
        return [(p.name, read_uint8(p.low), read_uint8(p.normal)) for p in lol_pairs(split)]
    train = split == "train"
    scenes = synthetic.TRAIN_SCENES if train else synthetic.VAL_SCENES
    count, side = (24, (192, 192)) if train else (4, (160, 240))
    pairs = synthetic.synthetic_pairs(count, side, seed if train else seed + 1, scenes)
    return list(zip(pairs.names, pairs.low, pairs.normal, strict=True))


def scenes_of(source: str, names: Iterable[str]) -> dict:
    """Return the scene of each photo, for intervals that resample scenes and not photos.

    Args:
        source: As for `load_pairs`.
        names: Names of pairs; those of the synthetic camera begin with their scene.

    Returns:
        Name -> scene; for LOL of all photos that there are.
    """
    return scene_map() if source == "lol" else {name: name.split("-")[0] for name in names}


def default_source() -> str:
    """Return what to measure on: ``"lol"`` if ``LLE_DATA_DIR`` is set, else ``"synthetic"``."""
    return "lol" if photo_dir() else "synthetic"


def sample_pairs(
    split: str, count: int, size: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a few pairs of the `default_source`.

    Args:
        split: ``"train"`` or ``"val"``; the two share no scene.
        count: How many, at most all there are; those of LOL are spread over the split.
        size: Height and width of synthetic pairs in pixels.

    Yields:
        ``low, normal``, uint8 of shape ``(H, W, 3)``.

    Raises:
        FileNotFoundError: If LOL is not in the folder of photos.
    """
    if default_source() == "lol":
        pairs = lol_pairs(split)
        for pair in pairs[:: max(len(pairs) // count, 1)][:count]:
            yield read_uint8(pair.low), read_uint8(pair.normal)
        return
    scenes = synthetic.VAL_SCENES if split == "val" else synthetic.TRAIN_SCENES
    made = synthetic.synthetic_pairs(count, size, 0, scenes)
    yield from zip(made.low, made.normal, strict=True)


def low_light_photos(count: int | None = None) -> tuple[str, list[tuple[str, np.ndarray]]]:
    """Load photos taken in low light, of which there is no well-lit counterpart.

    Real ones are the folders of ``unpaired`` in the folder named by ``LLE_DATA_DIR``. Without
    them, the five bundled scenes are taken with the camera `UNPAIRED_DIM`.

    Args:
        count: How many at most, spread over all; None for all.

    Returns:
        What they are, in words, and ``(name, photo)`` each: float32 ``(H, W, 3)`` in [0, 1].

    Raises:
        FileNotFoundError: If ``LLE_DATA_DIR`` names no folder.
        ValueError: If ``count`` is below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"count is {count}; expected 1 or more.")
    base = photo_dir()
    folders = sorted((base / "unpaired").iterdir()) if base and (base / "unpaired").is_dir() else []
    paths = [path for folder in folders if folder.is_dir() for path in list_photos(folder)]
    if paths:
        chosen = _spread(paths, count)
        photos = [(f"{path.parent.name}/{path.stem}", load_image(path)) for path in chosen]
        return f"{len(photos)} real photos without reference", photos
    scenes = _spread(list(synthetic.sample_scenes().items()), count)
    photos = [(name, synthetic.darken(to_float(scene), 0, UNPAIRED_DIM)) for name, scene in scenes]
    return f"{len(photos)} bundled scenes, darkened", photos


def _spread(items: list, count: int | None) -> list:
    """Choose as many as asked for, at equal distances."""
    count = min(count or len(items), len(items))
    return [items[i * len(items) // count] for i in range(count)]
