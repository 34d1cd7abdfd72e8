"""What a folder of photos is: pairs, pictures of two halves, well-lit or dark photos alone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lle_utils.core.images import SUFFIXES, ImageError, to_float, to_uint8
from lle_utils.core.photo_formats import RAW_SUFFIXES
from lle_utils.data.pairs import (
    LOW_FOLDERS,
    NORMAL_FOLDERS,
    Pair,
    PairError,
    by_stem,
    enumerate_names,
    find_pairs,
    list_photos,
    natural_key,
    read_side,
    split_pair,
)
from lle_utils.data.quality_checks import thumbnail_ranks
from lle_utils.data.synthetic import darken

DARK_BELOW, LIT_FROM = 0.2, 0.25  # means of photos; between them a photo may be either
SAME_VIEW = 0.5  # rank correlation of two halves from which they may show one view
MOST = 0.5  # share of the pictures of a folder of which that must hold; of LOL's 0.99 and 0.07
SPLIT_FOLDERS = {"train": ("train", "our485"), "val": ("val",), "test": ("test", "eval15")}
LICENCE = "your own photos"


class SourceError(ValueError):
    """A source that is not known, or is not what it has to be; the message says what to do."""


@dataclass(frozen=True)
class Collection:
    """Photos before they are packed.

    Attributes:
        kind: What they are, in words.
        pairs: Names and photos.
        licence: Of the photos.
        splits: Name -> split, where the folder says so; None deals scenes to splits.
        scenes: Name -> scene, where it is known; None finds scenes by content.
        folder: Where they lie, and where a list of scenes is looked for.
    """

    kind: str
    pairs: list[Pair]
    licence: str = LICENCE
    splits: Mapping[str, str] | None = None
    scenes: Mapping[str, object] | None = None
    folder: Path | None = None


def collect(folder: Path, seed: int = 0) -> Collection:
    """Find out what a folder holds.

    Args:
        folder: One with ``low`` and ``normal`` in it, or the other names of `paired_folders`;
            with such folders in ``train``, ``val`` and ``test``; with only one of the two; of
            pictures that show the dark photo on the left and the well-lit one on the right; of
            well-lit photos, which get dark twins from the synthetic camera; or of dark photos. The
            last three may be camera raw files, which are developed without brightening.
        seed: Of the synthetic camera.

    Returns:
        The photos; the well-lit ones are None where there are only dark ones.

    Raises:
        FileNotFoundError: If there is no such folder, or no photo in it.
        PairError: If photos lack their partner or have two.
        SourceError: If it holds several of these at once.
    """
    inside = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    splits = {
        split: inside[name]
        for split, names in SPLIT_FOLDERS.items()
        for name in names
        if name in inside
    }
    low, normal = (
        [inside[name] for name in names if name in inside]
        for names in (LOW_FOLDERS, NORMAL_FOLDERS)
    )
    photos = list_photos(folder)
    found = {
        "folders of splits": splits,
        "folders of sides": low + normal,
        "photos": photos,
        "camera raw files": list_photos(folder, RAW_SUFFIXES),
    }
    kinds = [kind for kind, things in found.items() if things]
    if not kinds:
        raise FileNotFoundError(
            f"{folder} holds no photos, and none of the folders {', '.join(LOW_FOLDERS)}, "
            f"{', '.join(NORMAL_FOLDERS)}."
        )
    if len(kinds) > 1:
        raise SourceError(f"{folder} holds {' and '.join(kinds)}; keep one of them in it.")
    for side in (low, normal):
        if len(side) > 1:
            raise PairError(f"{folder} has {side[0].name} and {side[1].name}; keep one of them.")
    if splits:
        return _of_splits(folder, splits)
    if low and normal:
        return Collection("pairs of photos", find_pairs(low[0], normal[0]), folder=folder)
    if low:
        return _dark(folder, list(by_stem(low[0]).values()))
    if normal:
        return _lit(folder, list(by_stem(normal[0]).values()), seed)
    suffixes = SUFFIXES if photos else RAW_SUFFIXES
    return _of_photos(folder, list(by_stem(folder, suffixes).values()), seed)


def _of_splits(folder: Path, found: Mapping[str, Path]) -> Collection:
    parts = {split: collect(path) for split, path in found.items()}
    kinds = {part.kind for part in parts.values()}
    if kinds != {"pairs of photos"}:
        raise SourceError(f"{folder} holds {', '.join(sorted(kinds))} in its splits, not pairs.")
    pairs, splits = join_splits({split: part.pairs for split, part in parts.items()}, folder)
    return Collection("pairs of photos", pairs, splits=splits, folder=folder)


def join_splits(parts: Mapping[str, list[Pair]], folder: Path) -> tuple[list[Pair], dict[str, str]]:
    """Put the pairs of several splits into one list.

    Args:
        parts: Split -> its pairs.
        folder: Where they lie, for a message.

    Returns:
        The pairs, and name -> split.

    Raises:
        PairError: If a name is in two splits.
    """
    pairs = [pair for part in parts.values() for pair in part]
    splits = {pair.name: split for split, part in parts.items() for pair in part}
    if len(splits) < len(pairs):
        names = [pair.name for pair in pairs]
        twice = sorted({name for name in names if names.count(name) > 1}, key=natural_key)
        raise PairError(f"{folder} has photos of one name in two splits: {enumerate_names(twice)}.")
    return pairs, splits


def _of_photos(folder: Path, photos: list[Path], seed: int) -> Collection:
    readable = _glances(photos)
    means, joined = zip(*readable.values(), strict=True)
    if sum(joined) >= MOST * len(joined):
        pairs = [Pair(p.stem, partial(_half, p, 0), partial(_half, p, 1)) for p in photos]
        return Collection("pairs side by side", pairs, folder=folder)
    if max(means) < LIT_FROM:
        return _dark(folder, photos)
    if min(means) >= DARK_BELOW:
        return _lit(folder, photos, seed)
    dark = [path.name for path, (mean, _) in readable.items() if mean < DARK_BELOW]
    raise SourceError(
        f"{folder} holds dark photos ({enumerate_names(dark, 3)}) and well-lit ones "
        f"({len(readable) - len(dark)}). Put dark ones into a folder `low` in it, or well-lit ones "
        "into a folder `normal`; pairs need both."
    )


def _glances(photos: list[Path]) -> dict[Path, tuple[float, bool]]:
    """Glance at all photos that can be read; the others are found out when they are packed."""
    readable, reasons = {}, []
    for path in photos:
        try:
            readable[path] = _glance(path)
        except ImageError as error:
            reasons.append(str(error))
    if not readable:
        raise ImageError(f"No photo can be read: {'; '.join(reasons[:3])}.")
    return readable


def _glance(path: Path) -> tuple[float, bool]:
    """Return the mean of a photo, and whether it is a dark and a well-lit view side by side."""
    photo = read_side(path)
    mean = float(photo.mean() / 255)
    if photo.shape[1] % 2 or photo.shape[1] < photo.shape[0]:
        return mean, False
    low, normal = (side.astype(np.float32).mean(-1) / 255 for side in split_pair(photo))
    alike = float(thumbnail_ranks(low) @ thumbnail_ranks(normal))
    return mean, low.mean() < normal.mean() and alike > SAME_VIEW


def _half(path: Path, side: int) -> np.ndarray:
    try:
        return split_pair(read_side(path))[side]
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _dark(folder: Path, photos: list[Path]) -> Collection:
    if not photos:
        raise FileNotFoundError(f"{folder} holds no photos.")
    return Collection("dark photos", [Pair(p.stem, p, None) for p in photos], folder=folder)


def _lit(folder: Path, photos: list[Path], seed: int) -> Collection:
    if not photos:
        raise FileNotFoundError(f"{folder} holds no photos.")
    pairs = [Pair(path.stem, partial(_darkened, path, seed), path) for path in photos]
    kind = "well-lit photos and their dark twins by the synthetic camera"
    return Collection(kind, pairs, f"{LICENCE}, darkened by the synthetic camera", folder=folder)


def _darkened(path: Path, seed: int) -> np.ndarray:
    """Return the dark twin of a photo; each has a camera and noise of its own."""
    own = np.random.default_rng([seed, zlib.crc32(path.stem.encode())])
    return to_uint8(darken(to_float(read_side(path)), own))
