"""Brightness taken apart from the rest: its error, and PSNR with the brightness settled.

A dark photo does not say how bright its well-lit twin will be, so a blind score judges a guess
too. `mean_error` measures the guess alone. `psnr_level` forgives it: it looks up the answer.
`psnr_constant` makes one guess for all photos. Both set the brightness by `expose`, which,
unlike the gain of `psnr_gtmean`, clips nothing.
"""

from __future__ import annotations

import numpy as np

from lle_utils.core.exposure import expose, exposure_gain
from lle_utils.metrics.pixelwise import checked_pair, psnr, rounded_pair

LOL_MEAN = 0.454
"""The mean over all values of LOL's well-lit training photos, as measured in the record
``data/results/fixed_curve.json``."""

_HALF_A_LEVEL = 0.5 / 255  # no exposure brings a photo to black or white all over


def mean_error(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute how far the mean brightness is off, too dark and too bright alike.

    ``255 |mean(x) - mean(y)|``, the means taken over pixels and channels.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        8-bit levels, 0 to 255, lower is better. Its square is `mse_brightness`.

    Raises:
        ImageError: For integer dtypes, values outside [0, 1], NaN, or unequal shapes.

    >>> black = np.zeros((2, 3, 3))
    >>> round(mean_error(black, black + 0.2), 9)
    51.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return float(255 * abs(enhanced.mean() - reference.mean()))


def psnr_level(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR after exposing the output to the mean brightness of the reference.

    As `psnr_gtmean` it uses what no user has, and says how good the rest is. Report it under
    its own name, never as a blind score.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range; its mean over all values is taken.

    Returns:
        Decibels, higher is better; unchanged by `expose` with any gain on ``enhanced``.

    Raises:
        ImageError: As `mean_error`.

    >>> ramp = np.linspace(0, 1, 12).reshape(2, 2, 3)
    >>> psnr_level(expose(ramp, 0.5), ramp) > 60 > psnr(expose(ramp, 0.5), ramp)
    True
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    return psnr(_exposed_to(enhanced, float(reference.mean(dtype=np.float64))), reference)


def psnr_constant(enhanced: np.ndarray, reference: np.ndarray, mean: float = LOL_MEAN) -> float:
    """Compute PSNR after exposing every output to one and the same mean brightness.

    Blind: the constant is chosen once, from other photos. If a method gains by it, the method's
    own choice of brightness is worth less than no choice at all.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range; used for the comparison alone.
        mean: The mean over all values that every output is given, in (0, 1).

    Returns:
        Decibels, higher is better.

    Raises:
        ImageError: As `mean_error`.

    >>> dark, light = np.full((2, 3, 3), 0.1), np.full((2, 3, 3), 0.6)
    >>> round(psnr_constant(dark, light, mean=0.4), 5)  # 0.1 becomes 0.4: a fifth is missing
    13.9794
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    return psnr(_exposed_to(enhanced, mean), reference)


def _exposed_to(image: np.ndarray, mean: float) -> np.ndarray:
    mean = min(max(mean, _HALF_A_LEVEL), 1 - _HALF_A_LEVEL)
    return expose(np.clip(image, 0, 1), exposure_gain(image, mean))
