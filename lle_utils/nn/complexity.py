"""What a network costs: multiply-adds and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from lle_utils.core.images import round_up

BYTES_PER_NUMBER = 4  # of float32


def multiply_adds(model: Any, size_divisor: int = 1, size: int = 256) -> int:
    """Count the multiply-adds of all convolutions and dense layers for one square photo.

    Args:
        model: Functional Keras model; its inputs with three channels are images, with four
            camera raw. Models
            inside it are counted too, once for each time they are called.
        size_divisor: What the sides of a photo must divide by. If ``size`` does not, the next
            larger photo is counted and the count reduced in proportion to the area.
        size: Side of the photo in pixels.

    Returns:
        The number of multiplications, each of which comes with an addition.
    """
    side = round_up(size, size_divisor)
    return round(_multiply_adds(model, _input_shapes(model, side)) * (size / side) ** 2)


def _multiply_adds(model: Any, shapes: Sequence[tuple]) -> int:
    """Count for inputs of the given shapes, without the batch axis."""
    import keras

    from lle_utils.nn.layers import ConvTranspose2x

    per_output = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    # The kernels of these are applied once per pixel of the input.
    per_input = (keras.layers.Conv2DTranspose, ConvTranspose2x)
    total = 0
    for call in layer_calls(model, shapes)[0]:
        if isinstance(call.layer, keras.Model):
            total += _multiply_adds(call.layer, [t.shape[1:] for t in call.inputs])
        elif isinstance(call.layer, (*per_output, *per_input)):
            maps = call.inputs if isinstance(call.layer, per_input) else call.outputs
            total += math.prod(call.layer.kernel.shape) * math.prod(maps[0].shape[1:-1])
    return total


def bytes_per_pixel(model: Any, size_divisor: int = 1) -> float:
    """Estimate the memory a network needs for each pixel of a photo.

    Walks through the network and adds up the feature maps that are alive at each step: those
    computed already and needed later. The largest sum counts.

    Args:
        model: Functional Keras model; a model inside it counts with its own largest sum.
        size_divisor: What the sides of a photo must divide by.

    Returns:
        Bytes, without reserve for what the convolutions need beside their results.
    """
    side = round_up(256, size_divisor)
    return _numbers_alive(model, _input_shapes(model, side)) * BYTES_PER_NUMBER / side**2


def _numbers_alive(model: Any, shapes: Sequence[tuple]) -> int:
    """Return the most numbers that feature maps hold at the same time."""
    import keras

    calls, _, outputs = layer_calls(model, shapes)
    last_use = {id(t): step for step, call in enumerate(calls) for t in call.inputs}
    last_use |= {id(t): len(calls) for t in outputs}
    alive: dict[int, int] = {}
    most = 0
    for step, call in enumerate(calls):
        alive |= {id(t): _numbers(t) for t in (*call.inputs, *call.outputs)}
        inside = 0
        if isinstance(call.layer, keras.Model):
            inside = _numbers_alive(call.layer, [t.shape[1:] for t in call.inputs])
        most = max(most, sum(alive.values()) + inside)
        alive = {key: size for key, size in alive.items() if last_use.get(key, -1) > step}
    return most


def _numbers(tensor: Any) -> int:
    # The batch, of one photo, is the only side that is unknown, wherever it stands.
    return math.prod(side or 1 for side in tensor.shape)


class LayerCall(NamedTuple):
    """One call of a layer, or of an operation, in a network.

    Attributes:
        layer: What is called.
        inputs, outputs: Symbolic tensors that it takes and returns.
    """

    layer: Any
    inputs: list
    outputs: list


def layer_calls(model: Any, shapes: Sequence[tuple]) -> tuple[list[LayerCall], list, list]:
    """List the calls of a network in the order in which it makes them.

    Args:
        model: Functional Keras model, which stays as it is. A model inside it is one call.
        shapes: Of the inputs, without the batch axis.

    Returns:
        The calls, and the inputs and outputs of the network. A tensor is the same object wherever
        it is used.
    """
    import keras

    calls = []

    def note(layer: Any, *arguments: Any, **options: Any) -> Any:
        result = layer(*arguments, **options)
        calls.append(LayerCall(layer, _tensors((arguments, options)), _tensors(result)))
        return result

    if isinstance(model, keras.Sequential):  # Keras tells the calls of functional models alone
        model = keras.Model(model.inputs, model.outputs)
    inputs = [keras.Input(shape) for shape in shapes]
    packed = keras.tree.pack_sequence_as(model.input, inputs)
    copy = keras.models.clone_model(model, input_tensors=packed, call_function=note)
    return calls, inputs, copy.outputs


def _tensors(nested: Any) -> list:
    import keras

    return [t for t in keras.tree.flatten(nested) if isinstance(t, keras.KerasTensor)]


def _input_shapes(model: Any, side: int) -> list[tuple]:
    """Return the shapes of inputs for a square photo; vectors keep theirs.

    Four channels are those of camera raw, each with a quarter of the pixels.
    """
    sides = {3: side, 4: side // 2}
    return [
        t.shape[1:] if len(t.shape) == 2 else (*[sides[t.shape[-1]]] * 2, t.shape[-1])
        for t in model.inputs
    ]
