"""Layers that take the place of others when a trained network runs or is exported; never saved."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from lle_utils.nn.layers import ConvTranspose2x, ScalarPReLU


class MeanAndVariance(keras.layers.Layer):
    """Measure each channel over each photo, as global pooling and instance normalisation do.

    A layer, and no operations: these would be named by Keras, now and then as one that a loaded
    network brought along, and names must differ.

    Input ``(N, H, W, C)``; outputs two of ``(N, 1, 1, C)``. Never saved.
    """

    def call(self, inputs: Any) -> tuple:
        """Return mean and variance."""
        mean = ops.mean(inputs, axis=(1, 2), keepdims=True)
        return mean, ops.mean(ops.square(inputs - mean), axis=(1, 2), keepdims=True)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return ``(N, 1, 1, C)``, twice."""
        shape = (input_shape[0], 1, 1, input_shape[-1])
        return shape, shape


class FrozenMean(keras.layers.Layer):
    """Take the place of global average pooling with a mean that is known beforehand.

    Args:
        mean: Array ``(1, 1, 1, C)``.

    Input ``(N, H, W, C)``, of which only N counts; output ``(N, 1, 1, C)``. Never saved.
    """

    def __init__(self, mean: np.ndarray, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = mean

    def call(self, inputs: Any) -> Any:
        """Return the mean for each member of ``inputs``."""
        return ops.zeros_like(inputs[:, :1, :1]) + ops.cast(self.mean, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return ``(N, 1, 1, C)``."""
        return (input_shape[0], 1, 1, input_shape[-1])


class FrozenNormalization(keras.layers.Layer):
    """Normalise channels by a mean and a variance that are known beforehand.

    Args:
        layer: The normalisation whose weights and epsilon are used.
        mean, variance: Arrays ``(1, 1, 1, C)``.

    Input and output ``(N, H, W, C)``. Never saved.
    """

    def __init__(self, layer: Any, mean: np.ndarray, variance: np.ndarray, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        gamma, beta = _gamma_and_beta(layer)
        self.factor = gamma * (1 / np.sqrt(variance + layer.epsilon))
        self.offset = beta - mean * self.factor

    def call(self, inputs: Any) -> Any:
        """Return ``gamma * (inputs - mean) / sqrt(variance + epsilon) + beta``."""
        return inputs * ops.cast(self.factor, inputs.dtype) + ops.cast(self.offset, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape


class FrozenPReLU(keras.layers.Layer):
    """A `ScalarPReLU` that learns no more: one operation, which runtimes join to a convolution.

    Args:
        layer: The `ScalarPReLU` whose slope is used.

    Input and output have the same shape, whatever it is. Never saved.
    """

    def __init__(self, layer: ScalarPReLU, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slope = float(np.asarray(layer.slope))

    def call(self, inputs: Any) -> Any:
        """Return ``max(x, 0) + slope * min(x, 0)``."""
        return ops.leaky_relu(inputs, self.slope)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape


class PlainConvTranspose2x(keras.layers.Layer):
    """A `ConvTranspose2x` as one operation of TensorFlow: slower there, quicker in OpenVINO.

    Args:
        layer: The `ConvTranspose2x` whose kernel is used.

    Input ``(N, H, W, C)``; output ``(N, 2*H, 2*W, filters)``. Never saved.
    """

    def __init__(self, layer: ConvTranspose2x, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel = np.asarray(layer.kernel)
        self.compute_output_shape = layer.compute_output_shape

    def call(self, inputs: Any) -> Any:
        """Convolve ``inputs`` (N, H, W, C)."""
        import tensorflow as tf  # Keras offers no such padding

        batch, height, width, _ = tf.unstack(tf.shape(inputs))
        shape = [batch, 2 * height, 2 * width, self.kernel.shape[2]]
        padding = [[0, 0], [1, 0], [1, 0], [0, 0]]
        return tf.nn.conv2d_transpose(inputs, self.kernel, shape, 2, padding)


class RowwiseNormalization(keras.layers.Layer):
    """Normalise channels over each photo, with means taken over rows first and then over them.

    Some runtimes add up all pixels of a photo one after the other in float32, and lose digits:
    of the enhancer ``resnet_gan`` 1.7e-4 was lost on LOL, and in this way 2e-6.

    Args:
        layer: The instance normalisation whose weights and epsilon are used.

    Input and output ``(N, H, W, C)``. Never saved.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = layer.epsilon
        self.gamma, self.beta = _gamma_and_beta(layer)

    def call(self, inputs: Any) -> Any:
        """Return ``gamma * (inputs - mean) / sqrt(variance + epsilon) + beta``."""
        centred = inputs - _mean_of_rows(inputs)
        return self._scaled(centred, _mean_of_rows(ops.square(centred)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape

    def _scaled(self, centred: Any, variance: Any) -> Any:
        return centred * (self.gamma * ops.rsqrt(variance + self.epsilon)) + self.beta


class ToldNormalization(RowwiseNormalization):
    """Normalise channels by the photo's own mean and variance, or by those that are told.

    Args:
        layer: The instance normalisation whose weights and epsilon are used.
        start: Where its 2 C numbers begin among the statistics.

    Input a list of three: ``(N, H, W, C)``, statistics ``(N, K)``, and ``(N, 1)``, 1 where these
    count and 0 where not. Output two: ``(N, H, W, C)``, and its own statistics ``(N, 2 C)``.
    Never saved.
    """

    def __init__(self, layer: Any, start: int, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.start = start

    def call(self, inputs: Any) -> tuple:
        """Return what is normalised, and its own mean and variance."""
        maps, statistics, told = inputs
        own_mean = _mean_of_rows(maps)
        own_variance = _mean_of_rows(ops.square(maps - own_mean))
        mean = _told(own_mean, statistics, told, self.start)
        variance = _told(own_variance, statistics, told, self.start + maps.shape[-1])
        own = ops.concatenate([own_mean, own_variance], -1)[:, 0, 0]
        return self._scaled(maps - mean, variance), own

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return ``(N, H, W, C)`` and ``(N, 2 C)``."""
        maps = input_shape[0]
        return maps, (maps[0], 2 * maps[-1])


class ToldMean(keras.layers.Layer):
    """Take the place of global average pooling; the mean may be told, as of `ToldNormalization`.

    Args:
        start: Where its C numbers begin among the statistics.

    Input as of `ToldNormalization`; output two: ``(N, 1, 1, C)`` and its own mean ``(N, C)``.
    Never saved.
    """

    def __init__(self, start: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def call(self, inputs: Any) -> tuple:
        """Return the mean that counts, and the photo's own."""
        maps, statistics, told = inputs
        own = _mean_of_rows(maps)
        return _told(own, statistics, told, self.start), own[:, 0, 0]

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return ``(N, 1, 1, C)`` and ``(N, C)``."""
        batch, _, _, channels = input_shape[0]
        return (batch, 1, 1, channels), (batch, channels)


def _told(own: Any, statistics: Any, told: Any, start: int) -> Any:
    """Return numbers ``(N, 1, 1, C)``: a photo's own, or those told, from ``start`` on."""
    given = statistics[:, None, None, start : start + own.shape[-1]]
    return ops.where(told[:, None, None] > 0.5, given, own)


def _gamma_and_beta(layer: Any) -> tuple:
    """Return the weights of a normalisation, 1 and 0 where it has none."""
    gamma = np.asarray(layer.gamma) if layer.scale else 1.0
    beta = np.asarray(layer.beta) if layer.center else 0.0
    return gamma, beta


def _mean_of_rows(maps: Any) -> Any:
    rows = ops.mean(maps, axis=2, keepdims=True)
    # Not a second mean: OpenVINO would make one of the two.
    return ops.sum(rows, axis=1, keepdims=True) / ops.cast(ops.shape(maps)[1], maps.dtype)
