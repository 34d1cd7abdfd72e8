"""The optimizer of image restoration."""

from __future__ import annotations

import keras


def make_optimizer(
    learning_rate: float,
    steps: int,
    warmup: int = 0,
    ema: float | None = None,
    clip: float = 1.0,
    final: float = 1e-6,
    beta_1: float = 0.9,
) -> keras.optimizers.Adam:
    """Make the Adam optimizer of image restoration: warm-up, cosine, clipping, averaging.

    Args:
        learning_rate: The highest rate.
        steps: Training steps in all, over all stages.
        warmup: Steps in which the rate first rises from 0, a part of ``steps``.
        ema: Momentum of a moving average of the weights, such as 0.999; None keeps none.
            Training goes on with the weights themselves; what is validated and what `fit`
            leaves in the model is the average.
        clip: Largest norm of all gradients together.
        final: The rate at the end.
        beta_1: Momentum of the gradient; adversarial training takes 0.5.

    Returns:
        An optimizer for one model.

    Raises:
        ValueError: If the warm-up leaves no step to train.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup is {warmup} of {steps} steps; choose fewer warm-up steps.")
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else learning_rate,
        steps - warmup,
        alpha=final / learning_rate,
        warmup_target=learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    average = {} if ema is None else {"use_ema": True, "ema_momentum": ema}
    return keras.optimizers.Adam(rate, beta_1, global_clipnorm=clip, **average)
