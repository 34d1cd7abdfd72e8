"""Load a trained enhancer and use it on photos of any size."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lle_utils.files import atomic_path, commit, data_dir, write_json
from lle_utils.images import (
    ImageError,
    as_float,
    check_image,
    pad_to_multiple,
    read_uint8,
    reduce_to,
    to_float,
)
from lle_utils.tiles import (
    MEMORY,
    bytes_per_pixel,
    convert_like,
    enhance_tiles,
    tile_side,
    with_fixed_statistics,
)

MODEL_FILE, CARD_FILE = "model.keras", "card.json"
CARD_KEYS = ("name", "method", "inputs", "multiple", "halo", "parameters", "training", "licence")
SMALL = 2**18  # pixels up to which every network of the suite stays within `MEMORY`
REDUCED = 2**18  # pixels of the reduced photo that statistics of the whole are taken from
MARGIN, BLEND = 64, 32  # pixels around tiles, and of overlap, for networks that see everything


class EnhancerError(ValueError):
    """A file that holds no enhancer or cannot be trusted, or a use it was not made for."""


@dataclass
class Enhancer:
    """A trained network with its card.

    Attributes:
        model: Functional Keras model, ``low`` (N, H, W, 3) in [0, 1] to the same. A second
            input ``level`` (N, 1) sets how bright; such a model is made of two models and two
            layers, found by their names: ``encoder`` (``low`` to a list of which the last
            member is a vector that holds the brightness), ``towards_mean``
            (`lle_utils.layers.TowardsMean`, moves that vector by ``level``), ``decoder``
            (the list to the result) and ``fade_in`` (`lle_utils.layers.FadeIn`).
        card: The facts about it: `CARD_KEYS` and what `save_enhancer` adds.
    """

    model: Any
    card: dict

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card["name"]

    @property
    def has_level(self) -> bool:
        """Whether the brightness of the result can be chosen."""
        return "level" in self.card.get("inputs", ())

    def enhance(
        self,
        image: np.ndarray | str | os.PathLike,
        level: float | None = None,
        *,
        reference: np.ndarray | str | os.PathLike | None = None,
        memory: int = MEMORY,
    ) -> np.ndarray:
        """Enhance one photo of any height and width.

        The photo is reflect-padded at the bottom and right to a multiple of
        ``card["multiple"]`` and the result cropped back. A photo that would need more than
        ``memory`` is cut into tiles. If the network sees only ``card["halo"]`` pixels far,
        they have that margin and the result is the same. Otherwise what the network knows
        about the whole photo comes from a reduced copy, so that tiles agree, and neighbours
        fade into each other.

        Args:
            image: A path, or an array of shape ``(H, W, 3)``: uint8, uint16, or floating point
                in [0, 1].
            level: How bright, for an enhancer that `has_level`: 0 is as dark as the photo, 1
                as bright as the photos it was trained towards (the default), more is brighter.
            reference: A photo whose brightness level 1 then means; of any size, given like
                ``image``. For an enhancer that `has_level`.
            memory: Bytes that the process may hold; an estimate is made first.

        Returns:
            Array of the same height and width: of the same type for 8 or 16 bits, else float32
            in [0, 1].

        Raises:
            ImageError, FileNotFoundError: If the input is not such an image.
            EnhancerError: If the level is not a number of 0 or more, or a level or a reference
                is given to an enhancer that takes none.
            lle_utils.tiles.MemoryLimitError: If the photo cannot be done within ``memory``.
        """
        if level is not None or reference is not None:
            self._check_has_level()
        photo = _read(image)
        halo = self.card["halo"]
        margin = MARGIN if halo is None else halo
        multiple, side = self.card["multiple"], None
        if memory < MEMORY or photo.shape[0] * photo.shape[1] > SMALL:
            side = tile_side(photo, self._bytes_per_pixel, margin, multiple, memory)
        if side is not None:
            run = self._run if halo is not None else self._runner(photo, level, reference)
            blend = BLEND if halo is None else 0
            return enhance_tiles(run, photo, as_float, side, margin, blend, multiple)
        if self.has_level:
            return self.prepare(photo, reference=reference)(1.0 if level is None else level)
        return convert_like(self._run(as_float(photo)), photo.dtype)

    @cached_property
    def _bytes_per_pixel(self) -> float:
        return bytes_per_pixel(self.model, self.card["multiple"])

    def _runner(
        self, photo: np.ndarray, level: float | None, reference: Any
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function for tiles that knows the whole photo from a reduced copy."""
        if self.has_level:
            known = self._known(photo)
            level = 1.0 if level is None else level
            vector = self._vectors(known[-1], reference)(level)

            def run(tile: np.ndarray) -> np.ndarray:
                maps = [part for part in self._encode(tile) if part.ndim > 2]
                return self._decode([*maps, *known], vector, tile, level)

            return run
        reduced = as_float(reduce_to(photo, REDUCED))
        from lle_utils.training import compile_options

        model = with_fixed_statistics(self.model, pad_to_multiple(reduced, self.card["multiple"]))
        model.compile(**compile_options())
        return lambda tile: self._run(tile, model)

    def _known(self, photo: np.ndarray) -> list[np.ndarray]:
        """Return the encoder's vectors, of every n-th pixel; averaging would remove the noise."""
        step = math.ceil(math.sqrt(photo.shape[0] * photo.shape[1] / REDUCED))
        return [x for x in self._encode(as_float(photo[::step, ::step])) if x.ndim == 2]

    def _check_has_level(self) -> None:
        if not self.has_level:
            raise EnhancerError(
                f"{self.name} has one brightness only; it takes neither level nor reference. "
                f"Its inputs are: {', '.join(self.card['inputs'])}."
            )

    def prepare(
        self,
        image: np.ndarray | str | os.PathLike,
        *,
        reference: np.ndarray | str | os.PathLike | None = None,
    ) -> Callable[[float], np.ndarray]:
        """Encode a photo once, to decode it at many levels, as a slider does.

        Args:
            image, reference: As in `enhance`.

        Returns:
            A function from a level to what `enhance` returns for it, in about two thirds of
            the time. It holds the features of the photo: several hundred bytes per pixel.

        Raises:
            ImageError, FileNotFoundError: If a photo is not an image.
            EnhancerError: If this enhancer has no level.
        """
        self._check_has_level()
        photo = _read(image)
        low = as_float(photo)
        features = self._encode(low)
        vector = self._vectors(features[-1], reference)

        def at(level: float) -> np.ndarray:
            return convert_like(self._decode(features, vector(level), low, level), photo.dtype)

        return at

    def _vectors(self, own: np.ndarray, reference: Any) -> Callable[[float], np.ndarray]:
        """Return the function from a level to the vector that stands for it in one photo."""
        if reference is None:
            target = self.model.get_layer("towards_mean").mean.numpy()[None]
        else:
            target = self._encode(as_float(_read(reference)))[-1]
        return lambda level: own + check_level(level) * (target - own)

    def _decode(
        self, features: Sequence, vector: np.ndarray, low: np.ndarray, level: float
    ) -> np.ndarray:
        inputs = [*features[:-1], vector]
        output = np.asarray(self._part("decoder").predict_on_batch(inputs))[0]
        output = np.clip(output[: low.shape[0], : low.shape[1]], 0.0, 1.0)
        share = level / self.model.get_layer("fade_in").full
        return output if share >= 1 else low + np.float32(share) * (output - low)

    def _encode(self, low: np.ndarray) -> Sequence[np.ndarray]:
        padded = pad_to_multiple(low, self.card["multiple"])
        return self._part("encoder").predict_on_batch(padded[None])

    def _part(self, name: str) -> Any:
        """Return a model inside the model, ready to run."""
        from lle_utils.training import compile_options

        part = self.model.get_layer(name)
        for option, value in compile_options().items():
            setattr(part, option, value)  # compile() would add an optimizer, which gets saved
        return part

    def _run(self, low: np.ndarray, model: Any = None) -> np.ndarray:
        height, width = low.shape[:2]
        padded = pad_to_multiple(low, self.card["multiple"])
        output = np.asarray((model or self.model).predict_on_batch(padded[None]))[0]
        return np.clip(output[:height, :width], 0.0, 1.0)


def _read(image: np.ndarray | str | os.PathLike) -> np.ndarray:
    """Return a photo as uint8, uint16 or float32 in [0, 1]."""
    if isinstance(image, (str, os.PathLike)):
        return to_float(read_uint8(image))
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16):
        return check_image(image)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ImageError(f"image has shape {image.shape}; expected RGB (H, W, 3).")
    return image


def check_level(level: float) -> np.float32:
    """Return a level as a number of 0 or more.

    Raises:
        EnhancerError: If it is none.
    """
    try:
        level = float(level)
    except (TypeError, ValueError):
        level = math.nan
    if not (math.isfinite(level) and level >= 0):
        raise EnhancerError(
            f"level is {level:g}; expected a number from 0 (as dark as the photo), "
            "1 being the usual brightness."
        )
    return np.float32(level)


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
        model: Functional Keras model as described at `Enhancer`.
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
    write_json(Path(folder) / CARD_FILE, card, indent=2)


def multiply_adds(model: Any, multiple: int = 1, size: int = 256) -> int:
    """Count the multiply-adds of all convolutions and dense layers for one square photo.

    Args:
        model: Functional Keras model; its inputs with three channels are images. Models
            inside it are counted too, once for each time they are called.
        multiple: What the sides of a photo must divide by. If ``size`` does not, the next
            larger photo is counted and the count reduced in proportion to the area.
        size: Side of the photo in pixels.

    Returns:
        The number of multiplications, each of which comes with an addition.
    """
    side = -(-size // multiple) * multiple
    shapes = [t.shape[1:] if len(t.shape) == 2 else (side, side, 3) for t in model.inputs]
    return round(_multiply_adds(model, shapes) * (size / side) ** 2)


def _multiply_adds(model: Any, shapes: Sequence[tuple]) -> int:
    """Count for inputs of the given shapes, without the batch axis."""
    import keras

    from lle_utils.layers import ConvTranspose2x

    inputs = [keras.Input(shape) for shape in shapes]
    fixed = keras.models.clone_model(model, input_tensors=inputs if inputs[1:] else inputs[0])
    counted = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    # The kernels of these are applied once per pixel of the input.
    spread = (keras.layers.Conv2DTranspose, ConvTranspose2x)
    total = 0
    for layer in fixed.layers:
        for node in layer._inbound_nodes:
            if isinstance(layer, keras.Model):
                total += _multiply_adds(layer, [t.shape[1:] for t in node.input_tensors])
            elif isinstance(layer, (*counted, *spread)):
                places = node.input_tensors if isinstance(layer, spread) else node.outputs
                pixels = int(np.prod(places[0].shape[1:-1]))
                total += int(np.prod(layer.kernel.shape)) * pixels
    return total
