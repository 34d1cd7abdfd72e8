"""One file of pairs: an uncompressed ``.npz`` whose arrays are read in place.

NumPy can map a plain ``.npy`` file into memory but not the members of an archive. Members
that are stored without compression are plain ``.npy`` files that start somewhere inside, so
finding that offset is all it takes.
"""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lle_utils.core.environment import versions
from lle_utils.core.images import read_uint8
from lle_utils.core.paths import atomic_path, sha256
from lle_utils.data.pairs import Pair

ARRAY_NAMES = ("low", "normal", "name", "split", "meta")
HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class PackError(ValueError):
    """A pack that cannot be written or read; the message names the file."""


@dataclass(frozen=True)
class Pack:
    """An open pack.

    Attributes:
        path: The file.
        low: uint8 memory map of shape ``(N, H, W, 3)``; only what is indexed is read.
        normal: The same for the well-lit photos.
        names: File stem of each pair.
        splits: Split of each pair.
        meta: Source, licence, size, method, hashes of the inputs, versions.
    """

    path: Path
    low: np.memmap
    normal: np.memmap
    names: list[str]
    splits: list[str]
    meta: dict

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one pair as two uint8 views ``(H, W, 3)`` of the file."""
        return self.low[index], self.normal[index]

    def subset(self, split: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the pairs of one split as two lists of uint8 views, ready for a stream.

        Raises:
            KeyError: If the pack has no such split.
        """
        chosen = [i for i, name in enumerate(self.splits) if name == split]
        if not chosen:
            known = ", ".join(sorted(set(self.splits)))
            raise KeyError(f"{self.path} has no split {split!r}; it has {known}.")
        return [self.low[i] for i in chosen], [self.normal[i] for i in chosen]


def pack_pairs(
    pairs: Iterable[Pair],
    target: str | os.PathLike,
    crop: Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    split: str | Mapping[str, str] = "train",
    source: str = "",
    licence: str = "",
) -> Path:
    """Write pairs of photos into one pack.

    Photos go to the file one by one, so a pack may be larger than memory. Equal inputs give
    an equal file.

    Args:
        pairs: Pairs of files.
        target: The ``.npz`` to write; it appears whole or not at all.
        crop: ``(height, width)`` cut from the centre, or ``(top, left, height, width)``.
        size: ``(height, width)`` to resize to. This changes noise, and shape unless the
            aspect ratio is kept; prefer ``crop`` for training.
        split: The split of all pairs, or a map from name to split.
        source: Where the photos come from.
        licence: Under which terms.

    Returns:
        The path written.

    Raises:
        PackError: If there are no pairs, a name occurs twice or has no split, photos differ
            in size, a photo is smaller than the crop, or both ``crop`` and ``size`` are given.
        ImageError: If a photo cannot be read.
    """
    pairs, target = list(pairs), Path(target)
    names = [pair.name for pair in pairs]
    splits = _splits(names, split, target)
    _check_request(names, target, crop, size)
    fit = _Fit(crop, size)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _write_photos(archive, "low", [pair.low for pair in pairs], fit)
        _write_photos(archive, "normal", [pair.normal for pair in pairs], fit)
        _write_text(archive, "name", names)
        _write_text(archive, "split", splits)
        _write_text(archive, "meta", json.dumps(_meta(pairs, fit, source, licence)))
    return target


def _splits(names: list[str], split: str | Mapping[str, str], target: Path) -> list[str]:
    if isinstance(split, str):
        return [split] * len(names)
    missing = [name for name in names if name not in split]
    if missing:
        raise PackError(f"{target}: no split is given for {', '.join(missing[:10])}.")
    return [split[name] for name in names]


def _check_request(
    names: list[str], target: Path, crop: Sequence[int] | None, size: Sequence[int] | None
) -> None:
    if target.suffix != ".npz":
        raise PackError(f"{target}: a pack's name must end in .npz.")
    if not names:
        raise PackError(f"{target}: there are no pairs to pack.")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise PackError(f"{target}: several pairs are named {', '.join(twice[:10])}.")
    if crop is not None and size is not None:
        raise PackError(f"{target}: give crop or size, not both.")
    if crop is not None and len(crop) not in (2, 4):
        raise PackError(f"{target}: crop {tuple(crop)} has neither 2 nor 4 numbers.")
    if min((crop or size or (1,))[-2:]) < 1:
        raise PackError(f"{target}: crop={crop}, size={size} leave no pixels.")


class _Fit:
    """Bring photos to one size and remember the sizes they had."""

    def __init__(self, crop: Sequence[int] | None, size: Sequence[int] | None) -> None:
        self.crop = crop and tuple(crop)
        self.size = size and tuple(size)
        self.sources: list[tuple[int, int]] = []
        self.result = self.size or (self.crop and self.crop[-2:])

    def photo(self, path: Path, index: int) -> np.ndarray:
        image = read_uint8(path)
        shape = image.shape[:2]
        if index == len(self.sources):
            self.sources.append(shape)
        elif shape != self.sources[index]:
            raise PackError(
                f"{path} is {_text(shape)} but its partner is {_text(self.sources[index])}."
            )
        if self.size:
            picture = Image.fromarray(image)
            return np.asarray(picture.resize(self.size[::-1], Image.Resampling.LANCZOS))
        return self._cut(image, path)

    def _cut(self, image: np.ndarray, path: Path) -> np.ndarray:
        self.result = self.result or image.shape[:2]
        height, width = self.result
        if not self.crop:
            if image.shape[:2] != self.result:
                raise PackError(
                    f"{path} is {_text(image.shape)}, the photos before it are "
                    f"{_text(self.result)}; crop or resize them (crop=, size=)."
                )
            return image
        top, left = (
            self.crop[:2]
            if len(self.crop) == 4
            else ((image.shape[0] - height) // 2, (image.shape[1] - width) // 2)
        )
        if min(top, left) < 0 or top + height > image.shape[0] or left + width > image.shape[1]:
            raise PackError(f"{path} is {_text(image.shape)}, too small for the crop {self.crop}.")
        return image[top : top + height, left : left + width]


def _text(shape: Sequence[int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _write_photos(archive: zipfile.ZipFile, key: str, paths: list[Path], fit: _Fit) -> None:
    first = fit.photo(paths[0], 0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), *first.shape)}
    with archive.open(_member(key), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        member.write(first.tobytes())
        for index, path in enumerate(paths[1:], start=1):
            member.write(fit.photo(path, index).tobytes())


def _write_text(archive: zipfile.ZipFile, key: str, text: str | list[str]) -> None:
    with archive.open(_member(key), "w") as member:
        np.lib.format.write_array(member, np.array(text), allow_pickle=False)


def _member(key: str) -> zipfile.ZipInfo:
    # The default date, 1980, keeps equal packs equal to the byte.
    return zipfile.ZipInfo(f"{key}.npy")


def _meta(pairs: list[Pair], fit: _Fit, source: str, licence: str) -> dict:
    method = {"resize": fit.size} if fit.size else {"crop": fit.crop} if fit.crop else {}
    found = versions()
    return {
        "source": source,
        "licence": licence,
        "size": fit.result,
        "method": method,
        "source_sizes": fit.sources,
        "sha256": {
            "low": [sha256(pair.low) for pair in pairs],
            "normal": [sha256(pair.normal) for pair in pairs],
        },
        "versions": {name: found[name] for name in ("lle-utils", "numpy", "pillow")},
    }


def open_pack(path: str | os.PathLike) -> Pack:
    """Open a pack without reading its photos; nothing in it is ever executed.

    Args:
        path: A file written by `pack_pairs`.

    Returns:
        The pack; keep the file in place while it is used.

    Raises:
        FileNotFoundError: If the file does not exist.
        PackError: If it is not an uncompressed pack, is truncated, lacks a key, or holds
            an array of the wrong type or length.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [key for key in ARRAY_NAMES if f"{key}.npy" not in archive.namelist()]
            if missing:
                raise PackError(f"{path} lacks {', '.join(missing)}; write it with pack_pairs.")
            low, normal = (_map_photos(path, archive, key) for key in ARRAY_NAMES[:2])
            names, splits, meta = (_read_text(path, archive, key) for key in ARRAY_NAMES[2:])
    except zipfile.BadZipFile as error:
        raise PackError(f"{path} is damaged or not a pack ({error}). Write it again.") from error
    _check_lengths(path, low, normal, names, splits)
    return Pack(path, low, normal, names.tolist(), splits.tolist(), _parse_meta(path, meta))


def _check_lengths(
    path: Path, low: np.ndarray, normal: np.ndarray, names: np.ndarray, splits: np.ndarray
) -> None:
    if low.shape != normal.shape or names.shape != low.shape[:1] or splits.shape != names.shape:
        raise PackError(
            f"{path}: low {low.shape}, normal {normal.shape}, name {names.shape} and split "
            f"{splits.shape} do not belong together."
        )


def _parse_meta(path: Path, meta: np.ndarray) -> dict:
    try:
        parsed = json.loads(str(meta))
    except ValueError as error:
        raise PackError(f"{path}: meta is not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise PackError(f"{path}: meta is {str(meta)[:40]!r}; expected a JSON object.")
    return parsed


def _map_photos(path: Path, archive: zipfile.ZipFile, key: str) -> np.memmap:
    shape, dtype, offset = _locate(path, archive, key)
    if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or 0 in shape:
        raise PackError(f"{path}: {key} is {dtype} {shape}; expected uint8 (N, H, W, 3).")
    return np.memmap(path, np.uint8, mode="r", offset=offset, shape=shape)


def _read_text(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray:
    _, dtype, _ = _locate(path, archive, key)
    if dtype.kind != "U":
        raise PackError(f"{path}: {key} has dtype {dtype}; expected text.")
    return np.load(io.BytesIO(archive.read(f"{key}.npy")), allow_pickle=False)


def _locate(
    path: Path, archive: zipfile.ZipFile, key: str
) -> tuple[tuple[int, ...], np.dtype, int]:
    """Find where the values of one array start in the file, and check that all are there."""
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise PackError(f"{path}: {key} is compressed; write it with pack_pairs or numpy.savez.")
    with open(path, "rb") as file:
        try:
            # A local header has 30 bytes and ends with the lengths of a name and an extra field.
            file.seek(info.header_offset + 26)
            start = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
            file.seek(start)
            shape, fortran, dtype = HEADER_READERS[np.lib.format.read_magic(file)](file)
        except (ValueError, KeyError, struct.error) as error:
            raise PackError(f"{path}: {key} is not a plain array ({error}).") from error
        offset = file.tell()
    if dtype.hasobject or fortran:
        raise PackError(f"{path}: {key} is pickled or not in C order; write it with pack_pairs.")
    held = min(start + info.file_size, path.stat().st_size) - offset
    if math.prod(shape) * dtype.itemsize != held:
        raise PackError(f"{path}: {key} is truncated; write it again.")
    return shape, dtype, offset
