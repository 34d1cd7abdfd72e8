"""Photos of an archive, a batch at a time: at addresses such as ``s3://in/``, or files."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lle_utils.core.addresses import fetch, is_address, push, storage
from lle_utils.core.photo_metadata import read_note
from lle_utils.enhancers.batch import (
    WITHOUT_EXIF,
    describe,
    enhance_file,
    is_done,
    note_of,
    settings_text,
)
from lle_utils.enhancers.enhancer import EnhancerError
from lle_utils.enhancers.factory import load_for_files

_loading = threading.Lock()
_load = cache(load_for_files)


@dataclass(frozen=True)
class Work:
    """How the photos of an archive are enhanced, the same for all batches.

    Attributes:
        method: A baseline, a shipped enhancer, or the folder of one.
        settings: What is noted in results, see `lle_utils.enhancers.batch.settings_text`.
        photos: How many there are.
        level: Mean brightness that results shall have; None leaves it to the method.
        runtime: As of `lle_utils.enhancers.load_method`.
        memory: Bytes that a process may hold.
        quality: Of JPEG, WebP and HEIC files, 1 to 100.
        at_once: Photos in work at once in a process: one is enhanced while another is on its way.
        overwrite: Do again what is done.
    """

    method: str
    settings: str
    photos: int
    level: float | None
    runtime: str
    memory: int
    quality: int
    at_once: int
    overwrite: bool


@dataclass(frozen=True)
class Ended:
    """What became of a photo.

    Attributes:
        photo, target: Their addresses or paths.
        written: False if it was done before, or failed.
        error: Why it failed, or empty.
    """

    photo: str
    target: str
    written: bool = False
    error: str = ""


def enhance_batch(
    batch: Sequence[tuple[str, str]], work: Work, folder: str | None = None
) -> list[Ended]:
    """Enhance a batch of photos; the method is loaded with the first batch of a process.

    A photo that fails does not stop the others. Each result appears whole or not at all, and says
    what it was made of, so that what is done is not done again, see `lle_utils.enhancers.pending`.

    Args:
        batch: Targets and photos, as of `lle_utils.enhancers.targets.plan_anywhere`.
        work: How.
        folder: For the files of photos in work; the system's own when None.

    Returns:
        What became of each, in their order.

    Raises:
        EnhancerError: If the method has other weights here than where the work was ordered.
        FileNotFoundError, ImportError: If the method cannot be loaded.
    """
    _check_weights(work)
    with _loading:
        loaded = _load(work.method, work.runtime, work.photos, work.level, work.memory)
    with (
        tempfile.TemporaryDirectory(dir=folder) as own,
        ThreadPoolExecutor(work.at_once) as pool,
    ):
        folders = [Path(own) / str(number) for number in range(len(batch))]
        return list(pool.map(lambda pair, own: _end(*pair, work, own, **loaded), batch, folders))


def _check_weights(work: Work) -> None:
    here = settings_text(work.method, work.level, work.quality)
    if here != work.settings:
        raise EnhancerError(
            f"A worker has another {work.method} than this machine: its results would say "
            f"{here!r}, not {work.settings!r}. Give all the same version of the package."
        )


def _end(target: str, photo: str, work: Work, folder: Path, enhance, read) -> Ended:
    folder.mkdir()
    source = folder / f"photo{Path(photo).suffix}" if is_address(photo) else Path(photo)
    result = folder / f"result{Path(target).suffix}" if is_address(target) else Path(target)
    try:
        if is_address(photo):
            fetch(photo, source)
        if not work.overwrite and _is_done(target, photo, source, work.settings):
            return Ended(photo, target)
        enhance_file(
            result,
            source,
            enhance,
            memory=work.memory,
            quality=work.quality,
            workers=work.at_once,
            read=read,
            settings=work.settings,
        )
        if is_address(target):
            push(result, target)
        return Ended(photo, target, written=True)
    except Exception as error:
        return Ended(photo, target, error=describe(error, source).replace(str(source), photo))
    finally:
        for copy in {source, result} - {Path(photo), Path(target)}:
            copy.unlink(missing_ok=True)


def _is_done(target: str, photo: str, source: Path, settings: str) -> bool:
    """Tell what `is_done` tells, of a target at an address too; ``source`` is the photo's file."""
    if not is_address(target) and not is_address(photo):
        return is_done(Path(target), source, settings)
    with storage(target) as (files, path):
        if not files.isfile(path):
            return False
        if Path(target).suffix.lower() not in WITHOUT_EXIF:
            with files.open(path, "rb") as content:
                return read_note(content) == note_of(source, settings)
        written = files.modified(path)
    with storage(photo) as (files, path):
        return written >= files.modified(path)
