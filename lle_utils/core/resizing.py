"""Photos at other sizes, and a result at full size that agrees with one at a working size."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from lle_utils.core.images import as_float, convert_like
from lle_utils.core.strips import on_all_cores

MERGED_ROWS = 64  # of a photo, at a time
REDUCED_ROWS = 32  # of the reduced one, at a time


def fit_side(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return the size of a photo whose longer side is reduced to a length.

    Args:
        shape: Of an array ``(H, W, ...)``.
        side: In pixels, 1 or more.

    Returns:
        Height and width, of the same proportions; those of the photo if it is no longer.

    >>> fit_side((3000, 4000, 3), 640)
    (480, 640)
    """
    height, width = shape[:2]
    longest = max(height, width)
    if longest <= side:
        return height, width
    return max(round(height * side / longest), 1), max(round(width * side / longest), 1)


def block_mean(image: np.ndarray, factor: int) -> np.ndarray:
    """Reduce an image by averaging blocks: what a sensor with larger pixels would have seen.

    Args:
        image: Array ``(H, W, C)``: floating point, uint8 or uint16.
        factor: Side of a block, a whole number of 1 or more.

    Returns:
        float32 array ``(H // factor, W // factor, C)``; what is left over at the bottom and right
        is cut off.

    Raises:
        ValueError: If the factor is no such number, or a side is shorter than a block.

    >>> block_mean(np.arange(12.0).reshape(2, 6, 1), 2)[..., 0].tolist()
    [[3.5, 5.5, 7.5]]
    """
    check_factor(factor)
    height, width = image.shape[0] // factor, image.shape[1] // factor
    if not height * width:
        raise ValueError(f"an image of shape {image.shape} has no block of side {factor}.")
    channels = image.shape[2]
    rows = image[: height * factor, : width * factor].reshape(height, factor, -1)
    blocks = rows.sum(axis=1, dtype=np.float32).reshape(height, width, factor, channels)
    total = np.zeros((height, width, channels), np.float32)
    for column in range(factor):
        for channel in range(channels):  # a whole row at a time, not three values
            total[..., channel] += blocks[:, :, column, channel]
    return total / np.float32(factor**2)


def check_factor(factor: int) -> None:
    """Refuse what is no whole number of 1 or more.

    Raises:
        ValueError: If it is none.
    """
    if factor != int(factor) or factor < 1:
        raise ValueError(f"factor is {factor}; expected a whole number of 1 or more.")


def reduce_to(image: np.ndarray, pixels: int) -> np.ndarray:
    """Make an image smaller by averaging blocks, if it has more pixels than asked for.

    Args:
        image: Array ``(H, W, 3)``, uint8, uint16 or floating point.
        pixels: About how many pixels the result may have.

    Returns:
        The `block_mean` of the smallest factor that fits, in the type of the input.
    """
    height, width = image.shape[:2]
    factor = min(int(np.ceil(np.sqrt(height * width / pixels))), height, width)
    if factor <= 1:
        return image
    mean = block_mean(image, factor)
    whole = np.issubdtype(image.dtype, np.integer)
    return (np.rint(mean) if whole else mean).astype(image.dtype)


def resize(
    image: np.ndarray, size: tuple[int, int], rows: tuple[float, float] | None = None
) -> np.ndarray:
    """Resize a photo: by averaging areas when it gets smaller, else linearly.

    Args:
        image: Array ``(H, W, 3)``: uint8, uint16 or floating point.
        size: Height and width of the result in pixels.
        rows: First and last edge of the rows to show, in rows of ``image``; None for all.

    Returns:
        Array of that size, in the type of the photo (floating point becomes float32).
    """
    top, bottom = rows or (0, len(image))
    first = max(math.floor(top) - 1, 0)  # what lies farther away has no part in it
    image = image[first : math.ceil(bottom) + 1]
    box = (0, top - first, image.shape[1], bottom - first)
    smaller = size[0] < bottom - top
    method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size[::-1], method, box))
    planes = [
        np.asarray(Image.fromarray(np.float32(image[..., c])).resize(size[::-1], method, box))
        for c in range(3)
    ]
    result = np.stack(planes, -1)
    return np.rint(result).astype(image.dtype) if image.dtype.kind == "u" else result


def enlarge_side(
    image: np.ndarray, axis: int, ratio: float, start: int = 0, stop: int | None = None
) -> np.ndarray:
    """Enlarge an image along one side, linearly, or a part of that side.

    Args:
        image: float32 array ``(H, W, C)``.
        axis: 0 for the height, 1 for the width.
        ratio: New length by old length.
        start, stop: Which of the new rows or columns are wanted; all by default.

    Returns:
        float32 array, ``stop - start`` long on that side.

    >>> enlarge_side(np.float32([[[0]], [[4]]]), 0, 2.0).ravel().tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    stop = round(image.shape[axis] * ratio) if stop is None else stop
    places = (np.arange(start, stop) + 0.5) / ratio - 0.5
    before = np.floor(places).astype(int)
    mixed = image.take(before + 1, axis, mode="clip")
    one = image.take(before, axis, mode="clip")
    share = (places - before).astype(np.float32)
    mixed -= one
    # For columns the shares are repeated: it is quick only if whole rows have the same shape.
    mixed *= share[:, None, None] if axis == 0 else share[:, None].repeat(image.shape[2], 1)
    mixed += one
    return mixed


def merge_scales(
    detail: np.ndarray, base: np.ndarray, dtype: npt.DTypeLike | None = None
) -> np.ndarray:
    """Give a result at full size the coarse structure of one at a working size.

    To ``detail`` is added what ``base`` differs by from its reduced copy, enlarged. So brightness,
    colour and large shapes are those of ``base``, whatever the size of the photo, and only what
    is too fine for it comes from ``detail``.

    Args:
        detail: Result at full size ``(H, W, 3)``: uint8, uint16 or float32 in [0, 1].
        base: Result of the reduced photo, ``(h, w, 3)``, float in [0, 1].
        dtype: Of the result; that of ``detail`` by default, which is then changed in place.

    Returns:
        Image ``(H, W, 3)`` of that type.

    Reference:
        Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, 1983: two of its levels.
    """
    (height, width), rows = detail.shape[:2], len(base)
    missing = enlarge_side(base - _reduced(detail, base.shape[:2]), 1, width / base.shape[1])
    result = detail if dtype in (None, detail.dtype) else np.empty(detail.shape, dtype)

    def add(top: int) -> None:
        bottom = min(top + MERGED_ROWS, height)
        part = enlarge_side(missing, 0, height / rows, top, bottom)
        part += as_float(detail[top:bottom])
        result[top:bottom] = convert_like(part, result.dtype)

    on_all_cores(add, range(0, height, MERGED_ROWS))
    return result


def _reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a smaller copy of an image in float, which is not rounded between."""
    small = np.empty((*size, 3), np.float32)
    scale = len(image) / size[0]
    whole = scale == image.shape[1] / size[1] == int(scale)

    def reduce(top: int) -> None:
        bottom = min(top + REDUCED_ROWS, size[0])
        if whole:
            part = as_float(image[top * int(scale) : bottom * int(scale)])
            small[top:bottom] = block_mean(part, int(scale))
            return
        first, last = int(top * scale), math.ceil(bottom * scale)
        seen = (top * scale - first, min(bottom * scale, len(image)) - first)
        small[top:bottom] = resize(as_float(image[first:last]), (bottom - top, size[1]), seen)

    on_all_cores(reduce, range(0, size[0], REDUCED_ROWS))
    return small
