"""Networks that see a whole photo, told about it from a reduced copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from lle_utils.enhancers.onnx_network import STATISTICS, TOLD, OnnxNetwork


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
        model: Functional Keras model with one input, or an `OnnxNetwork`.
        reduced: The whole photo made small, ``(h, w, 3)`` in [0, 1], of sides it accepts.

    Returns:
        A model of the same input and output, ready to run; ``model`` itself when nothing in it is
        global.
    """
    if isinstance(model, OnnxNetwork):
        return model.with_statistics(reduced)
    from lle_utils.core.backend import compile_options
    from lle_utils.nn.frozen_layers import FrozenMean, FrozenNormalization

    if not any(_is_global(layer) for layer in model.layers):
        return model
    statistics = _measure(model, reduced)

    def freeze(call: str, layer: Any, maps: Any) -> Any:
        mean, variance = statistics[call]
        if normalizes_channels(layer):
            return FrozenNormalization(layer, mean, variance)(maps)
        return FrozenMean(mean)(maps)

    frozen = _copy(model, freeze)
    frozen.compile(**compile_options())
    return frozen


def with_told_statistics(model: Any) -> Any:
    """Return a copy of a network that can be told its statistics, see `OnnxNetwork`.

    Args:
        model: Functional Keras model with the input ``low``.

    Returns:
        A model with the inputs ``low``, ``statistics`` and ``told``, and two outputs, the photo and
        its statistics; ``model`` itself when nothing in it is global.
    """
    import keras

    from lle_utils.nn.frozen_layers import ToldMean, ToldNormalization

    total = _count_statistics(model)
    if not total:
        return model
    low = keras.Input(model.inputs[0].shape[1:], name="low")
    more = [keras.Input((total,), name=STATISTICS), keras.Input((1,), name=TOLD)]
    measured: list = []

    def tell(call: str, layer: Any, maps: Any) -> Any:
        start = sum(own.shape[-1] for own in measured)
        told = ToldNormalization(layer, start) if normalizes_channels(layer) else ToldMean(start)
        result, own = told([maps, *more])
        measured.append(own)
        return result

    wide = keras.Model([*model.inputs, *more], [*model.outputs, *more])  # clones with the inputs
    outputs = _copy(wide, tell, [low, *more]).outputs
    return keras.Model([low, *more], [outputs[0], keras.ops.concatenate(measured, -1)])


def _count_statistics(model: Any) -> int:
    """Return how many means and variances a network takes over the photo."""
    counts = []

    def count(call: str, layer: Any, maps: Any) -> Any:
        counts.append(maps.shape[-1] * (2 if normalizes_channels(layer) else 1))
        return layer(maps)

    _copy(model, count)
    return sum(counts)


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


def _copy(model: Any, call_global: Callable[[str, Any, Any], Any], inputs: Any = None) -> Any:
    """Return a copy of a network that shares its layers but calls the global ones differently.

    Args:
        model: Functional Keras model.
        call_global: Takes the name of a call, the layer and its input; returns its output. The
            name says which layer is called for the how manieth time, since one may be shared.
        inputs: Of the copy; new ones when None.
    """
    import keras

    counts = Counter()

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if not _is_global(layer):
            return layer(*arguments, **options)
        counts[layer.name] += 1
        return call_global(f"{layer.name}:{counts[layer.name]}", layer, arguments[0])

    return keras.models.clone_model(
        model, inputs, clone_function=lambda layer: layer, call_function=call
    )
