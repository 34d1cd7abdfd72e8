"""A trained enhancer, used on photos of any size."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lle_utils.core.exposure import exposure_gain, mean_brightness, reach
from lle_utils.core.images import (
    ImageError,
    as_float,
    check_image,
    convert_like,
    luminance,
    pad_to_divisor,
    read_uint8,
    to_float,
)
from lle_utils.core.resizing import fit_side, merge_scales, resize
from lle_utils.enhancers.brightness import default_level
from lle_utils.enhancers.fixed_statistics import with_fixed_statistics
from lle_utils.enhancers.shared_curves import SharedCurves
from lle_utils.enhancers.strength import StrengthNetwork
from lle_utils.enhancers.tiling import (
    DEFAULT_BLEND,
    DEFAULT_OVERLAP,
    MEMORY_LIMIT,
    UNTILED_PIXELS,
    enhance_tiles,
    tile_side,
    unrounded,
)
from lle_utils.nn.complexity import bytes_per_pixel

GLANCE = 16  # of so many rows and columns one, for a first look
WORKING_SIDE = 640  # pixels: a larger photo is reduced to it to decide brightness and colour

Run = Callable[[np.ndarray], np.ndarray]  # float image (h, w, 3) in [0, 1] to the same


class EnhancerError(ValueError):
    """A file that holds no enhancer or cannot be trusted, or a use it was not made for."""


@dataclass
class Enhancer:
    """A trained network with its card.

    Attributes:
        model: Functional Keras model, ``low`` (N, H, W, 3) in [0, 1] to the same. It may have a
            second input. ``gain`` (N, 1) brings the photo to a brightness first, as
            `lle_utils.core.expose` does. ``level`` (N, 1) is the strength of the enhancement;
            such a model is made of two models and two layers, found by their names: ``encoder``
            (``low`` to a list of which the last member is a vector that holds the brightness),
            ``towards_mean`` (`lle_utils.nn.TowardsMean`, moves that vector by ``level``),
            ``decoder`` (the list to the result) and ``fade_in`` (`lle_utils.nn.FadeIn`). What has
            the method ``predict_on_batch`` of such a model can take its place.
        card: The facts about it: `CARD_KEYS` and what `save_enhancer` adds.
        curves: The same network, as it takes large photos of 8 bits, if it is of that kind.
    """

    model: Any
    card: dict
    curves: SharedCurves | None = None

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card["name"]

    @property
    def has_strength(self) -> bool:
        """Whether the network itself can enhance less or more."""
        return "level" in self.card.get("inputs", ())

    @property
    def has_gain(self) -> bool:
        """Whether the network is given the brightness that its result shall have."""
        return "gain" in self.card.get("inputs", ())

    @property
    def size_divisor(self) -> int:
        """What the sides of a photo must divide by; `enhance` pads, and crops the result."""
        return self.card["multiple"]

    @property
    def padding(self) -> int:
        """Pixels of reflection that `enhance` puts around a photo and cuts off the result.

        Convolutions take what is beyond the border for black; here that is beyond the padding.
        """
        return self.card.get("padding", 0)

    @property
    def is_global(self) -> bool:
        """Whether each pixel depends on the whole photo, so that tiles must be told about it."""
        return self.card["halo"] is None

    @property
    def overlap(self) -> int:
        """Pixels that a tile is given beyond its edges: all it needs, unless it `is_global`."""
        return DEFAULT_OVERLAP if self.is_global else self.card["halo"]

    @cached_property
    def bytes_per_pixel(self) -> float:
        """Bytes that feature maps take for each pixel, as of `lle_utils.nn.bytes_per_pixel`."""
        return self.card.get("bytes_per_pixel") or bytes_per_pixel(self.model, self.size_divisor)

    def enhance(
        self,
        image: np.ndarray | str | os.PathLike,
        level: float | None = None,
        *,
        strength: float | None = None,
        reference: np.ndarray | str | os.PathLike | None = None,
        memory: int = MEMORY_LIMIT,
    ) -> np.ndarray:
        """Enhance one photo of any height and width, in tiles if it would need too much memory.

        A photo with a side longer than `WORKING_SIDE` is enhanced twice: reduced to it, which
        decides brightness and colour, and at its own size, which adds the detail. So what is large
        in it looks alike at every size. A photo without any colour stays so.

        Args:
            image: A path, or an array of shape ``(H, W, 3)``: uint8, uint16, or floating point
                in [0, 1].
            level: Mean brightness that the result shall have, in (0, 1); the default is what the
                network makes of the photo, or `default_level` for one that has to be told.
            strength: For an enhancer that `has_strength`: 0 is the photo, 1 as bright as the
                photos it was trained towards (the default), more is brighter.
            reference: A photo of any size whose brightness the result shall have, given like
                ``image``, in the place of ``level``. For an enhancer that `has_strength`, the
                photo that strength 1 leads to.
            memory: Bytes that the process may hold; an estimate is made first.

        Returns:
            Array of the same height and width: of the same type for 8 or 16 bits, else float32
            in [0, 1].

        Raises:
            ImageError, FileNotFoundError: If the input is not such an image.
            EnhancerError: If the level is not a number between 0 and 1, or a strength is given
                to an enhancer that has none, or is below 0.
            lle_utils.enhancers.MemoryLimitError: If the photo cannot be done within ``memory``.
        """
        photo = _read(image)
        model_photo = None if reference is None else _read(reference)
        if strength is not None:
            self._check_has_strength()
        level, strength = self._level(photo, level, model_photo), check_strength(strength)
        is_gray = _is_gray(photo)
        if self.curves and photo.dtype == np.uint8 and not is_gray:
            return self._curved(photo, level)
        self._tile_side(photo, memory)  # refuses at once what cannot be done
        working = as_float(resize(photo, fit_side(photo.shape, WORKING_SIDE)))
        fits = self._tile_side(working, memory) is None and working.shape == photo.shape
        run = self.runner(photo, working, fits, level, strength, model_photo)
        if is_gray:
            run = _grayed(run)
        base = self._run_pieces(run, working, memory)
        if level is not None:
            expose, unexposed = reach(base, level), run
            base, run = expose(base), lambda part: expose(unexposed(part))
        if working.shape == photo.shape:
            return convert_like(base, photo.dtype)
        return merge_scales(self._run_pieces(run, photo, memory), base, photo.dtype)

    def _curved(self, photo: np.ndarray, level: float | None) -> np.ndarray:
        """Return what `enhance` does for a photo of 8 bits, made by `curves`."""
        working, expose = resize(photo, fit_side(photo.shape, WORKING_SIDE)), None
        base = to_float(self.curves.enhance(working))
        if level is not None:
            expose = reach(base, level)
            base = expose(base)
        if working.shape == photo.shape:
            return convert_like(base, photo.dtype)
        return merge_scales(self.curves.enhance(photo, expose), base, photo.dtype)

    def _run_pieces(self, run: Run, photo: np.ndarray, memory: int) -> np.ndarray:
        """Return the result for a photo, not rounded to 8 bits, of as few pieces as fit."""
        side, dtype = self._tile_side(photo, memory), unrounded(photo.dtype)
        if side is None:
            return convert_like(run(as_float(photo)), dtype)
        blend = DEFAULT_BLEND if self.is_global else 0
        overlap, divisor = self.overlap, self.size_divisor
        return enhance_tiles(
            run, photo, side, overlap=overlap, blend=blend, size_divisor=divisor, dtype=dtype
        )

    def _level(
        self, photo: np.ndarray, level: float | None, reference: np.ndarray | None
    ) -> float | None:
        """Return the mean that the result shall have, or None to leave it to the network."""
        if level is not None:
            return check_level(level)
        if reference is not None and not self.has_strength:
            return check_level(mean_brightness(reference))
        return default_level(photo) if self.has_gain else None

    def _tile_side(self, photo: np.ndarray, memory: int) -> int | None:
        """Return the side of tiles, or None for a photo that fits in one piece."""
        if memory >= MEMORY_LIMIT and photo.shape[0] * photo.shape[1] <= UNTILED_PIXELS:
            return None  # known without the estimate, which may need the network in Keras
        return tile_side(photo, self.bytes_per_pixel, self.overlap, self.size_divisor, memory)

    def runner(
        self,
        photo: np.ndarray,
        working: np.ndarray,
        fits: bool,
        level: float | None,
        strength: float,
        reference: np.ndarray | None,
    ) -> Run:
        """Return the network as a function of parts of a photo, which knows about the whole.

        A network that sees a few pixels needs to know nothing. One that sees everything is told
        what it would take from the whole photo, so that its parts agree.

        Args:
            photo: The whole, ``(H, W, 3)``: uint8, uint16, or float32 in [0, 1].
            working: The same, float, reduced to `WORKING_SIDE`.
            fits: Whether the network will be given the whole in one piece.
            level: Mean that the result shall have; for an enhancer that `has_gain`.
            strength, reference: For an enhancer that `has_strength`.
        """
        if self.has_strength:
            network = StrengthNetwork(self.model, self.size_divisor)
            if fits:
                return lambda whole: network.prepare(whole, reference)(strength)
            return network.runner(photo, WORKING_SIDE, strength, reference)
        if self.has_gain:
            gain = np.full((1, 1), exposure_gain(photo, level), np.float32)
            return lambda part: self._run(part, self.model, gain)
        if fits or not self.is_global:
            return lambda part: self._run(part, self.model)
        model = with_fixed_statistics(self.model, pad_to_divisor(working, self.size_divisor))
        return lambda part: self._run(part, model)

    def _run(self, low: np.ndarray, model: Any, *more: np.ndarray) -> np.ndarray:
        height, width = low.shape[:2]
        padded = pad_to_divisor(low, self.size_divisor, self.padding)[None]
        output = np.asarray(model.predict_on_batch([padded, *more] if more else padded))[0]
        inside = output[self.padding :, self.padding :][:height, :width]
        return np.clip(inside, 0.0, 1.0)

    def _check_has_strength(self) -> None:
        if not self.has_strength:
            raise EnhancerError(
                f"{self.name} has one strength only; its brightness is set by level. "
                f"Its inputs are: {', '.join(self.card['inputs'])}."
            )

    def prepare(
        self,
        image: np.ndarray | str | os.PathLike,
        *,
        reference: np.ndarray | str | os.PathLike | None = None,
    ) -> Callable[[float], np.ndarray]:
        """Encode a photo once, to decode it at many strengths, as a slider does.

        Args:
            image, reference: As in `enhance`.

        Returns:
            A function from a strength to what `enhance` returns for a photo of few pixels, in
            about two thirds of the time. It holds the features of the photo: several hundred
            bytes per pixel.

        Raises:
            ImageError, FileNotFoundError: If a photo is not an image.
            EnhancerError: If this enhancer has no strength.
        """
        self._check_has_strength()
        network = StrengthNetwork(self.model, self.size_divisor)
        at = network.prepare(_read(image), None if reference is None else _read(reference))
        return lambda strength: at(check_strength(strength))


def _is_gray(photo: np.ndarray) -> bool:
    few = photo[::GLANCE, ::GLANCE]  # enough to see that most photos are not
    return all((part == part[..., :1]).all() for part in (few, photo))


def _grayed(run: Run) -> Run:
    """Return the function with all colour taken out of its results."""

    def gray(part: np.ndarray) -> np.ndarray:
        light = luminance(run(part)).astype(np.float32)
        return np.repeat(light[..., None], 3, axis=-1)

    return gray


def _read(image: np.ndarray | str | os.PathLike) -> np.ndarray:
    """Return a photo as uint8, uint16 or float32 in [0, 1]."""
    if isinstance(image, (str, os.PathLike)):
        return to_float(read_uint8(image))
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16):
        return check_image(image)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ImageError(f"image has shape {image.shape}; expected RGB (H, W, 3).")
    return image


def check_level(level: float | None) -> float | None:
    """Return a level, a mean brightness between 0 and 1; None, which leaves it open, stays.

    Raises:
        EnhancerError: If it is none.
    """
    if level is None:
        return None
    level = _number(level)
    if not 0 < level < 1:
        raise EnhancerError(
            f"level is {level:g}; expected a mean brightness above 0 (black) and below 1 (white), "
            "such as 0.45."
        )
    return level


def check_strength(strength: float | None) -> float:
    """Return a strength as a number of 0 or more; None is 1.

    Raises:
        EnhancerError: If it is none.
    """
    strength = 1.0 if strength is None else _number(strength)
    if not (math.isfinite(strength) and strength >= 0):
        raise EnhancerError(
            f"strength is {strength:g}; expected a number from 0 (the photo itself), "
            "1 being the usual strength."
        )
    return strength


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
