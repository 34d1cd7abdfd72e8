"""Which photos are meant, and which files their results go to."""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from lle_utils.core.addresses import is_address, joined, storage
from lle_utils.core.images import ImageError
from lle_utils.core.photo_formats import RAW_SUFFIXES, READABLE
from lle_utils.data.pairs import list_photos

ENHANCED_MARK = "_enhanced"  # what is added to a photo's name
Place = TypeVar("Place", Path, str)
RAW_TARGET_SUFFIX = ".tif"  # camera raw cannot be written; a TIFF keeps its 16 bits


@dataclass(frozen=True)
class Naming:
    """How the files to write are called.

    Attributes:
        folder: Where to write; beside each photo when None.
        mark: What is added to a photo's name, before the dot.
        suffix: Of all files to write, such as ``.jpg``; when None that of the photo, and ``.tif``
            for camera raw.
    """

    folder: Path | None = None
    mark: str = ENHANCED_MARK
    suffix: str | None = None

    def target(self, photo: Path, inside: Path) -> Path:
        """Return the file to write for a photo, in the subfolder ``inside`` of the folder."""
        ending = RAW_TARGET_SUFFIX if photo.suffix.lower() in RAW_SUFFIXES else photo.suffix
        folder = self.folder / inside if self.folder else photo.parent
        return folder / f"{photo.stem}{self.mark}{self.suffix or ending}"

    def is_result(self, photo: Path) -> bool:
        """Tell whether a file is called as results are, so that it is no photo of the next run."""
        return bool(self.mark) and photo.stem.endswith(self.mark)


def plan(
    photos: Sequence[str | os.PathLike],
    naming: Naming | None = None,
    kinds: Sequence[str] = READABLE,
    recursive: bool = False,
) -> dict[Path, Path]:
    """Map each file to write to the photo it comes from.

    Args:
        photos: Files, folders and patterns such as ``*.jpg``.
        naming: How files to write are called; None for ``<name>_enhanced`` beside each photo.
        kinds: Suffixes of what is taken from folders and patterns.
        recursive: Whether folders are taken with their subfolders, which are made again where the
            results go.

    Returns:
        Targets to photos. What an earlier run wrote into one of the folders is no photo of the
        next.

    Raises:
        ImageError: If two photos would share a target, or a target is one of the photos.
        FileNotFoundError: If a folder or pattern has no photo.
    """
    naming = naming or Naming()
    found = [pair for given in photos for pair in _expand(Path(given), naming, kinds, recursive)]
    return _checked([(naming.target(photo, inside), photo) for photo, inside in found])


def plan_anywhere(
    photos: Sequence[str],
    output: str | None = None,
    naming: Naming | None = None,
    kinds: Sequence[str] = READABLE,
    recursive: bool = False,
) -> dict[str, str]:
    """Map each file to write to its photo, on this machine or at addresses such as ``s3://in/``.

    Args:
        photos: Files, folders and patterns, or addresses of such.
        output: Folder or address of one; beside each photo when None.
        naming: How files to write are called; its folder is not heeded.
        kinds, recursive: As of `plan`.

    Returns:
        Targets to photos: addresses, and absolute paths.

    Raises:
        ImageError, FileNotFoundError: As `plan`.
        AddressError, ImportError: As `lle_utils.core.addresses.storage`.
    """
    naming = replace(naming or Naming(), folder=Path())
    if output is not None and not is_address(output):
        output = os.path.abspath(output)
    pairs = []
    for given in photos:
        if is_address(given):
            found = _expand_address(given, naming, kinds, recursive)
        else:
            local = _expand(Path(given), naming, kinds, recursive)
            found = [(os.path.abspath(photo), inside) for photo, inside in local]
        for photo, inside in found:
            target = naming.target(Path(photo), inside if output else Path()).as_posix()
            pairs.append((joined(output or photo.rpartition("/")[0], target), photo))
    return _checked(pairs)


def _checked(pairs: Sequence[tuple[Place, Place]]) -> dict[Place, Place]:
    """Return targets to photos, unless one would be written over."""
    given = {_where(photo) for _, photo in pairs}
    targets: dict[Place, Place] = {}
    for target, photo in pairs:
        if targets.get(target, photo) != photo:
            raise ImageError(f"{photo} and {targets[target]} would both be written to {target}.")
        if _where(target) in given:
            raise ImageError(
                f"{photo} would be written to {target}, which is one of the photos. "
                "Choose another folder (-o)."
            )
        targets[target] = photo
    return targets


def _where(place: Path | str) -> str:
    return str(place) if is_address(place) else os.path.abspath(place)


def _expand_address(
    given: str, naming: Naming, kinds: Sequence[str], recursive: bool
) -> list[tuple[str, Path]]:
    """Return the photos at an address, each with the subfolder that it lies in."""
    with storage(given) as (files, path):
        if files.isfile(path):
            return [(given, Path())]
        pattern = glob.has_magic(path)
        listed = files.glob(path) if pattern else files.find(path, None if recursive else 1)
        photos = []
        for name in sorted(listed):
            inside = Path(PurePosixPath(name).name if pattern else posixpath.relpath(name, path))
            hidden = any(part.startswith(".") for part in inside.parts)
            if inside.suffix.lower() in kinds and not hidden and not naming.is_result(inside):
                photos.append((files.unstrip_protocol(name), inside.parent))
    if not photos:
        raise FileNotFoundError(f"{given}: no photo of a known kind ({', '.join(kinds)}) there.")
    return photos


def _expand(
    given: Path, naming: Naming, kinds: Sequence[str], recursive: bool
) -> list[tuple[Path, Path]]:
    """Return the photos that a word stands for, each with the subfolder that it lies in."""
    if given.is_dir():
        folders = [given, *(_subfolders(given) if recursive else [])]
        photos = [(p, f.relative_to(given)) for f in folders for p in list_photos(f, kinds)]
        where = f"{given} holds no photo"
    elif not given.exists() and glob.has_magic(str(given)):
        names = sorted(glob.glob(str(given), recursive=True))
        photos = [(Path(n), Path()) for n in names if Path(n).suffix.lower() in kinds]
        where = f"No photo matches {given}"
    else:
        return [(given, Path())]
    photos = [pair for pair in photos if not naming.is_result(pair[0])]
    if not photos:
        more = " Its subfolders do; --recursive takes them." if left_out([given], kinds)[1] else ""
        raise FileNotFoundError(f"{where} of a known kind ({', '.join(kinds)}).{more}")
    return photos


def _subfolders(folder: Path) -> list[Path]:
    """Return all folders below one but hidden ones, sorted."""
    found = [path for path in folder.rglob("*") if path.is_dir()]
    return sorted(
        p for p in found if not any(q.startswith(".") for q in p.relative_to(folder).parts)
    )


def left_out(
    photos: Sequence[str | os.PathLike], kinds: Sequence[str] = READABLE, recursive: bool = False
) -> tuple[int, int]:
    """Count what `plan` passes over in the folders among ``photos``.

    Args:
        photos, kinds, recursive: As for `plan`.

    Returns:
        Files that are of no known kind, and subfolders with photos that are not looked into.
    """
    given = [Path(photo) for photo in photos if Path(photo).is_dir()]
    below = {folder: _subfolders(folder) for folder in given}
    looked_into = {f for folder in given for f in [folder, *(below[folder] if recursive else [])]}
    files = [p for f in looked_into for p in f.iterdir() if p.is_file() and p.name[0] != "."]
    others = {f for found in below.values() for f in found} - looked_into
    strangers = sum(path.suffix.lower() not in kinds for path in files)
    return strangers, sum(bool(list_photos(folder, kinds)) for folder in others)
