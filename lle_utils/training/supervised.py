"""Supervised training on pairs: optimizer, validation, stages, and what a run will cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import keras
import numpy as np

from lle_utils.core.images import as_float
from lle_utils.data.batches import PairStream, Photos
from lle_utils.metrics.pixelwise import psnr
from lle_utils.training import checkpoints, loop


class ValidationPsnr(keras.callbacks.Callback):
    """Log ``val_psnr``: whole photos, rounded to 8 bits, with the averaged weights; usually blind.

    Args:
        enhance: Maps a float image ``(H, W, 3)`` in [0, 1] to one of the same shape with the
            weights of the model in training, such as `lle_utils.enhancers.Enhancer.enhance`.
        pairs: ``(name, low, reference)`` each, as paths or images; read once.
        every: Measure in every such epoch, the first one and the last one.
        told: Whether ``enhance`` is given the well-lit photo as ``reference``, to be as bright;
            then the value is not blind.
    """

    def __init__(
        self,
        enhance: Callable[[np.ndarray], np.ndarray],
        pairs: Sequence[tuple],
        every: int = 1,
        told: bool = False,
    ) -> None:
        super().__init__()
        if every < 1 or not pairs:
            raise ValueError(f"every={every}, {len(pairs)} pairs: expected 1 or more of both.")
        self.enhance = enhance
        self.pairs = [(as_float(low), as_float(reference)) for _, low, reference in pairs]
        self.every, self.told = every, told

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add the value to the logs of the epoch."""
        due = epoch == 0 or (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]
        if due and logs is not None:
            with checkpoints.averaged_weights(self.model):
                logs["val_psnr"] = self.measure()

    def measure(self) -> float:
        """Return the mean PSNR over all pairs, in dB, with the weights as they are."""
        values = []
        for low, normal in self.pairs:
            more = {"reference": normal} if self.told else {}
            values.append(psnr(self.enhance(low, **more), normal))
        return float(np.mean(values))


def fit_pairs(
    model: keras.Model,
    low: Photos,
    normal: Photos,
    stages: Sequence[Sequence[int]],
    steps: int,
    checkpoint: str | os.PathLike,
    seed: int = 0,
    mixup: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    stop: Callable[[dict[str, list[float]]], str] | None = None,
) -> dict[str, list[float]]:
    """Train on pairs in stages of growing crops; a run that was killed goes on where it was.

    Args:
        model: Built and compiled model.
        low, normal: Photos, see `lle_utils.data.PairStream`.
        stages: ``(epochs, crop, batch_size)`` of each stage, in turn.
        steps: Training steps per epoch.
        checkpoint: File ending in ``.npz``. The best state by ``val_psnr``, if a callback
            logs it, lies beside it (`lle_utils.training.best_path`).
        seed: Decides order, crops, symmetries and blends.
        mixup: See `lle_utils.data.PairStream`.
        callbacks: Further Keras callbacks, such as `ValidationPsnr`.
        verbose: As in ``keras.Model.fit``.
        stop: Ends the training early, see `fit`.

    Returns:
        The history: name -> one value per epoch, over all stages.
    """
    history: dict[str, list[float]] = {}
    reached = 0
    for epochs, crop, batch_size in stages:
        reached += epochs
        stream = PairStream(low, normal, crop, batch_size, seed, steps=steps, mixup=mixup)
        history = loop.fit(
            model, stream, reached, checkpoint, callbacks, verbose, best="val_psnr", stop=stop
        )
        if loop.finished_epochs(history) < reached:
            break  # what ended this stage, such as a weight that is not finite, ends the next
    return history
