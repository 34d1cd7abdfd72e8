"""Addresses of files that lie elsewhere, such as ``s3://bucket/photo.jpg``, by fsspec.

S3 needs ``pip install "lle-utils[remote]"``; other kinds need the package that fsspec names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lle_utils.core.errors import is_expected, require
from lle_utils.core.paths import atomic_path

STATES = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified")  # who knows what
PIECE = 1 << 22  # bytes that are copied at once


class AddressError(OSError):
    """An address of no known kind, or a storage that does not answer."""


def is_address(text: str | os.PathLike) -> bool:
    """Tell an address, such as ``s3://bucket/folder``, from a path."""
    return isinstance(text, str) and "://" in text


def joined(address: str, path: str) -> str:
    """Return the address of a file or folder inside of another."""
    return f"{address.rstrip('/')}/{path}"


@contextmanager
def storage(address: str) -> Iterator[tuple[Any, str]]:
    """Open the storage behind an address, or behind a path of this machine.

    Args:
        address: Where keys and server come from is up to fsspec and what it uses; for S3
            ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_ENDPOINT_URL``, or
            ``~/.aws``.

    Yields:
        fsspec's file system, which has forgotten what it knew of listings, and the path in it.

    Raises:
        AddressError: If no such storage is known, or it fails in the block; the message begins
            with the address.
        ImportError: If a package for it is not installed.
    """
    core = require("fsspec.core", "remote", f"{address}: this address")
    try:
        files, path = core.url_to_fs(address)
        files.invalidate_cache()
        yield files, path
    except ImportError as error:
        raise ImportError(f'{address}: {error}; S3: pip install "lle-utils[remote]".') from error
    except Exception as error:  # each kind of storage has errors of its own
        if is_expected(error) and address in str(error):
            raise
        kind = "" if is_expected(error) else f"{type(error).__name__}: "
        raise AddressError(f"{address}: {kind}{error}") from error


def fetch(address: str, target: Path) -> Path:
    """Copy what lies at an address to a file, and return that.

    Raises:
        FileNotFoundError: If nothing lies there.
        AddressError, ImportError: As `storage`.
    """
    with storage(address) as (files, path):
        if not files.isfile(path):
            raise FileNotFoundError(f"{address}: no such file.")
        files.get_file(path, str(target))
    return target


def cached(address: str, folder: Path) -> Path:
    """Copy a file from an address once, and again when it has changed there.

    Args:
        address: Of the file.
        folder: To keep the copy in; its name tells it from copies of what lay there before.

    Returns:
        The copy, whose size is that of the file.

    Raises:
        FileNotFoundError, AddressError, ImportError: As `fetch`; or the copy came in part.
    """
    with storage(address) as (files, path):
        if not files.isfile(path):
            raise FileNotFoundError(f"{address}: no such file.")
        facts = files.info(path)
        state = [address, facts["size"], *(str(facts[key]) for key in STATES if facts.get(key))]
        mark = hashlib.sha256(repr(state).encode()).hexdigest()[:12]
        target = folder / f"{Path(path).stem}-{mark}{Path(path).suffix}"
        if not target.is_file():
            with atomic_path(target) as temporary:
                files.get_file(path, str(temporary))
                if (size := temporary.stat().st_size) != facts["size"]:
                    raise AddressError(f"{address}: {size} of {facts['size']} bytes came.")
    return target


def push(source: Path, address: str) -> None:
    """Copy a file to an address, where it appears whole or not at all.

    Raises:
        AddressError, ImportError: As `storage`.
    """
    with storage(address) as (files, path):
        files.makedirs(files._parent(path), exist_ok=True)
        # What fsspec's transactions do, which are not for several threads.
        target = files.open(path, "wb", autocommit=False)
        try:
            with open(source, "rb") as content:
                shutil.copyfileobj(content, target, PIECE)
            target.close()
            target.commit()
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell
                target.discard()
            with suppress(Exception):  # or the file tries again to send when it is collected
                target.close()
            raise
