"""Enhancers as files: a model and its card."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lle_utils.core.paths import atomic_path, commit, data_dir, write_json
from lle_utils.enhancers.enhancer import Enhancer, EnhancerError
from lle_utils.enhancers.raw_enhancer import RawEnhancer
from lle_utils.nn.complexity import multiply_adds

MODEL_FILE, CARD_FILE = "model.keras", "card.json"
ONNX_FILES, STRENGTH_FILES = ("model.onnx",), ("encoder.onnx", "decoder.onnx")
MAPS_FILE = "maps.onnx"  # what of a network draws the one map of its curves, beside the whole

# Settings that Keras 3.8 does not know; empty ones are left out of the file.
NEWER_KEYS = ("input_axes", "output_axes", "quantization_config")
CARD_KEYS = ("name", "method", "inputs", "multiple", "halo", "parameters", "training", "licence")


def list_enhancers(raw: bool = False) -> list[str]:
    """Return the names of the shipped enhancers, sorted.

    Args:
        raw: Those that develop camera raw; the others enhance photos.
    """
    paths = (data_dir() / "pretrained").glob(f"*/{CARD_FILE}")
    return sorted(path.parent.name for path in paths if takes_raw(load_card(path.parent)) == raw)


def takes_raw(card: Mapping) -> bool:
    """Tell whether an enhancer develops camera raw instead of enhancing photos."""
    return "raw" in card["inputs"]


def is_raw(name: str | os.PathLike) -> bool:
    """Tell whether a name or folder is of an enhancer that develops camera raw.

    Raises:
        EnhancerError: As `load_enhancer`. What is not found is none.
    """
    try:
        return takes_raw(load_enhancer_card(name))
    except FileNotFoundError:
        return False


def load_enhancer_card(name: str | os.PathLike) -> dict:
    """Load the card of a shipped enhancer by name, or of any by its folder.

    Raises:
        FileNotFoundError, EnhancerError: As `load_enhancer`.
    """
    return load_card(enhancer_folder(name))


def load_enhancer(name: str | os.PathLike) -> Enhancer | RawEnhancer:
    """Load a shipped enhancer by name, or any enhancer by the path of its folder.

    Keras' safe mode stays on: a file that carries code (a ``Lambda`` layer) is refused.

    Args:
        name: A name from `list_enhancers`, or a folder with ``model.keras`` and ``card.json``
            (or the path of its ``model.keras``).

    Returns:
        The enhancer, ready to use under the current Keras backend; a `RawEnhancer` for camera raw.

    Raises:
        FileNotFoundError: If there is no such enhancer; the message lists the shipped ones.
        EnhancerError: If the model or the card is damaged, unsafe or incomplete.
    """
    folder = enhancer_folder(name)
    if not (folder / MODEL_FILE).is_file():
        raise EnhancerError(
            f"{folder} has no {MODEL_FILE}: an installed package brings the ONNX form alone. Take "
            "a clone of the project, or --runtime onnx."
        )
    card, model = load_card(folder), _load_model(folder / MODEL_FILE)
    from lle_utils.core.backend import compile_options

    model.compile(**compile_options())
    return RawEnhancer(model, card) if takes_raw(card) else Enhancer(model, card)


def model_path(name: str | os.PathLike) -> Path:
    """Return the file that holds an enhancer's weights: ``model.keras``, or else an ONNX file.

    Args:
        name: Of a shipped enhancer, or the folder of any.

    Raises:
        FileNotFoundError: If there is no such enhancer; the message lists the shipped ones.
    """
    folder = enhancer_folder(name)
    kept = [folder / file for file in (MODEL_FILE, *ONNX_FILES, *STRENGTH_FILES)]
    return next(path for path in kept if path.is_file())


def onnx_paths(name: str | os.PathLike) -> list[Path]:
    """Return the files of an enhancer's ONNX form, none where it has no such form.

    Args:
        name: Of a shipped enhancer, or the folder of any.

    Raises:
        FileNotFoundError: If there is no such enhancer; the message lists the shipped ones.
    """
    folder = enhancer_folder(name)
    for files in (ONNX_FILES, STRENGTH_FILES):
        if all((folder / file).is_file() for file in files):
            return [folder / file for file in files]
    return []


def enhancer_folder(name: str | os.PathLike) -> Path:
    """Return the folder of a shipped enhancer by name, or of any by its folder.

    Raises:
        FileNotFoundError: If there is no such enhancer; the message lists the shipped ones.
    """
    folder = Path(name)
    if folder.suffix == ".keras":
        folder = folder.parent
    elif not folder.is_dir():
        folder = data_dir() / "pretrained" / str(name)
    if not any((folder / file).is_file() for file in (MODEL_FILE, *ONNX_FILES, *STRENGTH_FILES)):
        known = ", ".join([*list_enhancers(), *list_enhancers(raw=True)]) or "none"
        raise FileNotFoundError(
            f"No enhancer {str(name)!r}. Shipped: {known}. "
            f"A path must be a folder with {MODEL_FILE} and {CARD_FILE}."
        )
    return folder


def _load_keras(path: Path) -> Any:
    import keras

    load = functools.partial(keras.saving.load_model, compile=False, safe_mode=True)
    try:
        return load(path)
    except TypeError as error:
        if "unexpected keyword argument 'name'" not in str(error):
            raise
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / MODEL_FILE
        _rewrite_config(path, copy, _without_refused_names)
        return load(copy)


def _load_model(path: Path) -> Any:
    from lle_utils.nn import layers  # noqa: F401  registers what enhancers are made of

    try:
        model = _load_keras(path)
    except Exception as error:  # Keras raises many kinds for one reason: the file is bad
        reason = str(error).strip().splitlines()[0]
        raise EnhancerError(
            f"{path} cannot be loaded safely: {reason} Enhancers hold only Keras layers and those "
            "of lle_utils.nn.layers; fetch or train it again."
        ) from error
    if model.output_shape[-1] != 3:
        raise EnhancerError(f"{path} puts out {model.output_shape}; expected (N, H, W, 3).")
    return model


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
    from lle_utils.core.environment import versions

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
        make_portable(temporary)
    for path in (*onnx_paths(folder), folder / MAPS_FILE):
        path.unlink(missing_ok=True)  # that of another network
    write_card(folder, card)
    return folder


def make_portable(path: str | os.PathLike) -> None:
    """Take out of a ``.keras`` file the empty settings that older versions of Keras refuse.

    Args:
        path: A file that Keras saved; it is rewritten in place. Weights are not touched.
    """
    _rewrite_config(path, path, _without_newer)


def _rewrite_config(source: str | os.PathLike, target: str | os.PathLike, change: Callable) -> None:
    with zipfile.ZipFile(source) as archive:
        parts = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(target, "w") as archive:
        for info, content in parts:
            if info.filename == "config.json":
                content = json.dumps(change(json.loads(content))).encode()
            archive.writestr(info, content)


def _without_newer(config: Any) -> Any:
    if isinstance(config, list):
        return [_without_newer(part) for part in config]
    if not isinstance(config, dict):
        return config
    return {k: _without_newer(v) for k, v in config.items() if v is not None or k not in NEWER_KEYS}


def _without_refused_names(config: Any) -> Any:
    """Take out the names of operations that this version of Keras gives none, such as 3.8 `Max`.

    They stand beside the configuration as well, where they are read.
    """
    if isinstance(config, list):
        return [_without_refused_names(part) for part in config]
    if not isinstance(config, dict):
        return config
    kept = {key: _without_refused_names(part) for key, part in config.items()}
    module = str(kept.get("module", ""))
    if module.startswith("keras.src.ops.") and "name" in kept.get("config", {}):
        operation = getattr(importlib.import_module(module), kept["class_name"])
        if "name" not in inspect.signature(operation.__init__).parameters:
            kept["config"].pop("name")
    return kept


def record_metrics(folder: str | os.PathLike, record: Mapping) -> None:
    """Write what an evaluation measured into the card, with its protocol.

    Args:
        folder: The enhancer's folder.
        record: As returned by `lle_utils.evaluation.evaluate`.

    Raises:
        EnhancerError: As `load_card`.
    """
    kept = ("data", "interval", "protocol", "summary")
    write_card(folder, {**load_card(folder), "metrics": {key: record[key] for key in kept}})


def record_behavior(folder: str | os.PathLike, data: str, misses: list[str]) -> None:
    """Write into the card which limits an enhancer misses on ordinary photos.

    Args:
        folder: The enhancer's folder.
        data: What the photos are, in words.
        misses: As of `lle_utils.evaluation.misses`.

    Raises:
        EnhancerError: As `load_card`.
    """
    write_card(folder, {**load_card(folder), "behavior": {"data": data, "misses": misses}})


def caution(card: Mapping) -> str:
    """Say in a sentence what an enhancer may do to ordinary photos; nothing if it is safe.

    Args:
        card: Of an enhancer; what was not measured is not told.
    """
    found = card.get("behavior", {}).get("misses", [])
    return f"Look at the result: {'; '.join(found)}." if found else ""


def write_card(folder: str | os.PathLike, card: Mapping) -> None:
    """Write the card of an enhancer, whole or not at all."""
    write_json(Path(folder) / CARD_FILE, card, indent=2)
