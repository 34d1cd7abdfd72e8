"""Which photos belong together: pairs by file stem, and pairs side by side in one picture."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lle_utils.core.images import SUFFIXES, ImageError, read_uint8
from lle_utils.core.photo_formats import RAW_SUFFIXES
from lle_utils.data.raw import developed_file

LOW_FOLDERS = ("low", "input", "dark")
NORMAL_FOLDERS = ("high", "normal", "ground_truth", "gt", "target", "reference")


class PairError(ValueError):
    """Photos that cannot be matched one to one."""


# A photo: its file, or a function that makes it, uint8 (H, W, 3).
Side = Path | Callable[[], np.ndarray]


class Pair(NamedTuple):
    """One scene photographed twice; `name` is the common file stem.

    A dark photo without a well-lit one has ``normal`` None.
    """

    name: str
    low: Side
    normal: Side | None


def read_side(side: Side) -> np.ndarray:
    """Return a photo of a pair, uint8 of shape ``(H, W, 3)``; camera raw is developed.

    Raises:
        FileNotFoundError: If its file does not exist.
        ImageError: If its file cannot be read; the message names it.
    """
    if callable(side):
        return side()
    return developed_file(side) if side.suffix.lower() in RAW_SUFFIXES else read_uint8(side)


def natural_key(name: str) -> tuple:
    """Return a sort key under which ``9`` comes before ``10``.

    >>> sorted(["10", "9", "a2", "a10"], key=natural_key)
    ['9', '10', 'a2', 'a10']
    """
    parts = re.split(r"(\d+)", name)
    # Split alternates text and digits, so equal positions always compare equal types.
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], name


def list_photos(folder: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """List the image files of one folder in natural order; hidden files are left out.

    Args:
        folder: Looked at without its subfolders.
        suffixes: Endings of the names, in small letters.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of photos.")
    photos = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(photos, key=lambda path: natural_key(path.name))


def find_pairs(low_dir: str | os.PathLike, normal_dir: str | os.PathLike) -> list[Pair]:
    """Match the photos of two folders by file stem, never by position.

    Suffixes may differ: ``low/22.png`` belongs to ``high/22.jpg``.

    Args:
        low_dir: Folder of dark photos.
        normal_dir: Folder of well-lit photos.

    Returns:
        Pairs in natural order of their names.

    Raises:
        FileNotFoundError: If a folder does not exist.
        PairError: If a stem occurs twice in a folder, lacks its partner, or none is found.
    """
    low, normal = by_stem(low_dir), by_stem(normal_dir)
    if not low and not normal:
        raise PairError(f"No image files in {low_dir} or {normal_dir}.")
    complaints = []
    for one, other, folder in ((low, normal, normal_dir), (normal, low, low_dir)):
        missing = sorted(one.keys() - other.keys(), key=natural_key)
        if missing:
            complaints.append(f"no partner in {folder} for {enumerate_names(missing)}")
    if complaints:
        raise PairError("; ".join(complaints) + ". Remove or complete these files.")
    return [Pair(stem, low[stem], normal[stem]) for stem in sorted(low, key=natural_key)]


def by_stem(folder: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """Map the file stems of a folder's photos to their paths.

    Args:
        folder, suffixes: As for `list_photos`.

    Raises:
        FileNotFoundError: If the folder does not exist.
        PairError: If a stem occurs twice.
    """
    found: dict[str, Path] = {}
    for path in list_photos(folder, suffixes):
        if path.stem in found:
            raise PairError(
                f"{folder} has both {found[path.stem].name} and {path.name}; "
                "keep one file per stem."
            )
        found[path.stem] = path
    return found


def enumerate_names(names: list[str], limit: int = 10) -> str:
    """Return names for a message, the first ``limit`` of them."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def paired_folders(root: str | os.PathLike) -> tuple[Path, Path]:
    """Find the two folders of a paired data set.

    Args:
        root: A folder with ``low``, ``input`` or ``dark`` beside ``high``, ``normal``,
            ``ground_truth``, ``gt``, ``target`` or ``reference``, in any letter case.

    Returns:
        The folders of dark and of well-lit photos.

    Raises:
        FileNotFoundError: If either side is missing.
        PairError: If several folders could be a side.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder.")
    inside = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    sides = []
    for names in (LOW_FOLDERS, NORMAL_FOLDERS):
        found = [inside[name] for name in names if name in inside]
        if not found:
            raise FileNotFoundError(
                f"{root} has none of the folders {', '.join(names)}; it has "
                f"{', '.join(inside) or 'no folders'}."
            )
        if len(found) > 1:
            raise PairError(f"{root} has {found[0].name} and {found[1].name}; keep one of them.")
        sides.append(found[0])
    return sides[0], sides[1]


def join_pair(low: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Put a pair side by side, dark photo first, as many pix2pix data sets store it.

    Args:
        low, normal: uint8 or float images ``(H, W, 3)`` of one shape and type.

    Returns:
        One image ``(H, 2*W, 3)``; `save_image` writes it and `split_pair` takes it apart.

    Raises:
        ImageError: If shapes or types differ.
    """
    if low.shape != normal.shape or low.dtype != normal.dtype or low.ndim != 3:
        raise ImageError(
            f"low is {low.dtype} {low.shape}, normal is {normal.dtype} {normal.shape}; expected "
            "two images (H, W, 3) of one shape and type."
        )
    return np.concatenate([low, normal], axis=1)


def split_pair(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take a side-by-side pair apart.

    Args:
        image: The pair ``(H, 2*W, 3)``, such as 256x512, dark photo on the left.

    Returns:
        The two halves ``(H, W, 3)``, as views.

    Raises:
        ImageError: If the width is odd or this is not an image.
    """
    if image.ndim != 3 or image.shape[1] % 2 or 0 in image.shape:
        raise ImageError(
            f"image has shape {image.shape}; expected (H, 2*W, 3): two photos side by side."
        )
    half = image.shape[1] // 2
    return image[:, :half], image[:, half:]
