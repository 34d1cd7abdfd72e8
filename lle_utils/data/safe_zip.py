"""Unpack a zip from the internet: inside its folder, within limits, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CHUNK_BYTES = 1 << 20  # unpacked at once
RATIO_FROM_BYTES = 1 << 20  # what a smaller file unpacks to is no danger, whatever its ratio
_CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db")


class ArchiveError(ValueError):
    """An archive that is damaged, or that must not be unpacked."""


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to; counted on the bytes that come out, not on its headers.

    Attributes:
        total_bytes: All files together.
        ratio: Unpacked over packed size of one file, for files above 1 MiB. Photos
            hardly shrink when packed; the format itself allows 1032.
        files: Number of entries.
    """

    total_bytes: int = 200 * 2**30
    ratio: float = 200.0
    files: int = 200_000


DEFAULT_LIMITS = Limits()


def check_zip(path: str | os.PathLike, limits: Limits = DEFAULT_LIMITS) -> list[PurePosixPath]:
    """Read a zip to its end: safe names, intact data, within limits. Nothing is written.

    Args:
        path: The archive.
        limits: See `Limits`.

    Returns:
        The files inside, relative to the folder that `extract_zip` makes.

    Raises:
        ArchiveError: If the archive is not a zip, is damaged, names a path outside its
            folder, holds a link, or exceeds a limit.
    """
    with _opened(path) as archive:
        plan = _plan(archive, limits)
        meter = _Meter(limits)
        for info, _ in plan:
            for _ in meter.chunks(archive, info):
                pass
    return [name for _, name in plan]


def extract_zip(
    path: str | os.PathLike,
    target: str | os.PathLike,
    limits: Limits = DEFAULT_LIMITS,
    nested: int = 1,
) -> Path:
    """Unpack a zip into a new folder.

    A single top-level folder inside the archive is left out: ``LOL/our485/low/2.png``
    becomes ``target/our485/low/2.png``. The files are written to a hidden folder beside
    ``target`` that is renamed at the end, so ``target`` is complete or absent.

    Args:
        path: The archive.
        target: The folder to make; it must not exist.
        limits: See `Limits`.
        nested: How deep zips inside the zip are unpacked too, each into a folder of its name in
            the place of it, within the same limits.

    Returns:
        ``target``.

    Raises:
        ArchiveError: As `check_zip`, or if the disk has too little space.
        FileExistsError: If ``target`` exists.
    """
    target = Path(target)
    if target.exists():
        raise FileExistsError(f"{target} exists already; remove it first.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".partial-{target.name}"
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        with _opened(path) as archive:
            plan = _plan(archive, limits)
            _check_space(plan, target.parent)
            partial.mkdir()
            meter = _Meter(limits)
            for info, name in plan:
                _write(meter.chunks(archive, info), partial / name)
        if nested:
            _extract_nested(partial, limits, nested - 1)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[zipfile.ZipFile]:
    """Open a zip and turn every way in which it can be broken into an `ArchiveError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except ArchiveError as error:
        raise ArchiveError(f"{path}: {error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(f"{path} is damaged or incomplete: {error}. Fetch it again.") from error


def _plan(archive: zipfile.ZipFile, limits: Limits) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Check every entry's name and kind; return the files with their path below the target."""
    entries = archive.infolist()
    if len(entries) > limits.files:
        raise ArchiveError(f"{len(entries)} entries, more than the {limits.files} allowed.")
    plan = [(info, _safe_name(info)) for info in entries]
    plan = [
        (info, name)
        for info, name in plan
        if not info.is_dir() and not set(name.parts) & set(_CLUTTER)
    ]
    tops = {name.parts[0] for _, name in plan}
    if len(tops) == 1 and all(len(name.parts) > 1 for _, name in plan):
        plan = [(info, PurePosixPath(*name.parts[1:])) for info, name in plan]
    return plan


def _safe_name(info: zipfile.ZipInfo) -> PurePosixPath:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise ArchiveError(f"entry {info.filename!r} has an absolute path; refused.")
    parts = PurePosixPath(name).parts
    if ".." in parts or not parts:
        raise ArchiveError(f"entry {info.filename!r} leads outside the target folder; refused.")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"entry {info.filename!r} is a link or a device; refused.")
    if info.flag_bits & 1:
        raise ArchiveError(f"entry {info.filename!r} is encrypted; refused.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"entry {info.filename!r} is packed with an unusual method; refused.")
    return PurePosixPath(name)


class _Meter:
    """Read entries and count the bytes that come out; the library checks each file's CRC."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.total = 0

    def chunks(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
        size = 0
        with archive.open(info) as packed:
            while chunk := packed.read(CHUNK_BYTES):
                size += len(chunk)
                self.total += len(chunk)
                self._check(info, size)
                yield chunk

    def _check(self, info: zipfile.ZipInfo, size: int) -> None:
        if self.total > self.limits.total_bytes:
            raise ArchiveError(
                f"unpacks to more than the {self.limits.total_bytes:,} bytes allowed."
            )
        if size > RATIO_FROM_BYTES and size > self.limits.ratio * max(info.compress_size, 1):
            raise ArchiveError(
                f"entry {info.filename!r} inflates to more than {self.limits.ratio:g} times its "
                "packed size; refused."
            )


def _extract_nested(folder: Path, limits: Limits, nested: int) -> None:
    for path in sorted(folder.rglob("*.zip")):
        try:
            extract_zip(path, path.with_suffix(""), limits, nested)
        except FileExistsError as error:
            raise ArchiveError(f"{path.name} lies beside a folder of its name; refused.") from error
        path.unlink()


def _check_space(plan: list[tuple[zipfile.ZipInfo, PurePosixPath]], folder: Path) -> None:
    needed = sum(info.file_size for info, _ in plan)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArchiveError(
            f"unpacks to {needed / 1e9:,.1f} GB, but {folder} has {free / 1e9:,.1f} GB free."
        )


def _write(chunks: Iterator[bytes], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.writelines(chunks)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(f"entry {path.name!r} occurs twice; refused.") from error
