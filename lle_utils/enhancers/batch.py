"""Enhance many photo files: decode, enhance and encode at once, and stop at nothing."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lle_utils.core.errors import is_expected
from lle_utils.core.images import ImageError
from lle_utils.core.paths import remove_partial, sha256
from lle_utils.core.photo_formats import (
    RAW_SUFFIXES,
    READABLE,
    Photo,
    read_note,
    read_photo,
    with_note,
    write_photo,
)
from lle_utils.data.pairs import list_photos
from lle_utils.enhancers.tiling import MEMORY_LIMIT, UNTILED_PIXELS

WITHOUT_EXIF = (".bmp",)
ENHANCED_MARK = "_enhanced"  # what is added to a photo's name
RAW_TARGET_SUFFIX = ".tif"  # camera raw cannot be written; a TIFF keeps its 16 bits


@dataclass
class Outcome:
    """What became of the photos.

    Attributes:
        written: Files that were made.
        failed: Photos that were not enhanced, and why.
    """

    written: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def plan(
    photos: Sequence[str | os.PathLike],
    folder: str | os.PathLike | None = None,
    suffix: str | None = None,
    kinds: Sequence[str] = READABLE,
) -> dict[Path, Path]:
    """Map each file to write to the photo it comes from.

    Args:
        photos: Files, folders (without their subfolders) and patterns such as ``*.jpg``.
        folder: Where to write; beside each photo when None.
        suffix: Of all files to write, such as ``.jpg``; when None that of the photo, and
            ``.tif`` for camera raw.
        kinds: Suffixes of what is taken from folders and patterns.

    Returns:
        Targets, ``<name>_enhanced``, to photos. What an earlier run wrote into one of the
        folders is no photo of the next.

    Raises:
        ImageError: If two photos would share a target, or a target is one of the photos.
        FileNotFoundError: If a folder or pattern has no photo.
    """
    found = [photo for given in photos for photo in _expand(Path(given), kinds)]
    given = {Path(os.path.abspath(photo)) for photo in found}
    targets: dict[Path, Path] = {}
    for photo in found:
        ending = RAW_TARGET_SUFFIX if photo.suffix.lower() in RAW_SUFFIXES else photo.suffix
        target = Path(folder or photo.parent) / f"{photo.stem}{ENHANCED_MARK}{suffix or ending}"
        if targets.get(target, photo) != photo:
            raise ImageError(f"{photo} and {targets[target]} would both be written to {target}.")
        if Path(os.path.abspath(target)) in given:
            raise ImageError(
                f"{photo} would be written to {target}, which is one of the photos. "
                "Choose another folder (-o)."
            )
        targets[target] = photo
    return targets


def _expand(given: Path, kinds: Sequence[str]) -> list[Path]:
    if given.is_dir():
        photos = [p for p in list_photos(given, kinds) if not p.stem.endswith(ENHANCED_MARK)]
        where = f"{given} holds no photo"
    elif not given.exists() and glob.has_magic(str(given)):
        photos = [Path(name) for name in sorted(glob.glob(str(given), recursive=True))]
        photos = [
            p for p in photos if p.suffix.lower() in kinds and not p.stem.endswith(ENHANCED_MARK)
        ]
        where = f"No photo matches {given}"
    else:
        return [given]
    if not photos:
        raise FileNotFoundError(f"{where} of a known kind ({', '.join(kinds)}).")
    return photos


def note_of(photo: Path, settings: str) -> str:
    """Return what is noted in a result: its settings, and a hash of the photo it was made of."""
    return f"lle-utils: {settings}; photo {sha256(photo)[:16]}"


def pending(targets: Mapping[Path, Path], settings: str = "") -> dict[Path, Path]:
    """Return the targets that are still to be made.

    Args:
        targets: As of `plan`.
        settings: What results are made with. One that was made with others, or of another photo, is
            made again; one that cannot say so (BMP) if it is older than the photo.
    """
    return {t: photo for t, photo in targets.items() if not _is_done(t, photo, settings)}


def _is_done(target: Path, photo: Path, settings: str) -> bool:
    if not (target.is_file() and photo.is_file()):
        return False
    if target.suffix.lower() in WITHOUT_EXIF:
        return target.stat().st_mtime >= photo.stat().st_mtime
    return read_note(target) == note_of(photo, settings)


def enhance_photos(
    targets: Mapping[Path, Path],
    enhance: Callable[..., np.ndarray],
    *,
    memory: int = MEMORY_LIMIT,
    quality: int = 95,
    workers: int | None = None,
    show: Callable[[Iterable], Iterable] = iter,
    read: Callable[[Path], Photo] = read_photo,
    settings: str = "",
) -> Outcome:
    """Enhance photo files, several at once, with their EXIF and ICC profiles.

    A photo that fails does not stop the others. Each file appears whole or not at all; what a
    killed run had begun is removed first.

    Args:
        targets: As of `plan`.
        enhance: Takes an image ``(H, W, 3)``, uint8 or uint16, and ``memory``; returns its like.
            Called by several threads.
        memory: Bytes that the process may hold.
        quality: Of JPEG, WebP and HEIC files, 1 to 100.
        workers: Photos in work at once; one more than there are processor cores when None.
        show: Wraps the photos as they are finished, such as tqdm.
        read: Reads a photo file.
        settings: What results are made with, for `pending`; noted in the EXIF of each.

    Returns:
        What was written and what failed.
    """
    workers = min(workers or (os.cpu_count() or 1) + 1, max(len(targets), 1))
    for folder in {target.parent for target in targets}:
        remove_partial(folder)

    def work(target: Path, photo: Path) -> None:
        source = read(photo)
        free = memory - _held_by_others(source.pixels, workers)
        enhanced = enhance(source.pixels, memory=free)
        result = with_note(replace(source, pixels=enhanced), note_of(photo, settings))
        write_photo(target, result, quality)

    with ThreadPoolExecutor(workers) as pool:
        try:
            jobs = {pool.submit(work, *pair): pair for pair in targets.items()}
            return _outcome(jobs, show)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _held_by_others(pixels: np.ndarray, workers: int) -> int:
    """Return the bytes that the other workers hold, if their photos are alike."""
    if pixels.shape[0] * pixels.shape[1] <= UNTILED_PIXELS:
        return 0
    return 3 * pixels.nbytes * (workers - 1)


def _outcome(jobs: Mapping[Future, tuple[Path, Path]], show: Callable) -> Outcome:
    """Wait for the jobs, each with its target and photo, and note what became of them."""
    outcome = Outcome()
    for job in show(as_completed(jobs)):
        target, photo = jobs[job]
        if error := job.exception():
            outcome.failed[photo] = _describe(error, photo)
        else:
            outcome.written.append(target)
    return outcome


def _describe(error: BaseException, photo: Path) -> str:
    text = str(error) or "no message"
    if not is_expected(error):
        text = f"{type(error).__name__}: {text}"
    return text if str(photo) in text else f"{photo}: {text}"
