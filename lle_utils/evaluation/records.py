"""Measure methods on images, keep the measurements as JSON, print every table from them.

One file per evaluation, ``data/results/<evaluation>.json``::

    {"kind": "evaluation", "schema": 1, "evaluation": "lol_val",
     "methods": {"gamma": <record>, "lime": <record>}}

A record (see `evaluate`) holds the value of every image, so intervals and differences can be
computed again without the images. Other JSON files may lie in the same folder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lle_utils.core.paths import atomic_path, data_dir

SCHEMA_VERSION = 1
_FIELDS = {"method", "images", "scenes", "values", "summary", "interval", "protocol", "data"}


class RecordError(ValueError):
    """A record that is incomplete or holds what JSON and tables cannot show."""


def check_record(record: Mapping) -> None:
    """Check that a record is complete and that every value is finite.

    Args:
        record: As returned by `evaluate`.

    Raises:
        RecordError: Naming the method and what is wrong with it.
    """
    missing = _FIELDS - set(record)
    if missing:
        raise RecordError(f"record lacks {', '.join(sorted(missing))}.")
    method, images = record["method"], record["images"]
    if not images:
        raise RecordError(f"{method}: no images were measured.")
    if len(set(images)) != len(images):
        raise RecordError(f"{method}: an image name occurs twice.")
    for metric, values in record["values"].items():
        if len(values) != len(images):
            raise RecordError(f"{method}: {len(values)} values of {metric}, {len(images)} images.")
        for image, value in zip(images, values, strict=True):
            if not math.isfinite(value):
                raise RecordError(f"{method}: {metric} of image {image} is {value}, not finite.")


def save_records(
    evaluation: str, records: Iterable[Mapping], folder: str | os.PathLike | None = None
) -> Path:
    """Write the records of one evaluation; the file appears whole or not at all.

    Args:
        evaluation: Name of the file without ``.json``.
        records: As returned by `evaluate`, one per method; they keep their order.
        folder: Target folder, ``data/results`` by default.

    Returns:
        The path written. An older file of that name is replaced.

    Raises:
        RecordError: If a record is incomplete, not finite, or a method occurs twice.
    """
    methods: dict[str, Mapping] = {}
    for record in records:
        check_record(record)
        if record["method"] in methods:
            raise RecordError(f"{evaluation}: method {record['method']} occurs twice.")
        methods[record["method"]] = record
    content = {
        "kind": "evaluation",
        "schema": SCHEMA_VERSION,
        "evaluation": evaluation,
        "methods": methods,
    }
    path = Path(folder or data_dir() / "results") / f"{evaluation}.json"
    with atomic_path(path) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def load_records(evaluation: str, folder: str | os.PathLike | None = None) -> dict[str, dict]:
    """Read one evaluation.

    Args:
        evaluation: Name of the file without ``.json``.
        folder: Its folder, ``data/results`` by default.

    Returns:
        Method name -> record, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        RecordError: If the file is not an evaluation of this schema, or a record is broken.
    """
    path = Path(folder or data_dir() / "results") / f"{evaluation}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such record.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RecordError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("kind") != "evaluation":
        raise RecordError(f'{path} does not say "kind": "evaluation".')
    if content.get("schema") != SCHEMA_VERSION:
        raise RecordError(f"{path} has schema {content.get('schema')}; expected {SCHEMA_VERSION}.")
    for record in content["methods"].values():
        check_record(record)
    return content["methods"]
