"""Classical enhancement without training: what every learnt method has to beat.

Each function takes a float image ``(H, W, 3)`` in [0, 1] of any size and returns one of the
same shape and range. None of them sees the well-lit reference.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lle_utils.core.errors import require
from lle_utils.core.images import as_float, check_image, luminance, to_uint8
from lle_utils.enhancers.illumination import lime

USUAL_EXPONENT = 1 / 2.2  # that undoes the curve of an old screen
FIXED_EXPONENT = 0.255
"""The exponent with the best mean PSNR on LOL's training pairs, of 141 from 0.1 to 0.8; from the
record ``data/results/fixed_curve.json``, which ``lle evaluate --choose-curve`` writes."""


def identity(image: np.ndarray) -> np.ndarray:
    """Return the image itself: the score of doing nothing.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].

    Returns:
        The same values, float32.
    """
    return np.clip(check_image(image), 0, 1)


def gamma(image: np.ndarray, exponent: float = USUAL_EXPONENT) -> np.ndarray:
    """Raise every value to a power; below 1 it brightens.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].
        exponent: Positive number.

    Returns:
        Image of the same shape, float32 in [0, 1].

    Raises:
        ValueError: If the exponent is not positive.

    >>> gamma(np.full((1, 1, 3), 0.25), exponent=0.5)[0, 0].tolist()
    [0.5, 0.5, 0.5]
    """
    if not exponent > 0:
        raise ValueError(f"exponent is {exponent}; expected a positive number.")
    return np.power(identity(image), np.float32(exponent))


def fixed_curve(image: np.ndarray) -> np.ndarray:
    """Raise every photo to one and the same power, `FIXED_EXPONENT`.

    Unlike the other baselines it was tuned on pairs, to be the best of its kind for photos as
    dark as LOL's. It does not look at the photo: what a method reaches beyond it, it sees there.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].

    Returns:
        Image of the same shape, float32 in [0, 1].

    >>> round(float(fixed_curve(np.full((1, 1, 3), 0.5))[0, 0, 0]), 4)  # 0.5 ** 0.255
    0.838
    """
    return gamma(image, FIXED_EXPONENT)


def auto_gamma(image: np.ndarray) -> np.ndarray:
    """Choose the gamma of each photo so that its mean log luminance becomes log 0.5.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1]. Luminance below one 8-bit level counts
            as one level, because the logarithm of zero would decide alone.

    Returns:
        Image of the same shape, float32 in [0, 1]. A white image stays white.

    >>> auto_gamma(np.full((2, 3, 3), 0.04)).mean().round(5).item()
    0.5
    """
    image = identity(image)
    return gamma(image, _auto_exponent(image))


def _auto_exponent(image: np.ndarray) -> float:
    mean_log = float(np.log(np.maximum(luminance(image), 1 / 255)).mean())
    return 1.0 if mean_log > -1e-6 else np.log(0.5) / mean_log


EXPONENTS: dict[str, Callable[[np.ndarray], float]] = {
    "gamma": lambda image: USUAL_EXPONENT,
    "fixed_curve": lambda image: FIXED_EXPONENT,
    "auto_gamma": lambda image: _auto_exponent(as_float(image)),
}
"""The baselines that raise all values to one power: name -> its exponent for a photo."""


def raised(photo: np.ndarray, exponent: float) -> np.ndarray:
    """Return `gamma` of a photo of 8 bits, read from a table of its 256 values.

    Args:
        photo: uint8 array of any shape.
        exponent: Positive number.

    Returns:
        uint8 array of the same shape.

    >>> raised(np.array([0, 64, 255], np.uint8), 0.5).tolist()
    [0, 128, 255]
    """
    values = np.linspace(0, 1, 256, dtype=np.float32)[:, None, None].repeat(3, -1)
    return to_uint8(gamma(values, exponent))[:, 0, 0][photo]


def equalize(image: np.ndarray) -> np.ndarray:
    """Equalise the histogram of luminance and keep the colour differences.

    The 256 levels of luminance are mapped so that the darkest becomes 0, the lightest 1,
    and the share of pixels below a level becomes the level. The change of luminance is
    added to R, G and B alike, which leaves the chroma of Y'CbCr as it was, then clipped.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].

    Returns:
        Image of the same shape, float32 in [0, 1]. An image of one level is left as it is.

    Reference:
        Gonzalez and Woods, "Digital Image Processing", section 3.3.

    >>> two = np.array([[[0.2] * 3, [0.4] * 3]])
    >>> equalize(two)[0, :, 0].round(6).tolist()
    [0.0, 1.0]
    """
    image = identity(image)
    light = luminance(image)
    levels = to_uint8(light)
    below = np.cumsum(np.bincount(levels.ravel(), minlength=256))
    darkest = below[levels.min()]
    if darkest == levels.size:
        return image
    table = (below - darkest) / (levels.size - darkest)
    light -= table[levels]
    result = image - light[..., None].astype(np.float32)
    return np.clip(result, 0, 1, out=result)


def clahe(image: np.ndarray, clip: float = 2.0, tiles: int = 8) -> np.ndarray:
    """Equalise lightness tile by tile, with the histograms clipped (L of CIE Lab).

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].
        clip: Largest histogram bin, in multiples of the mean bin.
        tiles: Tiles per side; fewer where the image has fewer pixels.

    Returns:
        Image of the same shape, float32 in [0, 1].

    Reference:
        Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV,
        1994, in the form of OpenCV's ``createCLAHE(clip, (tiles, tiles))``.

    Deviation:
        Not scikit-image's ``equalize_adapthist``: that one stretches each photo to the full
        range first, a hidden exposure correction that raises a dark photo by itself. Clip
        limit and excess are not truncated to whole pixels, so tiny tiles work too.

    >>> clahe(np.zeros((4, 5, 3))).max().item() < 0.05
    True
    """
    color = require("skimage.color", "metrics", "CLAHE")  # takes half a second to import

    lab = _by_rows(color.rgb2lab, identity(image))
    levels = to_uint8(lab[..., 0] / 100)
    lab[..., 0] = _clahe_levels(levels, clip, tiles) * (100 / 255)
    return np.clip(_by_rows(color.lab2rgb, lab), 0, 1, out=lab)


def _by_rows(convert: Callable, image: np.ndarray, rows: int = 64) -> np.ndarray:
    """Convert colours in place, a few rows at a time: the conversions need many copies."""
    for top in range(0, len(image), rows):
        image[top : top + rows] = convert(image[top : top + rows])
    return image


def _clahe_levels(levels: np.ndarray, clip: float, tiles: int) -> np.ndarray:
    """Map 8-bit levels ``(H, W)`` by the curves of the four nearest tiles, blended."""
    grid = [min(tiles, side) for side in levels.shape]
    pad = [(0, -side % count) for side, count in zip(levels.shape, grid, strict=True)]
    padded = np.pad(levels, pad, mode="reflect")
    tile = [side // count for side, count in zip(padded.shape, grid, strict=True)]
    curves = _tile_curves(padded, grid, tile, clip)
    (top, bottom, down), (left, right, across) = (
        _neighbours(side, length, count)
        for side, length, count in zip(levels.shape, tile, grid, strict=True)
    )
    down, across = down[:, None], across[None, :]

    def mapped(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return curves[row[:, None], column[None, :], levels]

    def blended(row: np.ndarray) -> np.ndarray:
        result = mapped(row, left)
        result += (mapped(row, right) - result) * across
        return result

    upper = blended(top)
    upper += (blended(bottom) - upper) * down
    return upper


def _tile_curves(padded: np.ndarray, grid: list, tile: list, clip: float) -> np.ndarray:
    """Return the equalising curve of each tile, ``(rows, columns, 256)`` of values 0 to 255."""
    blocks = padded.reshape(grid[0], tile[0], grid[1], tile[1]).swapaxes(1, 2)
    area = tile[0] * tile[1]
    number = np.arange(grid[0] * grid[1]).reshape(*grid, 1, 1)
    counts = np.bincount((number * 256 + blocks).ravel(), minlength=number.size * 256)
    counts = counts.reshape(*grid, 256).astype(np.float32)
    limit = clip * area / 256
    excess = np.maximum(counts - limit, 0).sum(axis=-1, keepdims=True)
    counts = np.minimum(counts, limit) + excess / 256
    return np.cumsum(counts, axis=-1, dtype=np.float32) * np.float32(255 / area)


def _neighbours(side: int, length: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each pixel the tile before it, the tile after it, and the weight of that."""
    position = (np.arange(side, dtype=np.float32)) / length - 0.5
    before = np.floor(position).astype(int)
    weight = position - before
    return np.clip(before, 0, count - 1), np.clip(before + 1, 0, count - 1), weight


def gamma_clahe(image: np.ndarray) -> np.ndarray:
    """Brighten by `gamma` with exponent 1/2.2, then raise local contrast by `clahe`.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].

    Returns:
        Image of the same shape, float32 in [0, 1].
    """
    return clahe(gamma(image))


BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "input": identity,
    "gamma": gamma,
    "fixed_curve": fixed_curve,
    "auto_gamma": auto_gamma,
    "equalize": equalize,
    "clahe": clahe,
    "gamma_clahe": gamma_clahe,
    "lime": lime,
}
