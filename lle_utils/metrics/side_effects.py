"""Harm that an enhancer does to ordinary photos: to tones, to neutral colours, to clean areas.

`lle_utils.metrics.artifacts` compares with a well-lit reference. Here there is none: an enhanced
photo is compared with the photo that it was made from, or with what is known to be grey. Images
are float ``(H, W, 3)`` in [0, 1] and rounded to 8 bits first.
"""

from __future__ import annotations

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from lle_utils.core.images import ImageError, check_image, to_uint8
from lle_utils.metrics.artifacts import noise_gain
from lle_utils.metrics.pixelwise import rounded_pair

DARKER_LEVELS = 12  # of 255, from which on a darker value counts
SPREAD_PERCENTILE = 99.9  # of the pixels, which leaves out single ones
GAMMAS = (1 / 64, 64.0)  # between which `matching_gamma` looks


def darkened(enhanced: np.ndarray, photo: np.ndarray) -> float:
    """Compute the share of values that became darker by more than `DARKER_LEVELS`.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        photo: The photo that it was made from, same shape and range.

    Returns:
        Per cent of all values of all channels, lower is better. Noise that is removed counts
        where it exceeded the levels.

    Raises:
        ImageError: For integer dtypes, values outside [0, 1], NaN, or unequal shapes.

    >>> photo = np.full((2, 2, 3), 0.5)
    >>> enhanced = photo.copy()
    >>> enhanced[0, 0] -= 0.1
    >>> darkened(enhanced, photo)
    25.0
    """
    enhanced, photo = rounded_pair(enhanced, photo, "photo")
    return float(100 * (photo - enhanced > (DARKER_LEVELS + 0.5) / 255).mean())


def newly_clipped(enhanced: np.ndarray, photo: np.ndarray) -> float:
    """Compute the share of values that became 255 and were not.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        photo: The photo that it was made from, same shape and range.

    Returns:
        Per cent of all values of all channels, lower is better.

    Raises:
        ImageError: As `darkened`.

    >>> newly_clipped(np.ones((2, 2, 3)), np.full((2, 2, 3), 0.5))
    100.0
    """
    enhanced, photo = rounded_pair(enhanced, photo, "photo")
    return float(100 * ((enhanced == 1) & (photo < 1)).mean())


def newly_black(enhanced: np.ndarray, photo: np.ndarray) -> float:
    """Compute the share of values that became 0 and were not; otherwise as `newly_clipped`."""
    enhanced, photo = rounded_pair(enhanced, photo, "photo")
    return float(100 * ((enhanced == 0) & (photo > 0)).mean())


def brightness_change(enhanced: np.ndarray, photo: np.ndarray) -> float:
    """Compute how far the mean over all values moved, up or down.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        photo: A photo that is exposed well already, same shape and range.

    Returns:
        Absolute difference, as a share of the range.

    Raises:
        ImageError: As `darkened`.

    >>> round(brightness_change(np.full((2, 2, 3), 0.4), np.full((2, 2, 3), 0.6)), 6)
    0.2
    """
    enhanced, photo = rounded_pair(enhanced, photo, "photo")
    return float(abs(enhanced.mean() - photo.mean()))


def chroma_spread(enhanced: np.ndarray) -> float:
    """Compute how coloured a photo became that was grey all over.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], made from one with equal channels.

    Returns:
        Largest less smallest channel in 8-bit levels, the `SPREAD_PERCENTILE` of the pixels.

    Raises:
        ImageError: If it is no such image.

    >>> chroma_spread(np.full((2, 2, 3), [100, 103, 101]) / 255)
    3.0
    """
    levels = to_uint8(check_image(enhanced, "enhanced")).astype(int)
    return float(np.percentile(levels.max(axis=-1) - levels.min(axis=-1), SPREAD_PERCENTILE))


def neutral_error(enhanced: np.ndarray, patches: np.ndarray) -> float:
    """Compute how far patches that are known to be grey are from grey.

    The mean colour of each patch is compared by CIEDE2000 with the grey of its own lightness: an
    enhancer is meant to change brightness, so brightness is left out. What is left is the cast.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        patches: Whole numbers ``(H, W)``: 0 outside patches, else the number of the patch.

    Returns:
        Delta E 2000 of the worst patch, lower is better; about 1 is just noticeable.

    Raises:
        ImageError: If the image is no such image, the shapes differ, or there is no patch.

    Reference:
        Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", 2005.

    >>> patches = np.ones((2, 2), int)
    >>> round(neutral_error(np.full((2, 2, 3), 0.3), patches), 2)
    0.0
    >>> neutral_error(np.full((2, 2, 3), [0.5, 0.5, 0.4]), patches) > 5
    True
    """
    image = to_uint8(check_image(enhanced, "enhanced")) / 255.0
    if patches.shape != image.shape[:2] or not patches.any():
        raise ImageError(f"patches of shape {patches.shape} mark nothing in {image.shape}.")
    means = [image[patches == number].mean(axis=0) for number in np.unique(patches[patches > 0])]
    colors = rgb2lab(np.array(means))
    return float(deltaE_ciede2000(colors, colors * [1, 0, 0]).max())


def noise_over_gamma(enhanced: np.ndarray, photo: np.ndarray) -> float:
    """Compare the noise of flat regions with what plain gamma makes of it at the same brightness.

    Gamma is the `matching_gamma` of the enhanced photo; then as `noise_gain`, with the result of
    gamma in the place of the dark photo.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 8.
        photo: The photo that it was made from, same shape and range.

    Returns:
        Ratio of standard deviations, lower is better; 1 is gamma, below 1 cleaner than it.

    Raises:
        ImageError: As `noise_gain`.

    >>> photo = np.random.default_rng(0).integers(20, 40, (32, 40, 3)) / 255
    >>> round(noise_over_gamma(photo**0.5, photo), 2)
    1.0
    """
    plain = np.power(np.clip(photo, 0, 1), matching_gamma(photo, float(np.mean(enhanced))))
    return noise_gain(enhanced, plain)


def matching_gamma(photo: np.ndarray, mean: float) -> float:
    """Find the exponent with which the values of a photo get a mean.

    Args:
        photo: Values in [0, 1], any shape.
        mean: Over all values, in [0, 1].

    Returns:
        The exponent, within `GAMMAS`: black stays black, so not every mean can be reached.

    >>> round(matching_gamma(np.full((2, 3), 0.25), 0.5), 6)
    0.5
    """
    values, counts = np.unique(np.clip(photo, 0, 1), return_counts=True)
    values, shares = values.astype(np.float64), counts / counts.sum()
    low, high = np.log(GAMMAS)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if shares @ values ** np.exp(middle) > mean else (low, middle)
    return float(np.exp((low + high) / 2))
