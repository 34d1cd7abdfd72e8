"""Files of networks, opened in ONNX Runtime or OpenVINO."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lle_utils.enhancers.tiling import UNTILED_PIXELS

KEPT_SIZES = 4  # of small photos, for which OpenVINO keeps a network each
ERRORS_ALONE = 3  # of what ONNX Runtime would say; it warns of things that do no harm


class Session(NamedTuple):
    """A network that is ready to run.

    Not to be called by several threads at once: OpenVINO may then wait for itself for ever.

    Attributes:
        run: Takes its inputs as arrays, the photos first, the others by the alphabet; returns
            the list of its outputs.
        widths: How many numbers each input takes along its last axis, by its name.
        facts: What the file says about itself, by name; OpenVINO does not tell.
    """

    run: Callable[..., Sequence[np.ndarray]]
    widths: dict[str, int]
    facts: dict[str, str]


def photo_first(names: Iterable[str]) -> list[str]:
    """Sort inputs as the network takes them; files keep the order of the converter."""
    return sorted(names, key=lambda name: (name != "low", name))


def open_onnx(path: Path) -> Session:
    """Open a ``.onnx`` file in ONNX Runtime, on the processor.

    ``OMP_NUM_THREADS`` says how many threads it may use; it would take all cores.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would report over the network
    import onnxruntime

    onnxruntime.set_default_logger_severity(ERRORS_ALONE)
    options = onnxruntime.SessionOptions()
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdigit():
        options.intra_op_num_threads = int(threads)
    # Its threads would wait for work by counting, and take a quarter of the time from others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {entry.name: entry.shape[-1] for entry in session.get_inputs()}
    names = photo_first(inputs)
    return Session(
        lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True))),
        {name: inputs[name] for name in names},
        session.get_modelmeta().custom_metadata_map,
    )


def import_openvino():
    """Import OpenVINO without its telemetry, which reports each import over the network."""
    sys.modules.setdefault("openvino_telemetry", None)  # OpenVINO then takes its own stub
    import openvino

    return openvino


def open_openvino(path: Path, exact: bool = True) -> Session:
    """Open a file of OpenVINO's, or a ``.onnx`` file, in OpenVINO.

    Args:
        path: The file.
        exact: As for `lle_utils.enhancers.Exported`.
    """
    # Held to fewer instructions, oneDNN cannot compute what OpenVINO takes the processor for.
    exact = exact or "ONEDNN_MAX_CPU_ISA" in os.environ
    options = {"INFERENCE_PRECISION_HINT": "f32"} if exact else {}
    core = import_openvino().Core()
    network = core.read_model(str(path))
    shapes = {entry.any_name: entry.partial_shape for entry in network.inputs}
    names = photo_first(shapes)
    networks: dict = {}  # by size: one for any size joins fewer operations and is slower

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        photos, inputs = arrays[0], dict(zip(names, arrays, strict=True))
        if photos.shape not in networks:
            if len(networks) == KEPT_SIZES or photos.shape[1] * photos.shape[2] > UNTILED_PIXELS:
                networks.clear()  # each holds its features
            network.reshape({name: array.shape for name, array in inputs.items()})
            networks[photos.shape] = core.compile_model(network, "CPU", options)
        return [output.copy() for output in networks[photos.shape](inputs).to_tuple()]

    return Session(run, {name: shapes[name][-1].get_length() for name in names}, {})
