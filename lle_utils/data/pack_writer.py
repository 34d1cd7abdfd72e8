"""Writing packs: every photo is looked at first, then all go into one file, or none."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from lle_utils.core.environment import versions
from lle_utils.core.images import ImageError
from lle_utils.core.paths import atomic_path, sha256
from lle_utils.data.npz_dataset import VERSION, PackError
from lle_utils.data.pairs import Pair, Side, enumerate_names, read_side
from lle_utils.data.scene_finder import photo_hash


class Fit(NamedTuple):
    """How photos are brought to the size that is packed: cut, resized, or left as they are.

    Attributes:
        crop: ``(height, width)`` cut from the centre, or ``(top, left, height, width)``.
        size: ``(height, width)`` to resize to.
    """

    crop: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None

    def box(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return top, left, height and width of what is cut from a photo."""
        if self.crop is None:
            return 0, 0, *shape[:2]
        if len(self.crop) == 4:
            return self.crop
        height, width = self.crop
        return (shape[0] - height) // 2, (shape[1] - width) // 2, height, width

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether a photo is large enough."""
        top, left, height, width = self.box(shape)
        return min(top, left) >= 0 and top + height <= shape[0] and left + width <= shape[1]

    def result(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the height and width that a photo will have."""
        return self.size or self.box(shape)[2:]

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Cut or resize a photo."""
        if self.size:
            picture = Image.fromarray(photo)
            return np.asarray(picture.resize(self.size[::-1], Image.Resampling.LANCZOS))
        top, left, height, width = self.box(photo.shape)
        return photo[top : top + height, left : left + width]


class _Seen(NamedTuple):
    """A pair that can be packed: its shape, the checksums of its photos, a perceptual hash."""

    pair: Pair
    shape: tuple[int, int]
    checksums: tuple[str, ...]
    hash: np.ndarray


def pack_pairs(
    pairs: Iterable[Pair],
    target: str | os.PathLike,
    crop: Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    split: str | Mapping[str, str] = "train",
    scenes: Mapping[str, object] | None = None,
    source: str = "",
    licence: str = "",
    facts: Mapping[str, object] | None = None,
    skip_bad: bool = False,
    progress: bool = False,
) -> Path:
    """Write pairs of photos into one pack.

    Photos go to the file one by one, so a pack may be larger than memory. Equal inputs give
    an equal file.

    Args:
        pairs: Pairs of photos of any sizes; all with a well-lit photo, or none.
        target: The ``.npz`` to write; it appears whole or not at all.
        crop: ``(height, width)`` cut from the centre, or ``(top, left, height, width)``. Photos
            too small for it are left out, and named in ``left_out`` of ``meta``.
        size: ``(height, width)`` to resize to. This changes noise, and shape unless the
            aspect ratio is kept; prefer ``crop`` for training.
        split: The split of all pairs, or a map from name to split.
        scenes: Name -> scene; None makes each pair a scene of its own.
        source: Where the photos come from.
        licence: Under which terms.
        facts: More to keep in ``meta``.
        skip_bad: Leave out what cannot be read, or has a partner of another size, and name it in
            ``left_out``, instead of raising an error.
        progress: Show a bar.

    Returns:
        The path written.

    Raises:
        PackError: If there are no pairs, a name occurs twice or has no split, a photo cannot be
            read or has a partner of another size, none is large enough for the crop, both
            ``crop`` and ``size`` are given, or the disk is too small. Nothing is written then.
    """
    pairs, target = list(pairs), Path(target)
    names = [pair.name for pair in pairs]
    split_of = dict.fromkeys(names, split) if isinstance(split, str) else split
    scene_of = scenes or {name: name for name in names}
    _check_request(pairs, target, crop, size)
    _check_named(names, split_of, target, "split")
    _check_named(names, scene_of, target, "scene")
    fit = Fit(crop and tuple(crop), size and tuple(size))
    seen, left_out = _look(pairs, fit, target, skip_bad, progress)
    names = [each.pair.name for each in seen]
    sizes = [fit.result(each.shape) for each in seen]
    about = {"source": source, "licence": licence, **(facts or {}), "left_out": left_out}
    meta = _meta(seen, sizes, fit) | about
    has_normal = seen[0].pair.normal is not None
    _check_space(target, sizes, has_normal)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key in ("low", "normal") if has_normal else ("low",):
            photos = [getattr(each.pair, key) for each in seen]
            shown = tqdm(photos, f"pack {key}", unit="photo") if progress else photos
            _write_photos(archive, key, shown, fit, sizes)
        if len(set(sizes)) > 1:
            _write_array(archive, "size", np.array(sizes, np.int64))
        _write_array(archive, "name", np.array(names))
        _write_array(archive, "scene", np.array([str(scene_of[name]) for name in names]))
        _write_array(archive, "split", np.array([split_of[name] for name in names]))
        _write_array(archive, "hash", np.array([each.hash for each in seen]))
        _write_array(archive, "meta", np.array(json.dumps(meta)))
    return target


def _check_request(
    pairs: list[Pair], target: Path, crop: Sequence[int] | None, size: Sequence[int] | None
) -> None:
    names = [pair.name for pair in pairs]
    if target.suffix != ".npz":
        raise PackError(f"{target}: a pack's name must end in .npz.")
    if not names:
        raise PackError(f"{target}: there are no pairs to pack.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PackError(f"{target}: several pairs are named {enumerate_names(twice)}.")
    alone = [pair.name for pair in pairs if pair.normal is None]
    if 0 < len(alone) < len(names):
        raise PackError(f"{target}: no well-lit photo for {enumerate_names(alone)}.")
    if crop is not None and size is not None:
        raise PackError(f"{target}: give crop or size, not both.")
    if crop is not None and len(crop) not in (2, 4):
        raise PackError(f"{target}: crop {tuple(crop)} has neither 2 nor 4 numbers.")
    if min((crop or size or (1,))[-2:]) < 1:
        raise PackError(f"{target}: crop={crop}, size={size} leave no pixels.")


def _check_named(names: list[str], table: Mapping, target: Path, what: str) -> None:
    if missing := [name for name in names if name not in table]:
        raise PackError(f"{target}: no {what} is given for {enumerate_names(missing)}.")


def _look(
    pairs: list[Pair], fit: Fit, target: Path, skip_bad: bool, progress: bool
) -> tuple[list[_Seen], dict[str, str]]:
    """Read every photo once; return the pairs to pack, and why others are left out."""
    seen: list[_Seen] = []
    bad: dict[str, str] = {}
    small: dict[str, str] = {}
    for pair in tqdm(pairs, "look", unit="pair") if progress else pairs:
        try:
            found = _look_at(pair)
        except (ImageError, OSError) as error:
            bad[pair.name] = str(error)
            continue
        if fit.fits(found.shape):
            seen.append(found)
        else:
            small[pair.name] = f"{_text(found.shape)}, too small for the crop {fit.crop}"
    if bad and not skip_bad:
        lines = "\n".join(f"  {reason}" for reason in list(bad.values())[:20])
        raise PackError(
            f"{target} was not written; {len(bad)} of {len(pairs)} pairs cannot be packed:\n{lines}"
            "\nMend or remove these files, or leave them out: skip_bad=True, --skip-bad."
        )
    if not seen:
        reasons = "; ".join(f"{name}: {why}" for name, why in list((bad | small).items())[:10])
        raise PackError(f"{target} was not written, no pair can be packed: {reasons}.")
    return seen, bad | small


def _look_at(pair: Pair) -> _Seen:
    shapes, checksums = [], []
    for side in (pair.low, pair.normal):
        if side is not None:
            photo = read_side(side)
            shapes.append(photo.shape[:2])
            checksums.append(_checksum(side, photo))
    if len(set(shapes)) > 1:
        one, other = (side if isinstance(side, Path) else pair.name for side in pair[1:])
        raise ImageError(
            f"{other} is {_text(shapes[1])} but its partner {one} is {_text(shapes[0])}"
        )
    return _Seen(pair, shapes[0], tuple(checksums), photo_hash(photo))


def _checksum(side: Side, photo: np.ndarray) -> str:
    return sha256(side) if isinstance(side, Path) else hashlib.sha256(photo.tobytes()).hexdigest()


def _text(shape: Sequence[int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _check_space(target: Path, sizes: list[tuple[int, int]], has_normal: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    needed = 3 * sum(height * width for height, width in sizes) * (1 + has_normal)
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise PackError(
            f"{target} needs {needed / 1e9:.1f} GB, but there are {free / 1e9:.1f} GB free in "
            f"{target.parent}; make room, or name another place."
        )


def _write_photos(
    archive: zipfile.ZipFile,
    key: str,
    photos: Iterable[Side],
    fit: Fit,
    sizes: list[tuple[int, int]],
) -> None:
    same = len(set(sizes)) == 1
    values = 3 * sum(height * width for height, width in sizes)
    shape = (len(sizes), *sizes[0], 3) if same else (values,)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with archive.open(_member(key), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for photo in photos:
            member.write(np.ascontiguousarray(fit(read_side(photo))).data)


def _write_array(archive: zipfile.ZipFile, key: str, array: np.ndarray) -> None:
    with archive.open(_member(key), "w") as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _member(key: str) -> zipfile.ZipInfo:
    # The default date, 1980, keeps equal packs equal to the byte.
    return zipfile.ZipInfo(f"{key}.npy")


def _meta(seen: list[_Seen], sizes: list[tuple[int, int]], fit: Fit) -> dict:
    method = {"resize": fit.size} if fit.size else {"crop": fit.crop} if fit.crop else {}
    found = versions()
    sides = zip(*(each.checksums for each in seen), strict=True)
    return {
        "version": VERSION,
        "size": sizes[0] if len(set(sizes)) == 1 else None,
        "method": method,
        "source_sizes": [each.shape for each in seen],
        "sha256": dict(zip(("low", "normal"), map(list, sides), strict=False)),
        "versions": {name: found[name] for name in ("lle-utils", "numpy", "pillow")},
    }
