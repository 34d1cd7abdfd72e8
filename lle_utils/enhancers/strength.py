"""A network that encodes a photo once and decodes it at any strength."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lle_utils.core.images import as_float, convert_like, pad_to_divisor


class StrengthNetwork:
    """A model made of an encoder and a decoder, see `lle_utils.enhancers.Enhancer`.

    Args:
        model: Functional Keras model with the inputs ``low`` and ``level``, the latter the
            strength, made of ``encoder``, ``towards_mean``, ``decoder`` and ``fade_in``.
        size_divisor: What the sides of its photos must divide by.
    """

    def __init__(self, model: Any, size_divisor: int) -> None:
        self.model, self.size_divisor = model, size_divisor

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
        if reference is None:
            target = self.model.get_layer("towards_mean").mean.numpy()[None]
        else:
            target = self._encode(as_float(reference))[-1]
        return lambda strength: own + np.float32(strength) * (target - own)

    def _decode(
        self, features: Sequence, vector: np.ndarray, low: np.ndarray, strength: float
    ) -> np.ndarray:
        inputs = [*features[:-1], vector]
        output = np.asarray(self._part("decoder").predict_on_batch(inputs))[0]
        output = np.clip(output[: low.shape[0], : low.shape[1]], 0.0, 1.0)
        share = strength / self.model.get_layer("fade_in").full
        return output if share >= 1 else low + np.float32(share) * (output - low)

    def _encode(self, low: np.ndarray) -> Sequence[np.ndarray]:
        padded = pad_to_divisor(low, self.size_divisor)
        return self._part("encoder").predict_on_batch(padded[None])

    def _part(self, name: str) -> Any:
        """Return a model inside the model, ready to run."""
        from lle_utils.core.backend import compile_options

        part = self.model.get_layer(name)
        for option, value in compile_options().items():
            setattr(part, option, value)  # compile() would add an optimizer, which gets saved
        return part
