"""Networks that see a whole photo, told about it from a reduced copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np


def normalizes_channels(layer: Any) -> bool:
    """Tell whether a layer is an instance normalisation: each channel over the photo by itself."""
    import keras

    if not isinstance(layer, keras.layers.GroupNormalization):
        return False
    return layer.groups == layer.input_spec.axes[layer.axis]


def with_fixed_statistics(model: Any, reduced: np.ndarray) -> Any:
    """Return a copy of a network whose means over the photo are those of a reduced photo.

    Global average pooling and the normalisation of each channel over the photo (instance
    normalisation) make a pixel depend on all others. Here both take the numbers that they have
    on the reduced photo, whatever the tile; all else, weights included, is shared.

    Args:
        model: Functional Keras model with one input.
        reduced: The whole photo made small, ``(h, w, 3)`` in [0, 1], of sides it accepts.

    Returns:
        A model of the same input and output; ``model`` itself when nothing in it is global.
    """
    from lle_utils.nn.frozen_layers import FrozenMean, FrozenNormalization

    if not any(_is_global(layer) for layer in model.layers):
        return model
    statistics = _measure(model, reduced)

    def freeze(call: str, layer: Any, maps: Any) -> Any:
        mean, variance = statistics[call]
        if normalizes_channels(layer):
            return FrozenNormalization(layer, mean, variance)(maps)
        return FrozenMean(mean)(maps)

    return _copy(model, freeze)


def _is_global(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.GlobalAveragePooling2D) or normalizes_channels(layer)


def _measure(model: Any, photo: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and variance of what each call of a global layer sees, by the call's name."""
    import keras

    from lle_utils.core.backend import compile_options
    from lle_utils.nn.frozen_layers import MeanAndVariance

    statistics = {}

    def watch(call: str, layer: Any, maps: Any) -> Any:
        statistics[call] = MeanAndVariance()(maps)
        return layer(maps)

    inputs = _copy(model, watch).inputs
    network = keras.Model(inputs, statistics)
    network.compile(**compile_options())  # called directly it would keep every feature map
    return network.predict_on_batch(photo[None])


def _copy(model: Any, call_global: Callable[[str, Any, Any], Any]) -> Any:
    """Return a copy of a network that shares its layers but calls the global ones differently.

    Args:
        model: Functional Keras model.
        call_global: Takes the name of a call, the layer and its input; returns its output. The
            name says which layer is called for the how manieth time, since one may be shared.
    """
    import keras

    counts = Counter()

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if not _is_global(layer):
            return layer(*inputs, **options)
        counts[layer.name] += 1
        return call_global(f"{layer.name}:{counts[layer.name]}", layer, inputs[0])

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
