"""Losses: the four of Zero-DCE, which need no reference, and those of supervised training.

Of Zero-DCE's four three variants exist in the world and give different numbers:

``"paper"``
    The equations of the paper.
``"official"``
    What the authors' released code computes (described, not copied).
``"keras_io"``
    What the well-known Keras example computes, kept so that its defects can be shown.
    Do not train with it.

All functions use ``keras.ops``, run on every Keras backend and return one scalar that does
not depend on the batch size. Images are float32 in [0, 1], channels last.

Reference:
    Guo et al., Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement,
    CVPR 2020, arXiv 2001.06826, section 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

VARIANTS = ("paper", "official", "keras_io")
REGION = 4  # side of the regions of the spatial consistency loss, in pixels
PATCH = 16  # side of the patches of the exposure control loss, in pixels
WINDOW = 11  # side of the window of structural similarity, in pixels
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of multi-scale SSIM, finest first

# Weights of spatial consistency, exposure, colour constancy and smoothness, in that order.
WEIGHTS = {
    "paper": (1.0, 1.0, 0.5, 20.0),
    "official": (1.0, 10.0, 5.0, 200.0),
    "keras_io": (1.0, 10.0, 5.0, 200.0),
}


def _check_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}.")


def _check_images(images: Any, name: str, at_least: int) -> None:
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] != 3:
        raise ValueError(f"{name} has shape {shape}; expected a batch (N, H, W, 3).")
    if any(side is not None and side < at_least for side in shape[1:3]):
        raise ValueError(
            f"{name} is {shape[1]}x{shape[2]} pixels; this loss needs at least "
            f"{at_least} on each side."
        )


def spatial_consistency_loss(enhanced: Any, low: Any, variant: str = "paper") -> Any:
    """Penalise a change of contrast between neighbouring 4x4 regions.

    Args:
        enhanced: Batch ``(N, H, W, 3)`` in [0, 1], H and W at least 8.
        low: The input images, same shape.
        variant: ``"paper"`` compares absolute contrasts, over neighbours that exist;
            ``"official"`` compares signed contrasts and pads with zeros, so that a pure
            brightness shift costs something at the border; ``"keras_io"`` has kernels of
            the wrong layout: brightening itself is penalised and vertical contrast ignored.

    Returns:
        Scalar, 0 when all contrasts are kept.

    Raises:
        ValueError: For an unknown variant or shape.

    Reference:
        Paper, equation 3.

    Deviation:
        ``"paper"`` averages over the neighbour pairs that exist, counting each pair from
        both of its ends, so the value does not depend on the image size.

    >>> import numpy as np
    >>> low = np.zeros((1, 8, 8, 3), "float32"); low[:, :, 4:] = 0.25
    >>> doubled = 2 * low  # half of the horizontal pairs... one of one; vertical pairs unchanged
    >>> round(float(spatial_consistency_loss(doubled, low)), 4)  # 2 * (0.5 - 0.25) ** 2
    0.125
    """
    _check_variant(variant)
    _check_images(enhanced, "enhanced", 2 * REGION)
    _check_images(low, "low", 2 * REGION)
    after, before = _region_means(enhanced), _region_means(low)
    if variant == "paper":
        vertical = ops.abs(after[:, 1:] - after[:, :-1]) - ops.abs(before[:, 1:] - before[:, :-1])
        horizontal = ops.abs(after[:, :, 1:] - after[:, :, :-1]) - ops.abs(
            before[:, :, 1:] - before[:, :, :-1]
        )
        return 2 * (ops.mean(ops.square(vertical)) + ops.mean(ops.square(horizontal)))
    change = after - before
    padded = ops.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]])
    left, right = padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]
    if variant == "official":
        up, down = padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]
        return sum(ops.mean(ops.square(change - side)) for side in (left, right, up, down))
    # Kernels of shape (1, 3, 1, 3): "left" and "right" turn into plus and minus the pixel
    # itself on two of three output channels each, "up" and "down" into horizontal differences.
    pixel = 4 * ops.mean(ops.square(change))
    return (pixel + sum(ops.mean(ops.square(change - side)) for side in (left, right))) / 3


def _region_means(images: Any) -> Any:
    grey = ops.mean(images, axis=-1, keepdims=True)
    return ops.average_pool(grey, REGION, REGION, padding="valid")


def exposure_control_loss(enhanced: Any, target: float = 0.6, variant: str = "paper") -> Any:
    """Pull the mean brightness of each 16x16 patch towards a well-exposed level.

    Args:
        enhanced: Batch ``(N, H, W, 3)`` in [0, 1], H and W at least 16.
        target: The level E, in [0, 1].
        variant: ``"paper"`` takes absolute deviations, ``"official"`` and ``"keras_io"``
            squared ones.

    Returns:
        Scalar, 0 when every patch has mean ``target``.

    Raises:
        ValueError: For an unknown variant or shape, or a target outside [0, 1].

    Reference:
        Paper, equation 4; E = 0.6.

    >>> import numpy as np
    >>> round(float(exposure_control_loss(np.full((1, 32, 32, 3), 0.4, "float32"))), 4)
    0.2
    """
    _check_variant(variant)
    _check_images(enhanced, "enhanced", PATCH)
    if not 0 <= target <= 1:
        raise ValueError(f"target is {target}; expected an exposure level in [0, 1].")
    grey = ops.mean(enhanced, axis=-1, keepdims=True)
    deviation = ops.average_pool(grey, PATCH, PATCH, padding="valid") - target
    if variant == "paper":
        return ops.mean(ops.abs(deviation))
    return ops.mean(ops.square(deviation))


def color_constancy_loss(enhanced: Any, variant: str = "paper") -> Any:
    """Pull the mean red, green and blue of each image together (the grey-world assumption).

    Args:
        enhanced: Batch ``(N, H, W, 3)`` in [0, 1].
        variant: ``"paper"`` sums squared differences of channel means; ``"official"`` and
            ``"keras_io"`` take the root of summed fourth powers, which is flat for small casts.

    Returns:
        Scalar, the mean over the batch; 0 for grey images.

    Raises:
        ValueError: For an unknown variant or shape.

    Reference:
        Paper, equation 5.

    Deviation:
        The root of the official form has an infinite gradient at grey; here it is 0 there.

    >>> import numpy as np
    >>> image = np.zeros((1, 8, 8, 3), "float32"); image[..., 0] = 0.1  # red 0.1 above both
    >>> round(float(color_constancy_loss(image)), 4)
    0.02
    """
    _check_variant(variant)
    _check_images(enhanced, "enhanced", 1)
    red, green, blue = ops.unstack(ops.mean(enhanced, axis=(1, 2)), 3, axis=-1)
    squares = ops.stack([ops.square(red - green), ops.square(red - blue), ops.square(green - blue)])
    if variant == "paper":
        return ops.mean(ops.sum(squares, axis=0))
    total = ops.sum(ops.square(squares), axis=0)
    safe = ops.where(total > 0, total, ops.ones_like(total))
    return ops.mean(ops.where(total > 0, ops.sqrt(safe), ops.zeros_like(total)))


def illumination_smoothness_loss(curve_maps: Any, variant: str = "paper") -> Any:
    """Penalise differences between neighbouring values of the curve parameter maps.

    Args:
        curve_maps: ``(N, H, W, C)`` in [-1, 1], H and W at least 2; C is three times the
            number of iterations, or 3 for maps that all iterations share.
        variant: ``"paper"`` squares the sum of absolute horizontal and vertical differences,
            sums it over the three colours and averages it over iterations;
            ``"official"`` sums both squares over all C channels and doubles them;
            ``"keras_io"`` divides by counts of the wrong axes, which makes the term about
            11 times too strong at 256x256 and dependent on the height.

    Returns:
        Scalar, 0 for constant maps.

    Raises:
        ValueError: For an unknown variant or shape.

    Reference:
        Paper, equation 6.

    Deviation:
        ``"paper"`` averages over pixels (the equation leaves the norm open) and, where the
        two differences must meet in one pixel, leaves out the last row and column.

    >>> import numpy as np
    >>> ramp = np.tile(np.linspace(0, 0.9, 10, dtype="float32")[:, None, None], (1, 1, 10, 3))
    >>> round(float(illumination_smoothness_loss(ramp)), 4)  # 3 colours * 0.1 ** 2
    0.03
    """
    _check_variant(variant)
    shape = tuple(curve_maps.shape)
    if len(shape) != 4 or any(side is not None and side < 2 for side in shape[1:3]):
        raise ValueError(
            f"curve_maps has shape {shape}; expected (N, H, W, C) with H and W at least 2."
        )
    vertical = curve_maps[:, 1:] - curve_maps[:, :-1]
    horizontal = curve_maps[:, :, 1:] - curve_maps[:, :, :-1]
    if variant == "paper":
        both = ops.abs(vertical[:, :, :-1]) + ops.abs(horizontal[:, :-1])
        return 3 * ops.mean(ops.square(both))
    batch, height, width, channels = ops.shape(curve_maps)
    if variant == "official":
        count_v, count_h = (height - 1) * width, height * (width - 1)
    else:  # indices of a channels-first tensor on a channels-last one
        count_v, count_h = (width - 1) * channels, width * (channels - 1)
    vertical_sum = ops.sum(ops.square(vertical)) / ops.cast(count_v * batch, "float32")
    horizontal_sum = ops.sum(ops.square(horizontal)) / ops.cast(count_h * batch, "float32")
    return 2 * (vertical_sum + horizontal_sum)


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
    _check_images(y_true, "y_true", WINDOW)
    _check_images(y_pred, "y_pred", WINDOW)
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
    _check_images(y_true, "y_true", WINDOW * 2 ** (scales - 1))
    _check_images(y_pred, "y_pred", WINDOW * 2 ** (scales - 1))
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
