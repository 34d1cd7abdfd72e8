"""Photos larger than memory: estimate the need, cut the photo, keep the pieces alike.

Each tile is run with an *overlap*, so that its pixels see what they would see in the whole photo.
The results of neighbours may share a few pixels, their *blend*, over which one fades into the
other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from lle_utils.core.images import as_float, convert_like, round_up

MEMORY_LIMIT = 2_000_000_000  # bytes the process may hold, by default
UNTILED_PIXELS = 2**18  # of photos with which every network of the suite stays within it
MEMORY_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
KERAS_BYTES = 900_000_000  # of Keras, its backend and their buffers after the first photo
MEMORY_SAFETY_FACTOR = 3.0  # measured peaks over `bytes_per_pixel`: at most 2.8 (mirnet)
# Of the feature maps of one piece. Beyond about twice this, convolutions on processors without
# AVX-512 were measured to take twenty times as long per pixel, whatever memory there is.
LARGEST_FEATURES = 1_000_000_000
SMALLEST_TILE, TILE_STEP = 128, 64  # pixels: the least side of a tile, and by how much it grows
DEFAULT_OVERLAP, DEFAULT_BLEND = 64, 32  # pixels, for networks that see everything


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
    return int(float(found[1]) * MEMORY_UNITS[found[2].upper()])


def tile_side(
    photo: np.ndarray, per_pixel: float, overlap: int, size_divisor: int, memory: int
) -> int | None:
    """Choose the size of tiles so that a photo stays within a limit.

    Args:
        photo: Image ``(H, W, 3)``; the result has its type.
        per_pixel: Bytes a network needs for each pixel it sees, as of `bytes_per_pixel`.
        overlap: Pixels a tile sees beyond each of its edges.
        size_divisor: What the sides of a tile must divide by.
        memory: Bytes the process may hold.

    Returns:
        The side in pixels without the overlap, or None when the photo fits in one piece, which
        has no more than `LARGEST_FEATURES`.

    Raises:
        MemoryLimitError: If not even the smallest tile fits.
    """
    height, width = photo.shape[:2]
    largest = LARGEST_FEATURES / per_pixel  # pixels of a piece
    per_pixel *= MEMORY_SAFETY_FACTOR
    between = photo.size * unrounded(photo.dtype).itemsize * (photo.dtype == np.uint8)
    held = held_bytes(2 * photo.nbytes + between)  # the photo and the result
    if held + height * width * (per_pixel + 12) <= memory and height * width <= largest:
        return None
    side, overlap = (round_up(length, size_divisor) for length in (SMALLEST_TILE, overlap))
    need = _tile_bytes(side, width, overlap, per_pixel)
    if held + need > memory:
        raise MemoryLimitError(
            f"A photo of {width}x{height} pixels needs at least {(held + need) / 1e9:.1f} GB here, "
            f"the limit is {memory / 1e9:.1f} GB. Raise the limit (--memory), or take a method "
            "that needs less."
        )
    step = round_up(TILE_STEP, size_divisor)
    while side < max(height, width):
        if held + _tile_bytes(side + step, width, overlap, per_pixel) > memory:
            break
        if (side + step + 2 * overlap) ** 2 > largest:
            break
        side += step
    return side


def held_bytes(pictures: int) -> int:
    """Return the bytes held beside feature maps: of pictures, Keras and its backend."""
    return KERAS_BYTES + pictures


def unrounded(dtype: np.dtype) -> np.dtype:
    """Return the type of what lies between a photo and its result: 16 bits for one of 8."""
    return np.dtype(np.uint16 if dtype == np.uint8 else dtype)


def _tile_bytes(side: int, width: int, overlap: int, per_pixel: float) -> float:
    # A row of tiles is put together in floating point before it is rounded.
    return (side + 2 * overlap) ** 2 * per_pixel + (side + overlap) * width * 3 * 4 * 3


def enhance_tiles(
    run: Callable[[np.ndarray], np.ndarray],
    photo: np.ndarray,
    side: int,
    *,
    overlap: int = 0,
    blend: int = 0,
    size_divisor: int = 1,
    dtype: npt.DTypeLike | None = None,
) -> np.ndarray:
    """Enhance a photo tile by tile.

    Args:
        run: Takes and returns a float image ``(h, w, 3)`` in [0, 1].
        photo: Image ``(H, W, 3)``, uint8, uint16 or float32 in [0, 1].
        side: Side of a tile without the overlap, in pixels.
        overlap: Pixels that ``run`` is given beyond each edge of a tile and that are cut off
            again, so that a tile sees what it would see in the whole photo.
        blend: Pixels over which neighbours fade into each other; 0 puts tiles side by side.
        size_divisor: Tiles with their overlap start at multiples of it.
        dtype: Of the result; that of ``photo`` by default.

    Returns:
        Image of the shape of ``photo``.
    """
    height, width = photo.shape[:2]
    side, overlap = (round_up(length, size_divisor) for length in (side, overlap))
    blend = min(blend, side // 2)
    result = np.empty(photo.shape, photo.dtype if dtype is None else dtype)
    fading = np.zeros((0, width, 3), np.float32)  # the lower edge of the row before
    for top, bottom in _spans(height, side, blend):
        row = np.zeros((bottom - top, width, 3), np.float32)
        for left, right in _spans(width, side, blend):
            tile = _run_tile(run, photo, (top, bottom), (left, right), overlap)
            row[:, left:right] += tile * _ramp(left, right, width, blend)[None, :, None]
        row *= _ramp(top, bottom, height, blend)[:, None, None]
        row[: len(fading)] += fading
        done = height if bottom == height else bottom - blend
        result[top:done] = convert_like(row[: done - top], result.dtype)
        fading = row[done - top :]
    return result


def _run_tile(
    run: Callable[[np.ndarray], np.ndarray],
    photo: np.ndarray,
    rows: tuple[int, int],
    columns: tuple[int, int],
    overlap: int,
) -> np.ndarray:
    """Return the float result for some rows and columns, which sees the overlap around them."""
    (top, bottom), (left, right) = rows, columns
    y, x = max(top - overlap, 0), max(left - overlap, 0)
    seen = photo[y : bottom + overlap, x : right + overlap]
    return run(as_float(seen))[top - y : bottom - y, left - x : right - x]


def _spans(length: int, side: int, blend: int) -> Iterator[tuple[int, int]]:
    """Yield starts and ends of tiles that share ``blend`` pixels; starts are multiples of side."""
    for start in range(0, length, side):
        end = min(start + side + blend, length)
        yield start, end
        if end == length:
            return


def _ramp(start: int, end: int, length: int, blend: int) -> np.ndarray:
    """Return weights that rise from 0 to 1 over what is shared with the last tile, then fall."""
    weights = np.ones(end - start, np.float32)
    rise = (np.arange(blend, dtype=np.float32) + 0.5) / max(blend, 1)
    if start > 0:
        weights[:blend] = rise[: end - start]
    if end < length and blend:
        weights[-blend:] = rise[::-1]
    return weights
