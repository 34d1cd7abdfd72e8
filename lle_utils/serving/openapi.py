"""The description of the HTTP interface: ``openapi.json``, filled with what this server offers."""

from __future__ import annotations

import json
from importlib.resources import files
from string import Template
from typing import Any

from lle_utils import __version__
from lle_utils.serving.limits import Limits, media_types


def openapi_document(limits: Limits, methods: list[dict]) -> dict:
    """Describe the interface as an OpenAPI 3.1 document.

    Args:
        limits: What the server takes on.
        methods: As from `offered_methods`; the first is the default.

    Returns:
        The document, ready for JSON.
    """
    names = [method["name"] for method in methods]
    values = {
        "version": __version__,
        "methods": names,
        "default_method": names[0],
        "megabytes": f"{limits.megabytes:g}",
        "megapixels": f"{limits.megapixels:g}",
        "seconds": f"{limits.seconds:g}",
    }
    photo = {"schema": {"$ref": "#/components/schemas/Photo"}}
    values["photos"] = {kind: photo for kind in media_types()}
    text = (files("lle_utils.serving") / "openapi.json").read_text(encoding="utf-8")
    return _filled(json.loads(text), values)


def _filled(part: Any, values: dict[str, Any]) -> Any:
    """Put values in for ``$name``: alone it becomes the value itself, within a text its text."""
    if isinstance(part, dict):
        return {key: _filled(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, values) for value in part]
    if not isinstance(part, str):
        return part
    alone = {f"${name}": value for name, value in values.items()}
    return alone[part] if part in alone else Template(part).substitute(values)
