"""Losses of supervised training, which compare with the well-lit photo.

All functions use ``keras.ops``, run on every Keras backend and return one scalar that does
not depend on the batch size. Images are channels last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

WINDOW_SIDE = 11  # of structural similarity, in pixels
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of multi-scale SSIM, finest first


def check_batch(images: Any, name: str, at_least: int) -> None:
    """Check that images are a batch ``(N, H, W, 3)`` with sides of ``at_least`` pixels.

    Raises:
        ValueError: If they are not; the message begins with ``name``.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] != 3:
        raise ValueError(f"{name} has shape {shape}; expected a batch (N, H, W, 3).")
    if any(side is not None and side < at_least for side in shape[1:3]):
        raise ValueError(
            f"{name} is {shape[1]}x{shape[2]} pixels; this loss needs at least "
            f"{at_least} on each side."
        )


def charbonnier_loss(y_true: Any, y_pred: Any, epsilon: float = 1e-3) -> Any:
    """Average ``sqrt(d ** 2 + epsilon ** 2)`` over all differences d: the L1 loss, rounded at 0.

    Args:
        y_true: Well-lit images, a batch of any shape.
        y_pred: Enhanced images, same shape. Any finite values: outside [0, 1] the gradient
            still points inwards, which it would not if they were clipped first.
        epsilon: Where the loss turns from a parabola into a line; positive.

    Returns:
        Scalar, ``epsilon`` for equal images.

    Raises:
        ValueError: If ``epsilon`` is not positive.

    Reference:
        Charbonnier et al., Two deterministic half-quadratic regularization algorithms for
        computed imaging, ICIP 1994; MIRNet, arXiv 2003.06792, equation 4.

    Deviation:
        MIRNet's equation takes one root of the summed squares of an image; its released code
        averages the roots of all pixels and channels, and so do we.

    >>> dark, bright = ops.zeros((1, 2, 2, 3)), ops.full((1, 2, 2, 3), 0.75)
    >>> round(float(charbonnier_loss(dark, bright, epsilon=1.0)), 4)
    1.25
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}; expected a positive number such as 0.001.")
    difference = ops.cast(y_pred, "float32") - ops.cast(y_true, "float32")
    return ops.mean(ops.sqrt(ops.square(difference) + epsilon**2))


def ssim_loss(y_true: Any, y_pred: Any) -> Any:
    """Return one minus the structural similarity, as `lle_utils.metrics.ssim` defines it.

    Args:
        y_true: Well-lit images ``(N, H, W, 3)`` in [0, 1], H and W at least 11.
        y_pred: Enhanced images, same shape.

    Returns:
        Scalar in [0, 2], 0 for equal images.

    Raises:
        ValueError: For another shape.

    Reference:
        Wang et al., Image Quality Assessment: From Error Visibility to Structural
        Similarity, TIP 2004, equation 13; 11x11 Gaussian window of standard deviation 1.5.

    >>> grey = ops.full((1, 16, 16, 3), 0.4)
    >>> abs(round(float(ssim_loss(grey, grey)), 4))
    0.0
    """
    check_batch(y_true, "y_true", WINDOW_SIDE)
    check_batch(y_pred, "y_pred", WINDOW_SIDE)
    luminance, structure = _similarities(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32"))
    return 1 - ops.mean(luminance * structure)


def ms_ssim_loss(y_true: Any, y_pred: Any, scales: int = 5) -> Any:
    """Return one minus the multi-scale structural similarity.

    Args:
        y_true: Well-lit images ``(N, H, W, 3)`` in [0, 1], H and W at least
            ``11 * 2 ** (scales - 1)``: 176 for five scales, 44 for three.
        y_pred: Enhanced images, same shape.
        scales: From 1 to 5; at each further one the images are halved by averaging.

    Returns:
        Scalar in [0, 1], 0 for equal images.

    Raises:
        ValueError: For another shape or number of scales.

    Reference:
        Wang, Simoncelli and Bovik, Multi-Scale Structural Similarity for Image Quality
        Assessment, 2003, equation 7 and its weights of the scales.

    Deviation:
        Fewer than five scales take the first weights, divided by their sum; similarities
        below zero, which have no real power, count as nearly zero.

    >>> grey = ops.full((1, 44, 44, 3), 0.4)
    >>> abs(round(float(ms_ssim_loss(grey, grey, scales=3)), 4))
    0.0
    """
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise ValueError(f"scales is {scales}; expected 1 to {len(SCALE_WEIGHTS)}.")
    check_batch(y_true, "y_true", WINDOW_SIDE * 2 ** (scales - 1))
    check_batch(y_pred, "y_pred", WINDOW_SIDE * 2 ** (scales - 1))
    x, y = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    weights = np.array(SCALE_WEIGHTS[:scales])
    product = 1.0
    for scale, weight in enumerate(weights / weights.sum()):
        if scale:
            x, y = (ops.average_pool(image, 2, 2, padding="valid") for image in (x, y))
        luminance, structure = _similarities(x, y)
        last = scale == scales - 1
        value = ops.mean(luminance * structure if last else structure, axis=(1, 2))
        product = product * ops.maximum(value, 1e-4) ** weight
    return 1 - ops.mean(product)


def _similarities(x: Any, y: Any) -> tuple:
    """Return the luminance and the contrast-and-structure factor of SSIM, as maps."""
    mean_x, mean_y = _gaussian(x), _gaussian(y)
    variances = _gaussian(x * x + y * y) - mean_x * mean_x - mean_y * mean_y
    covariance = _gaussian(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _gaussian(images: Any) -> Any:
    """Average over the window of SSIM wherever it fits."""
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    column = np.tile((weights / weights.sum()).astype("float32")[:, None, None, None], (1, 1, 3, 1))
    down = ops.depthwise_conv(images, column, padding="valid")
    return ops.depthwise_conv(down, column.transpose(1, 0, 2, 3), padding="valid")
