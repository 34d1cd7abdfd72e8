"""Where things are, and how to write a file so that nothing is ever left half written."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PHOTO_DIR_VARIABLE = "LLE_DATA_DIR"
PACK_DIR_VARIABLE = "LLE_PACK_DIR"
SHIPPED = Path(__file__).resolve().parents[1] / "shipped"  # there in an installed package alone


def project_root() -> Path:
    """Find the folder that holds ``data/registry.toml``.

    Looks above the package first (a checkout, or an editable install), then above the
    working directory (Colab: the package is installed, the notebooks are cloned).

    Returns:
        The project's top-level folder.

    Raises:
        FileNotFoundError: If neither place is inside a checkout.
    """
    starts = (Path(__file__).resolve().parent, Path.cwd().resolve())
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / "data" / "registry.toml").is_file():
                return folder
    raise FileNotFoundError(
        f"No data/registry.toml above {starts[0]} or {starts[1]}. "
        "Run from inside a clone of the project."
    )


def data_dir() -> Path:
    """Return the project's ``data/`` folder (registry, enhancers, records).

    Outside of a clone it is what an installed package brings of it: enhancers and records.

    Raises:
        FileNotFoundError: If there is neither.
    """
    try:
        return project_root() / "data"
    except FileNotFoundError:
        if SHIPPED.is_dir():
            return SHIPPED
        raise


def run_folder(notebook: str, output_dir: str | os.PathLike = "") -> Path:
    """Return the folder of a notebook's results: the one that is given, else one in ``runs/``.

    Args:
        notebook: Its name, such as ``04_mirnet``.
        output_dir: The folder to take; empty for ``runs/<notebook>`` in the project.
    """
    return Path(output_dir) if output_dir else project_root() / "runs" / notebook


def commit() -> str | None:
    """Return the commit of the checkout, with ``-dirty`` for changes; None without git."""
    try:
        command = ["git", "-C", project_root(), "describe", "--always", "--dirty", "--abbrev=40"]
        described = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


def photo_dir() -> Path | None:
    """Return the folder of real photos named by ``LLE_DATA_DIR``, or None when it is not set.

    Raises:
        FileNotFoundError: If the variable names a folder that does not exist.
    """
    value = os.environ.get(PHOTO_DIR_VARIABLE, "")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{PHOTO_DIR_VARIABLE}={value} is not a folder. Correct it, or unset it to work "
            "with the synthetic sample."
        )
    return folder


def pack_dir() -> Path:
    """Return the folder of packs made of sources: ``LLE_PACK_DIR``, or ``data/packs``."""
    value = os.environ.get(PACK_DIR_VARIABLE, "")
    return Path(value).expanduser() if value else data_dir() / "packs"


@contextmanager
def atomic_path(target: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` and rename it to ``target`` on success.

    An interrupted or failing writer leaves ``target`` as it was. The temporary name keeps
    the suffixes of ``target``, because Keras and NumPy look at them.

    Args:
        target: The file to write; its folder is created when missing.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".partial-{os.getpid()}-", suffix="".join(target.suffixes), dir=target.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike, content: Any, indent: int = 1) -> Path:
    """Write a JSON file, whole or not at all.

    Args:
        path: The file to write.
        content: What JSON can hold.
        indent: Spaces per level.

    Returns:
        The path written.
    """
    return write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all; return its path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def remove_partial(folder: str | os.PathLike) -> None:
    """Remove what `atomic_path` had begun in a folder when its process was killed.

    Args:
        folder: Files of processes that still run stay; a missing folder is fine.
    """
    import psutil

    for path in Path(folder).glob(".partial-*-*"):
        process = path.name.split("-")[1]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
