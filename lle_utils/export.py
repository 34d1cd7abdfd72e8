"""Write an enhancer for other runtimes, and measure that it still does the same."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lle_utils.files import photo_dir
from lle_utils.images import pad_to_multiple
from lle_utils.inference import SMALL, Enhancer

SUFFIX = {
    "onnx": ".onnx",
    "openvino": "_openvino",
    "litert": ".tflite",
    "int8": "_int8",
    "saved_model": "_saved_model",
}
TARGETS = tuple(SUFFIX)
OPENVINO = "network.xml"  # in the folder of an OpenVINO export, its weights beside it
NETWORK, CURVES = "network.tflite", "curves.tflite"  # the two parts of an int8 export
SIZES = 4  # of small photos for which OpenVINO keeps a network
PHOTOS, CALIBRATION = 5, 16  # photos to compare on, and to calibrate on
TOLERANCE = 1e-4  # largest difference of a float export
LOSS = 0.1  # dB of PSNR that int8 may cost


class ExportError(ValueError):
    """An enhancer that cannot be exported, or whose export does something else."""


class Exported:
    """An exported model, with the one method of a Keras model that `Enhancer` calls.

    Not to be called by several threads at once: OpenVINO may then wait for itself for ever.

    Args:
        path: As written by `export`.
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
        if path.suffix == ".onnx":
            self.predict_on_batch = _onnx(path)
        elif path.suffix == ".tflite":
            self.predict_on_batch = _litert(path)
        elif (path / OPENVINO).is_file():
            self.predict_on_batch = _openvino(path / OPENVINO, exact)
        elif (path / NETWORK).is_file():
            network, curves = _litert(path / NETWORK), _litert(path / CURVES)
            self.predict_on_batch = lambda low: curves(low, network(low))
        elif (path / "saved_model.pb").is_file():
            self.predict_on_batch = _saved_model(path)
        else:
            raise ExportError(f"{path} is none of {', '.join(SUFFIX.values())}.")


def export(enhancer: Enhancer, target: str, folder: str | os.PathLike) -> tuple[Path, dict]:
    """Write an enhancer for another runtime and compare it with Keras before it appears.

    Args:
        enhancer: One with the single input ``low``.
        target: One of `TARGETS`. ``int8`` quantises the network of a curve method alone and
            applies its curves in float: `NETWORK` and `CURVES` in a folder.
        folder: Where to.

    Returns:
        The file or folder written, and what `parity` measured.

    Raises:
        ExportError: If the target is unknown, exists, cannot be made, or differs from Keras by
            more than `TOLERANCE` (float) or costs more than `LOSS`.
        ImportError: If the target needs a package that is not installed.
    """
    import keras

    if target not in TARGETS:
        raise ExportError(f"Unknown target {target!r}; known are {', '.join(TARGETS)}.")
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Exporting works under TensorFlow, not {keras.backend.backend()}: "
            f"set KERAS_BACKEND=tensorflow and call it again."
        )
    if enhancer.card["inputs"] != ["low"]:
        raise ExportError(
            f"{enhancer.name} takes {', '.join(enhancer.card['inputs'])}; only an enhancer with "
            "the one input low can be exported."
        )
    folder = Path(folder)
    path = folder / f"{enhancer.name}{SUFFIX[target]}"
    if path.exists():
        raise ExportError(f"{path} exists; remove it, or choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
        draft = Path(temporary) / path.name
        try:
            _write(enhancer, target, draft)
            measured = parity(enhancer, Exported(draft))
        except ImportError:
            raise
        except Exception as error:  # converters raise many kinds; all mean that it cannot be done
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ExportError(
                f"{enhancer.name} cannot be exported to {target}: {reason}"
            ) from error
        if target != "int8" and measured["difference"] > TOLERANCE:
            raise ExportError(
                f"{enhancer.name} as {target} differs from Keras by {measured['difference']:.2g}; "
                f"at most {TOLERANCE:g} is accepted. Nothing was written."
            )
        if measured["loss"] > LOSS:
            raise ExportError(
                f"{enhancer.name} as {target} loses {measured['loss']:.2f} dB of PSNR on "
                f"{measured['data']}; at most {LOSS:g} is accepted. Nothing was written."
            )
        measured["bytes"] = _size(draft)
        shutil.move(draft, path)
    return path, measured


def parity(enhancer: Enhancer, exported: Exported) -> dict:
    """Compare an export with Keras on validation photos of LOL, or synthetic ones without them.

    Args:
        enhancer: The original.
        exported: What was made of it.

    Returns:
        ``data``; ``difference``, the largest of any value; ``psnr``, of the export against
        Keras; ``loss``, how much lower its mean PSNR against the well-lit photos is. In dB.
    """
    from lle_utils.metrics import psnr

    other = Enhancer(exported, enhancer.card)
    difference, error, ours, theirs = 0.0, [], [], []
    for low, normal in _pairs("val", PHOTOS):
        expected, got = enhancer.enhance(low), other.enhance(low)
        difference = max(difference, float(np.abs(got - expected).max()))
        error.append(float(np.mean((got - expected) ** 2)))
        ours.append(psnr(expected, normal))
        theirs.append(psnr(got, normal))
    return {
        "data": f"{PHOTOS} {'val pairs of LOL' if photo_dir() else 'synthetic pairs'}",
        "difference": difference,
        "psnr": float(-10 * np.log10(max(np.mean(error), 1e-20))),
        "loss": float(np.mean(ours) - np.mean(theirs)),
    }


def _pairs(split: str, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield float pairs (low, normal): of LOL where there are photos, else synthetic."""
    from lle_utils import data, images, synthetic

    if photo_dir():
        pairs = data.lol_pairs(split)
        for pair in pairs[:: max(len(pairs) // count, 1)][:count]:
            yield images.load_image(pair.low), images.load_image(pair.normal)
        return
    scenes = synthetic.VAL_SCENES if split == "val" else synthetic.TRAIN_SCENES
    made = synthetic.synthetic_pairs(count, (160, 240), 0, scenes)
    for low, normal in zip(made.low, made.normal, strict=True):
        yield images.to_float(low), images.to_float(normal)


def _write(enhancer: Enhancer, target: str, path: Path) -> None:
    multiple = enhancer.card["multiple"]
    if target == "int8":
        _write_int8(enhancer.model, multiple, path)
        return
    model, side = _portable(enhancer.model, target), multiple * -(-96 // multiple)
    model.predict_on_batch(np.zeros((1, side, side, 3), np.float32))  # ONNX wants it called once
    if target == "openvino":
        openvino, folder = _import_openvino(), path.with_name("saved_model")
        # Not Keras' own way to OpenVINO, which fails under Python 3.13.
        model.export(str(folder), "tf_saved_model", verbose=False)
        converted = openvino.convert_model(str(folder), verbose=False)
        openvino.save_model(converted, str(path / OPENVINO), compress_to_fp16=False)
        shutil.rmtree(folder)
    else:
        formats = {"saved_model": "tf_saved_model"}
        model.export(str(path), format=formats.get(target, target), verbose=False)


def _portable(model: Any, target: str) -> Any:
    """Return a network without the layers that runtimes compute inexactly, slowly or not at all."""
    import keras

    from lle_utils import layers
    from lle_utils.tiles import normalizes_channels

    def counterpart(layer: Any) -> Any:
        if normalizes_channels(layer):
            return layers.RowwiseNormalization(layer)
        if isinstance(layer, layers.ScalarPReLU):
            return layers.FixedPReLU(layer)
        # LiteRT lacks this operation with such padding, and tf2onnx forgets the padding.
        if isinstance(layer, layers.ConvTranspose2x) and target == "openvino":
            return layers.PlainConvTranspose2x(layer)
        repeats = isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest"
        if repeats and layer.size[0] == layer.size[1]:
            return layers.UpsampleNearest(layer.size[0])
        return layer

    return keras.models.clone_model(model, clone_function=counterpart)


def _write_int8(model: Any, multiple: int, path: Path) -> None:
    """Quantise what estimates the curves, up to the last convolution, and keep the rest in float.

    A network that reduces its photo is calibrated on whole photos: of a crop it would see a few
    cells, most of them at the border, and values that no photo has. Others take crops for speed.

    Raises:
        ExportError: If the last convolution does not end in tanh, as that of curves does.
    """
    import keras
    import tensorflow as tf

    last = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    if last.activation is not keras.activations.tanh:
        raise ExportError("int8 is for the methods that estimate curves (Zero-DCE).")
    path.mkdir()
    keras.Model([model.input, last.output], model.output).export(
        str(path / CURVES), format="litert", verbose=False
    )
    folder = path / "network"
    keras.Model(model.input, last.output).export(str(folder), "tf_saved_model", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    size = 96 if multiple == 1 else None
    converter.representative_dataset = lambda: (
        [pad_to_multiple(low[:size, :size], multiple)[None]] for low in _dark()
    )
    (path / NETWORK).write_bytes(converter.convert())
    shutil.rmtree(folder)


def _dark() -> Iterator[np.ndarray]:
    """Yield dark photos of training scenes, to calibrate on."""
    for low, _ in _pairs("train", CALIBRATION):
        yield low


def _onnx(path: Path):
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would report over the network
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda low: session.run(None, {name: low})[0]


def _openvino(path: Path, exact: bool):
    options = {"INFERENCE_PRECISION_HINT": "f32"} if exact else {}
    core = _import_openvino().Core()
    network = core.read_model(str(path))
    networks: dict = {}  # by size: one for any size joins fewer operations and is slower

    def run(low: np.ndarray) -> np.ndarray:
        if low.shape not in networks:
            if len(networks) == SIZES or low.shape[1] * low.shape[2] > SMALL:
                networks.clear()  # each holds its features
            network.reshape(low.shape)
            networks[low.shape] = core.compile_model(network, "CPU", options)
        return networks[low.shape]({0: low})[0].copy()

    return run


def _import_openvino():
    """Import OpenVINO without its telemetry, which reports each import over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # OpenVINO then takes its own stub
    import openvino

    return openvino


def _saved_model(path: Path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda low: loaded.serve(low).numpy()


def _litert(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    names = interpreter.get_signature_runner().get_input_details()
    # The order of the tensors in the file is the converter's; by name, the photo comes first.
    inputs = [names[name] for name in sorted(names, key=lambda name: (name != "low", name))]
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


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
