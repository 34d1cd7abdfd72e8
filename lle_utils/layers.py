"""Keras layers that the enhancers need and Keras lacks.

A saved enhancer loads in any process that has imported this module, with safe mode on and
under every Keras backend.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

PACKAGE = "lle_utils"


@keras.saving.register_keras_serializable(package=PACKAGE)
class UpsampleBilinear(keras.layers.Layer):
    """Enlarge by an integer factor with bilinear interpolation, for any height and width.

    Keras' own ``UpSampling2D(interpolation="bilinear")`` fails inside nested models and in
    export when height and width are unknown; this layer does not.

    Args:
        factor: Positive integer.

    Input ``(N, H, W, C)``; output ``(N, factor*H, factor*W, C)``, with pixel centres at
    half-integers (the convention of TensorFlow 2 and JAX).
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if factor < 1:
            raise ValueError(f"factor is {factor}; expected a positive integer.")
        self.factor = int(factor)

    def call(self, inputs: Any) -> Any:
        """Resize ``inputs`` (N, H, W, C)."""
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf  # ops.image.resize cannot take a size known only at run time

            size = tf.shape(inputs)[1:3] * self.factor
            resized = tf.image.resize(inputs, size, method="bilinear")
            return tf.cast(resized, inputs.dtype)
        _, height, width, _ = inputs.shape
        size = (height * self.factor, width * self.factor)
        return ops.image.resize(inputs, size, interpolation="bilinear")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return ``(N, factor*H, factor*W, C)``, None where unknown."""
        batch, height, width, channels = input_shape
        grow = [None if side is None else side * self.factor for side in (height, width)]
        return (batch, *grow, channels)

    def get_config(self) -> dict:
        """Return the arguments that rebuild the layer."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package=PACKAGE)
class BlurPool(keras.layers.Layer):
    """Halve height and width after a small blur, so that a shift of the input changes little.

    The blur is the binomial filter ``[1, 2, 1] x [1, 2, 1] / 16`` on the reflected image; of
    its result every second row and column is kept. Without the blur, detail finer than two
    pixels turns into false patterns (aliasing).

    Input ``(N, H, W, C)``, H and W at least 2; output ``(N, ceil(H/2), ceil(W/2), C)``.

    Reference:
        Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019, section 3.
    """

    def call(self, inputs: Any) -> Any:
        """Blur and subsample ``inputs`` (N, H, W, C)."""
        padded = ops.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        blur = np.array([1, 2, 1]) / 4
        kernel = np.tile(np.outer(blur, blur)[:, :, None, None], (1, 1, inputs.shape[-1], 1))
        kernel = ops.cast(kernel, inputs.dtype)
        # One strided depthwise convolution takes a tenth of the time of sums of slices.
        return ops.depthwise_conv(padded, kernel, strides=2, padding="valid")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return ``(N, ceil(H/2), ceil(W/2), C)``, None where unknown."""
        batch, height, width, channels = input_shape
        halved = [None if side is None else -(-side // 2) for side in (height, width)]
        return (batch, *halved, channels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ScalarPReLU(keras.layers.Layer):
    """Multiply negative values by one learnt number, the same for all channels.

    Keras' own ``PReLU`` learns a number per channel and position, or per channel; the layer
    of PyTorch, which most restoration networks use, learns a single one.

    Args:
        initial: The slope to start with.

    Input and output have the same shape, whatever it is.

    Reference:
        He et al., Delving Deep into Rectifiers, ICCV 2015, section 2.1 (channel-shared).
    """

    def __init__(self, initial: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial = float(initial)

    def build(self, input_shape: tuple) -> None:
        """Create the one parameter."""
        start = keras.initializers.Constant(self.initial)
        self.slope = self.add_weight(name="slope", shape=(), initializer=start)

    def call(self, inputs: Any) -> Any:
        """Return ``max(x, 0) + slope * min(x, 0)``."""
        return ops.maximum(inputs, 0) + self.slope * ops.minimum(inputs, 0)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict:
        """Return the arguments that rebuild the layer."""
        return {**super().get_config(), "initial": self.initial}
