"""Structural similarity (SSIM) and its variants."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from lle_utils.core.images import ImageError, luminance
from lle_utils.metrics.pixelwise import rounded_pair

_GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def ssim(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute structural similarity per channel with the window of the paper.

    11x11 Gaussian of sigma 1.5, K1 0.01, K2 0.03, range 1, population covariance; the mean
    over the valid area (5 pixels inside the border) and the three channels.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 11.
        reference: The well-lit photo, same shape and range.

    Returns:
        -1 to 1, higher is better.

    Raises:
        ImageError: If a side is shorter than 11 pixels, or as in `psnr`.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural
        similarity", IEEE Transactions on Image Processing 13(4), 2004. Equals
        ``tf.image.ssim``.

    >>> black = np.zeros((16, 12, 3))
    >>> c1 = 0.01**2  # without structure only the luminance term is left
    >>> bool(np.isclose(ssim(black, black + 0.2), c1 / (0.2**2 + c1)))
    True
    """
    enhanced, reference = _windowed(enhanced, reference, 11)
    return float(
        structural_similarity(enhanced, reference, data_range=1, channel_axis=-1, **_GAUSSIAN)
    )


def ssim_gray(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute `ssim` on full-range BT.601 grey, usually higher than on RGB.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 11.
        reference: The well-lit photo, same shape and range.

    Returns:
        -1 to 1, higher is better.

    >>> black = np.zeros((16, 12, 3))
    >>> ssim_gray(black, black)
    1.0
    """
    enhanced, reference = _windowed(enhanced, reference, 11)
    grey = luminance(enhanced), luminance(reference)
    return float(structural_similarity(*grey, data_range=1, **_GAUSSIAN))


def ssim_uniform7(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute SSIM with the defaults of scikit-image: 7x7 box window, sample covariance.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 7.
        reference: The well-lit photo, same shape and range.

    Returns:
        -1 to 1, higher is better.

    >>> black = np.zeros((16, 12, 3))
    >>> ssim_uniform7(black, black)
    1.0
    """
    enhanced, reference = _windowed(enhanced, reference, 7)
    return float(structural_similarity(enhanced, reference, data_range=1, channel_axis=-1))


def _windowed(
    enhanced: np.ndarray, reference: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    enhanced, reference = rounded_pair(enhanced, reference)
    if min(enhanced.shape[:2]) < window:
        raise ImageError(
            f"SSIM needs a {window}x{window} window; the image has {enhanced.shape[:2]} pixels."
        )
    return enhanced, reference
