"""Enhance many photo files: decode, enhance and encode at once, and stop at nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lle_utils.core.errors import is_expected
from lle_utils.core.paths import remove_partial, sha256
from lle_utils.core.photo_formats import Photo, read_photo, write_photo
from lle_utils.core.photo_metadata import read_note, with_note
from lle_utils.enhancers.classical import BASELINES
from lle_utils.enhancers.storage import model_path
from lle_utils.enhancers.tiling import MEMORY_LIMIT, UNTILED_PIXELS

WITHOUT_EXIF = (".bmp",)


@dataclass
class Outcome:
    """What became of the photos.

    Attributes:
        written: Files that were made.
        failed: Photos that were not enhanced, and why.
    """

    written: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def settings_text(method: str | os.PathLike, level: float | None, quality: int) -> str:
    """Name all that a result depends on but the photo; of a network, its weights too.

    Args:
        method: As of `lle_utils.enhancers.load_method`.
        level: As of the method; None for its own.
        quality: As of `enhance_photos`.

    Raises:
        FileNotFoundError: If there is no such method.
    """
    if method not in BASELINES:
        path = model_path(method)
        method = f"{path.parent.name} {sha256(path)[:8]}"
    level_text = "its own" if level is None else f"{level:g}"
    return f"{method}; level {level_text}; quality {quality}"


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
    return {t: photo for t, photo in targets.items() if not is_done(t, photo, settings)}


def is_done(target: Path, photo: Path, settings: str) -> bool:
    """Tell whether a target was made of the photo as it is, with these settings; see `pending`."""
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
    """Enhance photo files, several at once, with their metadata and ICC profiles.

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
        enhance_file(
            target,
            photo,
            enhance,
            memory=memory,
            quality=quality,
            workers=workers,
            read=read,
            settings=settings,
        )

    with ThreadPoolExecutor(workers) as pool:
        try:
            jobs = {pool.submit(work, *pair): pair for pair in targets.items()}
            return _outcome(jobs, show)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def enhance_file(
    target: Path,
    photo: Path,
    enhance: Callable[..., np.ndarray],
    *,
    memory: int,
    quality: int,
    workers: int,
    read: Callable[[Path], Photo],
    settings: str,
) -> None:
    """Enhance one photo file; the arguments are those of `enhance_photos`."""
    source = read(photo)
    free = memory - _held_by_others(source.pixels, workers)
    enhanced = enhance(source.pixels, memory=free)
    noted = with_note(source.metadata, note_of(photo, settings))
    write_photo(target, replace(source, pixels=enhanced, metadata=noted), quality)


def _held_by_others(pixels: np.ndarray, workers: int) -> int:
    """Return the bytes that the other workers hold, if their photos are alike."""
    if pixels.shape[0] * pixels.shape[1] <= UNTILED_PIXELS:
        return 0
    return 4 * pixels.nbytes * (workers - 1)


def _outcome(jobs: Mapping[Future, tuple[Path, Path]], show: Callable) -> Outcome:
    """Wait for the jobs, each with its target and photo, and note what became of them."""
    outcome = Outcome()
    for job in show(as_completed(jobs)):
        target, photo = jobs[job]
        if error := job.exception():
            outcome.failed[photo] = describe(error, photo)
        else:
            outcome.written.append(target)
    return outcome


def describe(error: BaseException, photo: Path | str) -> str:
    """Say why a photo failed, with its name."""
    text = str(error) or "no message"
    if not is_expected(error):
        text = f"{type(error).__name__}: {text}"
    return text if str(photo) in text else f"{photo}: {text}"
