"""An exported network, run in its own runtime in the place of a Keras model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lle_utils.enhancers.runtimes import EXPORT_SUFFIXES
from lle_utils.enhancers.sessions import open_onnx, open_openvino, photo_first

INT8_NETWORK, INT8_CURVES = "network.tflite", "curves.tflite"  # the parts of an int8 export
OPENVINO_FILE = "network.xml"  # in the folder of an OpenVINO export, its weights beside it


class ExportError(ValueError):
    """An enhancer that cannot be exported, or whose export does something else."""


Network = Callable[..., np.ndarray]  # a batch of photos, and what else it takes, to photos


class Exported:
    """An exported enhancer, with the one method of a Keras model that `Enhancer` calls.

    It takes photos of any size and, beside them, what `more_inputs` says; int8 is the network of
    an enhancer alone and needs an `Enhancer` around it, which pads.

    Not to be called by several threads at once: OpenVINO may then wait for itself for ever.

    Args:
        path: As written by `lle_utils.enhancers.export_enhancer`.
        exact: Whether OpenVINO computes in float32. Otherwise it takes the precision that the
            processor is quickest in, bfloat16 on newer ones, and results may be off by 1/255.

    Attributes:
        any_size: Whether photos may have any size, and need no `Enhancer`.

    Raises:
        FileNotFoundError: If there is nothing.
        ExportError: If it is no export.
    """

    def __init__(self, path: str | os.PathLike, exact: bool = True) -> None:
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such export.")
        self._run = _load(path, exact)
        self.any_size = not (path / INT8_NETWORK).is_file()

    def predict_on_batch(self, inputs: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Run the network as that of Keras: photos ``(N, H, W, 3)``, or a list of all inputs."""
        return self._run(inputs) if isinstance(inputs, np.ndarray) else self._run(*inputs)


def _load(path: Path, exact: bool) -> Network:
    if path.suffix == ".onnx":
        return _photos_of(open_onnx(path).run)
    if path.suffix == ".tflite":
        return _load_litert(path)
    if (path / OPENVINO_FILE).is_file():
        return _photos_of(open_openvino(path / OPENVINO_FILE, exact).run)
    if (path / INT8_NETWORK).is_file():
        network, curves = _load_litert(path / INT8_NETWORK), _load_litert(path / INT8_CURVES)
        return lambda low: curves(low, network(low))
    if (path / "saved_model.pb").is_file():
        return _load_saved_model(path)
    raise ExportError(f"{path} is none of {', '.join(EXPORT_SUFFIXES.values())}.")


def _photos_of(run: Callable[..., Sequence[np.ndarray]]) -> Network:
    return lambda *arrays: run(*arrays)[0]


def _load_saved_model(path: Path) -> Network:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(*arrays: np.ndarray) -> np.ndarray:
        found = loaded.serve(arrays[0] if len(arrays) == 1 else [*arrays])
        return (found[0] if isinstance(found, (list, tuple)) else found).numpy()

    return run


def _load_litert(path: Path) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    names = interpreter.get_signature_runner().get_input_details()
    inputs = [names[name] for name in photo_first(names)]
    photos = max(interpreter.get_output_details(), key=lambda entry: len(entry["shape"]))
    output = photos["index"]
    shapes: list = []

    def run(*arrays: np.ndarray) -> np.ndarray:
        nonlocal shapes
        if shapes != [array.shape for array in arrays]:
            for entry, array in zip(inputs, arrays, strict=True):
                interpreter.resize_tensor_input(entry["index"], array.shape)
            interpreter.allocate_tensors()
            shapes = [array.shape for array in arrays]
        for entry, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(entry["index"], np.ascontiguousarray(array, np.float32))
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run
