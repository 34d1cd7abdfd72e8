"""How strong the fine detail of a photo is, and how much of it is true.

Fine detail is what a Gaussian of `DETAIL_SIGMA` pixels takes away from the brightness. A method
that invents texture, or leaves the noise in, has a high `sharpness` and a low `true_detail`.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from lle_utils.core.images import luminance
from lle_utils.metrics.pixelwise import rounded_pair

DETAIL_SIGMA = 1.5  # pixels
FLAT = 1 / 255 / 12**0.5  # deviation of rounding to 8 bits: what is below it has no detail


def fine_detail(image: np.ndarray) -> np.ndarray:
    """Return what a Gaussian of `DETAIL_SIGMA` pixels takes away from the brightness.

    Args:
        image: ``(H, W, 3)``, float in [0, 1].

    Returns:
        Array ``(H, W)``, positive and negative.
    """
    gray = luminance(image)
    return gray - gaussian_filter(gray, DETAIL_SIGMA)


def sharpness(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the strength of the fine detail as a share of that of the reference.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Ratio of standard deviations: 1 is alike, below it smoother, above it sharper or noisier.

    Raises:
        ImageError: For integer dtypes, values outside [0, 1], NaN, or unequal shapes.

    >>> photo = np.random.default_rng(0).random((32, 32, 3))
    >>> round(sharpness(photo / 2, photo), 2)
    0.5
    """
    ours, true = _details(enhanced, reference)
    return float(ours.std() / max(true.std(), FLAT))


def true_detail(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute how well the fine detail correlates with that of the reference.

    Args:
        enhanced, reference: As for `sharpness`.

    Returns:
        Between -1 and 1: 1 where all detail is that of the reference up to a factor, 0 where
        none is, or where one of the two has no detail.

    Raises:
        ImageError: As `sharpness`.

    >>> photo = np.random.default_rng(0).random((32, 32, 3))
    >>> round(true_detail(photo / 2, photo), 2)
    1.0
    """
    ours, true = _details(enhanced, reference)
    if min(ours.std(), true.std()) < FLAT:
        return 0.0
    return float(np.corrcoef(ours.ravel(), true.ravel())[0, 1])


def _details(enhanced: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tuple(fine_detail(image) for image in rounded_pair(enhanced, reference))
