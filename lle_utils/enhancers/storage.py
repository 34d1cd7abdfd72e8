"""Enhancers as files: a model and its card."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lle_utils.core.paths import atomic_path, commit, data_dir, write_json
from lle_utils.enhancers.enhancer import Enhancer, EnhancerError
from lle_utils.nn.complexity import multiply_adds

MODEL_FILE, CARD_FILE = "model.keras", "card.json"

# Settings that Keras 3.8 does not know; empty ones are left out of the file.
NEWER_KEYS = ("input_axes", "output_axes", "quantization_config")
CARD_KEYS = ("name", "method", "inputs", "multiple", "halo", "parameters", "training", "licence")


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
    folder = _enhancer_folder(name)
    card, model = load_card(folder), _load_model(folder / MODEL_FILE)
    from lle_utils.core.backend import compile_options

    model.compile(**compile_options())
    return Enhancer(model, card)


def _enhancer_folder(name: str | os.PathLike) -> Path:
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
    return folder


def _load_model(path: Path) -> Any:
    import keras

    from lle_utils.nn import layers  # noqa: F401  registers what enhancers are made of

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
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
    _write_card(folder, card)
    return folder


def make_portable(path: str | os.PathLike) -> None:
    """Rewrite the configuration in a ``.keras`` file so that older versions of Keras load it.

    Newer ones write settings that older ones refuse, even where they say nothing: empty ones, and
    names of operations, which stand beside the configuration as well. Weights are not touched.

    Args:
        path: A file that Keras saved; it is rewritten in place.
    """
    with zipfile.ZipFile(path) as archive:
        parts = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in parts:
            if info.filename == "config.json":
                content = json.dumps(_without_newer(json.loads(content))).encode()
            archive.writestr(info, content)


def _without_newer(config: Any) -> Any:
    if isinstance(config, list):
        return [_without_newer(part) for part in config]
    if not isinstance(config, dict):
        return config
    kept = {k: _without_newer(v) for k, v in config.items() if v is not None or k not in NEWER_KEYS}
    if str(kept.get("module", "")).startswith("keras.src.ops") and "config" in kept:
        kept["config"].pop("name", None)
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
    _write_card(folder, {**load_card(folder), "metrics": {key: record[key] for key in kept}})


def record_behavior(folder: str | os.PathLike, data: str, misses: list[str]) -> None:
    """Write into the card which limits an enhancer misses on ordinary photos.

    Args:
        folder: The enhancer's folder.
        data: What the photos are, in words.
        misses: As of `lle_utils.evaluation.misses`.

    Raises:
        EnhancerError: As `load_card`.
    """
    _write_card(folder, {**load_card(folder), "behavior": {"data": data, "misses": misses}})


def caution(card: Mapping) -> str:
    """Say in a sentence what an enhancer may do to ordinary photos; nothing if it is safe.

    Args:
        card: Of an enhancer; what was not measured is not told.
    """
    found = card.get("behavior", {}).get("misses", [])
    return f"Look at the result: {'; '.join(found)}." if found else ""


def _write_card(folder: str | os.PathLike, card: Mapping) -> None:
    write_json(Path(folder) / CARD_FILE, card, indent=2)
