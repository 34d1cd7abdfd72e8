"""One training of a notebook: its folder, its schedule, and the card of what it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from lle_utils.core.backend import compile_options
from lle_utils.core.environment import usable_cores
from lle_utils.nn.complexity import multiply_adds
from lle_utils.training.cost import estimate_training
from lle_utils.training.gan import GAN, fit_gan
from lle_utils.training.gan_callbacks import ImageLogger
from lle_utils.training.optimizers import make_optimizer
from lle_utils.training.supervised import ValidationPsnr

SCHEDULE = ("stages", "steps", "warmup", "learning_rate", "ema")


@dataclass(frozen=True)
class Run:
    """Where a training keeps its files, and its schedule.

    ``dataclasses.replace`` makes another training of it, with other stages or another seed.

    Attributes:
        folder: For checkpoints and results, see `lle_utils.core.run_folder`.
        stages: ``(epochs, crop, batch_size)`` of each stage, in turn; the crop is the side of a
            square, in pixels.
        steps: Training steps per epoch.
        learning_rate: The highest rate.
        warmup: Steps in which the rate first rises from 0, a part of all.
        ema: Momentum of the moving average of the weights; 0 keeps none.
        validate_every: Epochs from one measurement on validation photos to the next.
        seed: Decides the order of photos, crops and symmetries.
    """

    folder: Path
    stages: Sequence[Sequence[int]]
    steps: int
    learning_rate: float
    warmup: int = 0
    ema: float = 0.0
    validate_every: int = 1
    seed: int = 0

    @property
    def total_steps(self) -> int:
        """The training steps of all stages."""
        return self.steps * sum(epochs for epochs, *_ in self.stages)

    @property
    def largest_stage(self) -> tuple[int, int, int]:
        """The stage whose batches have the most pixels: epochs, crop and batch size."""
        epochs, crop, batch_size = max(self.stages, key=lambda stage: stage[1] ** 2 * stage[2])
        return epochs, crop, batch_size

    def optimizer(self, **options: Any) -> keras.optimizers.Adam:
        """Make the optimizer of the whole training; ``options`` are those of `make_optimizer`."""
        options = {"warmup": self.warmup, "ema": self.ema or None, **options}
        return make_optimizer(self.learning_rate, self.total_steps, **options)

    def estimate(self, model: keras.Model) -> dict:
        """Measure what the largest batches cost, see `lle_utils.training.estimate_training`."""
        _, crop, batch_size = self.largest_stage
        return estimate_training(model, crop, batch_size, self.total_steps)

    def watchers(
        self,
        enhance: Callable[[np.ndarray], np.ndarray],
        val_pairs: Sequence[tuple],
        example: tuple[np.ndarray, np.ndarray],
    ) -> list[keras.callbacks.Callback]:
        """Return callbacks that look at whole photos while a network trains.

        Args:
            enhance, val_pairs: As for `ValidationPsnr`.
            example: A dark photo and its well-lit twin, shown after every epoch; their pictures
                go to ``panels`` in the folder.
        """
        validate = ValidationPsnr(enhance, val_pairs, self.validate_every)
        return [validate, ImageLogger(enhance, *example, self.folder / "panels")]

    def fit_gan(
        self,
        gan: GAN,
        pairs: Sequence[tuple],
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> dict[str, list[float]]:
        """Train on ``(name, low, normal)`` pairs, see `lle_utils.training.fit_gan`.

        Returns:
            The history. The checkpoint is ``checkpoint.npz`` in the folder.
        """
        _, low, normal = zip(*pairs, strict=True)
        path = self.folder / "checkpoint.npz"
        return fit_gan(gan, low, normal, self.stages, self.steps, path, self.seed, callbacks)

    def card(
        self,
        about: Mapping[str, Any],
        licence: str,
        history: Mapping[str, Sequence[float]] | None = None,
        **facts: Any,
    ) -> dict:
        """Return the card of the enhancer that was trained, for `lle_utils.enhancers`.

        Args:
            about: What holds however it was trained: name, method, inputs, multiple and halo.
            licence: Of the training data.
            history: Of the training, if its best epoch by ``val_psnr`` was kept.
            **facts: More about the training, such as ``data`` and ``pairs``. Empty texts are left
                out.
        """
        facts = {name: value for name, value in facts.items() if value != ""}
        told = {"split": "train", "seed": self.seed, **facts}
        told |= {name: getattr(self, name) for name in SCHEDULE}
        told["hardware"] = f"{usable_cores()} CPU cores"
        if history is not None:
            told["best_epoch"] = int(np.argmax(history["val_psnr"])) + 1
        return {**about, "training": told, "licence": licence}


def clipped(network: keras.Model) -> keras.Model:
    """Return a network with its output clipped to [0, 1], ready to run; weights are shared.

    How the network itself is compiled belongs to its training, so one that is still being
    trained is looked at through this one.

    Args:
        network: Functional model with one output, photos ``(N, H, W, 3)``.
    """
    model = keras.Model(network.input, ops.clip(network.output, 0, 1), name=network.name)
    model.compile(**compile_options())
    return model


def describe(network: keras.Model, multiple: int = 1) -> None:
    """Print the name, the parameters and the multiply-adds for a photo of 256x256.

    Args:
        network: Functional model.
        multiple: What the sides of its photos must divide by.
    """
    cost = multiply_adds(network, multiple) / 1e9
    print(f"{network.name}, {network.count_params():,} parameters, {cost:.3g} G multiply-adds")
