"""A network that encodes a photo once and decodes it at any strength."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lle_utils.core.images import as_float, convert_like, pad_to_divisor


class StrengthParts(NamedTuple):
    """What a network with a strength is made of, see `lle_utils.enhancers.Enhancer`.

    Attributes:
        encoder, decoder: Networks with the method ``predict_on_batch`` of a Keras model.
        mean: The vector ``(1, C)`` that strength 1 leads to.
        full: The strength from which on the result counts alone.
    """

    encoder: Any
    decoder: Any
    mean: np.ndarray
    full: float


def parts_of(model: Any) -> StrengthParts:
    """Return the parts of a functional Keras model; parts are returned as they are.

    Args:
        model: One with the inputs ``low`` and ``level``, the latter the strength, made of
            ``encoder``, ``towards_mean``, ``decoder`` and ``fade_in``.
    """
    if isinstance(model, StrengthParts):
        return model
    from lle_utils.core.backend import compile_options

    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    for part in (encoder, decoder):
        for option, value in compile_options().items():
            setattr(part, option, value)  # compile() would add an optimizer, which gets saved
    mean = model.get_layer("towards_mean").mean.numpy()[None]
    return StrengthParts(encoder, decoder, mean, model.get_layer("fade_in").full)


class StrengthNetwork:
    """A network made of an encoder and a decoder.

    Args:
        model: As of `parts_of`.
        size_divisor: What the sides of its photos must divide by.
    """

    def __init__(self, model: Any, size_divisor: int) -> None:
        self.parts, self.size_divisor = parts_of(model), size_divisor

    def prepare(self, photo: np.ndarray, reference: np.ndarray | None) -> Callable:
        """Encode a photo; return the function from a strength to its result, in its type."""
        low = as_float(photo)
        features = self._encode(low)
        vector = self._vectors(features[-1], reference)

        def at(strength: float) -> np.ndarray:
            result = self._decode(features, vector(strength), low, strength)
            return convert_like(result, photo.dtype)

        return at

    def runner(
        self, photo: np.ndarray, side: int, strength: float, reference: np.ndarray | None
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function for parts of a photo: all it knows of the whole are vectors.

        Args:
            photo: The whole, ``(H, W, 3)``.
            side: Of the photo that the vectors are taken from, in pixels at most.
            strength, reference: As of `lle_utils.enhancers.Enhancer.enhance`.
        """
        step = math.ceil(max(photo.shape[:2]) / side)
        thinned = as_float(photo[::step, ::step])  # averaging would remove the noise
        known = [part for part in self._encode(thinned) if part.ndim == 2]
        vector = self._vectors(known[-1], reference)(strength)

        def run(part: np.ndarray) -> np.ndarray:
            maps = [features for features in self._encode(part) if features.ndim > 2]
            return self._decode([*maps, *known], vector, part, strength)

        return run

    def _vectors(self, own: np.ndarray, reference: np.ndarray | None) -> Callable:
        """Return the function from a strength to the vector that stands for it in one photo."""
        target = self.parts.mean if reference is None else self._encode(as_float(reference))[-1]
        return lambda strength: own + np.float32(strength) * (target - own)

    def _decode(
        self, features: Sequence, vector: np.ndarray, low: np.ndarray, strength: float
    ) -> np.ndarray:
        inputs = [*features[:-1], vector]
        output = np.asarray(self.parts.decoder.predict_on_batch(inputs))[0]
        output = np.clip(output[: low.shape[0], : low.shape[1]], 0.0, 1.0)
        share = strength / self.parts.full
        return output if share >= 1 else low + np.float32(share) * (output - low)

    def _encode(self, low: np.ndarray) -> Sequence[np.ndarray]:
        padded = pad_to_divisor(low, self.size_divisor)
        return self.parts.encoder.predict_on_batch(padded[None])
