"""A trained developer of camera raw, used on frames of any size."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lle_utils.core.exposure import CURVE_POINTS, expose, exposure_gain, linear_to_srgb
from lle_utils.core.images import convert_like, pad_to_divisor
from lle_utils.core.resizing import block_mean
from lle_utils.data.raw import RawFrame, amplified, camera_to_srgb, read_raw, turned
from lle_utils.enhancers.brightness import default_level
from lle_utils.enhancers.enhancer import EnhancerError, check_level
from lle_utils.enhancers.tiling import (
    LARGEST_FEATURES,
    MEMORY_LIMIT,
    MEMORY_SAFETY_FACTOR,
    MemoryLimitError,
    held_bytes,
)
from lle_utils.nn.complexity import bytes_per_pixel

LARGEST_RATIO = 1000.0  # to which a frame is amplified unasked
CLIPPED_SHARE = 0.01  # of a frame that may reach white where the ratio is not told
GLANCE_SIDE = 128  # cells that a frame is reduced to at most, to choose its brightness
GLANCE_BLOCK = 8  # cells at least that are averaged along each side, against noise


@dataclass
class RawEnhancer:
    """A trained network with its card, from raw frames to sRGB photos.

    Attributes:
        model: Functional Keras model, ``raw`` ``(N, h, w, 4)``, as of
            `lle_utils.data.amplified`, to ``(N, 2 h, 2 w, 3)``: balanced camera colours with the
            curve of sRGB. What colour they are is not the network's to learn: the matrix of the
            frame says it, so that one network serves many cameras. What has the method
            ``predict_on_batch`` of such a model can take its place.
        card: The facts about it. ``multiple`` and ``halo`` are in pixels of the photo.
    """

    model: Any
    card: dict

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card["name"]

    @cached_property
    def bytes_per_pixel(self) -> float:
        """Bytes that feature maps take for each pixel, as of `lle_utils.nn.bytes_per_pixel`."""
        known = self.card.get("bytes_per_pixel")
        return known or bytes_per_pixel(self.model, self.card["multiple"])

    def enhance(
        self,
        raw: RawFrame | str | os.PathLike,
        level: float | None = None,
        *,
        ratio: float | None = None,
        memory: int = MEMORY_LIMIT,
    ) -> np.ndarray:
        """Develop one frame to a well-lit photo, in tiles if it is large.

        Args:
            raw: A frame, or the path of a camera raw file.
            level: Mean brightness that the result shall have, in (0, 1); the default is that of
                `default_level` for the frame as it was exposed.
            ratio: Exposure ratio: how many times longer the exposure should have been. Where it is
                told, the result is what that exposure would show, and there is no level. Where it
                is not, it is as high as the level needs and 1 % of clipped values allow; what then
                lacks, a curve adds that keeps white white (`lle_utils.core.expose`).
            memory: Bytes that the process may hold.

        Returns:
            uint16 array ``(H, W, 3)``, upright sRGB. `lle_utils.core.as_float` makes it float.

        Raises:
            ImageError, FileNotFoundError: If it is no raw file that can be read.
            EnhancerError: If level or ratio are not numbers in their range, or both are given.
            MemoryLimitError: If the frame cannot be done within ``memory``.
        """
        frame = raw if isinstance(raw, RawFrame) else read_raw(raw)
        if ratio is not None:
            if level is not None:
                raise EnhancerError("level and ratio both set the brightness; give one of them.")
            return self._run_tiles(frame, _check_ratio(ratio), memory)
        seen = glance(frame)
        level = check_level(level) or default_level(linear_to_srgb(np.clip(seen, 0, 1)))
        developed = self._run_tiles(frame, chosen_ratio(seen, level), memory)
        gain = exposure_gain(developed, level)
        curve = expose(np.linspace(0, 1, CURVE_POINTS), gain)
        return convert_like(curve, np.uint16)[developed]

    def _run_tiles(self, frame: RawFrame, ratio: float, memory: int) -> np.ndarray:
        height, width = frame.planes.shape[:2]
        side, margin = self._tile_side(frame, memory), self.card["halo"] // 2
        result = np.empty((2 * height, 2 * width, 3), np.uint16)
        for top in range(0, height, side):
            for left in range(0, width, side):
                y, x = max(top - margin, 0), max(left - margin, 0)
                part = np.s_[y : top + side + margin, x : left + side + margin]
                tile = self._run(replace(frame, planes=frame.planes[part]), ratio)
                inside = tile[2 * (top - y) :, 2 * (left - x) :][: 2 * side, : 2 * side]
                place = np.s_[2 * top : 2 * (top + side), 2 * left : 2 * (left + side)]
                result[place] = convert_like(inside, np.uint16)
        return turned(result, frame.flip)

    def _run(self, frame: RawFrame, ratio: float) -> np.ndarray:
        """Return the sRGB photo of a part, which is still to be turned."""
        height, width = frame.planes.shape[:2]
        divisor = self.card["multiple"] // 2
        padded = pad_to_divisor(amplified(frame, ratio), divisor, padding=divisor)
        output = np.asarray(self.model.predict_on_batch(padded[None]))[0]
        inside = output[2 * divisor :, 2 * divisor :][: 2 * height, : 2 * width]
        return camera_to_srgb(np.clip(inside, 0, 1), frame)

    def _tile_side(self, frame: RawFrame, memory: int) -> int:
        """Return the side of tiles in cells, a multiple of what the network divides by."""
        height, width = frame.planes.shape[:2]
        photo = 4 * height * width * 3 * 2  # bytes in 16 bits
        free = memory - held_bytes(frame.planes.nbytes + 2 * photo)
        pixels = min(
            free / (self.bytes_per_pixel * MEMORY_SAFETY_FACTOR + 100),
            LARGEST_FEATURES / self.bytes_per_pixel,
        )
        divisor = self.card["multiple"] // 2
        side = int(math.sqrt(max(pixels, 0)) / 2 - self.card["halo"]) // divisor * divisor
        if side < 64:
            raise MemoryLimitError(
                f"A raw frame of {2 * width}x{2 * height} pixels does not fit in "
                f"{memory / 1e9:.1f} GB. Raise the limit (--memory)."
            )
        return side


def glance(frame: RawFrame) -> np.ndarray:
    """Return linear sRGB light of a frame, much reduced and so nearly free of noise.

    Args:
        frame: A frame.

    Returns:
        float ``(h, w, 3)`` of at most about `GLANCE_SIDE` cells, of the frame as it was exposed;
        not clipped, not turned.
    """
    shape = frame.planes.shape[:2]
    factor = min(max(GLANCE_BLOCK, max(shape) // GLANCE_SIDE), min(shape))
    red, green, other, blue = np.moveaxis(block_mean(amplified(frame, 1.0), factor), -1, 0)
    return np.stack([red, (green + other) / 2, blue], -1) @ frame.matrix.T


def chosen_ratio(light: np.ndarray, level: float) -> float:
    """Choose how much to amplify a frame: no more than a level needs and the lights allow.

    Args:
        light: Linear sRGB, as of `glance`.
        level: Mean brightness that the result shall have, in (0, 1).

    Returns:
        A ratio from 1 to `LARGEST_RATIO`.
    """
    low, high = 0.0, math.log2(LARGEST_RATIO)
    for _ in range(30):
        middle = (low + high) / 2
        mean = linear_to_srgb(np.clip(light * 2.0**middle, 0, 1)).mean()
        low, high = (middle, high) if mean < level else (low, middle)
    brightest = float(np.quantile(light.max(-1), 1 - CLIPPED_SHARE))
    return max(1.0, min(2.0**low, 1 / max(brightest, 1e-9)))


def _check_ratio(ratio: float) -> float:
    try:
        value = float(ratio)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise EnhancerError(f"ratio is {ratio!r}; expected an exposure ratio above 0, such as 100.")
    return value
