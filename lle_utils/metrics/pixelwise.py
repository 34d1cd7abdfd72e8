"""PSNR under every convention met in the field, each with a name of its own.

All functions take two float images of shape ``(H, W, 3)`` in [0, 1] and return decibels,
higher is better. `lle_utils.metrics.catalog` offers them together with the other metrics.
"""

from __future__ import annotations

import math

import numpy as np

from lle_utils.core.images import BT601, ImageError, check_image, luminance, to_uint8

STUDIO_Y = np.array([65.481, 128.553, 24.966]) / 255  # Y spans 16/255 ... 235/255


def checked_pair(
    first: np.ndarray, second: np.ndarray, other: str
) -> tuple[np.ndarray, np.ndarray]:
    """Check that two arrays are images of one shape and return them as float32."""
    first, second = check_image(first, "enhanced"), check_image(second, other)
    if first.shape != second.shape:
        raise ImageError(f"enhanced has shape {first.shape} but {other} {second.shape}.")
    return first, second


def rounded_pair(
    enhanced: np.ndarray, other: np.ndarray, name: str = "reference"
) -> tuple[np.ndarray, np.ndarray]:
    """Check two images and round them to the 256 values of a file, as float64 in [0, 1]."""
    return tuple(to_uint8(image) / 255.0 for image in checked_pair(enhanced, other, name))


def _decibels(mean_squared_error: float) -> float:
    if mean_squared_error == 0:
        return math.inf
    return float(10 * np.log10(1 / mean_squared_error))


def psnr(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the peak signal-to-noise ratio over RGB, after rounding to 8 bits.

    ``10 log10(1 / mean((x - y)^2))``, the mean taken over pixels and channels.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better; infinity when both round to the same file.

    Raises:
        ImageError: For integer dtypes, values outside [0, 1], NaN, or unequal shapes.

    >>> black = np.zeros((2, 3, 3))
    >>> psnr(black, black + 51 / 255)  # one fifth of the range: 20 log10(5)
    13.979400086720375
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return _decibels(np.mean((enhanced - reference) ** 2))


def psnr_float(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR over RGB without rounding, so an output is scored finer than its file.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better.

    >>> grey = np.full((2, 3, 3), 0.25)
    >>> round(psnr_float(grey, grey + 0.1), 5)
    20.0
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    return _decibels(np.mean((enhanced.astype(np.float64) - reference) ** 2))


def psnr_y(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR on the luma of studio range (16 to 235), the habit of super-resolution.

    The peak stays 255 although Y spans 219 levels, which alone is worth 1.32 dB.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better.

    Reference:
        ITU-R BT.601; MATLAB ``rgb2ycbcr``.

    >>> black = np.zeros((2, 3, 3))
    >>> gain = psnr_y(black, black + 0.2) - psnr_gray(black, black + 0.2)
    >>> bool(np.isclose(gain, 20 * np.log10(255 / 219)))
    True
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return _decibels(np.mean(((enhanced - reference) @ STUDIO_Y) ** 2))


def psnr_gray(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR on full-range grey, which cannot see a wrong hue.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better.

    >>> black, blue = np.zeros((2, 2, 3)), np.zeros((2, 2, 3)) + [0, 0, 1]
    >>> round(psnr_gray(black, blue), 3)  # 20 log10(1 / 0.114), where RGB gives 4.771
    18.862
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return _decibels(np.mean(((enhanced - reference) @ BT601) ** 2))


def psnr_dark(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR over the darkest 30 % of the reference, where noise hides.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo; its luminance selects the pixels.

    Returns:
        Decibels, higher is better.

    >>> reference = np.linspace(0, 1, 10).reshape(1, 10, 1).repeat(3, axis=2)
    >>> enhanced = reference.copy()
    >>> enhanced[0, 5:] = 0  # an error in the bright half only
    >>> psnr_dark(enhanced, reference)
    inf
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    level = luminance(reference)
    dark = level <= np.quantile(level, 0.3)
    return _decibels(np.mean((enhanced[dark] - reference[dark]) ** 2))


def psnr_gtmean(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR after giving the output the mean grey level of the reference.

    The gain ``mean(grey(reference)) / mean(grey(enhanced))`` is information that no user
    has. Report it beside the blind score, never instead of it.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better; unchanged by a gain on ``enhanced`` that clips nothing.

    Reference:
        The "GT mean" switch in the evaluation code of Retinexformer, CIDNet and GSAD.

    >>> ramp = np.linspace(0, 1, 12).reshape(2, 2, 3)
    >>> psnr_gtmean(ramp * 0.25, ramp)
    inf
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    return psnr(
        _gained(enhanced, luminance(reference).mean(), luminance(enhanced).mean()), reference
    )


def psnr_gtmean_llflow(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR after the gain of LLFlow: grey mean of the reference over RGB mean.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better.

    Reference:
        ``code/test.py`` of wyf0912/LLFlow.

    Deviation:
        The original applies the weights of blue to red and of red to blue.

    >>> grey = np.linspace(0, 1, 4).reshape(2, 2, 1).repeat(3, axis=2)
    >>> psnr_gtmean_llflow(grey / 2, grey) == psnr_gtmean(grey / 2, grey)  # equal without colour
    True
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    return psnr(_gained(enhanced, luminance(reference).mean(), enhanced.mean()), reference)


def psnr_gtmean_rgb(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute PSNR after giving the output the mean of all RGB values of the reference.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better.

    >>> ramp = np.linspace(0, 1, 12).reshape(2, 2, 3)
    >>> psnr_gtmean_rgb(ramp * 0.25, ramp)
    inf
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    return psnr(_gained(enhanced, reference.mean(), enhanced.mean()), reference)


def _gained(image: np.ndarray, wanted_mean: float, mean: float) -> np.ndarray:
    gain = float(wanted_mean) / max(float(mean), 1e-8)  # a black image stays black
    return np.clip(image.astype(np.float64) * gain, 0, 1)


def psnr_best_gamma(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the best PSNR among 100 gamma curves laid on the output, chosen per image.

    Exponents 0.4 to 2.5, compared with the reference: information that no user has.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Decibels, higher is better.

    Reference:
        The search called "GT mean" in the evaluation code of LYT-Net.

    >>> black = np.zeros((2, 3, 3))
    >>> psnr_best_gamma(black, black + 0.2) == psnr(black, black + 0.2)  # 0 stays 0
    True
    """
    enhanced, reference = checked_pair(enhanced, reference, "reference")
    exponents = np.linspace(0.4, 2.5, 100)[:, None]
    curves = to_uint8((np.arange(256) / 255.0) ** exponents)
    return _decibels(float(curve_errors(to_uint8(enhanced), to_uint8(reference), curves).min()))


def curve_errors(image: np.ndarray, reference: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Compute the mean squared error of an image after each of many tone curves.

    No curve is applied: the error of all of them follows from three sums for each of the 256
    levels, so a hundred curves cost hardly more than one.

    Args:
        image: uint8 array of shape ``(H, W, 3)``.
        reference: The well-lit photo, same shape and type.
        curves: uint8 array of shape ``(curves, 256)``, what each level becomes.

    Returns:
        Mean of ``(curve(x) - y)^2`` for values in [0, 1], shape ``(curves,)``, 0 or more.

    >>> image = np.array([[[0, 1, 1]]], np.uint8)
    >>> to_white = np.array([[0, 255, *range(2, 256)]], np.uint8)
    >>> curve_errors(image, image * 0, to_white).round(4).tolist()  # two thirds are white
    [0.6667]
    """
    levels, target = image.ravel(), reference.ravel() / 255.0
    count = np.bincount(levels, minlength=256)
    total = np.bincount(levels, weights=target, minlength=256)
    curves = curves / 255.0
    errors = (curves**2) @ count - 2 * curves @ total + np.sum(target**2)
    return np.maximum(errors, 0) / levels.size


def mae(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the mean absolute error in 8-bit levels.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Levels, 0 to 255, lower is better.

    >>> black = np.zeros((2, 3, 3))
    >>> round(mae(black, black + 0.2), 9)
    51.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return float(255 * np.mean(np.abs(enhanced - reference)))
