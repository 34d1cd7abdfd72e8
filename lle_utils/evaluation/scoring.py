"""Run a method on pairs and measure every image."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lle_utils.core.environment import versions
from lle_utils.core.exposure import mean_brightness
from lle_utils.core.images import as_float
from lle_utils.evaluation.bootstrap import BOOTSTRAP_RESAMPLES, FEWEST_SCENES, interval_if_enough
from lle_utils.evaluation.records import check_record
from lle_utils.metrics.catalog import METRICS, score

TOLD = ", the mean of the reference being told"


class _Measured(NamedTuple):
    """What running a method on pairs gave; the fields are those of a record."""

    images: list[str]
    values: dict[str, list[float]]
    sizes: list[str]
    seconds: float


def evaluate(
    method: str,
    enhance: Callable[..., np.ndarray],
    pairs: Iterable[tuple],
    metrics: Sequence[str] = ("psnr", "ssim"),
    *,
    data: str,
    scenes: Mapping[str, object] | None = None,
    seed: int = 0,
    level_told: bool = False,
) -> dict:
    """Run a method on pairs and measure every image.

    Args:
        method: Name of the method, the key in the file and the row in a table.
        enhance: Maps a float image ``(H, W, 3)`` in [0, 1] to one of the same shape; takes a
            ``level`` too if that is to be told.
        pairs: ``(name, low, reference)`` each, such as `lle_utils.data.Pair`: images as
            paths, or as uint8, uint16 or float arrays; anything else, such as a
            `lle_utils.data.RawFrame`, is handed to ``enhance`` as it is. The reference may be None
            if no metric needs it.
        metrics: Keys of `lle_utils.metrics.METRICS`.
        data: What the images are, in words: set, split, size.
        scenes: Scene of each image name; then intervals are over scenes.
        seed: Seed of the intervals.
        level_told: Tell the method the mean brightness of each reference, which no method
            knows in use; what the images are then ends with `TOLD`.

    Returns:
        A record: ``method``, ``images`` (names), ``scenes`` (or None), ``values`` (metric ->
        list), ``summary`` (metric -> mean, low, high; the latter None below `FEWEST_SCENES`),
        ``interval`` and ``protocol`` in words, ``data``, ``sizes``, ``seconds`` per image
        spent in ``enhance``, ``versions``.

    Raises:
        RecordError: If there are no pairs, two have one name, or a value is not finite.
    """
    measured = _measure(enhance, pairs, metrics, level_told)
    data += TOLD if level_told else ""
    scene_list = None if scenes is None else [scenes[name] for name in measured.images]
    return _record(method, measured, scene_list, data, seed)


def _measure(
    enhance: Callable, pairs: Iterable[tuple], metrics: Sequence[str], level_told: bool
) -> _Measured:
    images, sizes, seconds = [], set(), 0.0
    values: dict[str, list[float]] = {name: [] for name in metrics}
    for name, low, reference in pairs:
        low = as_float(low) if isinstance(low, (str, os.PathLike, np.ndarray)) else low
        reference = None if reference is None else as_float(reference)
        told = {"level": mean_brightness(reference)} if level_told else {}
        start = time.perf_counter()
        enhanced = enhance(low, **told)
        seconds += time.perf_counter() - start
        for metric, value in score(enhanced, reference, metrics, low=low).items():
            values[metric].append(value)
        images.append(str(name))
        sizes.add("x".join(str(side) for side in enhanced.shape[1::-1]))
    return _Measured(images, values, sorted(sizes), seconds / max(len(images), 1))


def pooled(records: Sequence[Mapping], metric: str) -> tuple[list[float], list[str]]:
    """Return the mean value of each photo over the records that it is in, and its scene."""
    values: dict[str, list[float]] = {}
    scene_of: dict[str, str] = {}
    for record in records:
        names, scenes = record["images"], record["scenes"] or record["images"]
        for name, scene, value in zip(names, scenes, record["values"][metric], strict=True):
            values.setdefault(name, []).append(value)
            scene_of[name] = scene
    return [float(np.mean(v)) for v in values.values()], [scene_of[name] for name in values]


def join_records(method: str, records: Sequence[Mapping], seed: int = 0) -> dict:
    """Join records, such as those of one method in several folds, or with several seeds.

    Args:
        method: Name of the method in the new record.
        records: As of `evaluate`, with the same metrics; all with scenes or all without.
        seed: Seed of the intervals.

    Returns:
        A record of every photo that is in one of them; a photo that is in several has the mean of
        their values. What its ``data`` says is what each of them says.
    """
    found = {name: pooled(records, name) for name in records[0]["values"]}
    means = {name: values for name, (values, _) in found.items()}
    images = list(dict.fromkeys(image for record in records for image in record["images"]))
    sizes = sorted({size for record in records for size in record["sizes"]})
    seconds = float(np.mean([record["seconds"] for record in records]))
    measured = _Measured(images, means, sizes, seconds)
    of_scene = None if records[0]["scenes"] is None else next(iter(found.values()))[1]
    data = "; ".join(dict.fromkeys(record["data"] for record in records))
    return _record(method, measured, of_scene, data, seed)


def _record(
    method: str, measured: _Measured, scenes: Sequence | None, data: str, seed: int
) -> dict:
    record = {
        "method": method,
        "images": measured.images,
        "scenes": scenes,
        "values": measured.values,
        "summary": {},
        "interval": _interval_text(measured.images, scenes, seed),
        "protocol": {name: METRICS[name].protocol for name in measured.values},
        "data": data,
        "sizes": measured.sizes,
        "seconds": measured.seconds,
        "versions": versions(),
    }
    check_record(record)  # before the summary, which finite values alone have
    record["summary"] = {n: _summary(v, scenes, seed) for n, v in measured.values.items()}
    return record


def _summary(values: Sequence[float], scenes: Sequence | None, seed: int) -> dict:
    low, high = interval_if_enough(values, scenes, seed) or (None, None)
    return {"mean": float(np.mean(values)), "low": low, "high": high}


def _interval_text(images: Sequence[str], scenes: Sequence | None, seed: int) -> str:
    count = len(images if scenes is None else set(scenes))
    units = f"{count} images" if scenes is None else f"{count} scenes"
    if count < FEWEST_SCENES:
        return f"no intervals, which {units} are too few for"
    return f"95 % percentile bootstrap over {units}, {BOOTSTRAP_RESAMPLES:,} resamples, seed {seed}"
