"""Which photos are meant, and which files their results go to."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lle_utils.core.images import ImageError
from lle_utils.core.photo_formats import RAW_SUFFIXES, READABLE
from lle_utils.data.pairs import list_photos

ENHANCED_MARK = "_enhanced"  # what is added to a photo's name
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
    given = {Path(os.path.abspath(photo)) for photo, _ in found}
    targets: dict[Path, Path] = {}
    for photo, inside in found:
        target = naming.target(photo, inside)
        if targets.get(target, photo) != photo:
            raise ImageError(f"{photo} and {targets[target]} would both be written to {target}.")
        if Path(os.path.abspath(target)) in given:
            raise ImageError(
                f"{photo} would be written to {target}, which is one of the photos. "
                "Choose another folder (-o)."
            )
        targets[target] = photo
    return targets


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
