"""The squared error split into brightness, colour and structure.

Let ``e = x - y`` be the error of each pixel and channel, ``m_c`` its mean in channel c over all
pixels, and ``m`` the mean of the three ``m_c``. Then ``e = m + (m_c - m) + (e - m_c)``: a shift
of the whole photo, a tint of the whole photo, and what varies from place to place. The second
sums to zero over the channels and the third over the pixels of each channel, so the products of
different parts average to zero, and the squares add up::

    mean(e^2) = m^2 + mean_c((m_c - m)^2) + mean_c(mean((e - m_c)^2))
      MSE     = brightness  +  colour     +  structure

This is a two-stage analysis of variance. Structure is the least squared error that is left when
a constant may be added to each channel: noise, blur, lost detail, local colour, and a wrong
contrast. An output of ``g`` times the right values therefore leaves a share there, ``(1 - g)^2``
times the variance of ``y`` within its channels.
"""

from __future__ import annotations

import numpy as np

from lle_utils.metrics.pixelwise import rounded_pair

ERROR_PARTS = ("brightness", "color", "structure")


def error_split(enhanced: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Split the mean squared error over RGB into three parts that add up to it.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        ``brightness``, ``color`` and ``structure``, as defined above, in squared 8-bit levels,
        each 0 or more. Their sum is ``255^2 * 10^(-psnr / 10)``, with `psnr` rounding alike.

    Raises:
        ImageError: For integer dtypes, values outside [0, 1], NaN, or unequal shapes.

    >>> black = np.zeros((2, 3, 3))
    >>> tinted = black + np.array([30, 20, 10]) / 255
    >>> {part: round(value, 6) for part, value in error_split(tinted, black).items()}
    {'brightness': 400.0, 'color': 66.666667, 'structure': 0.0}
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    error = 255 * (enhanced - reference)
    channels = error.mean(axis=(0, 1))
    parts = (channels.mean() ** 2, channels.var(), np.mean((error - channels) ** 2))
    return {part: float(value) for part, value in zip(ERROR_PARTS, parts, strict=True)}


def mse_brightness(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Return the part of the squared error that one shift of the whole photo would remove.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Squared 8-bit levels, lower is better; see `error_split`.

    >>> black = np.zeros((2, 3, 3))
    >>> round(mse_brightness(black + 0.2, black), 6)  # 51 levels, squared
    2601.0
    """
    return error_split(enhanced, reference)["brightness"]


def mse_color(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Return the part of the squared error that a tint of the whole photo makes.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Squared 8-bit levels, lower is better; see `error_split`.

    >>> black = np.zeros((2, 3, 3))
    >>> round(mse_color(black + [0.2, 0.2, 0.2], black), 6)
    0.0
    """
    return error_split(enhanced, reference)["color"]


def mse_structure(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Return the part of the squared error that varies from place to place.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Squared 8-bit levels, lower is better; see `error_split`.

    >>> grey = np.full((2, 2, 3), 0.4)
    >>> stripes = grey + np.array([[[0.2], [-0.2]]])
    >>> round(mse_structure(stripes, grey), 6)  # 51 levels up and down
    2601.0
    """
    return error_split(enhanced, reference)["structure"]
