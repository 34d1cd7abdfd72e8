"""What enhancement does besides brightening: to noise, to colour, to highlights.

Like all metrics these take float images ``(H, W, 3)`` in [0, 1] and round them to 8 bits first.
`lle_utils.metrics.catalog` offers them together with the others.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from lle_utils.core.images import ImageError, check_image, luminance, to_uint8
from lle_utils.metrics.pixelwise import rounded_pair

HIGHLIGHT_SHARE = 0.05  # of the reference's pixels, the brightest


def noise_gain(enhanced: np.ndarray, low: np.ndarray) -> float:
    """Compute how much the noise of flat regions grew: ratio of local standard deviations.

    Luminance is cut into 8x8 patches. The quarter that is flattest in a smoothed copy of
    ``low`` is kept, less the patches without any variation there (clipped black). The
    median standard deviation of the kept patches is compared between the images.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 8.
        low: The low-light image it was made from (not the reference).

    Returns:
        Ratio, 1 for an unchanged image. A pure gain g gives g, so brighter is noisier:
        compare methods at like brightness.

    Raises:
        ImageError: If ``low`` is smaller than a patch or has no noise at all.

    >>> low = np.random.default_rng(0).integers(0, 60, (32, 40, 3)) / 255
    >>> round(noise_gain(4 * low, low), 9)
    4.0
    """
    enhanced, low = rounded_pair(enhanced, low, "low")
    if min(low.shape[:2]) < 8:
        raise ImageError(f"noise_gain needs 8x8 patches; the image has {low.shape[:2]} pixels.")
    deviation, flat = _flat_patches(luminance(low))
    if not flat.any():
        raise ImageError("low has no variation inside any 8x8 patch, so noise cannot grow.")
    enhanced_deviation = _patch_deviation(luminance(enhanced))
    return float(np.median(enhanced_deviation[flat]) / np.median(deviation[flat]))


def flat_noise(photo: np.ndarray) -> float:
    """Compute the noise of the flat regions of a photo, those that `noise_gain` compares.

    Args:
        photo: Image ``(H, W, 3)``, float in [0, 1], both sides at least 8.

    Returns:
        Median standard deviation of luminance in 8-bit levels; 0 where nothing varies.

    >>> noisy = np.random.default_rng(0).normal(0.5, 0.02, (320, 400, 1)).repeat(3, axis=2)
    >>> round(flat_noise(noisy) / 255, 2)
    0.02
    """
    photo = to_uint8(check_image(photo, "photo")) / 255.0
    deviation, flat = _flat_patches(luminance(photo))
    return float(255 * np.median(deviation[flat])) if flat.any() else 0.0


def _flat_patches(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard deviation of each 8x8 patch, and which patches are flat but not empty."""
    deviation = _patch_deviation(grey)
    noisy = deviation > 1e-9
    if not noisy.any():
        return deviation, noisy
    slope = _patch_deviation(gaussian_filter(grey, 2.0))
    return deviation, noisy & (slope <= np.quantile(slope[noisy], 0.25))


def _patch_deviation(grey: np.ndarray, size: int = 8) -> np.ndarray:
    rows, columns = (length // size for length in grey.shape)
    patches = grey[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return patches.std(axis=(1, 3)).ravel()


def residual_noise(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compare the noise of flat regions with that of the well-lit photo, at like brightness.

    The result is scaled to the mean luminance of the reference, so that a method does not look
    clean by staying dark. Then as `noise_gain`, with the reference in the place of the input.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 8.
        reference: The well-lit photo, same shape and range.

    Returns:
        Ratio, lower is better; 1 is as clean as the reference, below 1 smoother than it. Coarse
        rounding of a very dark photo counts as noise, because it looks like it.

    Raises:
        ImageError: As `noise_gain`, or if ``enhanced`` is black.

    >>> photo = np.random.default_rng(0).integers(100, 130, (32, 40, 3)) / 255
    >>> round(residual_noise(photo / 2, photo), 1)  # half as bright and as clean
    1.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    mean = luminance(enhanced).mean()
    if mean == 0:
        raise ImageError("enhanced is black; its brightness cannot be matched.")
    matched = np.clip(enhanced * (luminance(reference).mean() / mean), 0, 1)
    return noise_gain(matched, reference)


def chroma_error(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the mean error of colour alone, lightness left out.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Mean distance in the plane of a* and b* of CIELAB (sRGB, D65), lower is better. Dark
        results are pale, and a pale result of a grey scene scores well.

    >>> grey, dark = np.full((2, 3, 3), 0.6), np.full((2, 3, 3), 0.2)
    >>> round(chroma_error(dark, grey), 2)
    0.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    difference = rgb2lab(enhanced)[..., 1:] - rgb2lab(reference)[..., 1:]
    return float(np.linalg.norm(difference, axis=-1).mean())


def overexposed(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the share of pixels that were driven to the top of the range.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Per cent of the pixels with a channel of 255 where the reference has none; lower is
        better.

    >>> reference = np.full((2, 2, 3), 0.5)
    >>> enhanced = reference.copy()
    >>> enhanced[0, 0, 1] = 1
    >>> overexposed(enhanced, reference)
    25.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    lost = (enhanced.max(axis=-1) == 1) & (reference.max(axis=-1) < 1)
    return float(100 * lost.mean())


def highlight_error(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the mean absolute error of luminance where the reference is brightest.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        8-bit levels over the brightest 5 % of the reference, lower is better.

    >>> ramp = np.linspace(0, 0.8, 100).reshape(10, 10, 1).repeat(3, axis=2)
    >>> round(highlight_error(ramp + 51 / 255, ramp), 6)
    51.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    light = luminance(reference)
    bright = light >= np.quantile(light, 1 - HIGHLIGHT_SHARE)
    return float(255 * np.abs(luminance(enhanced) - light)[bright].mean())
