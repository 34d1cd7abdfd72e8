"""Checkpoints from which training goes on exactly, and averaged weights."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from lle_utils.core.paths import atomic_path
from lle_utils.training.progress import tell_history


class CheckpointError(ValueError):
    """A checkpoint that does not belong to the model at hand, or is damaged."""


class Checkpoint(keras.callbacks.Callback):
    """Save weights, optimizer state, epoch and history after every epoch, atomically.

    The history is told to other processes, which may end the training by an exception, see
    `lle_utils.training.progress`.

    An epoch that leaves a loss or a weight that is not finite is not saved and ends the
    training, so that the last good state survives. The loss alone does not tell: some
    processors compute a convolution and its ReLU in one operation that turns NaN into 0.

    Args:
        path: File ending in ``.npz``.
        history: Values of earlier epochs, extended in place.
        best: Name of a logged value, larger being better. Whenever it rises, the state with
            the averaged weights is saved to `best_path` as well.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        history: dict[str, list[float]],
        best: str | None = None,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.history = history
        self.best = best
        self.stopped = False

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Append the logs of the epoch and write the checkpoint."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        bad = [name for name, value in logs.items() if not math.isfinite(value)]
        bad += [f"a weight of {part.name}" for part in _parts(self.model) if not _is_finite(part)]
        if bad:
            self.model.stop_training = self.stopped = True
            print(
                f"Stopped in epoch {epoch + 1}: {', '.join(bad)} is not finite. "
                f"{self.path} holds the epoch before. Lower the learning rate or clip gradients."
            )
            return
        rises = self.best in logs and logs[self.best] > max(
            self.history.get(self.best, []), default=-math.inf
        )
        extend(self.history, logs)
        if rises:  # first, so that a kill between the two repeats the epoch and this file
            with averaged_weights(self.model):
                save_checkpoint(best_path(self.path), self.model, epoch + 1, self.history)
        save_checkpoint(self.path, self.model, epoch + 1, self.history)
        tell_history(self.path, self.history)


def _is_finite(model: keras.Model) -> bool:
    return all(np.isfinite(np.asarray(variable)).all() for variable in model.trainable_variables)


def extend(history: dict[str, list[float]], logs: Mapping[str, float]) -> None:
    """Append the logs of an epoch to a history; a name that is not logged repeats its last value.

    So a value that is measured in some epochs only has one value for every epoch, the same
    whether or not the run was interrupted.
    """
    for name, values in history.items():
        values.append(logs.get(name, values[-1]))
    for name in [name for name in logs if name not in history]:
        history[name] = [logs[name]]


def best_path(checkpoint: str | os.PathLike) -> Path:
    """Return the file beside a checkpoint that holds the best state."""
    checkpoint = Path(checkpoint)
    return checkpoint.with_name(f"{checkpoint.stem}_best{checkpoint.suffix}")


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Put the moving average of the weights into a model for the time of a ``with`` block.

    The optimizer keeps that average when it was made with ``use_ema=True``; with another one
    nothing changes.

    Args:
        model: Compiled model.
    """
    weights = [np.asarray(variable).copy() for variable in model.trainable_variables]
    use_average(model)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)


def use_average(model: keras.Model) -> None:
    """Replace the weights of a compiled model by their moving average, if one is kept."""
    model.optimizer.build(model.trainable_variables)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for variable in model.trainable_variables:
        # Under JAX the weight and its average are one buffer now, which may be given away twice.
        variable.assign(np.asarray(variable).copy())


def save_checkpoint(
    path: str | os.PathLike,
    model: keras.Model,
    epoch: int,
    history: dict[str, list[float]],
) -> None:
    """Write all that an exact resume needs to one ``.npz`` (no pickle).

    Args:
        path: File ending in ``.npz``.
        model: Compiled model; what is saved of it, and in which order, says
            `checkpoint_variables`.
        epoch: Number of finished epochs.
        history: One list of values per logged name.
    """
    variables = checkpoint_variables(model)
    arrays = {f"v{i:05d}": np.asarray(variable) for i, variable in enumerate(variables)}
    meta = json.dumps({"epoch": epoch, "history": history})
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, meta=np.array(meta), **arrays)


def epochs_in(path: str | os.PathLike) -> int:
    """Return how many epochs the training had finished that a checkpoint holds; 0 without one.

    Raises:
        CheckpointError: If the file is damaged.
    """
    return int(_read(path, [])[0]["epoch"]) if Path(path).exists() else 0


def load_checkpoint(path: str | os.PathLike, model: keras.Model) -> tuple[int, dict]:
    """Put a checkpoint back into a compiled model.

    Args:
        path: File written by `save_checkpoint`.
        model: A model built and compiled like the one that was saved.

    Returns:
        The number of finished epochs and the history.

    Raises:
        CheckpointError: If the file is damaged or belongs to another model.
    """
    meta, values = _read(path)
    variables = checkpoint_variables(model)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise CheckpointError(
            f"{path} holds {len(values)} arrays that do not fit the {len(shapes)} variables of "
            "this model and optimizer. Delete it, or restore the settings it was made with."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return int(meta["epoch"]), meta["history"]


def _read(path: str | os.PathLike, names: Sequence[str] | None = None) -> tuple[dict, list]:
    """Return what a checkpoint says of itself, and its arrays, or those with the given names."""
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            names = sorted(file.files) if names is None else names
            return meta, [file[name] for name in names if name != "meta"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({error}). Delete it to start again."
        ) from error


def checkpoint_variables(model: keras.Model) -> list:
    """Return all that training changes: weights, seeds and the state of the optimizer.

    Args:
        model: Built and compiled model. Of a model made of several that are compiled, such as
            `lle_utils.training.GAN`, these variables of each follow one after the other.
    """
    return [variable for part in _parts(model) for variable in _own_variables(part)]


def _parts(model: keras.Model) -> Sequence[keras.Model]:
    return getattr(model, "networks", (model,))


def _own_variables(model: keras.Model) -> list:
    model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    return kept + list(model.optimizer.variables)
