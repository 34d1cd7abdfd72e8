"""What an enhancer does to ordinary photos, measured against limits.

A score tells how near the results are to well-lit photos of the kind a method was trained on. This
tells whether it can be trusted with other photos: large, bright, grey, with lamps in them.

One file, ``data/results/behavior.json``::

    {"kind": "behavior", "schema": 1, "methods": {"gamma": <record>}}
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lle_utils.core.environment import versions
from lle_utils.core.images import ImageError, check_image, luminance, to_float, to_uint8
from lle_utils.core.paths import data_dir, write_json
from lle_utils.core.resampling import enlarge
from lle_utils.core.resizing import block_mean, resize
from lle_utils.data import test_scenes
from lle_utils.evaluation.records import RecordError
from lle_utils.metrics import side_effects, spatial_artifacts
from lle_utils.metrics.artifacts import flat_noise
from lle_utils.metrics.pixelwise import psnr_float

SCHEMA_VERSION = 1
FACTORS = (2, 4, 8)  # that a photo can be enlarged by
PREVIEW_SIDE = 640  # pixels of the side that results of larger photos are compared at
LARGEST_PSNR = 100.0  # dB, in place of infinity
WELL_EXPOSED = (0.35, 0.65)  # mean of the values of such a photo
NOISY_LEVELS, NOISY_MEAN = 1.0, 0.4  # noise of 8-bit levels after gamma has made that the mean
FRAME_PIXELS = 16  # left out where edges are judged, as frames are measured apart
DIGITS = 3  # of what is recorded and judged: 0.99999999 is 1


@dataclass(frozen=True)
class Limit:
    """What is accepted of a measure, on every image.

    Attributes:
        sense: "≥", "≤" or "<".
        bound: The limit, or None for a measure that is shown and not judged.
        unit: Unit of the value, empty for a pure number.
        what: What is measured, for the table.
    """

    sense: str
    bound: float | None
    unit: str
    what: str

    def holds(self, value: float) -> bool:
        """Tell whether a value is within the limit."""
        if self.bound is None:
            return True
        if self.sense == "<":
            return value < self.bound
        return value >= self.bound if self.sense == "≥" else value <= self.bound

    def worst(self, values: Mapping[str, float]) -> str:
        """Return the image with the worst value."""
        return (min if self.sense == "≥" else max)(values, key=values.get)

    def text(self) -> str:
        """Return the limit in words, such as ``≥ 32 dB``."""
        if self.bound is None:
            return "–"
        return f"{self.sense} {self.bound:g} {self.unit}".strip()


LIMITS: dict[str, Limit] = {
    **{
        f"size_{factor}x": Limit("≥", 32.0, "dB", f"same result for a photo {factor} x as large")
        for factor in FACTORS
    },
    "darkened": Limit("≤", 2.0, "%", "values over 12 levels darker"),
    "newly_clipped": Limit("<", 1.0, "%", "values newly at 255"),
    "newly_black": Limit("≤", None, "%", "values newly at 0"),
    "mean_change": Limit("<", 0.03, "", "mean of a well-exposed photo moved by"),
    "grey": Limit("≤", 2.0, "levels", "colour in a grey photo"),
    "white_balance": Limit("≤", 3.0, "ΔE", "colour of grey patches of a chart"),
    "overshoot": Limit("≤", 3.0, "%", "edges beyond their two sides"),
    "glow": Limit("≤", None, "%", "light reaching across an edge"),
    "frame": Limit("≤", 1.0, "levels", "frame of a constant image"),
    "grid": Limit("<", 0.25, "levels", "grid in a plain image"),  # a line of 1 level every 8 pixels
    "noise": Limit("<", 1.0, "x", "noise, as a multiple of that of gamma"),
}

_Values = dict[str, dict[str, float]]


def measure_behavior(
    method: str,
    enhance: Callable[[np.ndarray], np.ndarray],
    photos: Iterable[tuple[str, np.ndarray]],
    *,
    data: str,
    factors: Sequence[int] = (2, 4),
) -> dict:
    """Measure what an enhancer does to photos and to `lle_utils.data.test_scenes`.

    Photos show size stability, darkening, clipping, noise where there is any (`NOISY_LEVELS`), and,
    turned grey, neutrality. The bundled scenes at -4 to +2 EV show clipping, up to 0 EV darkening,
    and at 0 EV whether a well-exposed photo is left alone. Charts, edges and plain images show
    white balance, halos, frames and grids.

    Args:
        method: Its name, the key in the file.
        enhance: Maps a float image ``(H, W, 3)`` in [0, 1] to one of the same shape and range.
        photos: ``(name, photo)`` each: float ``(H, W, 3)`` in [0, 1], low-light, any size.
        data: What the photos are, in words.
        factors: Of `FACTORS`, by which photos of `PREVIEW_SIDE` are enlarged: 4 makes up to
            6.6 megapixels, 8 makes 26.

    Returns:
        A record for JSON: ``method``, ``data``, ``summary`` (measure -> ``limit`` in words,
        ``mean``, ``worst``, ``worst_image``, ``within`` of ``count`` images, ``passes``, which is
        None where there is no limit), ``passes`` (all that have a limit), ``values`` (measure ->
        image -> value, rounded to `DIGITS`), ``versions``.

    Raises:
        RecordError: If there are no photos, two have one name, or a value is not finite.
        ImageError: If the enhancer returns something else than an image of the same shape.
        ValueError: If a factor is none of `FACTORS`.
    """
    if unknown := set(factors) - set(FACTORS):
        raise ValueError(f"factor {min(unknown)}: expected some of {FACTORS}.")
    values: _Values = defaultdict(dict)

    def run(photo: np.ndarray) -> np.ndarray:
        enhanced = np.clip(check_image(enhance(photo), f"the result of {method}"), 0, 1)
        if enhanced.shape != photo.shape:
            raise ImageError(f"{method} made {enhanced.shape} of an image {photo.shape}.")
        return enhanced

    for name, photo in photos:
        if name in values["grey"]:
            raise RecordError(f"{method}: two photos are called {name}.")
        _on_photo(run, name, photo, factors, values)
    if not values["grey"]:
        raise RecordError(f"{method}: no photos were measured.")
    _on_exposures(run, values)
    _on_charts_and_edges(run, values)
    _on_plain_images(run, values)
    return _record(method, data, values)


def _on_photo(
    run: Callable, name: str, photo: np.ndarray, factors: Sequence[int], values: _Values
) -> None:
    enhanced = run(photo)
    _tones(name, enhanced, photo, values)
    bright = np.power(photo, side_effects.matching_gamma(photo, NOISY_MEAN))
    if (
        flat_noise(bright) >= NOISY_LEVELS
    ):  # else there is nothing to remove, and the ratio is chance
        values["noise"][name] = side_effects.noise_over_gamma(enhanced, photo)
    grey = to_float(to_uint8(luminance(photo)))[..., None].repeat(3, axis=2)
    values["grey"][name] = side_effects.chroma_spread(run(grey))
    scale = PREVIEW_SIDE / max(photo.shape)
    small = np.clip(resize(photo, [round(scale * side) for side in photo.shape[:2]]), 0, 1)
    expected = enhanced if small.shape == photo.shape else run(small)
    for factor in factors:
        reduced = block_mean(run(enlarge(small, factor)), factor)
        values[f"size_{factor}x"][name] = min(psnr_float(reduced, expected), LARGEST_PSNR)


def _tones(
    name: str, enhanced: np.ndarray, photo: np.ndarray, values: _Values, over_lit: bool = False
) -> None:
    for measure in ("darkened", "newly_clipped", "newly_black"):
        if over_lit and measure == "darkened":
            continue  # making a photo darker that got too much light is no harm
        values[measure][name] = getattr(side_effects, measure)(enhanced, photo)


def _on_exposures(run: Callable, values: _Values) -> None:
    for stop, scenes in test_scenes.exposed_scenes().items():
        for name, photo in scenes.items():
            enhanced = run(photo)
            _tones(f"{name} {stop:+d} EV", enhanced, photo, values, over_lit=stop > 0)
            if stop == 0 and WELL_EXPOSED[0] <= photo.mean() <= WELL_EXPOSED[1]:
                values["mean_change"][name] = side_effects.brightness_change(enhanced, photo)


def _on_charts_and_edges(run: Callable, values: _Values) -> None:
    for name, (image, patches) in test_scenes.chart_scenes().items():
        values["white_balance"][name] = side_effects.neutral_error(run(image), patches)
    inside = (slice(FRAME_PIXELS, -FRAME_PIXELS),) * 2
    for name, (image, distance) in test_scenes.step_scenes().items():
        enhanced, distance = run(image)[inside], distance[inside]
        values["overshoot"][name] = spatial_artifacts.overshoot(enhanced, distance)
        values["glow"][name] = spatial_artifacts.glow(enhanced, distance)


def _on_plain_images(run: Callable, values: _Values) -> None:
    for name, image in test_scenes.plain_images().items():
        enhanced = run(image)
        values["grid"][name] = spatial_artifacts.grid_amplitude(enhanced)
        if np.ptp(image) == 0:
            values["frame"][name] = spatial_artifacts.border_difference(enhanced)


def _record(method: str, data: str, values: _Values) -> dict:
    ordered = {
        measure: {image: round(float(v), DIGITS) + 0.0 for image, v in values[measure].items()}
        for measure in LIMITS
        if measure in values
    }
    for measure, found in ordered.items():
        for image, value in found.items():
            if not math.isfinite(value):
                raise RecordError(f"{method}: {measure} of {image} is {value}, not finite.")
    summary = {measure: _summary(measure, found) for measure, found in ordered.items()}
    return {
        "method": method,
        "data": data,
        "summary": summary,
        "passes": all(s["passes"] is not False for s in summary.values()),
        "values": ordered,
        "versions": versions(),
    }


def _summary(measure: str, found: Mapping[str, float]) -> dict:
    limit = LIMITS[measure]
    worst = limit.worst(found)
    within = sum(limit.holds(value) for value in found.values())
    return {
        "limit": limit.text(),
        "mean": round(float(np.mean(list(found.values()))), DIGITS),
        "worst": found[worst],
        "worst_image": worst,
        "within": within,
        "count": len(found),
        "passes": None if limit.bound is None else within == len(found),
    }


def verdict(record: Mapping) -> str:
    """Say in a sentence which limits a method keeps.

    Args:
        record: As `measure_behavior` returns it.
    """
    judged = {m: s for m, s in record["summary"].items() if s["passes"] is not None}
    missed = {m: s for m, s in judged.items() if not s["passes"]}
    kept = f"{record['method']} keeps {len(judged) - len(missed)} of {len(judged)} limits"
    if not missed:
        return f"{kept}."
    said = [
        f"{measure} on {s['count'] - s['within']} of {s['count']} images "
        f"({s['worst']:g} on {s['worst_image']}, limit {s['limit']})"
        for measure, s in missed.items()
    ]
    return f"{kept}; it misses {', '.join(said)}."


def misses(record: Mapping) -> list[str]:
    """Say each limit that a method misses in a few words, the worst image with it.

    Args:
        record: As `measure_behavior` returns it.
    """
    return [
        f"{LIMITS[measure].what}: {found['worst']:.3g} {LIMITS[measure].unit}".strip()
        + f" (limit {found['limit']})"
        for measure, found in record["summary"].items()
        if found["passes"] is False
    ]


def behavior_table(records: Mapping[str, Mapping]) -> str:
    """Print records as a Markdown table, a row for each measure and a column for each method.

    Args:
        records: Method -> record.

    Returns:
        The table: the worst value with ✓, or with ✗ and on how many images the limit was kept;
        a line on the photos; the `verdict` on each method.
    """
    head = ["measure", "limit", *records]
    rows = [
        [
            f"{measure}: {limit.what}",
            limit.text(),
            *(_cell(r["summary"], measure) for r in records.values()),
        ]
        for measure, limit in LIMITS.items()
        if any(measure in r["summary"] for r in records.values())
    ]
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    lines.insert(1, "|---|---:" + "|---:" * len(records) + "|")
    notes = "; ".join(dict.fromkeys(record["data"] for record in records.values()))
    sentences = [f"- {verdict(record)}" for record in records.values()]
    return "\n".join([*lines, "", f"Worst image of each; photos: {notes}.", "", *sentences])


def _cell(summary: Mapping, measure: str) -> str:
    if measure not in summary:
        return "–"
    found = summary[measure]
    mark = {None: "", True: " ✓", False: f" ✗ ({found['within']} of {found['count']})"}
    return f"{found['worst']:.{1 if abs(found['worst']) >= 10 else 2}f}{mark[found['passes']]}"


def save_behavior(records: Mapping[str, Mapping], folder: str | os.PathLike | None = None) -> Path:
    """Write records to ``behavior.json``, whole or not at all; returns its path.

    Args:
        records: Method -> record; an older file is replaced.
        folder: Target folder, ``data/results`` by default.
    """
    content = {"kind": "behavior", "schema": SCHEMA_VERSION, "methods": dict(records)}
    return write_json(Path(folder or data_dir() / "results") / "behavior.json", content)


def load_behavior(folder: str | os.PathLike | None = None) -> dict[str, dict]:
    """Read the records of ``behavior.json``.

    Args:
        folder: Its folder, ``data/results`` by default.

    Returns:
        Method -> record, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        RecordError: If it is not such a file of this schema.
    """
    path = Path(folder or data_dir() / "results") / "behavior.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RecordError(f"{path} is not JSON: {error}.") from error
    expected = {"kind": "behavior", "schema": SCHEMA_VERSION}
    if not isinstance(content, dict) or {k: content.get(k) for k in expected} != expected:
        raise RecordError(f"{path} is no record of behaviour of schema {SCHEMA_VERSION}.")
    return content["methods"]
