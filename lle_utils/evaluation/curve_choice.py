"""The best tone curve for all photos alike, chosen on training pairs: `fixed_curve`.

A method that treats every photo in the same way knows nothing of the photo in front of it. What
it reaches is what any method reaches that has only learnt how dark the photos of a data set
usually are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lle_utils.core.environment import versions
from lle_utils.core.exposure import expose
from lle_utils.core.images import read_uint8, to_uint8
from lle_utils.core.paths import data_dir, write_json
from lle_utils.metrics.catalog import METRICS
from lle_utils.metrics.pixelwise import curve_errors

CURVES = {  # family -> the curve with a setting, for values in [0, 1]; and the settings tried
    "exponent": (lambda x, exponent: x ** np.float32(exponent), np.arange(100, 801, 5) / 1000),
    "gain": (expose, 2 ** (np.arange(0, 129) / 16)),
}


def choose_fixed_curve(
    pairs: Iterable[tuple], data: str, folder: str | os.PathLike | None = None
) -> Path:
    """Score each curve of `CURVES` on training pairs and record which is best.

    Two families: the power of `lle_utils.enhancers.gamma`, and the gain of
    `lle_utils.core.expose`. A setting's score is the mean over all pairs of the blind PSNR that
    it reaches when every photo gets it.

    Args:
        pairs: ``(name, path of low, path of normal)``, such as `lle_utils.data.Pair`, of photos
            that no score is reported on.
        data: What they are, in words: set and split.
        folder: Where the record goes, ``data/results`` by default.

    Returns:
        The path written, ``fixed_curve.json``: ``families`` (family -> ``settings``, mean
        ``psnr`` of each, the ``best`` setting), ``mean_of_normal`` (the mean over all values of
        the well-lit photos, in [0, 1]), ``pairs`` (how many), ``protocol``, ``data``,
        ``versions``.

    Raises:
        ValueError: If there are no pairs.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    tables = {
        family: np.stack([to_uint8(curve(levels, setting)) for setting in settings])
        for family, (curve, settings) in CURVES.items()
    }
    scores, means = {family: [] for family in CURVES}, []
    for _, low, normal in pairs:
        low, normal = read_uint8(low), read_uint8(normal)
        for family, curves in tables.items():
            scores[family].append(-10 * np.log10(curve_errors(low, normal, curves)))
        means.append(normal.mean() / 255)
    if not means:
        raise ValueError(f"{data}: there are no pairs to choose a curve on.")
    content = {
        "kind": "curve",
        "schema": 1,
        "families": {f: _family(CURVES[f][1], np.mean(scores[f], axis=0)) for f in CURVES},
        "mean_of_normal": float(np.mean(means)),
        "pairs": len(means),
        "protocol": METRICS["psnr"].protocol,
        "data": data,
        "versions": versions(),
    }
    return write_json(Path(folder or data_dir() / "results") / "fixed_curve.json", content)


def _family(settings: np.ndarray, psnr: np.ndarray) -> dict:
    best = float(settings[psnr.argmax()])
    return {"settings": settings.tolist(), "psnr": psnr.tolist(), "best": best}
