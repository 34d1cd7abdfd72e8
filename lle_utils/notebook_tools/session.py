"""What a notebook does before anything else, wherever it was opened: profile, Drive, devices."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

from lle_utils.core.environment import DEVICES_VARIABLE
from lle_utils.core.paths import PACK_DIR_VARIABLE
from lle_utils.notebook_tools.cells import parameters_of
from lle_utils.notebook_tools.run import load_profile

INJECTED = "# Parameters"  # how the cell begins that papermill adds
DRIVE = Path("/content/drive")
DRIVE_FOLDER = "MyDrive/low-light-notebooks"


def start(name: str, namespace: dict[str, Any]) -> None:
    """Apply the profile of a notebook, and settle where its results go.

    - ``profile`` sets the parameters that it names. What was edited in the parameters cell, or
      given by papermill, stays.
    - ``output_dir = "drive"`` mounts Google Drive in Colab; results, checkpoints and packs go to
      ``low-light-notebooks`` there, so that a session that was disconnected goes on.
    - TensorFlow, if it is at work, takes a GPU's memory as it needs it, not all at once.
    - Where ``lle train --devices`` asks for it, devices share every batch.

    Args:
        name: The notebook, such as ``04_mirnet``.
        namespace: Its ``globals()``; parameters are changed in it.

    Raises:
        ParameterError: If there is no such profile.
        DeviceError: If there are fewer devices than asked for.
        RuntimeError: If Drive is asked for outside Colab.
    """
    changed = _apply_profile(name, namespace)
    if changed:
        told = ", ".join(f"{key} = {value!r}" for key, value in changed.items())
        print(f"profile {namespace['profile']}: {told}")
    if namespace.get("output_dir") == "drive":
        folder = mount_drive()
        os.environ.setdefault(PACK_DIR_VARIABLE, str(folder / "packs"))
        namespace["output_dir"] = str(folder / name)
        print(f"Results go to {namespace['output_dir']}")
    _grow_gpu_memory()
    if os.environ.get(DEVICES_VARIABLE):
        from lle_utils.core.devices import use_chosen_devices  # with it comes Keras

        use_chosen_devices()


def _apply_profile(name: str, namespace: dict[str, Any]) -> dict[str, Any]:
    profile = namespace.get("profile", "")
    if not profile:
        return {}
    given = _injected(namespace)
    defaults = parameters_of(name)
    changed = {
        key: value
        for key, value in load_profile(profile)[name].items()
        if key not in given and namespace[key] == defaults[key] and namespace[key] != value
    }
    namespace.update(changed)
    return changed


def _injected(namespace: dict[str, Any]) -> set[str]:
    """Return the names that papermill has set: it adds a cell of assignments, which stays in In."""
    cells = [text for text in namespace.get("In", []) if text.startswith(INJECTED)]
    nodes = [node for text in cells for node in ast.parse(text).body]
    return {node.targets[0].id for node in nodes if isinstance(node, ast.Assign)}


def mount_drive() -> Path:
    """Mount Google Drive in Colab and return the project's folder in it.

    Raises:
        RuntimeError: Outside Colab.
    """
    try:
        from google.colab import drive
    except ImportError as error:
        raise RuntimeError(
            'output_dir = "drive" is for Colab; elsewhere name a folder, or leave it empty.'
        ) from error
    drive.mount(str(DRIVE))
    return DRIVE / DRIVE_FOLDER


def _grow_gpu_memory() -> None:
    import sys

    if "tensorflow" not in sys.modules:
        return
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError as error:  # it has been used already
            print(f"GPU memory is taken as before: {error}")
