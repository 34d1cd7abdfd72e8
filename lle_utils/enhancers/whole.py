"""The whole of an enhancer as one network, which takes any photo; what an export holds.

What `Enhancer` does around its network for a photo that fits in one piece is done by layers here.
Exports are made under TensorFlow, so they use what Keras has no operation for. Never saved.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lle_utils.core.exposure import GAINS, srgb_to_linear
from lle_utils.core.images import BT601
from lle_utils.enhancers.brightness import (
    BRIGHT_SHARE,
    BRIGHT_VALUE,
    LIMITS,
    SAMPLED_PIXELS,
    USUAL_LEVEL,
)
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.strength import parts_of
from lle_utils.nn.layers import Expose, FadeIn

COARSE_PIXELS = 2**11  # of a photo, that a gain is first looked for on
APART = np.float32(0.25)  # by powers of 2 gains lie apart that are tried on them
STEPS = 4  # of the search on the whole photo that follows


def whole(enhancer: Enhancer, network: Any) -> Any:
    """Return an enhancer as a network that takes photos of any size and gives theirs.

    Args:
        enhancer: It says what stands around the network.
        network: Its ``model``, or what gives the same.

    Returns:
        A functional model of ``low`` ``(N, H, W, 3)`` to ``enhanced`` of the same shape, both in
        [0, 1]. An enhancer that `has_gain` has the input ``level`` ``(N, 1)``, the mean of the
        result in (0, 1); 0 is `default_level`. One that `has_strength` has ``strength`` ``(N, 1)``
        and ``reference`` ``(N, C)``, and a second output of that shape: what it knows of the
        photo's brightness. That of another photo is what the strength 1 leads to; zeros stand for
        the vector that was trained.
    """
    low = keras.Input((None, None, 3), name="low")
    if enhancer.has_strength:
        return _with_strength(low, network)
    padded = PadReflected(enhancer.size_divisor, enhancer.padding)(low)
    finish = Finish(enhancer.padding)
    if not enhancer.has_gain:
        return keras.Model(low, finish([network(padded), low]))
    told = keras.Input((1,), name="level")
    level = LevelFor()([low, told])
    result = finish([network([padded, GainFor()([low, level])]), low])
    return keras.Model([low, told], Reach()([result, level]))


def _with_strength(low: Any, network: Any) -> Any:
    parts = parts_of(network)
    *features, own = parts.encoder(low)
    strength = keras.Input((1,), name="strength")
    reference = keras.Input(own.shape[1:], name="reference")
    vector = Towards(parts.mean)([own, strength, reference])
    result = Finish()([parts.decoder([*features, vector]), low])
    return keras.Model(
        [low, reference, strength], [FadeIn(parts.full)([low, result, strength]), own]
    )


class PadReflected(keras.layers.Layer):
    """Reflect photos at their borders, as `lle_utils.core.pad_to_divisor` does.

    Args:
        size_divisor, padding: As of that.

    Input and output ``(N, H, W, C)``.
    """

    def __init__(self, size_divisor: int, padding: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size_divisor, self.padding = size_divisor, padding

    def call(self, inputs: Any) -> Any:
        """Return the padded photos."""
        for axis in (1, 2):
            inputs = tf.gather(inputs, self._places(tf.shape(inputs)[axis]), axis=axis)
        return inputs

    def _places(self, side: Any) -> Any:
        """Return the pixels along a side of the result, as places in the photo.

        Nothing below 0 is divided: ONNX and TensorFlow do not agree on what then remains.
        """
        period, divisor = tf.maximum(2 * (side - 1), 1), self.size_divisor
        end = (side + divisor - 1) // divisor * divisor + self.padding
        places = tf.abs(tf.range(-self.padding, end)) % period
        return tf.minimum(places, period - places)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape, of unknown sides."""
        return (input_shape[0], None, None, input_shape[3])


class Finish(keras.layers.Layer):
    """Cut the padding off results, clip them, and take colour out where the photo has none.

    Args:
        padding: Of the results, above and to the left.

    Input a list of two: results ``(N, H, W, 3)`` and photos ``(N, h, w, 3)``; output
    ``(N, h, w, 3)`` in [0, 1].
    """

    def __init__(self, padding: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: Any) -> Any:
        """Return the finished results."""
        result, low = inputs
        height, width = tf.shape(low)[1], tf.shape(low)[2]
        result = result[:, self.padding :, self.padding :][:, :height, :width]
        result = ops.clip(result, 0.0, 1.0)
        spread = ops.max(ops.max(low, -1) - ops.min(low, -1), axis=(1, 2))
        light = ops.sum(result * np.float32(BT601), -1, keepdims=True)
        return ops.where(spread[:, None, None, None] > 0, result, light)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return the shape of the photos."""
        return input_shape[1]


class Towards(keras.layers.Layer):
    """Move vectors towards others, or towards a stored one where those are zeros.

    Args:
        mean: The stored vector ``(1, C)``.

    Input a list of three: vectors ``(N, C)``, strengths ``(N, 1)``, and the others ``(N, C)``;
    output ``(N, C)``.
    """

    def __init__(self, mean: np.ndarray, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = mean

    def call(self, inputs: Any) -> Any:
        """Return ``vector + strength * (target - vector)``."""
        own, strength, others = inputs
        told = ops.max(ops.abs(others), -1, keepdims=True) > 0
        return own + strength * (ops.where(told, others, self.mean) - own)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return the shape of the vectors."""
        return input_shape[0]


class LevelFor(keras.layers.Layer):
    """Choose a level where none is told, as `default_level` does.

    Input a list of two: photos ``(N, H, W, 3)`` in [0, 1], and levels ``(N, 1)``, 0 where none is
    told; output ``(N, 1)``.
    """

    def call(self, inputs: Any) -> Any:
        """Return the level of each photo."""
        low, level = inputs
        return ops.where(level > 0, level, _default_level(low))

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return ``(N, 1)``."""
        return input_shape[1]


class GainFor(keras.layers.Layer):
    """Find the gain that brings photos to a level, as `lle_utils.core.exposure_gain` does.

    Input a list of two: photos ``(N, H, W, 3)`` in [0, 1], and levels ``(N, 1)``; output
    ``(N, 1)``.
    """

    def call(self, inputs: Any) -> Any:
        """Return the gain of each photo."""
        return _gain_for(*inputs)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return ``(N, 1)``."""
        return input_shape[1]


class Reach(keras.layers.Layer):
    """Expose photos to a level, as `lle_utils.core.reach` does.

    Input a list of two: photos ``(N, H, W, 3)`` in [0, 1], and levels ``(N, 1)``; output
    as the photos.
    """

    def call(self, inputs: Any) -> Any:
        """Return the photos, exposed."""
        return ops.clip(Expose()([inputs[0], _gain_for(*inputs)]), 0.0, 1.0)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return the shape of the photos."""
        return input_shape[0]


def _gain_for(photos: Any, level: Any) -> Any:
    """Return the gain ``(N, 1)`` that brings each photo to its level.

    Many gains are tried on a few pixels; how their mean answers to the gain then leads to the one
    for all pixels.
    """
    lowest, highest = np.log2(GAINS).astype(np.float32)
    few, tried = _thinned(photos, COARSE_PIXELS), np.arange(lowest, highest, APART)
    values = ops.reshape(few, (tf.shape(few)[0], 1, -1, 1))
    means = ops.mean(Expose()([values, _gain(tried[None])]), axis=(2, 3))  # rising
    dark = ops.sum(ops.cast(means < level, "float32"), axis=1, keepdims=True)
    middle = lowest + APART * (dark - 0.5)
    ends = [_exposed_mean(few, middle + way * APART / 2) for way in (-1, 1)]
    slope = ops.maximum((ends[1] - ends[0]) / APART, 1e-4)
    for _ in range(STEPS):
        wrong = (_exposed_mean(photos, middle) - level) / slope
        middle = ops.clip(middle - ops.clip(wrong, -1.0, 1.0), lowest, highest)
    return _gain(middle)


def _default_level(low: Any) -> Any:
    """Return `default_level` of each photo, ``(N, 1)``."""
    sample, own = _thinned(low, SAMPLED_PIXELS), _mean(low)
    bright = _decoded(_quantile(ops.max(sample, -1), 1 - BRIGHT_SHARE))
    wanted = float(srgb_to_linear(BRIGHT_VALUE))
    safe = ops.clip(bright, 1e-7, wanted)
    allowed = _mean(Expose()([sample, wanted * (1 - safe) / (safe * (1 - wanted))]))
    allowed = ops.where(bright > 0, allowed, USUAL_LEVEL)
    allowed = ops.where(bright < wanted, allowed, own)
    return ops.clip(ops.maximum(own, ops.minimum(USUAL_LEVEL, allowed)), *LIMITS)


def _decoded(values: Any) -> Any:
    """Return `lle_utils.core.srgb_to_linear` of a tensor."""
    return ops.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _quantile(maps: Any, share: float) -> Any:
    """Return a quantile of each of ``(N, h, w)``, ``(N, 1)``, between two values as of NumPy."""
    values = tf.sort(ops.reshape(maps, (tf.shape(maps)[0], -1)))
    place = share * tf.cast(tf.shape(values)[1] - 1, tf.float32)
    below = tf.floor(place)
    first = tf.cast(below, tf.int32)
    second = tf.minimum(first + 1, tf.shape(values)[1] - 1)
    pair = tf.gather(values, tf.stack([first, second]), axis=1)
    return pair[:, :1] + (place - below) * (pair[:, 1:] - pair[:, :1])


def _thinned(low: Any, pixels: int) -> Any:
    """Return every so manieth pixel of photos, about as many as are given."""
    height, width = tf.shape(low)[1], tf.shape(low)[2]
    ratio = tf.cast(height, tf.float32) * tf.cast(width, tf.float32) / pixels
    step = tf.cast(tf.math.ceil(tf.sqrt(ratio)), tf.int32)
    rows = tf.gather(low, tf.range(0, height, step), axis=1)
    return tf.gather(rows, tf.range(0, width, step), axis=2)


def _exposed_mean(photos: Any, log_gain: Any) -> Any:
    return _mean(Expose()([photos, _gain(log_gain)]))


def _gain(log_gain: Any) -> Any:
    return ops.exp(log_gain * float(np.log(2)))


def _mean(photos: Any) -> Any:
    """Return the mean of each photo, ``(N, 1)``; rows first, for runtimes that add in turn."""
    return ops.mean(ops.mean(photos, axis=(2, 3)), axis=1, keepdims=True)
