"""LOL v1 on the disk: official layout, or sorted by scene."""

from __future__ import annotations

from pathlib import Path

from lle_utils.core.paths import PHOTO_DIR_VARIABLE, data_dir, photo_dir
from lle_utils.data.pairs import (
    Pair,
    PairError,
    enumerate_names,
    find_pairs,
    natural_key,
    paired_folders,
)
from lle_utils.data.scenes import load_scenes


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
