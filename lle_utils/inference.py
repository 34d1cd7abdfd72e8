"""Load a trained enhancer and use it on photos of any size."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lle_utils.files import atomic_path, commit, data_dir
from lle_utils.images import (
    ImageError,
    check_image,
    load_image,
    pad_to_multiple,
    to_float,
    to_uint8,
)

MODEL_FILE, CARD_FILE = "model.keras", "card.json"
CARD_KEYS = ("name", "method", "inputs", "multiple", "halo", "parameters", "training", "licence")
TILE = 1024  # side of a tile in pixels, without its margin
WHOLE_LIMIT = 2_000_000  # pixels up to which a network with a margin runs in one piece


class EnhancerError(ValueError):
    """A file that does not hold an enhancer, or one that cannot be trusted."""


@dataclass
class Enhancer:
    """A trained network with its card.

    Attributes:
        model: Functional Keras model, ``low`` (N, H, W, 3) in [0, 1] to the same.
        card: The facts about it: `CARD_KEYS` and what `save_enhancer` adds.
    """

    model: Any
    card: dict

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card["name"]

    def enhance(self, image: np.ndarray | str | os.PathLike) -> np.ndarray:
        """Enhance one photo of any height and width.

        The photo is reflect-padded at the bottom and right to a multiple of
        ``card["multiple"]`` and the result cropped back. If the network sees only
        ``card["halo"]`` pixels far, a large photo is cut into tiles with that margin; the
        result is the same and the memory stays bounded.

        Args:
            image: A path, a uint8 array, or a float array in [0, 1], of shape ``(H, W, 3)``.

        Returns:
            Array of the same height and width: uint8 for uint8 input, else float32 in [0, 1].

        Raises:
            ImageError, FileNotFoundError: If the input is not such an image.
        """
        if isinstance(image, (str, os.PathLike)):
            image = load_image(image)
        image = np.asarray(image)
        as_uint8 = image.dtype == np.uint8
        if as_uint8:
            if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
                raise ImageError(f"image has shape {image.shape}; expected RGB (H, W, 3).")
            low = to_float(image)
        else:
            low = check_image(image)
        halo = self.card["halo"]
        if halo is None or low.shape[0] * low.shape[1] <= WHOLE_LIMIT:
            enhanced = self._run(low)
        else:
            enhanced = np.empty_like(low)
            for inner, outer, back in _tiles(*low.shape[:2], halo):
                enhanced[inner] = self._run(low[outer])[back]
        return to_uint8(enhanced) if as_uint8 else enhanced

    def _run(self, low: np.ndarray) -> np.ndarray:
        height, width = low.shape[:2]
        padded = pad_to_multiple(low, self.card["multiple"])
        output = np.asarray(self.model.predict_on_batch(padded[None]))[0]
        return np.clip(output[:height, :width], 0.0, 1.0)


def _tiles(height: int, width: int, halo: int) -> Iterator[tuple]:
    """Yield slices: a tile, the tile with its margin, and the tile inside the margin."""
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            first_row, first_column = max(top - halo, 0), max(left - halo, 0)
            outer = np.s_[first_row : bottom + halo, first_column : right + halo]
            back = np.s_[
                top - first_row : bottom - first_row, left - first_column : right - first_column
            ]
            yield np.s_[top:bottom, left:right], outer, back


def list_enhancers() -> list[str]:
    """Return the names of the shipped enhancers, sorted."""
    return sorted(path.parent.name for path in (data_dir() / "pretrained").glob(f"*/{CARD_FILE}"))


def load_enhancer(name: str | os.PathLike) -> Enhancer:
    """Load a shipped enhancer by name, or any enhancer by the path of its folder.

    Keras' safe mode stays on: a file that carries code (a ``Lambda`` layer) is refused.

    Args:
        name: A name from `list_enhancers`, or a folder with ``model.keras`` and ``card.json``
            (or the path of its ``model.keras``).

    Returns:
        The enhancer, ready to use under the current Keras backend.

    Raises:
        FileNotFoundError: If there is no such enhancer; the message lists the shipped ones.
        EnhancerError: If the model or the card is damaged, unsafe or incomplete.
    """
    folder = Path(name)
    if folder.suffix == ".keras":
        folder = folder.parent
    elif not folder.is_dir():
        folder = data_dir() / "pretrained" / str(name)
    if not (folder / MODEL_FILE).is_file():
        known = ", ".join(list_enhancers()) or "none"
        raise FileNotFoundError(
            f"No enhancer {str(name)!r}. Shipped: {known}. "
            f"A path must be a folder with {MODEL_FILE} and {CARD_FILE}."
        )
    card = load_card(folder)
    import keras

    from lle_utils import layers  # noqa: F401  registers what enhancers are made of
    from lle_utils.training import compile_options

    try:
        model = keras.saving.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for one reason: the file is bad
        reason = str(error).strip().splitlines()[0]
        raise EnhancerError(
            f"{folder / MODEL_FILE} cannot be loaded safely: {reason} Enhancers hold only Keras "
            "layers and those of lle_utils.layers; fetch or train it again."
        ) from error
    if model.output_shape[-1] != 3:
        raise EnhancerError(
            f"{folder / MODEL_FILE} puts out {model.output_shape}; expected (N, H, W, 3)."
        )
    model.compile(**compile_options())
    return Enhancer(model, card)


def load_card(folder: str | os.PathLike) -> dict:
    """Read and check the card of an enhancer.

    Raises:
        EnhancerError: If the card is missing, not JSON, or lacks a key.
    """
    path = Path(folder) / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnhancerError(f"{path} is missing or not JSON: {error}.") from error
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        raise EnhancerError(f"{path} lacks {', '.join(missing)}.")
    return card


def save_enhancer(model: Any, folder: str | os.PathLike, card: dict) -> Path:
    """Write an enhancer: ``model.keras`` and ``card.json``, each whole or not at all.

    Args:
        model: Functional Keras model with input ``low`` and output in [0, 1].
        folder: Where to; its last part is usually ``card["name"]``.
        card: Facts; parameters, multiply-adds at 256x256, versions and the commit are filled
            in here.

    Returns:
        The folder.

    Raises:
        EnhancerError: If the card lacks a key that only the caller knows.
    """
    from lle_utils.training import versions

    folder = Path(folder)
    card = {
        **card,
        "parameters": model.count_params(),
        "multiply_adds_256": multiply_adds(model, card.get("multiple", 1)),
        "versions": versions(),
        "commit": commit(),
    }
    missing = [key for key in CARD_KEYS if key not in card]
    if missing:
        raise EnhancerError(f"The card of {folder.name} lacks {', '.join(missing)}.")
    with atomic_path(folder / MODEL_FILE) as temporary:
        model.save(temporary)
    _write_card(folder, card)
    return folder


def record_metrics(folder: str | os.PathLike, record: Mapping) -> None:
    """Write what an evaluation measured into the card, with its protocol.

    Args:
        folder: The enhancer's folder.
        record: As returned by `lle_utils.results.evaluate`.

    Raises:
        EnhancerError: As `load_card`.
    """
    kept = ("data", "interval", "protocol", "summary")
    _write_card(folder, {**load_card(folder), "metrics": {key: record[key] for key in kept}})


def _write_card(folder: str | os.PathLike, card: Mapping) -> None:
    with atomic_path(Path(folder) / CARD_FILE) as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def multiply_adds(model: Any, multiple: int = 1, size: int = 256) -> int:
    """Count the multiply-adds of all convolutions and dense layers for one square photo.

    Args:
        model: Functional Keras model with one image input.
        multiple: What the sides of a photo must divide by. If ``size`` does not, the next
            larger photo is counted and the count reduced in proportion to the area.
        size: Side of the photo in pixels.

    Returns:
        The number of multiplications, each of which comes with an addition.
    """
    import keras

    from lle_utils.layers import ConvTranspose2x

    side = -(-size // multiple) * multiple
    fixed = keras.models.clone_model(model, input_tensors=keras.Input((side, side, 3)))
    counted = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    # The kernels of these are applied once per pixel of the input.
    spread = (keras.layers.Conv2DTranspose, ConvTranspose2x)
    total = 0
    for layer in fixed.layers:
        if isinstance(layer, (*counted, *spread)):
            kernel = int(np.prod(layer.kernel.shape))
            for node in layer._inbound_nodes:
                places = node.input_tensors if isinstance(layer, spread) else node.outputs
                total += kernel * int(np.prod(places[0].shape[1:-1]))
    return round(total * (size / side) ** 2)
