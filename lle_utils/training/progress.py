"""What a training tells while it runs, and an order to stop: files beside its checkpoint.

Another process, on another machine too, can follow a training by them and end it. Nothing here
needs Keras.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lle_utils.core.paths import write_json, write_text

HISTORY, STOP = "_history.json", "_stop.txt"


class TrainingStoppedError(RuntimeError):
    """Someone who follows the training has ended it; the message is the reason."""


def tell_history(checkpoint: str | os.PathLike, history: Mapping[str, Sequence[float]]) -> None:
    """Write the history of a training beside its checkpoint, and obey an order to stop.

    Args:
        checkpoint: Its file; ``mirnet.npz`` has the history ``mirnet_history.json``.
        history: Name -> one value for each epoch so far.

    Raises:
        TrainingStoppedError: If `order_stop` was called; the checkpoint stays.
    """
    # Windows replaces no file that another process reads just now; the next epoch writes it again.
    with suppress(PermissionError):
        write_json(_beside(checkpoint, HISTORY), dict(history))
    order = _beside(checkpoint, STOP)
    if order.is_file():
        raise TrainingStoppedError(order.read_text("utf-8").strip())


def read_history(folder: str | os.PathLike) -> dict[str, list[float]]:
    """Return what the trainings in a folder have told so far.

    Args:
        folder: Of the results of a notebook; its trainings ran one after the other.

    Returns:
        Name -> one value for each epoch, those of a later training behind those of an earlier one.
    """
    found: dict[str, list[float]] = {}
    for path in _histories(folder):
        for name, values in json.loads(path.read_text("utf-8")).items():
            found.setdefault(name, []).extend(values)
    return found


def order_stop(folder: str | os.PathLike, reason: str) -> None:
    """Have the training in a folder that told its history last end with its next epoch.

    Args:
        folder: As for `read_history`.
        reason: What `TrainingStoppedError` will say.
    """
    for path in _histories(folder)[-1:]:
        order = path.with_name(path.name.removesuffix(HISTORY) + STOP)
        if not order.is_file():
            write_text(order, reason + "\n")


def _beside(checkpoint: str | os.PathLike, ending: str) -> Path:
    return Path(checkpoint).with_name(Path(checkpoint).stem + ending)


def _histories(folder: str | os.PathLike) -> list[Path]:
    return sorted(Path(folder).rglob(f"*{HISTORY}"), key=lambda path: path.stat().st_mtime)
