"""Training that can be killed at any moment and goes on as if nothing had happened."""

from __future__ import annotations

import json
import math
import os
import platform
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from lle_utils.files import atomic_path


class CheckpointError(ValueError):
    """A checkpoint that does not belong to the model at hand, or is damaged."""


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Seed Python, NumPy and the backend.

    Args:
        seed: Non-negative integer.
        deterministic: Also make repeats bit-identical under TensorFlow: deterministic
            operations, each on one thread and one after the other. Sums over threads depend
            on their timing, and so does, after some hundred steps, in which thread a compiled
            function computes an operation; it is enough to change last bits, so functions are
            not compiled. It costs much speed, and must be asked for before TensorFlow has
            computed anything. JAX on the CPU is deterministic without it.

    Raises:
        RuntimeError: If TensorFlow is at work already.
    """
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # only TensorFlow has this switch

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        tf.config.run_functions_eagerly(True)
    keras.utils.set_random_seed(seed)


def compile_options() -> dict:
    """Return the ``compile()`` options that suit the machine.

    XLA makes every model of this suite slower on a CPU under TensorFlow, so it is off there;
    JAX always compiles, and on a GPU Keras decides.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # asked only for its list of devices

        if not tf.config.list_physical_devices("GPU"):
            return {"jit_compile": False}
    return {}


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Give layers made in a ``with`` block a dtype policy, such as ``"mixed_float16"``.

    Args:
        name: Name of a Keras policy; the one before is put back in any case.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class Checkpoint(keras.callbacks.Callback):
    """Save weights, optimizer state, epoch and history after every epoch, atomically.

    An epoch that leaves a loss or a weight that is not finite is not saved and ends the
    training, so that the last good state survives. The loss alone does not tell: some
    processors compute a convolution and its ReLU in one operation that turns NaN into 0.

    Args:
        path: File ending in ``.npz``.
        history: Values of earlier epochs, extended in place.
        best: Name of a logged value, larger being better. Whenever it rises, the state with
            the averaged weights is saved to `best_path` as well.
        beside: Further compiled models that are saved along, before the one in training.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        history: dict[str, list[float]],
        best: str | None = None,
        beside: Sequence[keras.Model] = (),
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.history = history
        self.best = best
        self.beside = beside
        self.stopped = False

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Append the logs of the epoch and write the checkpoint."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        models = [*self.beside, self.model]
        bad = [name for name, value in logs.items() if not math.isfinite(value)]
        bad += [f"a weight of {model.name}" for model in models if not _is_finite(model)]
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
                save_checkpoint(best_path(self.path), models, epoch + 1, self.history)
        save_checkpoint(self.path, models, epoch + 1, self.history)


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
    weights = [np.array(variable) for variable in model.trainable_variables]
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
        variable.assign(np.array(variable))


def save_checkpoint(
    path: str | os.PathLike,
    model: keras.Model | Sequence[keras.Model],
    epoch: int,
    history: dict[str, list[float]],
) -> None:
    """Write all that an exact resume needs to one ``.npz`` (no pickle).

    Args:
        path: File ending in ``.npz``.
        model: Compiled model, or several; the variables of each and those of its optimizer
            are saved in order.
        epoch: Number of finished epochs.
        history: One list of values per logged name.
    """
    variables = _all_variables(model)
    arrays = {f"v{i:05d}": np.asarray(variable) for i, variable in enumerate(variables)}
    meta = json.dumps({"epoch": epoch, "history": history})
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, meta=np.array(meta), **arrays)


def load_checkpoint(
    path: str | os.PathLike, model: keras.Model | Sequence[keras.Model]
) -> tuple[int, dict]:
    """Put a checkpoint back into a compiled model, or several.

    Args:
        path: File written by `save_checkpoint`.
        model: A model built and compiled like the one that was saved, or several.

    Returns:
        The number of finished epochs and the history.

    Raises:
        CheckpointError: If the file is damaged or belongs to another model.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            values = [file[name] for name in sorted(file.files) if name != "meta"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({error}). Delete it to start again."
        ) from error
    variables = _all_variables(model)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise CheckpointError(
            f"{path} holds {len(values)} arrays that do not fit the {len(shapes)} variables of "
            "this model and optimizer. Delete it, or restore the settings it was made with."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return int(meta["epoch"]), meta["history"]


def _all_variables(model: keras.Model | Sequence[keras.Model]) -> list:
    if not isinstance(model, keras.Model):
        return [variable for one in model for variable in _all_variables(one)]
    model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    return kept + list(model.optimizer.variables)


def fit(
    model: keras.Model,
    stream: keras.utils.PyDataset,
    epochs: int,
    checkpoint: str | os.PathLike,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    best: str | None = None,
) -> dict[str, list[float]]:
    """Train to ``epochs`` epochs, going on from ``checkpoint`` when it exists.

    A run that was killed and started again ends with the same weights as one that was not,
    because the stream's batches depend on seed, epoch and index only. It ends with the
    averaged weights in the model if the optimizer keeps an average (``use_ema=True``), and
    after a loss or a weight that is not finite with those of the last good epoch.

    Args:
        model: Built and compiled model.
        stream: A `lle_utils.streams` dataset; its ``epoch`` is set.
        epochs: Number of epochs to reach in all.
        checkpoint: File ending in ``.npz``, rewritten after every epoch.
        callbacks: Further Keras callbacks; what they add to the logs is kept.
        verbose: As in ``keras.Model.fit``.
        best: See `Checkpoint`.

    Returns:
        The history of all epochs, those before the resume included: name -> one value each.

    Raises:
        CheckpointError: If the checkpoint does not fit the model.
    """
    done, history = 0, {}
    if Path(checkpoint).exists():
        done, history = load_checkpoint(checkpoint, model)
    keeper = Checkpoint(checkpoint, history, best)
    if done < epochs:
        follow = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(stream, "epoch", epoch)
        )
        # Left to the first step, making the optimizer's variables means tracing it twice.
        model.optimizer.build(model.trainable_variables)
        model.fit(
            stream,
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,
            callbacks=[follow, *callbacks, keeper],
            verbose=verbose,
        )
    if keeper.stopped and Path(checkpoint).exists():
        load_checkpoint(checkpoint, model)
    use_average(model)
    return history


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for cards and records."""
    found = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "numpy": np.__version__,
        "backend": keras.backend.backend(),
    }
    module = __import__(found["backend"])
    return {**found, found["backend"]: module.__version__}
