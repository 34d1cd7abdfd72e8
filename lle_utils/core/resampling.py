"""Enlarge a photo so that averaging blocks of pixels gives it back."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from lle_utils.core.images import check_image
from lle_utils.core.resizing import check_factor

STRIP_ROWS = 64  # of the photo that are enlarged at a time, to spare memory


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge a photo so smoothly as a sharper camera might have, and lose nothing.

    Interpolation by samples would blur: averaging would not give the photo back. Here the sums up
    to each pixel are interpolated by a natural cubic spline, and the new pixels are differences
    of it; so the mean over each block of ``factor`` x ``factor`` is the pixel it came from. Where
    a block leaves [0, 1], its deviations from the mean are scaled down until it does not.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].
        factor: Whole number of 1 or more.

    Returns:
        float32 image ``(factor * H, factor * W, 3)`` in [0, 1]. `block_mean` undoes it up to the
        rounding of float32, about 1e-7.

    Raises:
        ImageError: If it is no such image.
        ValueError: If the factor is not a whole number of 1 or more.

    Reference:
        Boneva, Kendall and Stefanov, Spline Transformations, 1971 (the histospline); Zhang and
        Shu, On maximum-principle-satisfying high order schemes, 2010 (the scaling).

    >>> from lle_utils.core.resizing import block_mean
    >>> photo = np.random.default_rng(0).random((4, 6, 3))
    >>> bool(np.allclose(block_mean(enlarge(photo, 3), 3), photo, atol=1e-6))
    True
    """
    image = np.clip(check_image(image), 0, 1)
    check_factor(factor)
    height, width = image.shape[:2]
    tall = _spread(image.astype(np.float64), factor, 0)
    result = np.empty((height * factor, width * factor, 3), np.float32)
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top * factor, (top + STRIP_ROWS) * factor)
        large = _spread(tall[rows], factor, 1)
        blocks = large.reshape(-1, factor, width, factor, 3)
        mean = image[top : top + STRIP_ROWS, None, :, None].astype(np.float64)
        result[rows] = _within_range(blocks, mean).reshape(large.shape)
    return np.clip(result, 0, 1, out=result)


def _spread(image: np.ndarray, factor: int, axis: int) -> np.ndarray:
    length = image.shape[axis]
    ends = [(0, 0)] * image.ndim
    ends[axis] = (1, 0)
    sums = np.cumsum(np.pad(image, ends), axis=axis)
    spline = CubicSpline(np.arange(length + 1), sums, axis=axis, bc_type="natural")
    return factor * np.diff(spline(np.arange(length * factor + 1) / factor), axis=axis)


def _within_range(blocks: np.ndarray, mean: np.ndarray) -> np.ndarray:
    lowest, highest = (find(blocks, (1, 3), keepdims=True) for find in (np.min, np.max))
    below, above = lowest < 0, highest > 1
    room = np.where(below, mean / np.where(below, mean - lowest, 1), 1)
    room = np.where(above, np.minimum(room, (1 - mean) / np.where(above, highest - mean, 1)), room)
    return mean + room * (blocks - mean)
