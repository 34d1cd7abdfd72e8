"""Write the ONNX form of an enhancer, and see that it does the same."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from lle_utils.core.images import pad_to_divisor, round_up, to_float, to_uint8
from lle_utils.core.paths import sha256
from lle_utils.data.raw import amplified
from lle_utils.data.raw_camera import RawCamera
from lle_utils.data.samples import sample_pairs
from lle_utils.enhancers.brightness import default_level
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.export import (
    COMPARED_PHOTOS,
    EXAMPLE_SIDE,
    LARGEST_DIFFERENCE,
    SYNTHETIC_SIZE,
    portable,
    quiet_converters,
)
from lle_utils.enhancers.exported import ExportError
from lle_utils.enhancers.fixed_statistics import with_told_statistics
from lle_utils.enhancers.onnx_file import about, write_onnx_file
from lle_utils.enhancers.onnx_form import FULL, KERAS_HASH, MEAN, SCALE, load_onnx
from lle_utils.enhancers.raw_enhancer import RawEnhancer
from lle_utils.enhancers.shared_curves import SharedCurves
from lle_utils.enhancers.storage import (
    MAPS_FILE,
    ONNX_FILES,
    STRENGTH_FILES,
    enhancer_folder,
    load_enhancer,
    model_path,
    write_card,
)
from lle_utils.enhancers.strength import parts_of
from lle_utils.nn import layers
from lle_utils.nn.complexity import bytes_per_pixel

COMPARED_RATIO = 100.0  # of the raw frames that both forms are compared on


def write_onnx(name: str | os.PathLike) -> float:
    """Write the ONNX form of an enhancer beside the Keras one, and compare both before.

    Its card is given ``bytes_per_pixel``, which only Keras could tell.

    Args:
        name: Of a shipped enhancer, or the folder of any.

    Returns:
        The largest difference of any value from Keras, over whole photos and tiles.

    Raises:
        FileNotFoundError, EnhancerError: As `lle_utils.enhancers.load_enhancer`.
        ExportError: If both differ by more than `LARGEST_DIFFERENCE`; nothing is written then.
        ImportError: If a package of the extra ``export`` is not installed.
    """
    enhancer, folder = load_enhancer(name), enhancer_folder(name)
    facts = about(enhancer.card) | {KERAS_HASH: sha256(model_path(folder))}
    needed = bytes_per_pixel(enhancer.model, enhancer.card["multiple"])
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
        draft = Path(temporary)
        with quiet_converters():
            _write_networks(enhancer, draft, facts)
        write_card(draft, enhancer.card | {"bytes_per_pixel": needed})
        difference = _difference(enhancer, load_onnx(draft))
        if not difference <= LARGEST_DIFFERENCE:
            raise ExportError(
                f"{enhancer.name} in ONNX differs from Keras by {difference:.2g}; at most "
                f"{LARGEST_DIFFERENCE:g} is accepted. Nothing was written."
            )
        for path in draft.iterdir():
            os.replace(path, folder / path.name)
    return difference


def _write_networks(enhancer: Enhancer | RawEnhancer, folder: Path, facts: dict) -> None:
    side = round_up(EXAMPLE_SIDE, enhancer.card["multiple"])
    channels = enhancer.model.inputs[0].shape[-1]
    example = np.zeros((1, side, side, channels), np.float32)
    if "level" not in enhancer.card["inputs"]:
        model = portable(with_told_statistics(enhancer.model), "onnx")
        more = [np.ones((1, entry.shape[-1]), np.float32) for entry in model.inputs[1:]]
        write_onnx_file(model, [example, *more], folder / ONNX_FILES[0], facts)
        _write_maps(enhancer, folder / MAPS_FILE, facts)
        return
    parts = parts_of(enhancer.model)
    features = parts.encoder.predict_on_batch(example)
    # Inputs are given by the alphabet, see `lle_utils.enhancers.sessions.Session`.
    inputs = [
        keras.Input(t.shape[1:], name=f"part_{i}") for i, t in enumerate(parts.decoder.inputs)
    ]
    facts = facts | {MEAN: json.dumps(parts.mean.tolist()), FULL: str(parts.full)}
    write_onnx_file(parts.encoder, [example], folder / STRENGTH_FILES[0], facts)
    decoder = keras.Model(inputs, parts.decoder(inputs))
    write_onnx_file(decoder, features, folder / STRENGTH_FILES[1], facts)


def _write_maps(enhancer: Enhancer | RawEnhancer, path: Path, facts: dict) -> None:
    """Write the part of a network that draws the shared map of its curves, if it is such a one."""
    pools, enlarging = (
        [layer for layer in enhancer.model.layers if isinstance(layer, kind)]
        for kind in (keras.layers.AveragePooling2D, layers.UpsampleBilinear)
    )
    if len(pools) != 1 or len(enlarging) != 1 or enlarging[0].output.shape[-1] != 3:
        return
    (pool,), (enlarge,) = pools, enlarging
    draw, scale = keras.Model(pool.output, enlarge.input), pool.pool_size[0]

    def run(low: np.ndarray) -> np.ndarray:
        return np.asarray(draw.predict_on_batch(low[None]))[0]

    if _curves_agree(enhancer, SharedCurves(run, scale)):
        example = np.zeros((1, 4, 4, 3), np.float32)
        write_onnx_file(draw, [example], path, facts | {SCALE: str(scale)})


def _curves_agree(enhancer: Enhancer, curves: SharedCurves) -> bool:
    """Tell whether curves give what the whole network gives, but for half of 1/255."""
    for low in _photos():
        photo = to_uint8(low)
        whole = enhancer.runner(photo, low, True, None, 1.0, None)(low)
        if np.abs(to_float(curves.enhance(photo)) - whole).max() > 0.5 / 255:
            return False
    return True


def _difference(first: Enhancer | RawEnhancer, second: Enhancer | RawEnhancer) -> float:
    compare = _raw_results if isinstance(first, RawEnhancer) else _photo_results
    pairs = zip(compare(first), compare(second), strict=True)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def _photo_results(enhancer: Enhancer) -> Iterator[np.ndarray]:
    """Yield what becomes of photos given whole, and given as tiles are."""
    for low in _photos():
        level = default_level(low) if enhancer.has_gain else None
        for fits in (True, False):
            yield enhancer.runner(low, low, fits, level, 1.0, None)(low)


def _raw_results(enhancer: RawEnhancer) -> Iterator[np.ndarray]:
    for seed, photo in enumerate(_photos()):
        frame = RawCamera().shoot(photo, COMPARED_RATIO, seed)
        low = pad_to_divisor(amplified(frame, COMPARED_RATIO), enhancer.card["multiple"] // 2)
        yield np.asarray(enhancer.model.predict_on_batch(low[None]))


def _photos() -> Iterator[np.ndarray]:
    for low, _ in sample_pairs("val", COMPARED_PHOTOS, SYNTHETIC_SIZE):
        yield to_float(low)
