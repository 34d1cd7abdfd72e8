"""Image quality metrics, one value per image, each carrying the convention it follows.

A score of an enhanced photo means little without its convention: the same output can be
given values that differ by tens of decibels. Here every convention has a name of its own.

All metrics take float images of shape ``(H, W, 3)`` in [0, 1] and return a Python float.
They need, besides the enhanced image, either the well-lit ``reference``, or the ``low``
image it was made from (such as `loe`), or nothing (`niqe`). `METRICS` says which.

Unless its name says ``float``, a metric first rounds both images to 8 bits, because a file
holds nothing finer. 8-bit integers themselves are refused: their differences wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lle_utils.metrics.artifacts import (
    chroma_error,
    highlight_error,
    noise_gain,
    overexposed,
    residual_noise,
)
from lle_utils.metrics.brightness import LOL_MEAN, mean_error, psnr_constant, psnr_level
from lle_utils.metrics.color import delta_e
from lle_utils.metrics.detail import DETAIL_SIGMA, sharpness, true_detail
from lle_utils.metrics.naturalness import niqe
from lle_utils.metrics.perceptual import flip, loe, lpips
from lle_utils.metrics.pixelwise import (
    mae,
    psnr,
    psnr_best_gamma,
    psnr_dark,
    psnr_float,
    psnr_gray,
    psnr_gtmean,
    psnr_gtmean_llflow,
    psnr_gtmean_rgb,
    psnr_y,
)
from lle_utils.metrics.side_effects import darkened, newly_clipped
from lle_utils.metrics.squared_error import mse_brightness, mse_color, mse_structure
from lle_utils.metrics.structural import ssim, ssim_gray, ssim_uniform7


@dataclass(frozen=True)
class Metric:
    """A metric and what has to be printed beside its values.

    Attributes:
        function: ``f(enhanced, reference)``, ``f(enhanced, low)`` or ``f(enhanced)``.
        needs: "reference", "low" or "nothing": its second argument.
        direction: "higher" or "lower" is better, or None when neither is.
        unit: Unit of the value, empty for a pure number.
        protocol: Colour space, rounding, use of the reference mean, window.
        digits: Decimals worth printing.
    """

    function: Callable[..., float]
    needs: str
    direction: str | None
    unit: str
    protocol: str
    digits: int = 2


_BITS = "rounded to 8 bits"
_BLIND = "no reference mean"
_WINDOW = "11x11 Gaussian, sigma 1.5, population covariance, valid area, range 1"

METRICS: dict[str, Metric] = {
    "psnr": Metric(psnr, "reference", "higher", "dB", f"RGB, {_BITS}, {_BLIND}"),
    "psnr_float": Metric(psnr_float, "reference", "higher", "dB", f"RGB, not rounded, {_BLIND}"),
    "psnr_y": Metric(
        psnr_y, "reference", "higher", "dB", f"BT.601 Y 16-235, peak 255, {_BITS} as RGB, {_BLIND}"
    ),
    "psnr_gray": Metric(
        psnr_gray, "reference", "higher", "dB", f"BT.601 grey 0-255, {_BITS} as RGB, {_BLIND}"
    ),
    "psnr_dark": Metric(
        psnr_dark,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, {_BLIND}, darkest 30 % of the reference",
    ),
    "psnr_gtmean": Metric(
        psnr_gtmean, "reference", "higher", "dB", f"RGB, {_BITS}, USES the reference's grey mean"
    ),
    "psnr_gtmean_llflow": Metric(
        psnr_gtmean_llflow,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, USES the reference's grey mean over the output's RGB mean",
    ),
    "psnr_gtmean_rgb": Metric(
        psnr_gtmean_rgb, "reference", "higher", "dB", f"RGB, {_BITS}, USES the reference's RGB mean"
    ),
    "psnr_best_gamma": Metric(
        psnr_best_gamma,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, USES the reference to choose one of 100 gammas, 0.4 to 2.5",
    ),
    "psnr_level": Metric(
        psnr_level,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, USES the reference's RGB mean, to which the output is exposed",
    ),
    "psnr_constant": Metric(
        psnr_constant,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, {_BLIND}: every output is exposed to a mean of {LOL_MEAN}",
    ),
    "ssim": Metric(
        ssim, "reference", "higher", "", f"RGB per channel, {_BITS}, {_BLIND}, {_WINDOW}", digits=3
    ),
    "ssim_gray": Metric(
        ssim_gray,
        "reference",
        "higher",
        "",
        f"BT.601 grey, {_BITS} as RGB, {_BLIND}, {_WINDOW}",
        digits=3,
    ),
    "ssim_uniform7": Metric(
        ssim_uniform7,
        "reference",
        "higher",
        "",
        f"RGB per channel, {_BITS}, {_BLIND}, 7x7 box, sample covariance, range 1",
        digits=3,
    ),
    "mae": Metric(mae, "reference", "lower", "levels", f"RGB, {_BITS}, {_BLIND}", digits=1),
    "mean_error": Metric(
        mean_error,
        "reference",
        "lower",
        "levels",
        f"distance of the RGB means, {_BITS}, {_BLIND}",
        digits=1,
    ),
    **{
        function.__name__: Metric(
            function,
            "reference",
            "lower",
            "levels²",
            f"RGB, {_BITS}, {_BLIND}, {part}; the three parts add up to the squared error",
            digits=0,
        )
        for function, part in {
            mse_brightness: "a shift of the whole photo",
            mse_color: "a tint of the whole photo",
            mse_structure: "what varies from place to place",
        }.items()
    },
    "delta_e": Metric(
        delta_e, "reference", "lower", "", f"CIEDE2000 from sRGB, D65, {_BITS}, {_BLIND}"
    ),
    "loe": Metric(
        loe,
        "low",
        "lower",
        "",
        f"max(R, G, B) on a 50x50 grid, against the low image, {_BITS}",
        digits=0,
    ),
    "noise_gain": Metric(
        noise_gain,
        "low",
        None,
        "x",
        f"BT.601 grey, {_BITS}, flattest quarter of 8x8 patches, against the low image",
    ),
    "residual_noise": Metric(
        residual_noise,
        "reference",
        "lower",
        "x",
        f"BT.601 grey, {_BITS}, flattest quarter of 8x8 patches, against the reference, "
        "USES its grey mean",
    ),
    "sharpness": Metric(
        sharpness,
        "reference",
        None,
        "x",
        f"BT.601 grey less a Gaussian of {DETAIL_SIGMA} pixels, {_BITS}, ratio of deviations",
    ),
    "true_detail": Metric(
        true_detail,
        "reference",
        "higher",
        "",
        f"BT.601 grey less a Gaussian of {DETAIL_SIGMA} pixels, {_BITS}, correlation",
        digits=3,
    ),
    "chroma_error": Metric(
        chroma_error,
        "reference",
        "lower",
        "",
        f"distance in a*, b* of CIELAB from sRGB, D65, {_BITS}, {_BLIND}",
    ),
    "overexposed": Metric(
        overexposed,
        "reference",
        "lower",
        "%",
        f"pixels with a channel of 255 that the reference has below, {_BITS}, {_BLIND}",
    ),
    "highlight_error": Metric(
        highlight_error,
        "reference",
        "lower",
        "levels",
        f"BT.601 grey, {_BITS}, {_BLIND}, brightest 5 % of the reference",
        digits=1,
    ),
    "darkened": Metric(
        darkened,
        "low",
        "lower",
        "%",
        f"values over 12 levels below those of the low image, {_BITS}",
    ),
    "newly_clipped": Metric(
        newly_clipped,
        "low",
        "lower",
        "%",
        f"values of 255 that are below it in the low image, {_BITS}",
    ),
    "niqe": Metric(
        niqe,
        "nothing",
        "lower",
        "",
        f"BT.601 grey, {_BITS}, 96x96 patches, this package's own natural-image model: "
        "not comparable with MATLAB, BasicSR or pyiqa",
    ),
    "flip": Metric(
        flip,
        "reference",
        "lower",
        "",
        f"RGB, {_BITS}, {_BLIND}, 67 pixels per degree, mean, flip-evaluator library",
        digits=3,
    ),
    "lpips": Metric(
        lpips,
        "reference",
        "lower",
        "",
        f"RGB, {_BITS}, {_BLIND}, AlexNet 0.1, lpips library",
        digits=3,
    ),
}


def score(
    enhanced: np.ndarray,
    reference: np.ndarray | None = None,
    names: Sequence[str] = ("psnr", "ssim"),
    *,
    low: np.ndarray | None = None,
) -> dict[str, float]:
    """Score one image with several metrics.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo; may be left out when no metric needs it.
        names: Keys of `METRICS`.
        low: The low-light image that it was made from.

    Returns:
        Metric name -> value, in the order of ``names``.

    Raises:
        KeyError: For an unknown name.
        ValueError: If a metric needs an image that was not given.

    >>> black = np.zeros((2, 3, 3))
    >>> score(black, black + 1, ["psnr", "mae"])
    {'psnr': 0.0, 'mae': 255.0}
    """
    given = {"reference": reference, "low": low}
    result = {}
    for name in names:
        if name not in METRICS:
            raise KeyError(f"no metric {name!r}; known: {', '.join(METRICS)}.")
        metric = METRICS[name]
        if metric.needs == "nothing":
            result[name] = metric.function(enhanced)
            continue
        if given[metric.needs] is None:
            raise ValueError(f"{name} needs the {metric.needs} image; pass {metric.needs}=...")
        result[name] = metric.function(enhanced, given[metric.needs])
    return result
