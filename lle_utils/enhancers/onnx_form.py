"""The ONNX form of an enhancer, which lies beside the Keras one and needs no Keras to run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from lle_utils.core.paths import sha256
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.exported import ExportError
from lle_utils.enhancers.onnx_network import OnnxNetwork
from lle_utils.enhancers.raw_enhancer import RawEnhancer
from lle_utils.enhancers.shared_curves import SharedCurves
from lle_utils.enhancers.storage import (
    MAPS_FILE,
    enhancer_folder,
    load_card,
    model_path,
    onnx_paths,
    takes_raw,
)
from lle_utils.enhancers.strength import StrengthParts

# What the files say about themselves.
KERAS_HASH, MEAN, FULL, SCALE = "keras_sha256", "mean", "full", "scale"


def load_onnx(name: str | os.PathLike, runtime: str = "onnx") -> Enhancer | RawEnhancer:
    """Load the ONNX form of an enhancer.

    Args:
        name: Of a shipped enhancer, or the folder of any that has this form.
        runtime: One of `lle_utils.enhancers.RUNTIMES` but ``keras``.

    Returns:
        The enhancer, whose ``model`` is an `OnnxNetwork`, or `StrengthParts` made of two.

    Raises:
        FileNotFoundError, EnhancerError: As `lle_utils.enhancers.load_enhancer`.
        ExportError: If there is no such form, or the runtime is not for this enhancer.
        ImportError: If the runtime is not installed.
    """
    folder = enhancer_folder(name)
    card, networks = load_card(folder), onnx_paths(folder)
    if not networks:
        raise ExportError(f"{folder} has no ONNX form; `lle export {name} --beside` writes it.")
    if len(networks) > 1 and runtime != "onnx":
        raise ExportError(f"{card['name']} has two networks, which do not run in {runtime}.")
    loaded = [OnnxNetwork(path, runtime) for path in networks]
    if takes_raw(card):
        return RawEnhancer(loaded[0], card)
    network = _parts(*loaded) if len(loaded) > 1 else loaded[0]
    return Enhancer(network, card, _curves(folder / MAPS_FILE) if runtime == "onnx" else None)


def _parts(encoder: OnnxNetwork, decoder: OnnxNetwork) -> StrengthParts:
    mean = np.array(json.loads(decoder.facts[MEAN]), np.float32)
    return StrengthParts(encoder, decoder, mean, float(decoder.facts[FULL]))


def _curves(path: Path) -> SharedCurves | None:
    """Return the curves of which a file holds what draws their map, if there is such a file."""
    if not path.is_file():
        return None
    network = OnnxNetwork(path)
    return SharedCurves(
        lambda low: network.predict_on_batch(low[None])[0], int(network.facts[SCALE])
    )


def is_current(name: str | os.PathLike) -> bool:
    """Tell whether the ONNX form of an enhancer was made of its ``model.keras`` as it is now.

    Args:
        name: Of a shipped enhancer, or the folder of any.
    """
    weights, networks = sha256(model_path(name)), onnx_paths(name)
    maps = enhancer_folder(name) / MAPS_FILE
    networks += [maps] * maps.is_file()
    hashes = [OnnxNetwork(path).facts.get(KERAS_HASH) for path in networks]
    return bool(hashes) and all(made_of == weights for made_of in hashes)
