"""Classical enhancement without training: what every learnt method has to beat.

Each function takes a float image ``(H, W, 3)`` in [0, 1] of any size and returns one of the
same shape and range. None of them sees the well-lit reference.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb, rgb2lab

from lle_utils.core.images import check_image, luminance, to_uint8

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


def gamma(image: np.ndarray, exponent: float = 1 / 2.2) -> np.ndarray:
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
    mean_log = float(np.log(np.maximum(luminance(image), 1 / 255)).mean())
    if mean_log > -1e-6:
        return image
    return gamma(image, np.log(0.5) / mean_log)


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
    lab = _by_rows(rgb2lab, identity(image))
    levels = to_uint8(lab[..., 0] / 100)
    lab[..., 0] = _clahe_levels(levels, clip, tiles) * (100 / 255)
    return np.clip(_by_rows(lab2rgb, lab), 0, 1, out=lab)


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


def lime(
    image: np.ndarray, strength: float = 0.15, exponent: float = 0.8, iterations: int = 50
) -> np.ndarray:
    """Divide the photo by a structure-aware smooth estimate of its illumination.

    Illumination starts as the largest of R, G, B and is refined by the exact solver of the
    paper (alternating directions, algorithm 1), with the weights of strategy III.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].
        strength: Weight alpha of the smoothness term.
        exponent: Gamma laid on the illumination; 1 removes it altogether.
        iterations: Upper limit; the solver stops earlier when it has converged.

    Returns:
        Image of the same shape, float32 in [0, 1].

    Reference:
        Guo, Li and Ling, "LIME: low-light image enhancement via illumination map
        estimation", IEEE Transactions on Image Processing 26(2), 2017, eq. 3, 8, 12-17, 20.

    Deviation:
        The final denoising by BM3D is left out. Borders are mirrored (cosine transform)
        where the paper wraps around (Fourier transform).

    >>> round(float(lime(np.full((4, 6, 3), 0.25), exponent=0.5).max()), 6)  # 0.25 / 0.25**0.5
    0.5
    """
    image = identity(image)
    illumination = refine_illumination(image.max(axis=-1), strength, iterations)
    image /= (np.clip(illumination, 1e-3, 1) ** exponent)[..., None]
    return np.clip(image, 0, 1, out=image)


def refine_illumination(
    estimate: np.ndarray, strength: float = 0.15, iterations: int = 50
) -> np.ndarray:
    """Minimise ``|T - estimate|^2 + strength * |W * grad T|_1`` over T (LIME, eq. 8).

    Args:
        estimate: Initial illumination ``(H, W)`` in [0, 1].
        strength: Weight alpha of the smoothness term, 0 or more.
        iterations: Upper limit of iterations.

    Returns:
        Illumination ``(H, W)``, float32.
    """
    estimate = np.asarray(estimate, np.float32)
    threshold = np.float32(strength) * np.stack(_texture_weights(estimate))
    angles = [np.pi * np.arange(side, dtype=np.float32) / side for side in estimate.shape]
    laplacian = (2 - 2 * np.cos(angles[0]))[:, None] + (2 - 2 * np.cos(angles[1]))
    slopes = _gradient(estimate)
    scaled = np.zeros_like(slopes)  # the multiplier over the penalty
    penalty, growth = 10.0, 1.2
    tolerance = 1e-5 * np.linalg.norm(estimate)
    refined = estimate
    for _ in range(iterations):
        slopes -= scaled
        target = _divergence(slopes)
        target *= penalty
        target += 2 * estimate
        target = dctn(target, norm="ortho", overwrite_x=True)
        target /= 2 + penalty * laplacian
        refined = idctn(target, norm="ortho", overwrite_x=True)
        gradient = _gradient(refined)
        scaled += gradient
        np.abs(scaled, out=slopes)
        slopes -= threshold / penalty
        np.maximum(slopes, 0, out=slopes)
        np.copysign(slopes, scaled, out=slopes)
        scaled -= slopes
        scaled /= growth
        penalty *= growth
        gradient -= slopes
        if np.linalg.norm(gradient) <= tolerance:
            break
    return refined


def _texture_weights(plane: np.ndarray, sigma: float = 2.0) -> list[np.ndarray]:
    """Weigh down edges that persist over a window, not texture (strategy III, eq. 20)."""
    return [1 / (np.abs(gaussian_filter(slope, sigma)) + 1e-3) for slope in _gradient(plane)]


def _gradient(plane: np.ndarray) -> np.ndarray:
    """Return forward differences ``(2, H, W)``, zero across the far border."""
    result = np.zeros((2, *plane.shape), plane.dtype)
    np.subtract(plane[1:], plane[:-1], out=result[0, :-1])
    np.subtract(plane[:, 1:], plane[:, :-1], out=result[1, :, :-1])
    return result


def _divergence(slopes: np.ndarray) -> np.ndarray:
    """Return the transpose of `_gradient` applied to ``(2, H, W)``."""
    result = np.zeros(slopes.shape[1:], slopes.dtype)
    result[:-1] -= slopes[0, :-1]
    result[1:] += slopes[0, :-1]
    result[:, :-1] -= slopes[1, :, :-1]
    result[:, 1:] += slopes[1, :, :-1]
    return result


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
