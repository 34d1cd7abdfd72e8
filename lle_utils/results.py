"""Measure methods on images, keep the measurements as JSON, print every table from them.

One file per evaluation, ``data/results/<evaluation>.json``::

    {"kind": "evaluation", "schema": 1, "evaluation": "lol_val",
     "methods": {"gamma": <record>, "lime": <record>}}

A record (see `evaluate`) holds the value of every image, so intervals and differences can be
computed again without the images. Other JSON files may lie in the same folder.
"""

from __future__ import annotations

import html
import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from lle_utils import bench, load, throughput
from lle_utils.files import atomic_path, data_dir
from lle_utils.images import load_image, to_float
from lle_utils.metrics import METRICS, score

RESAMPLES = 10_000
SCHEMA = 1
_FIELDS = {"method", "images", "scenes", "values", "summary", "interval", "protocol", "data"}
_BLOCK = re.compile(r"(<!-- table:(\S+?)((?: \S+?)*) -->).*?(<!-- /table -->)", re.DOTALL)
_REPORTS = {
    "bench": bench.report,
    "throughput": throughput.report,
    "large": throughput.report_large,
    "serve": load.report,
}
_REPORT = re.compile(rf"(<!-- ({'|'.join(_REPORTS)}) -->).*?(<!-- /\2 -->)", re.DOTALL)


class RecordError(ValueError):
    """A record that is incomplete or holds what JSON and tables cannot show."""


def bootstrap_interval(
    values: Sequence[float], scenes: Sequence | None = None, seed: int = 0
) -> tuple[float, float]:
    """Compute the 95 % percentile bootstrap interval of a mean, from 10,000 resamples.

    Args:
        values: One finite number per image.
        scenes: The scene of each image. Photos of one scene are alike, so whole scenes are
            drawn (cluster bootstrap); without it images are drawn.
        seed: Seed of the resampling.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If there are fewer than two images or scenes, or a value is not finite.

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.

    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    values = np.asarray(values, np.float64)
    scenes = np.arange(len(values)) if scenes is None else np.asarray(scenes)
    if len(scenes) != len(values):
        raise ValueError(f"{len(values)} values but {len(scenes)} scenes.")
    if not np.isfinite(values).all():
        raise ValueError("A value is infinite or NaN; an interval needs finite numbers.")
    _, member = np.unique(scenes, return_inverse=True)
    counts = np.bincount(member)
    if len(counts) < 2:
        raise ValueError("An interval needs at least two independent images or scenes.")
    sums = np.bincount(member, weights=values)
    drawn = np.random.default_rng(seed).integers(len(counts), size=(RESAMPLES, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def evaluate(
    method: str,
    enhance: Callable[[np.ndarray], np.ndarray],
    pairs: Iterable[tuple],
    metrics: Sequence[str] = ("psnr", "ssim"),
    *,
    data: str,
    scenes: Mapping[str, object] | None = None,
    seed: int = 0,
) -> dict:
    """Run a method on pairs and measure every image.

    Args:
        method: Name of the method, the key in the file and the row in a table.
        enhance: Maps a float image ``(H, W, 3)`` in [0, 1] to one of the same shape.
        pairs: ``(name, low, reference)`` each, such as `lle_utils.data.Pair`: images as
            paths, uint8 or float arrays.
        metrics: Keys of `lle_utils.metrics.METRICS`.
        data: What the images are, in words: set, split, size.
        scenes: Scene of each image name; then intervals are over scenes.
        seed: Seed of the intervals.

    Returns:
        A record: ``method``, ``images`` (names), ``scenes`` (or None), ``values`` (metric ->
        list), ``summary`` (metric -> mean, low, high; the latter None below two scenes),
        ``interval`` and ``protocol`` in words, ``data``, ``sizes``, ``seconds`` per image
        spent in ``enhance``, ``versions``.

    Raises:
        RecordError: If there are no pairs, two have one name, or a value is not finite.
    """
    images, sizes, seconds = [], set(), 0.0
    values: dict[str, list[float]] = {name: [] for name in metrics}
    for name, low, reference in pairs:
        low, reference = _as_image(low), _as_image(reference)
        start = time.perf_counter()
        enhanced = enhance(low)
        seconds += time.perf_counter() - start
        for metric, value in score(enhanced, reference, metrics, low=low).items():
            values[metric].append(value)
        images.append(str(name))
        sizes.add("x".join(str(side) for side in low.shape[1::-1]))
    scene_list = None if scenes is None else [scenes[name] for name in images]
    record = {
        "method": method,
        "images": images,
        "scenes": scene_list,
        "values": values,
        "summary": {},
        "interval": _interval_text(images, scene_list, seed),
        "protocol": {name: METRICS[name].protocol for name in metrics},
        "data": data,
        "sizes": sorted(sizes),
        "seconds": seconds / max(len(images), 1),
        "versions": _versions(),
    }
    check_record(record)
    record["summary"] = {name: _summary(values[name], scene_list, seed) for name in metrics}
    return record


def _as_image(image: np.ndarray | str | os.PathLike) -> np.ndarray:
    if isinstance(image, (str, os.PathLike)):
        return load_image(image)
    return to_float(image) if np.asarray(image).dtype == np.uint8 else np.asarray(image)


def _summary(values: Sequence[float], scenes: Sequence | None, seed: int) -> dict:
    low, high = None, None
    if len(set(range(len(values)) if scenes is None else scenes)) > 1:
        low, high = bootstrap_interval(values, scenes, seed)
    return {"mean": float(np.mean(values)), "low": low, "high": high}


def _interval_text(images: Sequence[str], scenes: Sequence | None, seed: int) -> str:
    units = f"{len(images)} images" if scenes is None else f"{len(set(scenes))} scenes"
    return f"95 % percentile bootstrap over {units}, {RESAMPLES:,} resamples, seed {seed}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("lle-utils", "numpy", "scipy", "scikit-image", "keras", "tensorflow", "jax"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


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
        "schema": SCHEMA,
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
    if content.get("schema") != SCHEMA:
        raise RecordError(f"{path} has schema {content.get('schema')}; expected {SCHEMA}.")
    for record in content["methods"].values():
        check_record(record)
    return content["methods"]


def paired_difference(
    first: Mapping, second: Mapping, metric: str = "psnr", seed: int = 0
) -> dict[str, float]:
    """Compare two methods on the images they share, image by image.

    Far sharper than two separate intervals, because hard images are hard for both.

    Args:
        first: A record.
        second: Another one.
        metric: A metric that both hold.
        seed: Seed of the interval.

    Returns:
        ``mean`` of first minus second, ``low``, ``high`` of its 95 % bootstrap interval
        (over scenes when the first record knows them), ``images``.

    Raises:
        RecordError: If a record lacks the metric, or they share fewer than two images.
    """
    for record in (first, second):
        if metric not in record["values"]:
            raise RecordError(f"{record['method']}: no values of {metric}.")
    there = dict(zip(second["images"], second["values"][metric], strict=True))
    keys = first["scenes"] or first["images"]
    rows = [
        (value - there[image], scene)
        for image, value, scene in zip(first["images"], first["values"][metric], keys, strict=True)
        if image in there
    ]
    if len({scene for _, scene in rows}) < 2:
        raise RecordError(
            f"{first['method']} and {second['method']} share fewer than two independent images."
        )
    differences, scenes = zip(*rows, strict=True)
    low, high = bootstrap_interval(differences, scenes, seed)
    return {"mean": float(np.mean(differences)), "low": low, "high": high, "images": len(rows)}


def table(
    records: Mapping[str, Mapping] | Iterable[Mapping],
    metrics: Sequence[str] | None = None,
    form: str = "markdown",
) -> str:
    """Print records as a table with intervals, one row per method.

    Args:
        records: From `load_records`, or a list of records.
        metrics: Columns; those of the first record by default. A metric that a record lacks
            is shown as a dash.
        form: "markdown" or "html".

    Returns:
        The table, followed by a line on data and intervals.
    """
    records = list(records.values() if isinstance(records, Mapping) else records)
    metrics = list(metrics or records[0]["values"])
    head = ["method", *(_heading(metric) for metric in metrics)]
    rows = [[r["method"], *(_cell(r["summary"].get(m), m) for m in metrics)] for r in records]
    notes = "; ".join(dict.fromkeys(f"{r['data']}; {r['interval']}" for r in records)) + "."
    if form == "html":
        return _html(head, rows, notes)
    if form != "markdown":
        raise ValueError(f"form is {form!r}; expected 'markdown' or 'html'.")
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    lines.insert(1, "|---" + "|---:" * len(metrics) + "|")
    return "\n".join([*lines, "", notes])


def _heading(metric: str) -> str:
    known = METRICS[metric]
    arrow = {"higher": " ↑", "lower": " ↓", None: ""}[known.direction]
    return metric + (f" ({known.unit})" if known.unit else "") + arrow


def _cell(summary: Mapping | None, metric: str) -> str:
    if summary is None:
        return "–"
    digits = METRICS[metric].digits
    text = f"{summary['mean']:.{digits}f}"
    if summary["low"] is None:
        return text
    return f"{text} [{summary['low']:.{digits}f}, {summary['high']:.{digits}f}]"


def _html(head: Sequence[str], rows: Sequence[Sequence[str]], notes: str) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return (
        f"<table>\n<thead>{line(head, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
        f"<p>{html.escape(notes)}</p>"
    )


def render_tables(text: str, folder: str | os.PathLike | None = None) -> str:
    """Fill the tables of a Markdown text from records.

    A block is ``<!-- table:EVALUATION METRIC METRIC -->`` ... ``<!-- /table -->``; without
    metrics it shows all. Between ``<!-- bench -->`` and ``<!-- /bench -->`` that record of speed
    is shown, and so are ``throughput``, ``large`` and ``serve``. A text is up to date when this
    function returns it unchanged.

    Args:
        text: Markdown with such blocks.
        folder: Folder of the records, ``data/results`` by default.

    Returns:
        The text with every block's content replaced.

    Raises:
        FileNotFoundError: If a block names an evaluation without a file.
    """

    def fill(block: re.Match) -> str:
        start, evaluation, metrics, end = block.groups()
        content = table(load_records(evaluation, folder), metrics.split() or None)
        return f"{start}\n\n{content}\n\n{end}"

    def fill_report(block: re.Match) -> str:
        start, kind, end = block.groups()
        path = Path(folder or data_dir() / "results") / f"{kind}.json"
        content = _REPORTS[kind](json.loads(path.read_text(encoding="utf-8")))
        return f"{start}\n\n{content}\n\n{end}"

    return _REPORT.sub(fill_report, _BLOCK.sub(fill, text))
