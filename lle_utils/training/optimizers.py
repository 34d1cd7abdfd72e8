"""The optimizer of image restoration."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="lle_utils")
class Adam(keras.optimizers.Adam):
    """Adam whose average of the weights moves once per step, also with accumulated gradients.

    Keras averages after every batch, those included whose gradient is only added up. Then the
    average of ``n`` small batches is another one than that of one large batch.
    """

    @property
    def ema_momentum(self) -> Any:
        """The momentum of the average; 1, which leaves it, while gradients are added up."""
        every = self.gradient_accumulation_steps
        if not (self.use_ema and every and self.built):
            return self._momentum
        return ops.where((self._iterations + 1) % every == 0, self._momentum, 1.0)

    @ema_momentum.setter
    def ema_momentum(self, momentum: float) -> None:
        self._momentum = momentum

    def get_config(self) -> dict:
        """Return the arguments that make it again."""
        return {**super().get_config(), "ema_momentum": self._momentum}


@keras.saving.register_keras_serializable(package="lle_utils")
class PerStep(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule told in steps, for an optimizer that is asked once per batch.

    Keras asks schedules by the number of batches, also where several of them are one step.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, every: int):
        self.schedule, self.every = schedule, every

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step that a batch belongs to."""
        return self.schedule(step // self.every)

    def get_config(self) -> dict:
        """Return the arguments that make it again."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "every": self.every}

    @classmethod
    def from_config(cls, config: dict) -> PerStep:
        """Make it again."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["every"])


def make_optimizer(
    learning_rate: float,
    steps: int,
    warmup: int = 0,
    ema: float | None = None,
    clip: float = 1.0,
    final: float = 1e-6,
    beta_1: float = 0.9,
    accumulate: int = 1,
) -> keras.optimizers.Adam:
    """Make the Adam optimizer of image restoration: warm-up, cosine, clipping, averaging.

    Args:
        learning_rate: The highest rate.
        steps: Steps of the weights in all, over all stages.
        warmup: Steps in which the rate first rises from 0, a part of ``steps``.
        ema: Momentum of a moving average of the weights, such as 0.999; None keeps none.
            Training goes on with the weights themselves; what is validated and what `fit`
            leaves in the model is the average.
        clip: Largest norm of all gradients together.
        final: The rate at the end.
        beta_1: Momentum of the gradient; adversarial training takes 0.5.
        accumulate: Batches whose gradients are averaged before the weights move once. Where no
            layer mixes the photos of a batch, that is one step on a batch as many times as large,
            but for rounding.

    Returns:
        An optimizer for one model.

    Raises:
        ValueError: If the warm-up leaves no step to train, or ``accumulate`` is below 1.
    """
    if accumulate < 1:
        raise ValueError(f"accumulate is {accumulate}; expected 1 batch or more to a step.")
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup is {warmup} of {steps} steps; choose fewer warm-up steps.")
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else learning_rate,
        steps - warmup,
        alpha=final / learning_rate,
        warmup_target=learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    more = {} if ema is None else {"use_ema": True, "ema_momentum": ema}
    if accumulate == 1:
        return keras.optimizers.Adam(rate, beta_1, global_clipnorm=clip, **more)
    more["gradient_accumulation_steps"] = accumulate
    return Adam(PerStep(rate, accumulate), beta_1, global_clipnorm=clip, **more)
