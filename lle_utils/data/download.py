"""Fetch a data set of ``data/registry.toml``: mirrors in order, verified, unpacked safely."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

from lle_utils.core.paths import atomic_path, data_dir, photo_dir, sha256
from lle_utils.data.http import WEB_PAGE_REASON, TransferError, receive_drive, receive_http
from lle_utils.data.registry import Dataset, Mirror, RegistryError, load_registry
from lle_utils.data.safe_zip import DEFAULT_LIMITS, ArchiveError, Limits, check_zip, extract_zip

CHECKSUMS_FILE = "checksums.json"
_SUFFIXES = {b"PK\x03\x04": ".zip", b"Rar!": ".rar", b"7z\xbc\xaf": ".7z", b"\x1f\x8b": ".gz"}


class DownloadError(RuntimeError):
    """A data set that could not be fetched; the message says what was tried and what to do."""


def download_dataset(
    name: str,
    target: str | os.PathLike | None = None,
    registry: dict[str, Dataset] | None = None,
    progress: bool = True,
    extract: bool = True,
    archive: str | os.PathLike | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Path:
    """Fetch a data set, or take it from an archive fetched by hand, and unpack it.

    A data set that is already there is not fetched again. An interrupted download is
    continued by the next call. The SHA-256 of the first download from each mirror is kept in
    ``checksums.json`` and later downloads must equal it. The archive is removed once it is
    unpacked, except one given as ``archive``.

    Args:
        name: Key of the registry.
        target: Folder to put it in; ``LLE_DATA_DIR`` or ``data/downloads`` when None.
        registry: What `load_registry` returns; the project's own when None.
        progress: Whether to show a progress bar.
        extract: False keeps the archive and returns its path.
        archive: A file fetched in a browser, for mirrors that need an account.
        limits: What the archive may grow to.

    Returns:
        ``target/name``, the folder of the data set; or the archive, if ``extract`` is False or
        it is no zip and has to be unpacked with another program.

    Raises:
        RegistryError: If the name is unknown.
        DownloadError: If every mirror failed, or the archive is not what the registry
            describes. Nothing half written is left under ``target/name``.
    """
    dataset = _dataset(name, load_registry() if registry is None else registry)
    target = _target_folder(target)
    if extract and (target / name).exists():
        return _already_there(dataset, target / name)
    found = _verified_archive(dataset, target, archive, progress, limits)
    if not extract or _suffix(found) != ".zip":
        return found
    return _unpack(found, target / name, limits, keep=archive is not None)


def _dataset(name: str, registry: dict[str, Dataset]) -> Dataset:
    if name not in registry:
        raise RegistryError(f"No data set named {name!r}. Known: {', '.join(registry)}.")
    return registry[name]


def _verified_archive(
    dataset: Dataset,
    target: Path,
    given: str | os.PathLike | None,
    progress: bool,
    limits: Limits,
) -> Path:
    """Return the archive that was given, else one kept by an earlier call, else fetch it."""
    found = Path(given) if given is not None else _kept_archive(target, dataset.name)
    if found is None:
        return _fetch(dataset, target, progress, limits)
    _verify_content(dataset, found, limits)
    return found


def _fetch(dataset: Dataset, target: Path, progress: bool, limits: Limits) -> Path:
    """Try the mirrors in order; return the verified archive ``target/name.suffix``."""
    lock = target / CHECKSUMS_FILE
    recorded = _read_lock(lock)
    reasons = []
    for mirror in dataset.mirrors:
        if mirror.kind == "manual":
            reasons.append(f"{mirror.page}: needs a browser")
            continue
        part = target / f".partial-{dataset.name}-{_tag(mirror)}"
        try:
            _receive(mirror, part, dataset.name if progress else "")
            digest = _verify(dataset, mirror, part, recorded, limits)
        except (DownloadError, TransferError) as error:
            reasons.append(f"{mirror.page}: {error}")
            continue
        _record(lock, recorded, dataset.name, mirror.page, digest)
        archive = target / (dataset.name + _suffix(part))
        os.replace(part, archive)
        for leftover in target.glob(f".partial-{dataset.name}-*"):  # of mirrors that broke off
            leftover.unlink()
        return archive
    raise DownloadError(_failure(dataset, reasons))


def _tag(mirror: Mirror) -> str:
    """Keep the partial files of two mirrors apart: they may offer different archives."""
    return hashlib.sha256(mirror.page.encode()).hexdigest()[:8]


def _receive(mirror: Mirror, part: Path, label: str) -> None:
    if mirror.kind == "drive":
        receive_drive(mirror.id, part, label)
    else:
        receive_http(mirror.url, part, label)


def _failure(dataset: Dataset, reasons: list[str]) -> str:
    steps = [f"  - {m.page} ({m.steps})" for m in dataset.mirrors if m.kind == "manual"]
    return "\n".join(
        [
            f"{dataset.title} ({dataset.name}) could not be downloaded. Tried in this order:",
            *(f"  {number}. {reason}" for number, reason in enumerate(reasons, 1)),
            "Try again later: a download that broke off is continued. Or open one of the",
            "addresses in a browser and hand the file over with",
            f"  lle data download {dataset.name} --archive FILE",
            *steps,
        ]
    )


def _verify(dataset: Dataset, mirror: Mirror, part: Path, recorded: dict, limits: Limits) -> str:
    """Check a fetched file and return its SHA-256; a file that fails is removed."""
    try:
        _verify_content(dataset, part, limits)
        digest = sha256(part)
        earlier = recorded.get(dataset.name, {}).get(mirror.page, "")
        expected = mirror.sha256 or earlier or digest
        if digest != expected:
            origin = (
                "the registry states" if mirror.sha256 else f"{CHECKSUMS_FILE} recorded earlier"
            )
            raise DownloadError(f"SHA-256 is {digest}, but {origin} {expected}; file removed")
    except DownloadError:
        part.unlink(missing_ok=True)
        raise
    return digest


def _record(lock: Path, recorded: dict, name: str, page: str, digest: str) -> None:
    recorded.setdefault(name, {})[page] = digest
    with atomic_path(lock) as temporary:
        temporary.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")


def _read_lock(lock: Path) -> dict[str, dict[str, str]]:
    if not lock.exists():
        return {}
    try:
        return dict(json.loads(lock.read_text()))
    except ValueError as error:
        raise DownloadError(f"{lock} is damaged ({error}); remove it to start anew") from error


def _verify_content(dataset: Dataset, path: Path, limits: Limits) -> None:
    """Check that a file is the archive that the registry describes."""
    if not path.is_file():
        raise DownloadError(f"{path}: no such file")
    with open(path, "rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise DownloadError(WEB_PAGE_REASON)
    if _suffix(path) != ".zip":
        if dataset.format == "any" and head:
            return
        raise DownloadError(f"not a zip file (starts with {head[:16]!r})")
    try:
        names = check_zip(path, limits)
    except ArchiveError as error:
        raise DownloadError(str(error)) from error
    counts = Counter(name.parent.as_posix() for name in names)
    for folder, expected in dataset.files.items():
        if counts[folder] != expected:
            raise DownloadError(f"{counts[folder]} files in {folder}/, expected {expected}")


def _already_there(dataset: Dataset, folder: Path) -> Path:
    for name, expected in dataset.files.items():
        count = sum(1 for path in folder.glob(f"{name}/*") if path.is_file())
        if count < expected:
            raise DownloadError(
                f"{folder} exists, but {name}/ holds {count} files of {expected}. "
                "Remove the folder and download again."
            )
    return folder


def _unpack(archive: Path, folder: Path, limits: Limits, keep: bool) -> Path:
    try:
        extract_zip(archive, folder, limits)
    except ArchiveError as error:
        raise DownloadError(str(error)) from error
    if not keep:
        archive.unlink(missing_ok=True)
    return folder


def _target_folder(target: str | os.PathLike | None) -> Path:
    folder = Path(target) if target is not None else photo_dir() or data_dir() / "downloads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{folder} cannot be made ({error}); name another target") from error
    if not os.access(folder, os.W_OK):
        raise DownloadError(f"{folder} is not writable; name another target")
    return folder


def _kept_archive(target: Path, name: str) -> Path | None:
    """Return an archive that an earlier call left in ``target``."""
    candidates = [target / (name + suffix) for suffix in (*_SUFFIXES.values(), ".bin")]
    return next((path for path in candidates if path.exists()), None)


def _suffix(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(8)
    return next((suffix for magic, suffix in _SUFFIXES.items() if head.startswith(magic)), ".bin")
