"""The data sets of ``data/registry.toml``, read and checked."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lle_utils.core.paths import data_dir

# Kind of mirror -> the fields that it must have.
_KINDS = {"http": {"url"}, "drive": {"id"}, "manual": {"url", "steps"}}
_REQUIRED = {"title": str, "description": str, "source": str, "licence": str, "mirrors": list}
_OPTIONAL = {"approximate_bytes": int, "images": int, "format": str, "files": dict}


class RegistryError(ValueError):
    """A registry with a mistake in it, or a name that it does not hold."""


@dataclass(frozen=True)
class Mirror:
    """One place that offers a data set.

    Attributes:
        kind: "http", "drive" or "manual".
        page: What to open in a browser.
        url: What to fetch; empty for "drive", which has an id.
        id: File id on Google Drive.
        steps: What a person does on the page of a "manual" mirror.
        sha256: Expected checksum, or "" when none is published.
    """

    kind: str
    url: str = ""
    id: str = ""
    steps: str = ""
    sha256: str = ""

    @property
    def page(self) -> str:
        return self.url or f"https://drive.google.com/file/d/{self.id}/view"


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry; the file itself explains the fields."""

    name: str
    title: str
    description: str
    source: str
    licence: str
    mirrors: tuple[Mirror, ...]
    approximate_bytes: int | None = None
    images: int | None = None
    format: str = "zip"
    files: dict[str, int] = field(default_factory=dict)


def load_registry(path: str | os.PathLike | None = None) -> dict[str, Dataset]:
    """Read and check the registry of data sets.

    Args:
        path: A TOML file; ``data/registry.toml`` when None.

    Returns:
        The data sets by name, in the order of the file.

    Raises:
        RegistryError: If the file is not TOML, or an entry lacks a field, has an unknown one
            or one of the wrong type; the message names entry and field.
    """
    path = data_dir() / "registry.toml" if path is None else Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RegistryError(f"{path} is not valid TOML: {error}") from error
    return {name: _dataset(name, table, f"{path}: [{name}]") for name, table in tables.items()}


def _dataset(name: str, table: Any, where: str) -> Dataset:
    if not isinstance(table, dict) or not re.fullmatch(r"[a-z0-9_]+", name):
        raise RegistryError(
            f"{where}: expected a table named with lower-case letters, digits and _."
        )
    _check_fields(table, _REQUIRED, _OPTIONAL, where)
    if table.get("format", "zip") not in ("zip", "any"):
        raise RegistryError(f'{where}: format is {table["format"]!r}; expected "zip" or "any".')
    if not table["mirrors"]:
        raise RegistryError(f"{where}: mirrors is empty; expected at least one.")
    mirrors = [
        _mirror(item, f"{where} mirror {number}") for number, item in enumerate(table["mirrors"], 1)
    ]
    return Dataset(name=name, **{**table, "mirrors": tuple(mirrors)})


def _mirror(table: Any, where: str) -> Mirror:
    kind = table.get("kind") if isinstance(table, dict) else None
    if kind not in _KINDS:
        raise RegistryError(f"{where}: kind is {kind!r}; expected one of {', '.join(_KINDS)}.")
    _check_fields(table, dict.fromkeys({"kind", *_KINDS[kind]}, str), {"sha256": str}, where)
    if not re.fullmatch(r"https?://\S+", table.get("url", "https://-")):
        raise RegistryError(f"{where}: url is {table['url']!r}; expected http:// or https://.")
    if not re.fullmatch(r"([0-9a-f]{64})?", table.get("sha256", "")):
        raise RegistryError(f"{where}: sha256 must be 64 lower-case hexadecimal digits.")
    return Mirror(**table)


def _check_fields(table: dict, required: dict, optional: dict, where: str) -> None:
    known = required | optional
    if missing := [key for key in required if key not in table]:
        raise RegistryError(f"{where}: missing {', '.join(missing)}.")
    if unknown := [key for key in table if key not in known]:
        raise RegistryError(f"{where}: unknown {', '.join(unknown)}; known: {', '.join(known)}.")
    for key, value in table.items():
        if not isinstance(value, known[key]):
            raise RegistryError(
                f"{where}: {key} is {type(value).__name__}; expected {known[key].__name__}."
            )
