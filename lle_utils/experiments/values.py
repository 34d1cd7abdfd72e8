"""Values in the file of an experiment: of the types that the notebook wants."""

from __future__ import annotations

import json
from typing import Any

from lle_utils.notebook_tools.run import read_settings


class ExperimentError(ValueError):
    """A file that describes no experiment, or results that do not belong to one."""


def typed_values(found: Any, key: str, defaults: dict[str, dict]) -> dict[str, Any]:
    """Return parameters with the types of the notebook's own.

    Args:
        found: What the file has under a key.
        key: That key, for the message.
        defaults: The notebook -> its parameters.

    Raises:
        ExperimentError: If it is no mapping.
        ParameterError: If one is no parameter of the notebook, or of another type.
    """
    if not isinstance(found, dict):
        raise ExperimentError(f"{key}: expected parameters and their values.")
    settings = [f"{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in found.items()]
    (values,) = read_settings(settings, defaults).values()
    return values
