"""Write an enhancer for other runtimes, and measure that it still does the same."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lle_utils.core.exposure import reach
from lle_utils.core.images import pad_to_divisor, to_float
from lle_utils.data.samples import default_source, sample_pairs
from lle_utils.enhancers.brightness import default_level
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.export_notes import (
    example_path,
    facts,
    outputs,
    usual_inputs,
    write_example,
)
from lle_utils.enhancers.exported import (
    INT8_CURVES,
    INT8_NETWORK,
    OPENVINO_FILE,
    Exported,
    ExportError,
)
from lle_utils.enhancers.onnx_file import write_onnx_file
from lle_utils.enhancers.raw_enhancer import RawEnhancer
from lle_utils.enhancers.runtimes import EXPORT_SUFFIXES, EXPORT_TARGETS
from lle_utils.enhancers.sessions import import_openvino
from lle_utils.nn import frozen_layers

COMPARED_PHOTOS, CALIBRATION_PHOTOS = 5, 16
SYNTHETIC_SIZE = (160, 240)  # height and width of such photos where LOL is missing
LARGEST_DIFFERENCE = 1e-4  # of any value of a float export from Keras
LARGEST_LOSS = 0.1  # dB of PSNR that an export may cost
EXAMPLE_SIDE = 96  # pixels of the photos that a network is called with while it is written
EXAMPLE = np.zeros((1, EXAMPLE_SIDE, EXAMPLE_SIDE, 3), np.float32)


def export_enhancer(
    enhancer: Enhancer, target: str, folder: str | os.PathLike
) -> tuple[Path, dict]:
    """Write an enhancer for another runtime and compare it with Keras before it appears.

    Args:
        enhancer: One that enhances photos.
        target: One of `EXPORT_TARGETS`. ``int8`` quantises the network of a curve method alone
            and applies its curves in float: `INT8_NETWORK` and `INT8_CURVES` in a folder. The
            others hold the `whole` of it, and ``onnx`` has an example beside it.
        folder: Where to.

    Returns:
        The file or folder written, and what `parity` measured, with its size in ``bytes``.

    Raises:
        ExportError: If the target is unknown, exists, cannot be made, or differs from Keras by
            more than `LARGEST_DIFFERENCE` (float) or costs more than `LARGEST_LOSS`.
        ImportError: If the target needs a package that is not installed.
    """
    _check_exportable(enhancer, target)
    folder = Path(folder)
    path = folder / f"{enhancer.name}{EXPORT_SUFFIXES[target]}"
    for taken in (path, example_path(path)):
        if taken.exists():
            raise ExportError(f"{taken} exists; remove it, or choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
        draft = Path(temporary) / path.name
        measured = _write_and_compare(enhancer, target, draft)
        _check_parity(f"{enhancer.name} as {target}", target, measured)
        measured["bytes"] = _size(draft)
        shutil.move(draft, path)
    if target == "onnx":
        write_example(enhancer, path)
    return path, measured


def _check_exportable(enhancer: Enhancer | RawEnhancer, target: str) -> None:
    import keras

    if target not in EXPORT_TARGETS:
        raise ExportError(f"Unknown target {target!r}; known are {', '.join(EXPORT_TARGETS)}.")
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Exporting works under TensorFlow, not {keras.backend.backend()}: "
            f"set KERAS_BACKEND=tensorflow and call it again."
        )
    if isinstance(enhancer, RawEnhancer):
        raise ExportError(
            f"{enhancer.name} develops camera raw, and a photo cannot be exported without its "
            f"reading; `lle export {enhancer.name} --beside` writes its network for ONNX Runtime."
        )


def _write_and_compare(enhancer: Enhancer, target: str, path: Path) -> dict:
    try:
        _write(enhancer, target, path)
        return parity(enhancer, Exported(path))
    except ImportError:
        raise
    except Exception as error:  # converters raise many kinds; all mean that it cannot be done
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"{enhancer.name} cannot be exported to {target}: {reason}") from error


def _check_parity(what: str, target: str, measured: dict) -> None:
    difference, loss = measured["difference"], measured["loss"]
    if target != "int8" and difference > LARGEST_DIFFERENCE:
        raise ExportError(
            f"{what} differs from Keras by {difference:.2g}; at most {LARGEST_DIFFERENCE:g} is "
            "accepted. Nothing was written."
        )
    if loss > LARGEST_LOSS:
        raise ExportError(
            f"{what} loses {loss:.2f} dB of PSNR on {measured['data']}; at most "
            f"{LARGEST_LOSS:g} is accepted. Nothing was written."
        )


def parity(enhancer: Enhancer, exported: Exported) -> dict:
    """Compare an export with Keras on validation photos of LOL, or synthetic ones without them.

    Args:
        enhancer: The original.
        exported: What was made of it.

    Returns:
        ``data``; ``difference``, the largest of any value; ``psnr``, of the export against
        Keras; ``loss``, how much lower its mean PSNR against the well-lit photos is. In dB.
    """
    from lle_utils.metrics.pixelwise import psnr

    difference, error, ours, theirs = 0.0, [], [], []
    for photo, normal in sample_pairs("val", COMPARED_PHOTOS, SYNTHETIC_SIZE):
        normal, expected = to_float(normal), _by_keras(enhancer, photo)
        got = _by_export(enhancer, exported, to_float(photo))
        difference = max(difference, float(np.abs(got - expected).max()))
        error.append(float(np.mean((got - expected) ** 2)))
        ours.append(psnr(expected, normal))
        theirs.append(psnr(got, normal))
    pairs = {"lol": "val pairs of LOL", "synthetic": "synthetic pairs"}[default_source()]
    return {
        "data": f"{COMPARED_PHOTOS} {pairs}",
        "difference": difference,
        "psnr": float(-10 * np.log10(max(np.mean(error), 1e-20))),
        "loss": float(np.mean(ours) - np.mean(theirs)),
    }


def _by_keras(enhancer: Enhancer, photo: np.ndarray) -> np.ndarray:
    """Return what an enhancer makes of a small photo of 8 bits, not rounded to them."""
    low, level = to_float(photo), default_level(photo) if enhancer.has_gain else None
    result = enhancer.runner(photo, low, True, level, 1.0, None)(low)
    return result if level is None else reach(result, level)(result)


def _by_export(enhancer: Enhancer, exported: Exported, low: np.ndarray) -> np.ndarray:
    if not exported.any_size:
        return Enhancer(exported, enhancer.card).enhance(low)
    more = usual_inputs(enhancer)
    return exported.predict_on_batch([low[None], *more] if more else low[None])[0]


@contextmanager
def quiet_converters() -> Iterator[None]:
    """Keep what converters say of each file, and warnings about their own code, to themselves."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


@quiet_converters()
def _write(enhancer: Enhancer, target: str, path: Path) -> None:
    if target == "int8":
        _write_int8(enhancer, path)
        return
    from lle_utils.enhancers.whole import whole

    plain = enhancer.model if enhancer.has_strength else portable(enhancer.model, target)
    model, example = whole(enhancer, plain), [EXAMPLE, *usual_inputs(enhancer)]
    if target == "onnx":
        write_onnx_file(model, example, path, facts(enhancer), list(outputs(enhancer)))
    elif target == "openvino":
        _write_openvino(model, path)
    else:
        formats = {"saved_model": "tf_saved_model"}
        model.export(str(path), format=formats.get(target, target), verbose=False)


def _write_openvino(model: Any, path: Path) -> None:
    """Convert by way of a SavedModel: Keras' own way to OpenVINO fails under Python 3.13."""
    openvino, folder = import_openvino(), path.with_name("saved_model")
    model.export(str(folder), "tf_saved_model", verbose=False)
    converted = openvino.convert_model(str(folder), verbose=False)
    openvino.save_model(converted, str(path / OPENVINO_FILE), compress_to_fp16=False)
    shutil.rmtree(folder)


def portable(model: Any, target: str) -> Any:
    """Return a network without the layers that runtimes compute inexactly, slowly or not at all.

    Args:
        model: Functional Keras model.
        target: One of `EXPORT_TARGETS`.
    """
    import keras

    from lle_utils.enhancers.fixed_statistics import normalizes_channels
    from lle_utils.nn import layers

    def counterpart(layer: Any) -> Any:
        if normalizes_channels(layer):
            return frozen_layers.RowwiseNormalization(layer)
        if isinstance(layer, layers.ScalarPReLU):
            return frozen_layers.FrozenPReLU(layer)
        # LiteRT lacks this operation with such padding, and tf2onnx forgets the padding.
        if isinstance(layer, layers.ConvTranspose2x) and target == "openvino":
            return frozen_layers.PlainConvTranspose2x(layer)
        repeats = isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest"
        if repeats and layer.size[0] == layer.size[1]:
            return layers.UpsampleNearest(layer.size[0])
        return layer

    return keras.models.clone_model(model, clone_function=counterpart)


def _write_int8(enhancer: Enhancer, path: Path) -> None:
    """Quantise what estimates the curves, up to the last convolution, and keep the rest in float.

    Raises:
        ExportError: If the last convolution does not end in tanh, as that of curves does.
    """
    import keras
    import tensorflow as tf

    model = enhancer.model
    last = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    if last.activation is not keras.activations.tanh:
        raise ExportError("int8 is for the methods that estimate curves (Zero-DCE).")
    path.mkdir()
    curves = keras.Model([model.input, last.output], model.output)
    curves.export(str(path / INT8_CURVES), format="litert", verbose=False)
    folder = path / "network"
    keras.Model(model.input, last.output).export(str(folder), "tf_saved_model", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: _calibration(enhancer.size_divisor)
    (path / INT8_NETWORK).write_bytes(converter.convert())
    shutil.rmtree(folder)


def _calibration(size_divisor: int) -> Iterator[list[np.ndarray]]:
    """Yield dark photos of training scenes, as batches of one.

    A network that reduces its photo is calibrated on whole photos: of a crop it would see a few
    cells, most of them at the border, and values that no photo has. Others take crops for speed.
    """
    side = EXAMPLE_SIDE if size_divisor == 1 else None
    for low, _ in sample_pairs("train", CALIBRATION_PHOTOS, SYNTHETIC_SIZE):
        yield [pad_to_divisor(to_float(low)[:side, :side], size_divisor)[None]]


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
