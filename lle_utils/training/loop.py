"""Training that can be killed at any moment and goes on as if nothing had happened."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from lle_utils.core.devices import check_alike, own_part
from lle_utils.training.checkpoints import (
    Checkpoint,
    epochs_in,
    load_checkpoint,
    use_average,
)


def fit(
    model: keras.Model,
    stream: keras.utils.PyDataset,
    epochs: int,
    checkpoint: str | os.PathLike,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    best: str | None = None,
    stop: Callable[[dict[str, list[float]]], str] | None = None,
) -> dict[str, list[float]]:
    """Train to ``epochs`` epochs, going on from ``checkpoint`` when it exists.

    A run that was killed and started again ends with the same weights as one that was not,
    because the stream's batches depend on seed, epoch and index only. It ends with the
    averaged weights in the model if the optimizer keeps an average (``use_ema=True``), and
    after a loss or a weight that is not finite with those of the last good epoch.

    Args:
        model: Built and compiled model, a `lle_utils.training.GAN` included.
        stream: A `lle_utils.data.batches` dataset; its ``epoch`` is set.
        epochs: Number of epochs to reach in all.
        checkpoint: File ending in ``.npz``, rewritten after every epoch.
        callbacks: Further Keras callbacks; what they add to the logs is kept.
        verbose: As in ``keras.Model.fit``.
        best: See `Checkpoint`.
        stop: ``stop(history)`` after every epoch; any text ends the training and is shown.
            It is asked before the first epoch too, so that a run that has ended stays so.

    Returns:
        The history of all epochs, those before the resume included: name -> one value each.

    Raises:
        CheckpointError: If the checkpoint does not fit the model.
        DeviceError: If batches cannot be shared by the devices of `lle_utils.core.use_devices`.
    """
    part = own_part(stream)
    check_alike(epochs_in(checkpoint))  # first: all processes put weights in place together
    done, history = 0, {}
    if Path(checkpoint).exists():
        done, history = load_checkpoint(checkpoint, model)
    keeper = Checkpoint(checkpoint, history, best)
    ending = _End(history, stop or (lambda history: ""))
    if done < epochs and not ending.reason():
        follow = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(stream, "epoch", epoch)
        )
        # Left to the first step, making the optimizer's variables means tracing it twice.
        model.optimizer.build(model.trainable_variables)
        model.fit(
            part,
            epochs=epochs,
            initial_epoch=done,
            shuffle=False,
            callbacks=[follow, *callbacks, keeper, ending],
            verbose=verbose,
        )
    if keeper.stopped and Path(checkpoint).exists():
        load_checkpoint(checkpoint, model)
    elif finished_epochs(history) < epochs and ending.reason():
        print(f"Stopped after epoch {finished_epochs(history)}: {ending.reason()}")
    use_average(model)
    return history


def finished_epochs(history: dict[str, list[float]]) -> int:
    """Return of how many epochs a history holds the values."""
    return max(map(len, history.values()), default=0)


class _End(keras.callbacks.Callback):
    """End the training after the epoch whose history gives a reason to."""

    def __init__(
        self, history: dict[str, list[float]], stop: Callable[[dict[str, list[float]]], str]
    ) -> None:
        super().__init__()
        self.history = history
        self.stop = stop

    def reason(self) -> str:
        return self.stop(self.history)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.reason():
            self.model.stop_training = True
