"""Photos larger than memory: estimate the need, cut the photo, keep the pieces alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lle_utils.images import to_uint8

MEMORY = 2_000_000_000  # bytes the process may hold, by default
RUNTIME = 900_000_000  # bytes of Keras, its backend and their buffers after the first photo
SPARE = 3.0  # measured peaks over those of `bytes_per_pixel`, at most 2.8 (mirnet)
SMALLEST = 128  # side of the smallest tile in pixels
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class MemoryLimitError(ValueError):
    """A limit too low for the photo, or one that is no amount of memory."""


def parse_memory(text: str) -> int:
    """Read an amount of memory.

    Args:
        text: A number with an optional unit: ``2GB``, ``1.5 G``, ``800MB``; units of 1000.

    Returns:
        Bytes.

    Raises:
        MemoryLimitError: If it is no such text.

    >>> parse_memory("1.5GB")
    1500000000
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)B?\s*", text, re.IGNORECASE)
    if not found:
        raise MemoryLimitError(f"{text!r} is no amount of memory; expected one such as 2GB.")
    return int(float(found[1]) * UNITS[found[2].upper()])


def bytes_per_pixel(model: Any, multiple: int = 1) -> float:
    """Estimate the memory a network needs for each pixel of a photo.

    Walks through the network and adds up the feature maps that are alive at each step: those
    computed already and needed later. The largest sum counts.

    Args:
        model: Functional Keras model; a model inside it counts with its own largest sum.
        multiple: What the sides of a photo must divide by.

    Returns:
        Bytes, without reserve for what the convolutions need beside their results.
    """
    import keras

    side = -(-256 // multiple) * multiple
    shapes = [t.shape[1:] if len(t.shape) == 2 else (side, side, 3) for t in model.inputs]
    return _largest_sum(keras, model, shapes) * 4 / side**2


def _largest_sum(keras: Any, model: Any, shapes: list[tuple]) -> int:
    inputs = [keras.Input(shape) for shape in shapes]
    fixed = keras.models.clone_model(model, input_tensors=inputs if inputs[1:] else inputs[0])
    depths = sorted(fixed._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in fixed._nodes_by_depth[depth]]
    last = {id(t): step for step, node in enumerate(nodes) for t in node.input_tensors}
    last |= {id(t): len(nodes) for t in fixed.outputs}
    alive: dict[int, int] = {}
    peak = 0
    for step, node in enumerate(nodes):
        # The batch, of one photo, is the only side that is unknown, wherever it stands.
        alive |= {id(t): math.prod(side or 1 for side in t.shape) for t in node.outputs}
        inner = 0
        if isinstance(node.operation, keras.Model):
            inner = _largest_sum(keras, node.operation, [t.shape[1:] for t in node.input_tensors])
        peak = max(peak, sum(alive.values()) + inner)
        alive = {key: size for key, size in alive.items() if last.get(key, -1) > step}
    return peak


def tile_side(
    photo: np.ndarray, per_pixel: float, margin: int, multiple: int, memory: int
) -> int | None:
    """Choose the size of tiles so that a photo stays within a limit.

    Args:
        photo: Image ``(H, W, 3)``; the result has its type.
        per_pixel: Bytes a network needs for each pixel it sees, as of `bytes_per_pixel`.
        margin: Pixels a tile is given beyond each of its edges.
        multiple: What the sides of a tile must divide by.
        memory: Bytes the process may hold.

    Returns:
        The side in pixels without margins, or None when the photo fits in one piece.

    Raises:
        MemoryLimitError: If not even the smallest tile fits.
    """
    height, width = photo.shape[:2]
    per_pixel *= SPARE
    held = RUNTIME + 2 * photo.nbytes  # the photo and the result
    if held + height * width * (per_pixel + 12) <= memory:
        return None
    # A row of tiles is put together in floating point before it is rounded.
    side, margin = (_round_up(length, multiple) for length in (SMALLEST, margin))
    need = _tile_bytes(side, width, margin, per_pixel)
    if held + need > memory:
        raise MemoryLimitError(
            f"A photo of {width}x{height} pixels needs at least {(held + need) / 1e9:.1f} GB here, "
            f"the limit is {memory / 1e9:.1f} GB. Raise the limit (--memory), or take a method "
            "that needs less."
        )
    step = _round_up(64, multiple)
    while side < max(height, width):
        if held + _tile_bytes(side + step, width, margin, per_pixel) > memory:
            break
        side += step
    return side


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _tile_bytes(side: int, width: int, margin: int, per_pixel: float) -> float:
    return (side + 2 * margin) ** 2 * per_pixel + (side + margin) * width * 3 * 4 * 3


def enhance_tiles(
    run: Callable[[np.ndarray], np.ndarray],
    photo: np.ndarray,
    to_float: Callable[[np.ndarray], np.ndarray],
    side: int,
    margin: int,
    blend: int,
    multiple: int,
) -> np.ndarray:
    """Enhance a photo tile by tile.

    Each tile is run with a margin, so that its pixels see what they would see in the whole
    photo. Neighbours overlap by ``blend`` pixels, over which one fades into the other.

    Args:
        run: Takes and returns a float image ``(h, w, 3)`` in [0, 1].
        photo: Image ``(H, W, 3)``, uint8, uint16 or float32 in [0, 1].
        to_float: Converts a part of it.
        side: Side of a tile without margins, in pixels.
        margin: Pixels added around a tile and cut off again.
        blend: Width of the overlap in pixels; 0 puts tiles side by side.
        multiple: Tiles with margins start at multiples of it.

    Returns:
        Image of the shape and type of ``photo``.
    """
    height, width = photo.shape[:2]
    side, margin = (_round_up(length, multiple) for length in (side, margin))
    blend = min(blend, side // 2)
    result = np.empty_like(photo)
    fading = np.zeros((0, width, 3), np.float32)  # the lower edge of the row before
    for top, bottom in _spans(height, side, blend):
        row = np.zeros((bottom - top, width, 3), np.float32)
        for left, right in _spans(width, side, blend):
            first = max(top - margin, 0), max(left - margin, 0)
            seen = photo[first[0] : bottom + margin, first[1] : right + margin]
            tile = run(to_float(seen))
            tile = tile[top - first[0] : bottom - first[0], left - first[1] : right - first[1]]
            row[:, left:right] += tile * _ramp(left, right, width, blend)[None, :, None]
        row *= _ramp(top, bottom, height, blend)[:, None, None]
        row[: len(fading)] += fading
        done = height if bottom == height else bottom - blend
        result[top:done] = convert_like(row[: done - top], photo.dtype)
        fading = row[done - top :]
    return result


def _spans(length: int, side: int, blend: int) -> Iterator[tuple[int, int]]:
    """Yield starts and ends of tiles that overlap by ``blend``; starts are multiples of side."""
    for start in range(0, length, side):
        end = min(start + side + blend, length)
        yield start, end
        if end == length:
            return


def _ramp(start: int, end: int, length: int, blend: int) -> np.ndarray:
    """Return weights that rise from 0 to 1 over the overlap, and fall over the next one."""
    weights = np.ones(end - start, np.float32)
    rise = (np.arange(blend, dtype=np.float32) + 0.5) / max(blend, 1)
    if start > 0:
        weights[:blend] = rise[: end - start]
    if end < length and blend:
        weights[-blend:] = rise[::-1]
    return weights


def convert_like(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert a float image in [0, 1] to uint8 or uint16, rounding, or to a floating-point type."""
    if dtype == np.uint8:
        return to_uint8(image)
    if dtype == np.uint16:
        return np.rint(np.clip(image, 0, 1) * np.float32(65535)).astype(np.uint16)
    return np.clip(image, 0, 1).astype(dtype, copy=False)


def normalizes_channels(layer: Any) -> bool:
    """Tell whether a layer is an instance normalisation: each channel over the photo by itself."""
    import keras

    if not isinstance(layer, keras.layers.GroupNormalization):
        return False
    return layer.groups == layer.input_spec.axes[layer.axis]


def with_fixed_statistics(model: Any, reduced: np.ndarray) -> Any:
    """Return a copy of a network whose means over the photo are those of a reduced photo.

    Global average pooling and the normalisation of each channel over the photo (instance
    normalisation) make a pixel depend on all others. Here both take the numbers that they have
    on the reduced photo, whatever the tile; all else, weights included, is shared.

    Args:
        model: Functional Keras model with one input.
        reduced: The whole photo made small, ``(h, w, 3)`` in [0, 1], of sides it accepts.

    Returns:
        A model of the same input and output; ``model`` itself when nothing in it is global.
    """
    import keras

    from lle_utils.layers import GivenMean, GivenNormalization, MeanAndVariance
    from lle_utils.training import compile_options

    def is_global(layer: Any) -> bool:
        pools = isinstance(layer, keras.layers.GlobalAveragePooling2D)
        return pools or normalizes_channels(layer)

    if not any(is_global(layer) for layer in model.layers):
        return model
    seen: list[Any] = []

    def watch(layer: Any, *inputs: Any, **options: Any) -> Any:
        if is_global(layer):
            seen.append(inputs[0])
        return layer(*inputs, **options)

    def keep(layer: Any) -> Any:
        return layer

    watched = keras.models.clone_model(model, clone_function=keep, call_function=watch)
    statistics = [number for maps in seen for number in MeanAndVariance()(maps)]
    measure = keras.Model(watched.inputs, statistics)
    measure.compile(**compile_options())  # called directly it would keep every feature map
    measured = iter(measure.predict_on_batch(reduced[None]))

    def replace(layer: Any, *inputs: Any, **options: Any) -> Any:
        if not is_global(layer):
            return layer(*inputs, **options)
        mean, variance = next(measured), next(measured)
        if isinstance(layer, keras.layers.GlobalAveragePooling2D):
            return GivenMean(mean)(*inputs)
        return GivenNormalization(layer, mean, variance)(*inputs)

    return keras.models.clone_model(model, clone_function=keep, call_function=replace)
