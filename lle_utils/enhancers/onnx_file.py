"""A network of Keras as an ONNX file that says what it is, what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PHOTO_AXES = ("batch", "height", "width")


def about(card: Mapping) -> dict[str, str]:
    """Return what each file of an enhancer says about it: name, method, version, licence.

    Args:
        card: Of the enhancer. What it does not say is ``unknown``.
    """
    told = {key: str(card.get(key, "unknown")) for key in ("name", "method", "licence")}
    return told | {"version": f"lle-utils {version('lle-utils')}"}


def write_onnx_file(
    model: Any,
    example: Sequence[np.ndarray],
    path: Path,
    facts: Mapping[str, str],
    outputs: Sequence[str] = (),
) -> None:
    """Write a Keras model as an ONNX file.

    Args:
        model: Functional Keras model.
        example: An array for each input; the model must be called once before.
        path: The file.
        facts: What the file says about itself.
        outputs: Names of the outputs; those of the converter if none are given.

    Raises:
        ImportError: If a package of the extra ``export`` is not installed.
    """
    import onnx

    model.predict_on_batch(list(example) if len(example) > 1 else example[0])
    model.export(str(path), format="onnx", verbose=False)
    written = onnx.load(path)
    _name_outputs(written.graph, outputs)
    _name_axes(written.graph)
    written.graph.name = facts.get("name", written.graph.name)
    onnx.helper.set_model_props(written, dict(facts))
    onnx.checker.check_model(written)
    onnx.save(written, path)


def _name_outputs(graph: Any, names: Sequence[str]) -> None:
    new = {entry.name: name for entry, name in zip(graph.output, names, strict=False)}
    for node in graph.node:
        for places in (node.input, node.output):
            places[:] = [new.get(name, name) for name in places]
    for entry in graph.output:
        entry.name = new.get(entry.name, entry.name)


def _name_axes(graph: Any) -> None:
    """Name the axes of photos, and of all else the first one.

    Photos that come out are as large as those that go in; where frames of raw go in, they are not.
    """
    of_photos = graph.input[0].type.tensor_type.shape.dim[-1].dim_value == 3
    for entry in (*graph.input, *graph.output):
        *axes, channels = entry.type.tensor_type.shape.dim
        is_photo = of_photos and channels.dim_value == 3
        for axis, name in zip(axes, PHOTO_AXES if is_photo else PHOTO_AXES[:1], strict=False):
            axis.dim_param = name
