"""Curves that all share one map, as those of Zero-DCE++: a table instead of eight operations.

What becomes of a value of an 8-bit photo depends on that value and on the map at its place alone.
The map, which a network draws from a reduced photo, is rounded to `MAP_LEVELS`; so a table holds
all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from lle_utils.core.images import convert_like, pad_to_divisor
from lle_utils.core.resizing import block_mean, enlarge_side
from lle_utils.core.strips import on_all_cores

ITERATIONS = 8
VALUES = 256
# The curves change by at most twice what the map changes by (four times ITERATIONS over 4 at 1/2),
# so rounding the map to this many levels between -1 and 1 moves a result by a quarter of 1/255.
MAP_LEVELS = 2048
STRIP_VALUES = 2**18  # of the photo that are mapped at a time, by each core

Draw = Callable[[np.ndarray], np.ndarray]


class SharedCurves:
    """Curves whose map a network draws from a photo reduced by averaging blocks.

    Args:
        draw: Takes the reduced photo ``(h, w, 3)``, float32 in [0, 1]; returns the map, of the same
            shape, in [-1, 1].
        scale: Side of a block in pixels.
    """

    def __init__(self, draw: Draw, scale: int) -> None:
        self._draw, self.scale = draw, scale

    def enhance(
        self, photo: np.ndarray, finish: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """Apply the curves to a photo, in strips on all cores.

        Args:
            photo: Image ``(H, W, 3)``, uint8.
            finish: What is done with each value of the result, a function of float32 arrays in
                [0, 1]; None for nothing.

        Returns:
            uint16 array of the same shape. Before ``finish`` it is within 1/4 of 1/255 of what the
            curves give.
        """
        height, width = photo.shape[:2]
        padded = pad_to_divisor(photo, self.scale)
        maps = self._draw(block_mean(padded, self.scale) / np.float32(VALUES - 1))
        wide = enlarge_side(maps, 1, self.scale, 0, width)
        wide = (wide + 1) * np.float32((MAP_LEVELS - 1) / 2) + np.float32(0.5)
        table = _table() if finish is None else finish(_table())
        table = convert_like(table, np.uint16).ravel()
        result = np.empty(photo.shape, np.uint16)

        def fill(top: int) -> None:
            rows = slice(top, min(top + strip, height))
            levels = enlarge_side(wide, 0, self.scale, rows.start, rows.stop)
            places = levels.astype(np.intp)
            places *= VALUES
            places += photo[rows]
            table.take(places, out=result[rows], mode="clip")

        strip = max(STRIP_VALUES // photo[0].size, 1)
        on_all_cores(fill, range(0, height, strip))
        return result


@cache
def _table() -> np.ndarray:
    """Return what becomes of each value of 8 bits at each level of the map, float32.

    Reference:
        Guo et al., Zero-Reference Deep Curve Estimation, 2020, equation 2, with the sign of the
        released code.
    """
    values = np.linspace(0, 1, VALUES, dtype=np.float32)
    maps = np.linspace(-1, 1, MAP_LEVELS, dtype=np.float32)[:, None]
    result = np.repeat(values[None], MAP_LEVELS, axis=0)
    for _ in range(ITERATIONS):
        result += maps * (result * result - result)
    return result
