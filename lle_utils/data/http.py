"""Bring one file from a web server or Google Drive to disk, continuing where a break left off."""

from __future__ import annotations

import inspect
import re
import shutil
import time
from pathlib import Path

import requests
from tqdm import tqdm

TIMEOUTS = (10.0, 60.0)  # seconds to connect, and between two pieces of data
MAX_STALLED_ATTEMPTS = 4  # in a row, each without a byte of progress
RETRY_PAUSE = 1.0  # seconds before a dropped connection is taken up again
CHUNK_BYTES = 1 << 16  # written to disk at once
WEB_PAGE_REASON = "sent a web page instead of the file (a quota notice or a sign-in page)"


class TransferError(RuntimeError):
    """A file that could not be brought here; the message is the reason."""


class _StartOver(requests.RequestException):
    """The partial file does not fit what the server has."""


def receive_drive(file_id: str, part: Path, label: str = "") -> None:
    """Fetch a public file of Google Drive.

    Args:
        file_id: The long word in the file's address.
        part: Where to put it; a partial file beside it from an earlier call is continued.
        label: Name in the progress bar; "" shows none.

    Raises:
        TransferError: If Drive does not hand out the file (quota, permission, removed) or the
            connection fails.
    """
    import gdown  # heavy, and most sessions download nothing

    # Older releases have neither; there a stalled connection waits.
    known = inspect.signature(gdown.download).parameters
    options = {"timeout": TIMEOUTS, "retries": MAX_STALLED_ATTEMPTS}
    options = {key: value for key, value in options.items() if key in known}
    try:
        gdown.download(
            id=file_id,
            output=str(part),
            quiet=not label,
            resume=True,
            use_cookies=False,
            **options,
        )
    except Exception as error:  # Drive's pages change, and gdown then fails in any way it likes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TransferError(f"Google Drive: {reason}") from error


def receive_http(url: str, part: Path, label: str = "") -> None:
    """Fetch a file over HTTP, taking it up after every break as long as bytes still arrive.

    Args:
        url: An http or https address.
        part: Where to put it; a partial file from an earlier call is continued if the server's
            file is unchanged, else replaced.
        label: Name in the progress bar; "" shows none.

    Raises:
        TransferError: If the server answers with an error or a web page, the connection keeps
            failing, or the disk has too little space.
    """
    failures, best = 0, _size(part)
    while True:
        try:
            return _receive_piece(url, part, label)
        except requests.RequestException as error:
            if isinstance(error, _StartOver):
                part.unlink(missing_ok=True)
            failures = 0 if _size(part) > best else failures + 1
            best = max(best, _size(part))
            if failures >= MAX_STALLED_ATTEMPTS:
                reason = f"gave up after {failures} attempts without progress: {error}"
                raise TransferError(reason) from error
            time.sleep(RETRY_PAUSE)


def _receive_piece(url: str, part: Path, label: str) -> None:
    """Make one request, from where ``part`` ends; return only when the file is complete."""
    validator = part.with_name(part.name + ".validator")
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}  # byte positions must count bytes on disk
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag := validator.read_text() if validator.exists() else "":
            headers["If-Range"] = tag  # a file that changed meanwhile is sent whole
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as reply:
        start, total = _position(reply, have)
        if start != have:
            part.unlink(missing_ok=True)  # the server cannot continue, or the file changed
        _check_space(part.parent, (total or 0) - start)
        validator.write_text(_strong_validator(reply))
        _append(reply, part, start, total, label)
    if total is not None and _size(part) > total:
        raise _StartOver(f"received {_size(part)} bytes of {total}")  # never take it for progress
    if total is not None and _size(part) < total:
        raise requests.ConnectionError(f"connection closed after {_size(part)} of {total} bytes")
    validator.unlink(missing_ok=True)


def _position(reply: requests.Response, have: int) -> tuple[int, int | None]:
    """Return where the reply's bytes start in the file and how long the file is, if stated."""
    content_range = reply.headers.get("Content-Range", "")
    if reply.status_code == 416:
        if content_range == f"bytes */{have}":
            return have, have
        raise _StartOver("the partial file is longer than the server's")
    if reply.status_code >= 500 or reply.status_code == 429:
        raise requests.HTTPError(f"HTTP {reply.status_code} {reply.reason}")
    if reply.status_code not in (200, 206):
        raise TransferError(f"HTTP {reply.status_code} {reply.reason}")
    if "text/html" in reply.headers.get("Content-Type", ""):
        raise TransferError(WEB_PAGE_REASON)
    if reply.status_code == 200:
        length = reply.headers.get("Content-Length")
        return 0, int(length) if length else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if match is None or int(match[1]) != have:
        raise _StartOver(f"the server answered with the wrong range {content_range!r}")
    return have, None if match[2] == "*" else int(match[2])


def _strong_validator(reply: requests.Response) -> str:
    tag = reply.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else reply.headers.get("Last-Modified", "")


def _append(
    reply: requests.Response, part: Path, start: int, total: int | None, label: str
) -> None:
    if start == total:
        return part.touch()
    bar = tqdm(total=total, initial=start, desc=label, unit="B", unit_scale=True, disable=not label)
    with bar, open(part, "ab") as file:
        for chunk in reply.iter_content(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise TransferError(
            f"{needed / 1e9:,.1f} GB to come, but {folder} has {free / 1e9:,.1f} GB free"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
