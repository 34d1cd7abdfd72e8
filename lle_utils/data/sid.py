"""See-in-the-Dark: raw frames of short exposures, and a long exposure of the same scene."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lle_utils.core.errors import require
from lle_utils.core.photo_formats import DEVELOPED, open_raw
from lle_utils.data.pairs import PairError, enumerate_names, natural_key
from lle_utils.data.photo_folders import SourceError
from lle_utils.data.raw import RawFrame, read_raw

LARGEST_RATIO = 300.0  # exposure times beyond it are noted wrongly or useless, so the authors cut
MISALIGNED = ("10034", "10045", "10172")  # scenes, as the authors say
SPLIT_OF_DIGIT = {"0": "train", "1": "test", "2": "val"}  # with which a scene's number begins
FILE_NAME = re.compile(r"(?P<scene>\d{5})_\d{2}_(?P<seconds>\d+(?:\.\d+)?)s", re.IGNORECASE)
SUFFIXES = (".arw", ".raf", ".dng")


class RawPair(NamedTuple):
    """A short exposure and the long one of its scene.

    Attributes:
        name: Stem of the short one.
        scene: Number of the scene, five digits.
        short, long: Raw files.
        ratio: Quotient of their exposure times, at most `LARGEST_RATIO`.
    """

    name: str
    scene: str
    short: Path
    long: Path
    ratio: float


def raw_pairs(folder: str | os.PathLike, split: str) -> list[RawPair]:
    """List the pairs of one split.

    Args:
        folder: With ``short`` and ``long`` in it or up to two folders below, and the authors'
            lists beside (``Sony_train_list.txt``: short and long file of each pair). Where a split
            has no list, the names tell: the first five digits are the scene, the first of them the
            split, the last number the exposure time in seconds.
        split: ``train``, ``val`` or ``test``.

    Returns:
        The pairs, in the order of their names, without the scenes that are `MISALIGNED`.

    Raises:
        SourceError: If there are no such folders, or no pairs of that split.
        PairError: If a short exposure has no long one, or a file of a list is missing.
    """
    folder = Path(folder)
    base = _base(folder)
    lists = sorted({*base.glob(f"*_{split}_list.txt"), *base.parent.glob(f"*_{split}_list.txt")})
    found = _listed(lists[0], base) if lists else _named(base, split)
    pairs = [_pair(short, long) for short, long in found]
    pairs = [pair for pair in pairs if pair.scene not in MISALIGNED]
    if not pairs:
        raise SourceError(f"{base} has no pairs of raw files for {split}.")
    return sorted(pairs, key=lambda pair: natural_key(pair.name))


def _base(folder: Path) -> Path:
    for pattern in ("short", "*/short", "*/*/short"):
        for short in sorted(folder.glob(pattern)):
            if short.is_dir() and (short.parent / "long").is_dir():
                return short.parent
    raise SourceError(f"{folder} has no folders `short` and `long` with raw files in them.")


def _listed(path: Path, base: Path) -> list[tuple[Path, Path]]:
    """Read a list of the authors, of which each line begins with two paths."""
    rows = [line.split()[:2] for line in path.read_text(encoding="utf-8").splitlines() if line]
    if not rows or any(len(row) < 2 for row in rows):
        raise SourceError(f"{path}: expected a short and a long file in each line.")
    pairs = [(base / "short" / Path(s).name, base / "long" / Path(g).name) for s, g in rows]
    if missing := [file.name for pair in pairs for file in pair if not file.is_file()]:
        raise PairError(f"{path} names files that are not there: {enumerate_names(missing)}.")
    return pairs


def _named(base: Path, split: str) -> list[tuple[Path, Path]]:
    long = {_scene(path): path for path in _raw_files(base / "long")}
    short = [p for p in _raw_files(base / "short") if SPLIT_OF_DIGIT.get(p.name[0]) == split]
    if alone := [path.name for path in short if _scene(path) not in long]:
        raise PairError(f"{base}: no long exposure for {enumerate_names(alone)}.")
    return [(path, long[_scene(path)]) for path in short]


def _raw_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]


def _parts(path: Path) -> re.Match:
    parts = FILE_NAME.match(path.name)
    if parts is None:
        raise PairError(f"{path}: expected a name such as 00001_00_0.04s{path.suffix}.")
    return parts


def _scene(path: Path) -> str:
    return _parts(path)["scene"]


def _pair(short: Path, long: Path) -> RawPair:
    seconds = [float(_parts(path)["seconds"]) for path in (short, long)]
    ratio = min(seconds[1] / seconds[0], LARGEST_RATIO)
    return RawPair(short.stem, _scene(short), short, long, ratio)


def read_pair(pair: RawPair) -> tuple[RawFrame, np.ndarray]:
    """Read a pair: the short frame, and what its photo should be.

    Args:
        pair: One of `raw_pairs`.

    Returns:
        The frame ``(h, w, 4)``, and uint16 ``(2 h, 2 w, 3)``: the long exposure, developed by
        LibRaw to balanced camera colours with the curve of sRGB. The authors' target has sRGB
        colours too; here they are left to the matrix of the frame.

    Raises:
        ImageError: If a file cannot be read, or is of an X-Trans sensor.
        ImportError: If rawpy is not installed.
    """
    frame = read_raw(pair.short)
    in_camera_colors = require("rawpy", "photos", "Camera raw").ColorSpace.raw
    with open_raw(pair.long.read_bytes(), pair.long) as raw:
        target = raw.postprocess(**DEVELOPED, output_color=in_camera_colors, user_flip=0)
    height, width = (2 * side for side in frame.planes.shape[:2])
    return frame, target[:height, :width]
