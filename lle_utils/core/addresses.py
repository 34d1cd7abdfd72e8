"""Addresses of files that lie elsewhere, such as ``s3://bucket/photo.jpg``, by fsspec.

S3 needs ``pip install "lle-utils[remote]"``; other kinds need the package that fsspec names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lle_utils.core.errors import is_expected, require

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
            target.discard()
            raise
