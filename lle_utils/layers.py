"""Keras layers that the enhancers need and Keras lacks.

A saved enhancer loads in any process that has imported this module, with safe mode on and
under every Keras backend.
"""

from __future__ import annotations

from typing import Any

import keras
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
