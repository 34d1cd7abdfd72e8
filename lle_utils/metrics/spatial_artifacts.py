"""What an enhancer adds where nothing is: halos beside edges, frames at borders, grids.

Each of these takes what an enhancer made of a test image whose content is known, as float
``(H, W, 3)`` in [0, 1]. Nothing is rounded: half a level is enough to turn a faint pattern of a
constant image into one of a whole level, or into none. `lle_utils.data.test_scenes` has the images.
"""

from __future__ import annotations

import numpy as np

from lle_utils.core.images import ImageError, check_image, luminance

EDGE_PIXELS = 3  # on either side, which the edge itself may take
GLOW_PIXELS = 8  # from which on a softer edge is no excuse
BORDER_PIXELS = 8
LONGEST_PERIOD = 16  # of a grid, in pixels
LEAKAGE_BINS = 2  # over which the window spreads a frequency


def overshoot(enhanced: np.ndarray, distance: np.ndarray) -> float:
    """Compute how far an edge goes beyond the areas on its two sides: the halo of sharpening.

    The mean luminance at each whole distance from the edge is a profile, free of most noise. The
    plateau of a side is the median of its outer half. Between `EDGE_PIXELS` and there, the bright
    side may be brighter than its plateau, or the dark side darker.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], of a scene with one edge.
        distance: Pixels ``(H, W)`` from the edge, positive on the bright side.

    Returns:
        The larger of both excesses in per cent of the difference of the plateaus of this image
        (of a level, if it is less than that), 0 or more. Where the bright plateau is white only
        the dark side can tell.

    Raises:
        ImageError: If it is no such image, the shapes differ, or a side is too narrow.

    >>> distance = np.arange(-32, 32) + 0.5
    >>> distance = np.tile(distance, (4, 1))
    >>> step = np.where(distance > 0, 0.7, 0.2)[..., None].repeat(3, axis=2)
    >>> step[:, 32:38] += 0.05
    >>> round(overshoot(step, distance), 3)
    10.0
    """
    return _beyond(enhanced, distance, EDGE_PIXELS, 1)


def glow(enhanced: np.ndarray, distance: np.ndarray) -> float:
    """Compute how far the light of one side reaches into the other, or the dark into the light.

    As `overshoot`, with the opposite sign: the dark side brighter than its plateau, or the bright
    side darker. Only from `GLOW_PIXELS` on, because nearer a soft edge looks the same.

    >>> distance = np.tile(np.arange(-32, 32) + 0.5, (4, 1))
    >>> step = np.where(distance > -12, 0.7, 0.2)[..., None].repeat(3, axis=2)
    >>> round(glow(step, distance))
    100
    """
    return _beyond(enhanced, distance, GLOW_PIXELS, -1)


def _beyond(enhanced: np.ndarray, distance: np.ndarray, start: int, sign: int) -> float:
    light = luminance(check_image(enhanced, "enhanced"))
    if distance.shape != light.shape:
        raise ImageError(f"distance has shape {distance.shape}; expected {light.shape}.")
    (bright, near_bright), (dark, near_dark) = (
        _side(light, side * distance, start) for side in (1, -1)
    )
    excess = max((sign * (near_bright - bright)).max(), (sign * (dark - near_dark)).max(), 0)
    return float(100 * excess / max(bright - dark, 1 / 255))


def _side(light: np.ndarray, distance: np.ndarray, start: int) -> tuple[float, np.ndarray]:
    """Return the plateau of the side where the distance is positive, and its profile near by."""
    inside = distance > 0
    steps = distance[inside].astype(int)
    counts = np.bincount(steps)
    if len(counts) < 2 * (start + 1):
        raise ImageError(f"a side of the edge is {len(counts)} pixels wide; too few to judge it.")
    known = counts > 0
    means = np.bincount(steps, light[inside])[known] / counts[known]
    places, half = np.flatnonzero(known), len(counts) // 2
    return float(np.median(means[places >= half])), means[(places >= start) & (places < half)]


def border_difference(enhanced: np.ndarray) -> float:
    """Compute how much the frame of a constant image differs from its inside.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], made from a constant one; both sides at
            least 4 times `BORDER_PIXELS`.

    Returns:
        How much further a line of pixels at most `BORDER_PIXELS` from a border is from the mean of
        the middle (half of each side) than any line there, which a grid has too: 8-bit levels of
        one channel, 0 or more. Corners are left out.

    Raises:
        ImageError: If it is no such image or too small.

    >>> image = np.full((40, 50, 3), 0.5)
    >>> image[:, -3, 1] += 2 / 255
    >>> round(border_difference(image), 3)
    2.0
    """
    image = check_image(enhanced, "enhanced").astype(np.float64)
    if min(image.shape[:2]) < 4 * BORDER_PIXELS:
        raise ImageError(f"{image.shape[:2]} pixels; expected {4 * BORDER_PIXELS} at least.")
    inside = tuple(slice(length // 4, length - length // 4) for length in image.shape[:2])
    mean = image[inside].mean(axis=(0, 1))
    found = 0.0
    for across in (0, 1):
        lines = image[:, inside[1]].mean(axis=1) if across == 0 else image[inside[0]].mean(axis=0)
        away = np.abs(lines - mean)
        outermost = np.maximum(away[:BORDER_PIXELS].max(0), away[-BORDER_PIXELS:].max(0))
        found = max(found, float((outermost - away[inside[across]].max(0)).max()))
    return 255 * found


def grid_amplitude(enhanced: np.ndarray) -> float:
    """Compute the strongest regular pattern in what was made of a smooth image.

    Transposed convolutions, pixel shuffling and blocks leave patterns with periods of 2 to 16
    pixels: in the Fourier transform, peaks at multiples of 1/16 of the sampling rate, checkerboards
    and diagonals included. The median of the frequencies around a peak is taken off it. It is not
    divided by it, as it is 0 for a constant image, where every peak would be infinitely high.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], made from a constant or slowly changing one;
            both sides at least 10 times `LONGEST_PERIOD`. The outermost 16 pixels are left out.

    Returns:
        Amplitude of the strongest such wave of a channel, in 8-bit levels. One-pixel lines of
        height h every p > 2 pixels have ``2 h / p``.

    Raises:
        ImageError: If it is no such image or too small.

    >>> image = np.full((160, 176, 3), 0.5)
    >>> image[::8] += 4 / 255
    >>> round(grid_amplitude(image), 2)
    1.0
    """
    image = check_image(enhanced, "enhanced")
    sides = [(length // LONGEST_PERIOD - 2) * LONGEST_PERIOD for length in image.shape[:2]]
    if min(sides) < 8 * LONGEST_PERIOD:
        raise ImageError(f"{image.shape[:2]} pixels; expected {10 * LONGEST_PERIOD} at least.")
    top, left = ((length - side) // 2 for length, side in zip(image.shape, sides, strict=False))
    inside = image[top : top + sides[0], left : left + sides[1]].astype(np.float64)
    return max(_grid_peak(255 * inside[..., channel]) for channel in range(3))


def _grid_peak(plane: np.ndarray) -> float:
    window = np.multiply.outer(*(np.hanning(side + 1)[:-1] for side in plane.shape))
    amplitude = np.abs(np.fft.fft2((plane - plane.mean()) * window)) * 2 / window.sum()
    count, steps = LONGEST_PERIOD, [side // LONGEST_PERIOD for side in plane.shape]
    # Around each multiple of 1 / count an area of `steps` frequencies, the multiple in its middle.
    centred = np.roll(amplitude, [step // 2 for step in steps], (0, 1))
    areas = centred.reshape(count, steps[0], count, steps[1]).swapaxes(1, 2)
    peaks = areas[:, :, steps[0] // 2, steps[1] // 2].copy()
    half = count // 2
    peaks[[0, half, half], [half, 0, half]] /= 2  # their own mirror images, so counted twice
    peaks[0, 0] = 0  # the mean
    away = np.maximum.outer(*(abs(np.arange(step) - step // 2) for step in steps)) > LEAKAGE_BINS
    return float((peaks - np.median(areas[:, :, away], axis=-1)).max())
