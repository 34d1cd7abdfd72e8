"""An exported network, run in its own runtime in the place of a Keras model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from lle_utils.enhancers.runtimes import EXPORT_SUFFIXES
from lle_utils.enhancers.tiling import UNTILED_PIXELS

INT8_NETWORK, INT8_CURVES = "network.tflite", "curves.tflite"  # the parts of an int8 export
OPENVINO_FILE = "network.xml"  # in the folder of an OpenVINO export, its weights beside it
KEPT_SIZES = 4  # of small photos, for which OpenVINO keeps a network each


class ExportError(ValueError):
    """An enhancer that cannot be exported, or whose export does something else."""


Network = Callable[..., np.ndarray]  # a batch of photos, and what else it takes, to photos


class Exported:
    """An exported model, with the one method of a Keras model that `Enhancer` calls.

    Not to be called by several threads at once: OpenVINO may then wait for itself for ever.

    Args:
        path: As written by `lle_utils.enhancers.export_enhancer`.
        exact: Whether OpenVINO computes in float32. Otherwise it takes the precision that the
            processor is quickest in, bfloat16 on newer ones, and results may be off by 1/255.

    Raises:
        FileNotFoundError: If there is nothing.
        ExportError: If it is no export.
    """

    def __init__(self, path: str | os.PathLike, exact: bool = True) -> None:
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such export.")
        self._run = _load(path, exact)

    def predict_on_batch(self, inputs: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Run the network as that of Keras: photos ``(N, H, W, 3)``, or a list of all inputs."""
        return self._run(inputs) if isinstance(inputs, np.ndarray) else self._run(*inputs)


def _load(path: Path, exact: bool) -> Network:
    if path.suffix == ".onnx":
        return _load_onnx(path)
    if path.suffix == ".tflite":
        return _load_litert(path)
    if (path / OPENVINO_FILE).is_file():
        return _load_openvino(path / OPENVINO_FILE, exact)
    if (path / INT8_NETWORK).is_file():
        network, curves = _load_litert(path / INT8_NETWORK), _load_litert(path / INT8_CURVES)
        return lambda low: curves(low, network(low))
    if (path / "saved_model.pb").is_file():
        return _load_saved_model(path)
    raise ExportError(f"{path} is none of {', '.join(EXPORT_SUFFIXES.values())}.")


def _photo_first(names: Iterable[str]) -> list[str]:
    """Sort inputs as the network takes them; files keep the order of the converter."""
    return sorted(names, key=lambda name: (name != "low", name))


def import_openvino():
    """Import OpenVINO without its telemetry, which reports each import over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # OpenVINO then takes its own stub
    import openvino

    return openvino


def _load_onnx(path: Path) -> Network:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would report over the network
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = _photo_first(entry.name for entry in session.get_inputs())
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))[0]


def _load_openvino(path: Path, exact: bool) -> Network:
    # Held to fewer instructions, oneDNN cannot compute what OpenVINO takes the processor for.
    exact = exact or "ONEDNN_MAX_CPU_ISA" in os.environ
    options = {"INFERENCE_PRECISION_HINT": "f32"} if exact else {}
    core = import_openvino().Core()
    network = core.read_model(str(path))
    names = _photo_first(entry.any_name for entry in network.inputs)
    networks: dict = {}  # by size: one for any size joins fewer operations and is slower

    def run(*arrays: np.ndarray) -> np.ndarray:
        photos, inputs = arrays[0], dict(zip(names, arrays, strict=True))
        if photos.shape not in networks:
            if len(networks) == KEPT_SIZES or photos.shape[1] * photos.shape[2] > UNTILED_PIXELS:
                networks.clear()  # each holds its features
            network.reshape({name: array.shape for name, array in inputs.items()})
            networks[photos.shape] = core.compile_model(network, "CPU", options)
        return networks[photos.shape](inputs)[0].copy()

    return run


def _load_saved_model(path: Path) -> Network:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda *arrays: loaded.serve(arrays[0] if len(arrays) == 1 else [*arrays]).numpy()


def _load_litert(path: Path) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    names = interpreter.get_signature_runner().get_input_details()
    inputs = [names[name] for name in _photo_first(names)]
    output = interpreter.get_output_details()[0]["index"]
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
