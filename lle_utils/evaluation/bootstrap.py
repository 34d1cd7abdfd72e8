"""Bootstrap intervals of means and of differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lle_utils.evaluation.records import RecordError

BOOTSTRAP_RESAMPLES = 10_000
FEWEST_SCENES = 8  # below it, percentiles of resampled means say little: of two, they are the two


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
    drawn = np.random.default_rng(seed).integers(
        len(counts), size=(BOOTSTRAP_RESAMPLES, len(counts))
    )
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def interval_if_enough(
    values: Sequence[float], scenes: Sequence | None = None, seed: int = 0
) -> tuple[float, float] | None:
    """Return `bootstrap_interval`, or None where there are fewer than `FEWEST_SCENES`."""
    count = len(values) if scenes is None else len(set(scenes))
    return bootstrap_interval(values, scenes, seed) if count >= FEWEST_SCENES else None


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
        (over scenes when the first record knows them; None below `FEWEST_SCENES`), ``images``.

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
    low, high = interval_if_enough(differences, scenes, seed) or (None, None)
    return {"mean": float(np.mean(differences)), "low": low, "high": high, "images": len(rows)}
