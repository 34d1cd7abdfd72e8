"""A few real photos where there are some, a few of the bundled scenes where there are none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lle_utils.core.images import load_image, read_uint8, to_float
from lle_utils.core.paths import photo_dir
from lle_utils.data import synthetic
from lle_utils.data.lol import lol_pairs
from lle_utils.data.pairs import list_photos

UNPAIRED_DIM = synthetic.Camera(exposure=0.08, photons=1500.0, read_noise=0.004)


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
