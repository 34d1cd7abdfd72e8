"""The losses of Zero-DCE, which need no reference.

Three variants of them exist in the world and give different numbers:

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

from keras import ops

from lle_utils.nn.reconstruction_losses import check_batch

VARIANTS = ("paper", "official", "keras_io")
REGION_SIDE = 4  # of the spatial consistency loss, in pixels
PATCH_SIDE = 16  # of the exposure control loss, in pixels

# Weights of spatial consistency, exposure, colour constancy and smoothness, in that order.
WEIGHTS = {
    "paper": (1.0, 1.0, 0.5, 20.0),
    "official": (1.0, 10.0, 5.0, 200.0),
    "keras_io": (1.0, 10.0, 5.0, 200.0),
}


def _check_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}.")


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
    >>> doubled = 2 * low  # the one horizontal pair, 0.25 apart, is then 0.5 apart
    >>> round(float(spatial_consistency_loss(doubled, low)), 4)  # 2 * (0.5 - 0.25) ** 2
    0.125
    """
    _check_variant(variant)
    check_batch(enhanced, "enhanced", 2 * REGION_SIDE)
    check_batch(low, "low", 2 * REGION_SIDE)
    return _SPATIAL_CONSISTENCY[variant](_region_means(enhanced), _region_means(low))


def _spatial_paper(after: Any, before: Any) -> Any:
    (down, right), (down_before, right_before) = _differences(after), _differences(before)
    vertical = ops.abs(down) - ops.abs(down_before)
    horizontal = ops.abs(right) - ops.abs(right_before)
    return 2 * (ops.mean(ops.square(vertical)) + ops.mean(ops.square(horizontal)))


def _spatial_official(after: Any, before: Any) -> Any:
    change = after - before
    return sum(ops.mean(ops.square(change - side)) for side in _padded_neighbours(change))


def _spatial_keras_io(after: Any, before: Any) -> Any:
    # Kernels of shape (1, 3, 1, 3): "left" and "right" turn into plus and minus the pixel
    # itself on two of three output channels each, "up" and "down" into horizontal differences.
    change = after - before
    pixel = 4 * ops.mean(ops.square(change))
    sides = _padded_neighbours(change)[:2]
    return (pixel + sum(ops.mean(ops.square(change - side)) for side in sides)) / 3


_SPATIAL_CONSISTENCY = {
    "paper": _spatial_paper,
    "official": _spatial_official,
    "keras_io": _spatial_keras_io,
}


def _differences(maps: Any) -> tuple:
    """Return each value less the one above it and less the one left of it, in ``(N, H, W, C)``."""
    return maps[:, 1:] - maps[:, :-1], maps[:, :, 1:] - maps[:, :, :-1]


def _padded_neighbours(maps: Any) -> tuple:
    """Return what lies left, right, above and below of each value, 0 beyond the border."""
    padded = ops.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]])
    left, right = padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]
    return left, right, padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]


def _region_means(images: Any) -> Any:
    grey = ops.mean(images, axis=-1, keepdims=True)
    return ops.average_pool(grey, REGION_SIDE, REGION_SIDE, padding="valid")


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
    check_batch(enhanced, "enhanced", PATCH_SIDE)
    if not 0 <= target <= 1:
        raise ValueError(f"target is {target}; expected an exposure level in [0, 1].")
    grey = ops.mean(enhanced, axis=-1, keepdims=True)
    deviation = ops.average_pool(grey, PATCH_SIDE, PATCH_SIDE, padding="valid") - target
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
    check_batch(enhanced, "enhanced", 1)
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
    vertical, horizontal = _differences(curve_maps)
    if variant == "paper":
        both = ops.abs(vertical[:, :, :-1]) + ops.abs(horizontal[:, :-1])
        return 3 * ops.mean(ops.square(both))
    count_v, count_h = _divisors(ops.shape(curve_maps), variant)
    vertical_sum = ops.sum(ops.square(vertical)) / ops.cast(count_v, "float32")
    horizontal_sum = ops.sum(ops.square(horizontal)) / ops.cast(count_h, "float32")
    return 2 * (vertical_sum + horizontal_sum)


def _divisors(shape: tuple, variant: str) -> tuple:
    """Return the divisors of the vertical and of the horizontal sum, once for all channels."""
    batch, height, width, channels = shape
    if variant == "keras_io":  # indices of a channels-first tensor on a channels-last one
        height, width = width, channels
    return (height - 1) * width * batch, height * (width - 1) * batch
