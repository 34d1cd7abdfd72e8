"""LIME: the photo divided by a smooth estimate of the light that fell on the scene."""

from __future__ import annotations

import numpy as np

from lle_utils.core.errors import require
from lle_utils.core.images import check_image


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
    image = np.clip(check_image(image), 0, 1)
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
    fft = require("scipy.fft", "metrics", "LIME")  # takes a while to import

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
        target = fft.dctn(target, norm="ortho", overwrite_x=True)
        target /= 2 + penalty * laplacian
        refined = fft.idctn(target, norm="ortho", overwrite_x=True)
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
    smoothed = require("scipy.ndimage", "metrics", "LIME").gaussian_filter
    return [1 / (np.abs(smoothed(slope, sigma)) + 1e-3) for slope in _gradient(plane)]


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
