"""Exposure sequences: one scene, photographed from too dark to too bright."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lle_utils.core.images import read_uint8
from lle_utils.core.paths import PHOTO_DIR_VARIABLE, photo_dir
from lle_utils.data.pairs import natural_key

FOLDER, INDEX = "sice_sequences", "sequences.json"
VAL_EVERY = 8  # of so many scenes one is for validation


@dataclass(frozen=True)
class ExposureSequence:
    """The photos of one scene.

    Attributes:
        name: Of the scene.
        photos: uint8 of shape ``(H, W, 3)`` each, aligned, from dark to bright.
    """

    name: str
    photos: tuple[np.ndarray, ...]

    def nearest(self, level: float) -> np.ndarray:
        """Return the photo whose mean, in [0, 1], is nearest to ``level``."""
        return min(self.photos, key=lambda photo: abs(photo.mean() / 255 - level))


def load_sequences(split: str) -> list[ExposureSequence]:
    """Read the exposure sequences of the SICE data set from ``LLE_DATA_DIR``.

    They lie in ``sice_sequences``: the photos, and ``sequences.json`` that names the members
    of each scene from dark to bright.

    Args:
        split: ``"train"`` or ``"val"``; every eighth scene, in natural order, is in ``val``.

    Returns:
        The sequences, in natural order.

    Raises:
        FileNotFoundError: If they are not there; the message says where they are looked for.
        ValueError: For another split.

    Reference:
        Cai et al., Learning a Deep Single Image Contrast Enhancer from Multi-Exposure Images,
        TIP 2018.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split is {split!r}; expected 'train' or 'val'.")
    photos = photo_dir()
    if photos is None or not (photos / FOLDER / INDEX).is_file():
        raise FileNotFoundError(
            f"The exposure sequences were not found. Set {PHOTO_DIR_VARIABLE} to a folder that "
            f"holds {FOLDER} with the photos and {INDEX}, which names those of each scene."
        )
    folder = photos / FOLDER
    files = {path.stem: path for path in folder.iterdir() if path.name != INDEX}
    return [
        ExposureSequence(name, tuple(read_uint8(files[member]) for member in members))
        for name, part, members in sequence_members(folder)
        if part == split
    ]


def sequence_members(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Return name, split and file stems, from dark to bright, of each sequence of a folder."""
    scenes = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return [
        (name, "val" if i % VAL_EVERY == 0 else "train", scenes[name]["members"])
        for i, name in enumerate(sorted(scenes, key=natural_key))
    ]


def sequence_pairs(
    sequences: list[ExposureSequence], dark: float = 0.10, normal: float = 0.45
) -> list[tuple]:
    """Choose a dark and a well-lit photo of each scene.

    Args:
        sequences: As `load_sequences` returns.
        dark, normal: Means in [0, 1]; the photos nearest to them are taken.

    Returns:
        ``(name, low, normal)`` each, uint8, of the scenes in which the two are not the same.
    """
    chosen = [(s.name, s.nearest(dark), s.nearest(normal)) for s in sequences]
    return [(name, low, lit) for name, low, lit in chosen if low is not lit]
