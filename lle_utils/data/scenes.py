"""Which photos of LOL show the same scene."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from lle_utils.core.paths import data_dir


def load_scenes(path: str | os.PathLike | None = None) -> dict:
    """Read which LOL photos show the same scene.

    Args:
        path: A file like ``data/lol_scenes.json``, which is the default.

    Returns:
        ``scenes`` (lists of image numbers), ``train``, ``val``, ``eval15`` (image numbers),
        ``method`` (how the scenes were found).
    """
    path = Path(path) if path is not None else data_dir() / "lol_scenes.json"
    return json.loads(path.read_text(encoding="utf-8"))


def scene_map(scenes: Mapping | None = None) -> dict[str, int]:
    """Turn LOL's scene lists into a map from file stem to scene.

    Args:
        scenes: What `load_scenes` returns; None loads it.

    Returns:
        File stem -> the lowest image number of its scene.
    """
    groups = (load_scenes() if scenes is None else scenes)["scenes"]
    return {str(image): min(group) for group in groups for image in group}


def scene_of(name: str, scenes: Mapping | None = None) -> int:
    """Return the scene of a LOL photo, numbered by its lowest image.

    Args:
        name: File stem, such as ``22``.
        scenes: What `load_scenes` returns; None loads it.

    Raises:
        KeyError: If the photo is in no known scene.
    """
    table = scene_map(scenes)
    if name not in table:
        raise KeyError(f"LOL photo {name!r} is in no scene of the list.")
    return table[name]
