"""One file of pairs: an uncompressed ``.npz`` whose arrays are read in place.

NumPy can map a plain ``.npy`` file into memory but not the members of an archive. Members
that are stored without compression are plain ``.npy`` files that start somewhere inside, so
finding that offset is all it takes.

A pack holds ``low`` and ``normal`` (uint8; ``normal`` is missing where there are dark photos
alone), ``name``, ``scene`` and ``split`` of each pair, ``hash`` (the perceptual hash of each, by
which two packs can be compared), and ``meta`` in JSON. Photos of one size
are an array ``(N, H, W, 3)``. Photos of several sizes are all their values in a row, and ``size``
``(N, 2)`` holds the height and width of each. `lle_utils.data.pack_pairs` writes such files.
"""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lle_utils.data.pairs import enumerate_names

VERSION = 2  # 1 knew no scenes and no photos of several sizes
TEXTS = ("name", "scene", "split", "meta")
ARRAY_NAMES = ("low", *TEXTS, "hash")
HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
WRITE_AGAIN = "Write it again, with `lle data prepare`."


class PackError(ValueError):
    """A pack that cannot be written or read; the message names the file."""


@dataclass(frozen=True)
class Pack:
    """An open pack.

    Attributes:
        path: The file.
        low: The dark photos, uint8 ``(H, W, 3)`` each: a memory map ``(N, H, W, 3)`` if all
            have one size, else a list of views of one; only what is indexed is read.
        normal: The same for the well-lit photos; None if there are none.
        names: File stem of each pair.
        scenes: Scene of each pair.
        splits: Split of each pair.
        hashes: Perceptual hash of each pair, uint8 ``(N, 8)``, see `lle_utils.data.photo_hash`.
        meta: Source, licence, sizes, method, hashes of the inputs, versions.
    """

    path: Path
    low: Sequence[np.ndarray]
    normal: Sequence[np.ndarray] | None
    names: list[str]
    scenes: list[str]
    splits: list[str]
    hashes: np.ndarray
    meta: dict

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return one pair as two uint8 views ``(H, W, 3)`` of the file."""
        return self.low[index], None if self.normal is None else self.normal[index]

    def members(self, split: str) -> list[int]:
        """Return the places of the pairs of one split.

        Raises:
            KeyError: If the pack has no such split.
        """
        chosen = [i for i, name in enumerate(self.splits) if name == split]
        if not chosen:
            known = ", ".join(sorted(set(self.splits)))
            raise KeyError(f"{self.path} has no split {split!r}; it has {known}.")
        return chosen

    def subset(self, split: str) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        """Return the pairs of one split as two lists of uint8 views, ready for a stream.

        Raises:
            KeyError: If the pack has no such split.
        """
        low, normal = zip(*(self[i] for i in self.members(split)), strict=True)
        return list(low), list(normal)


def open_pack(path: str | os.PathLike) -> Pack:
    """Open a pack without reading its photos; nothing in it is ever executed.

    Args:
        path: A file written by `lle_utils.data.pack_pairs`.

    Returns:
        The pack; keep the file in place while it is used.

    Raises:
        FileNotFoundError: If the file does not exist.
        PackError: If it is not an uncompressed pack, is truncated, lacks a key, holds an array
            of the wrong type or length, is of another version, or has a scene in two splits.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            if missing := [key for key in ARRAY_NAMES if f"{key}.npy" not in held]:
                raise PackError(f"{path} lacks {', '.join(missing)}. {WRITE_AGAIN}")
            names, scenes, splits, text = (_read_array(path, archive, key, "U") for key in TEXTS)
            meta = _parse_meta(path, text)
            hashes = _read_array(path, archive, "hash", "u")
            sizes = _read_array(path, archive, "size", "iu") if "size.npy" in held else None
            low = _map_photos(path, archive, "low", sizes)
            has_normal = "normal.npy" in held
            normal = _map_photos(path, archive, "normal", sizes) if has_normal else None
    except zipfile.BadZipFile as error:
        raise PackError(f"{path} is damaged or not a pack ({error}). {WRITE_AGAIN}") from error
    texts = names.tolist(), scenes.tolist(), splits.tolist()
    pack = Pack(path, low, normal, *texts, hashes, meta)
    _check_lengths(pack)
    _check_scenes(pack)
    return pack


def _check_lengths(pack: Pack) -> None:
    counts = {"low": len(pack.low), "name": len(pack.names), "scene": len(pack.scenes)}
    counts |= {"split": len(pack.splits), "hash": len(pack.hashes)}
    if pack.normal is not None:
        counts["normal"] = len(pack.normal)
    if len(set(counts.values())) > 1:
        raise PackError(f"{pack.path}: {counts} do not belong together.")
    for low, normal in [] if pack.normal is None else zip(pack.low, pack.normal, strict=True):
        if low.shape != normal.shape:
            raise PackError(f"{pack.path}: low {low.shape} and normal {normal.shape} differ.")


def _check_scenes(pack: Pack) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for scene, split in zip(pack.scenes, pack.splits, strict=True):
        found[scene].add(split)
    if shared := [scene for scene, splits in found.items() if len(splits) > 1]:
        raise PackError(
            f"{pack.path}: scenes in more than one split: {enumerate_names(shared)}. {WRITE_AGAIN}"
        )


def _parse_meta(path: Path, meta: np.ndarray) -> dict:
    try:
        parsed = json.loads(str(meta))
    except ValueError as error:
        raise PackError(f"{path}: meta is not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise PackError(f"{path}: meta is {str(meta)[:40]!r}; expected a JSON object.")
    if (version := parsed.get("version", 1)) != VERSION:
        raise PackError(
            f"{path} is a pack of version {version}; this package reads {VERSION}. {WRITE_AGAIN}"
        )
    return parsed


def _map_photos(
    path: Path, archive: zipfile.ZipFile, key: str, sizes: np.ndarray | None
) -> Sequence[np.ndarray]:
    shape, dtype, offset = _locate(path, archive, key)
    if sizes is None:
        if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or 0 in shape:
            raise PackError(f"{path}: {key} is {dtype} {shape}; expected uint8 (N, H, W, 3).")
        return np.memmap(path, np.uint8, mode="r", offset=offset, shape=shape)
    if sizes.ndim != 2 or sizes.shape[1] != 2 or sizes.min(initial=1) < 1:
        raise PackError(
            f"{path}: size is {sizes.dtype} {sizes.shape}; expected heights and widths."
        )
    ends = np.cumsum(3 * sizes.astype(np.int64).prod(axis=1))
    if dtype != np.uint8 or shape != (ends[-1],):
        raise PackError(f"{path}: {key} is {dtype} {shape}; by size expected uint8 ({ends[-1]},).")
    values = np.memmap(path, np.uint8, mode="r", offset=offset, shape=shape)
    parts = np.split(values, ends[:-1])
    return [part.reshape(*size, 3) for part, size in zip(parts, sizes.tolist(), strict=True)]


def _read_array(path: Path, archive: zipfile.ZipFile, key: str, kinds: str) -> np.ndarray:
    _, dtype, _ = _locate(path, archive, key)
    if dtype.kind not in kinds:
        expected = "text" if kinds == "U" else "whole numbers"
        raise PackError(f"{path}: {key} has dtype {dtype}; expected {expected}.")
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
        raise PackError(f"{path}: {key} is truncated. {WRITE_AGAIN}")
    return shape, dtype, offset
