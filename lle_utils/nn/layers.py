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


class _Upsample(keras.layers.Layer):
    """Enlarge by an integer factor with the ``interpolation`` of the class."""

    interpolation: str

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
            resized = tf.image.resize(inputs, size, method=self.interpolation)
            return tf.cast(resized, inputs.dtype)
        _, height, width, _ = inputs.shape
        size = (height * self.factor, width * self.factor)
        return ops.image.resize(inputs, size, interpolation=self.interpolation)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return ``(N, factor*H, factor*W, C)``, None where unknown."""
        batch, height, width, channels = input_shape
        grow = [None if side is None else side * self.factor for side in (height, width)]
        return (batch, *grow, channels)

    def get_config(self) -> dict:
        """Return the arguments that rebuild the layer."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package=PACKAGE)
class UpsampleBilinear(_Upsample):
    """Enlarge by an integer factor with bilinear interpolation, for any height and width.

    Keras' own ``UpSampling2D(interpolation="bilinear")`` fails inside nested models and in
    export when height and width are unknown; this layer does not.

    Args:
        factor: Positive integer.

    Input ``(N, H, W, C)``; output ``(N, factor*H, factor*W, C)``, with pixel centres at
    half-integers (the convention of TensorFlow 2 and JAX).
    """

    interpolation = "bilinear"


class UpsampleNearest(_Upsample):
    """Repeat each pixel, as Keras' ``UpSampling2D`` does, in one operation that LiteRT knows.

    Args:
        factor: Positive integer.

    Input ``(N, H, W, C)``; output ``(N, factor*H, factor*W, C)``. Never saved.
    """

    interpolation = "nearest"


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
        self.slope = self.add_weight(
            name="slope",
            shape=(),
            initializer=keras.initializers.Constant(self.initial),
        )

    def call(self, inputs: Any) -> Any:
        """Return ``max(x, 0) + slope * min(x, 0)``."""
        # The gradient of a maximum is slower: a training step of MIRNet takes a fifth longer.
        slope = ops.cast(self.slope, inputs.dtype)
        return slope * inputs + (1 - slope) * ops.relu(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict:
        """Return the arguments that rebuild the layer."""
        return {**super().get_config(), "initial": self.initial}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConvTranspose2x(keras.layers.Layer):
    """Transposed 3x3 convolution with stride 2, without bias: doubles height and width.

    Computed as two ordinary convolutions, one for the even and one for the odd rows. On a CPU
    it takes a third of the time of Keras' ``Conv2DTranspose``.

    Args:
        filters: Channels of the output.

    Input ``(N, H, W, C)``; output ``(N, 2*H, 2*W, filters)``.

    Reference:
        The transposed convolution of MIRNet's released code (kernel 3, stride 2, padding 1,
        output padding 1). Input pixel (i, j) meets the middle of the kernel at (2i, 2j);
        Keras' "same" padding puts it at (2i+1, 2j+1). ``kernel`` is ``(3, 3, filters, C)``, the
        axes of Keras' layer.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters is {filters}; expected a positive integer.")
        self.filters = int(filters)

    def build(self, input_shape: tuple) -> None:
        """Create the kernel."""
        shape = (3, 3, self.filters, input_shape[-1])
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_uniform")

    def call(self, inputs: Any) -> Any:
        """Convolve ``inputs`` (N, H, W, C)."""
        kernel = ops.cast(ops.transpose(self.kernel, (0, 1, 3, 2)), inputs.dtype)
        # An even position sees the middle of the kernel, an odd one both of its ends, reversed.
        even, odd = slice(1, 2), slice(None, None, -2)
        rows = []
        for row in (even, odd):
            middle = ops.pad(kernel[row, even], [[0, 0], [0, 1], [0, 0], [0, 0]])
            both = ops.concatenate([middle, kernel[row, odd]], axis=-1)
            rows.append(ops.conv(inputs, both, padding="same"))  # even and odd columns in turn
        _, height, width, _ = ops.shape(inputs)
        return ops.reshape(ops.stack(rows, axis=2), (-1, 2 * height, 2 * width, self.filters))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return ``(N, 2*H, 2*W, filters)``, None where unknown."""
        batch, height, width, _ = input_shape
        doubled = [None if side is None else 2 * side for side in (height, width)]
        return (batch, *doubled, self.filters)

    def get_config(self) -> dict:
        """Return the arguments that rebuild the layer."""
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package=PACKAGE)
class CropLike(keras.layers.Layer):
    """Cut rows off the bottom and columns off the right until an image fits another.

    Input a list of two: ``(N, H, W, C)`` and ``(N, h, w, D)`` with h and w at most H and W;
    output ``(N, h, w, C)``.
    """

    def call(self, inputs: Any) -> Any:
        """Crop ``inputs[0]`` to the height and width of ``inputs[1]``."""
        images, like = inputs
        _, height, width, _ = ops.shape(like)
        return images[:, :height, :width]

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return ``(N, h, w, C)``, None where unknown."""
        images, like = input_shape
        return (images[0], like[1], like[2], images[3])


@keras.saving.register_keras_serializable(package=PACKAGE)
class TowardsMean(keras.layers.Layer):
    """Move vectors from where they are towards a stored one, or past it.

    With a level of 0 a vector stays, with 1 it becomes the stored one, beyond 1 it goes on in
    the same direction. The stored vector, ``mean``, starts at zero and is not trained; whoever
    builds the model assigns it.

    Input a list of two: vectors ``(N, C)`` and levels ``(N, 1)``; output ``(N, C)``.
    """

    def build(self, input_shape: list) -> None:
        """Create the stored vector."""
        shape = (input_shape[0][-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        """Return ``vector + level * (mean - vector)``."""
        vectors, level = inputs
        return vectors + level * (self.mean - vectors)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return the shape of the vectors."""
        return input_shape[0]


@keras.saving.register_keras_serializable(package=PACKAGE)
class FadeIn(keras.layers.Layer):
    """Blend a result with the photo that it was made of, at low levels.

    At level 0 the photo stays as it is, from the level ``full`` on the result counts alone.

    Args:
        full: A level above 0.

    Input a list of three: photos ``(N, H, W, 3)``, results of that shape, levels ``(N, 1)``;
    output ``(N, H, W, 3)``.
    """

    def __init__(self, full: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full = full

    def call(self, inputs: Any) -> Any:
        """Return ``photo + min(level / full, 1) * (result - photo)``."""
        photo, result, level = inputs
        share = ops.minimum(level / self.full, 1.0)[..., None, None]
        return photo + share * (result - photo)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return the shape of the results."""
        return input_shape[1]

    def get_config(self) -> dict:
        """Return what the layer is made from."""
        return {**super().get_config(), "full": self.full}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Expose(keras.layers.Layer):
    """Expose photos anew, as `lle_utils.core.expose` does.

    Input a list of two: photos ``(N, H, W, 3)`` in [0, 1] and gains ``(N, 1)`` above 0; output
    ``(N, H, W, 3)`` in [0, 1].
    """

    def call(self, inputs: Any) -> Any:
        """Return the photos with ``gain`` times the light in the darks, white kept white."""
        photo, gain = inputs
        gain = gain[..., None, None]
        light = ops.where(photo <= 0.04045, photo / 12.92, ((photo + 0.055) / 1.055) ** 2.4)
        light = gain * light / (1 + (gain - 1) * light)
        encoded = 1.055 * ops.maximum(light, 1e-6) ** (1 / 2.4) - 0.055
        return ops.where(light <= 0.0031308, 12.92 * light, encoded)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """Return the shape of the photos."""
        return input_shape[0]


@keras.saving.register_keras_serializable(package=PACKAGE)
class EncodeLight(keras.layers.Layer):
    """Encode linear light with the curve of sRGB, which makes noise alike in darks and lights.

    Input and output of the same shape. What is below 0, as noise in the dark may be, is mirrored
    and keeps its sign; above 1 the curve goes on.
    """

    def call(self, inputs: Any) -> Any:
        """Return the encoded light."""
        size = ops.abs(inputs)
        encoded = 1.055 * ops.maximum(size, 1e-6) ** (1 / 2.4) - 0.055
        return ops.sign(inputs) * ops.where(size <= 0.0031308, 12.92 * size, encoded)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape
