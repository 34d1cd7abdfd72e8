"""Exposure: light, its sRGB encoding, and the curve that brings a photo to a given brightness."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

GAINS = (2.0**-12, 2.0**14)  # between which `exposure_gain` looks: far beyond any photo
COUNTED_PIXELS = 2**20  # of a photo, that its brightness is taken from
CURVE_POINTS = 2**16  # of the table that stands for an exposure: all values of 16 bits


def srgb_to_linear(image: np.ndarray) -> np.ndarray:
    """Decode sRGB values in [0, 1] to light in [0, 1].

    Reference:
        IEC 61966-2-1, the inverse transfer function.

    >>> float(srgb_to_linear(np.array(1.0)))
    1.0
    """
    image = np.asarray(image, np.float64)
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: np.ndarray) -> np.ndarray:
    """Encode light in [0, 1] as sRGB values in [0, 1]; the inverse of `srgb_to_linear`.

    >>> round(float(linear_to_srgb(np.array(0.18))), 3)
    0.461
    """
    light = np.asarray(light, np.float64)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def expose(image: np.ndarray, gain: float) -> np.ndarray:
    """Expose a photo anew: multiply its light by ``gain`` in the darks, and keep white white.

    Light x becomes ``gain * x / (1 + (gain - 1) * x)``. Two such exposures in turn are one with
    the product of their gains; a gain of 1 changes nothing, and nothing is ever clipped.

    Args:
        image: sRGB values in [0, 1], any shape.
        gain: Above 0; below 1 darkens.

    Returns:
        float64 array of the same shape in [0, 1].

    Raises:
        ValueError: If the gain is not a positive number.

    Reference:
        The rational curve of Schlick, Quantization Techniques for Visualization of High Dynamic
        Range Pictures, 1995, here in linear light.

    >>> twice = expose(expose(np.array([0.1, 0.5]), 3.0), 2.0)
    >>> bool(np.allclose(twice, expose(np.array([0.1, 0.5]), 6.0)))
    True
    """
    if not (np.isfinite(gain) and gain > 0):
        raise ValueError(f"gain is {gain}; expected a positive number.")
    light = srgb_to_linear(image)
    return linear_to_srgb(gain * light / (1 + (gain - 1) * light))


def exposure_gain(image: np.ndarray, level: float) -> float:
    """Return the gain with which `expose` brings a photo to a mean brightness.

    Args:
        image: Photo of any shape: uint8, uint16, or floating point in [0, 1].
        level: The mean over all values that the result should have, in (0, 1).

    Returns:
        The gain, within `GAINS`: a photo that is black or white all over cannot follow.

    Raises:
        ValueError: If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a mean brightness above 0 and below 1.")
    values, weights = _histogram(np.asarray(image))
    light = srgb_to_linear(values)
    low, high = np.log2(GAINS)
    for _ in range(40):
        middle = (low + high) / 2
        gain = 2.0**middle
        exposed = linear_to_srgb(gain * light / (1 + (gain - 1) * light))
        low, high = (middle, high) if weights @ exposed < level else (low, middle)
    return float(2.0**middle)


def reach(image: np.ndarray, level: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that exposes a photo, or parts of it, to a mean brightness.

    It reads `expose` from a table of `CURVE_POINTS`, so that large photos need no more than two
    copies of themselves.

    Args:
        image: The whole, float in [0, 1], any shape.
        level: Mean over all values that the whole shall have, in (0, 1).

    Returns:
        A function from a float array in [0, 1] to a float32 array of its shape.

    Raises:
        ValueError: As `exposure_gain`.
    """
    gain = exposure_gain(image, level)
    curve = expose(np.linspace(0, 1, CURVE_POINTS), gain).astype(np.float32)
    return lambda part: curve[np.rint(part * np.float32(CURVE_POINTS - 1)).astype(np.int32)]


def mean_brightness(image: np.ndarray) -> float:
    """Return the mean over all values of a photo, as `exposure_gain` counts it.

    Args:
        image: Photo of any shape: uint8, uint16, or floating point in [0, 1].

    Returns:
        A number in [0, 1]; of a photo of many pixels, that of some spread over it.
    """
    values, weights = _histogram(np.asarray(image))
    return float(values @ weights)


def _histogram(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values in [0, 1] from dark to bright, and the share of a photo that has each."""
    if image.ndim == 3:
        step = math.ceil(math.sqrt(image.shape[0] * image.shape[1] / COUNTED_PIXELS))
        image = image[::step, ::step]
    top = {np.uint8: 255, np.uint16: 65535}.get(image.dtype.type, 1)
    levels = 255 if image.dtype == np.uint8 else 4095
    places = np.rint(np.clip(image.reshape(-1) * (levels / top), 0, levels)).astype(np.intp)
    counts = np.bincount(places, minlength=levels + 1)
    return np.arange(levels + 1) / levels, counts / counts.sum()
