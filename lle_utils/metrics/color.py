"""Differences of colour as people see them."""

from __future__ import annotations

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from lle_utils.metrics.pixelwise import rounded_pair


def delta_e(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the mean CIEDE2000 colour difference (sRGB, D65, 2 degree observer).

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Delta E 2000, lower is better; about 1 is just noticeable, black to white is 100.

    Reference:
        Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", 2005.

    >>> black = np.zeros((2, 3, 3))
    >>> round(delta_e(black, black + 1), 3)
    100.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return float(np.mean(deltaE_ciede2000(rgb2lab(enhanced), rgb2lab(reference))))
