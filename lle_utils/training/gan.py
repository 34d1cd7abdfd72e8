"""Adversarial training on pairs: two networks, one step, on TensorFlow and on JAX.

A *generator* enhances; a *discriminator* looks at a dark photo beside a bright one and says
whether the bright one is real. Each has an optimizer of its own, and gradients are taken for
the variables of one network only. Nothing is ever frozen, so nothing can stay frozen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter

import keras
from keras import ops

from lle_utils.core.backend import compile_options
from lle_utils.data.batches import Photos
from lle_utils.training import supervised

WON_LOSS_BELOW = 0.01  # a discriminator loss below this ...
WON_AFTER_EPOCHS = 3  # ... in so many epochs in a row means that there is nothing to learn from it


class GAN(keras.Model):
    """A generator and a discriminator that one ``fit`` or ``train_on_batch`` trains together.

    Attributes:
        generator: ``low`` (N, H, W, 3) in [0, 1] to the enhanced photo in [0, 1].
        discriminator: ``[low, bright]`` to logits of any shape, one per patch.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        pixel_loss: Callable,
        pixel_weight: float = 100.0,
        adversarial_weight: float = 1.0,
    ) -> None:
        """Join the two; both networks are compiled here with their optimizers.

        Args:
            generator, discriminator: See the class.
            generator_optimizer, discriminator_optimizer: Such as Adam; one each.
            pixel_loss: ``pixel_loss(normal, enhanced)``, a scalar: how far from the pair.
            pixel_weight: λ, its weight in the loss of the generator.
            adversarial_weight: Weight of having to deceive the discriminator; 0 trains the
                generator with the pixel loss alone, and the discriminator not at all.

        Raises:
            ValueError: If one optimizer is given twice, or the backend has no training step.
        """
        super().__init__(name="gan")
        if generator_optimizer is discriminator_optimizer:
            raise ValueError("Both networks got one optimizer; each needs its own.")
        if keras.backend.backend() not in ("tensorflow", "jax"):
            raise ValueError(
                f"The Keras backend is {keras.backend.backend()}; use tensorflow or jax."
            )
        # In this order, which Keras keeps, their state lies in checkpoints.
        self.discriminator, self.generator = discriminator, generator
        discriminator.compile(discriminator_optimizer, **compile_options())
        generator.compile(generator_optimizer, **compile_options())
        self.pixel_loss = pixel_loss
        self.pixel_weight = pixel_weight
        self.adversarial_weight = adversarial_weight
        names = ("discriminator_loss", "adversarial_loss", "pixel_loss", "generator_loss")
        names = names if adversarial_weight else names[2:]
        self._means = [keras.metrics.Mean(name) for name in names]
        optimizer = OptimizerPair(self.networks)
        self.compile(optimizer, auto_scale_loss=False, **compile_options())
        optimizer.build(self.trainable_variables)
        self.built = True

    @property
    def networks(self) -> tuple[keras.Model, keras.Model]:
        """The discriminator and the generator."""
        return self.discriminator, self.generator

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The mean of every loss since the start of the epoch."""
        return self._means

    def call(self, low, training: bool = False):
        """Enhance a batch."""
        return self.generator(low, training=training)

    def compute_losses(self, low, normal) -> dict:
        """Compute all losses of a batch with the networks in training mode.

        Args:
            low, normal: Batches ``(N, H, W, 3)`` in [0, 1].

        Returns:
            Scalars: ``discriminator_loss``, half the sum of the cross-entropies of calling
            real pairs real and enhanced ones false; ``adversarial_loss``, the cross-entropy
            of enhanced pairs being called real; ``pixel_loss``; and ``generator_loss``, the
            weighted sum of the last two. Without an adversarial weight the last two alone.

        Reference:
            Isola et al., Image-to-Image Translation with Conditional Adversarial Networks,
            CVPR 2017, arXiv 1611.07004, equations 1 to 4 and section 3.3 (the half).
        """
        low, normal = ops.convert_to_tensor(low), ops.convert_to_tensor(normal)
        enhanced = ops.cast(self.generator(low, training=True), "float32")
        pixel = self.pixel_loss(normal, enhanced)
        if not self.adversarial_weight:
            return {"pixel_loss": pixel, "generator_loss": self.pixel_weight * pixel}
        real = self.discriminator([low, normal], training=True)
        fake = self.discriminator([low, enhanced], training=True)
        deceived = cross_entropy(1.0, fake)
        return {
            "discriminator_loss": 0.5 * (cross_entropy(1.0, real) + cross_entropy(0.0, fake)),
            "adversarial_loss": deceived,
            "pixel_loss": pixel,
            "generator_loss": self.adversarial_weight * deceived + self.pixel_weight * pixel,
        }

    def train_step(self, *arguments):
        """Train on one batch: a step of each network, both from the weights before it.

        The photo is enhanced once and shown to the discriminator once; both gradients come
        from that.

        Args:
            *arguments: What Keras hands over: the batch ``(low, normal)``, and under JAX the
                state of the model before it.

        Returns:
            The mean losses since the start of the epoch, and under JAX the state after the step.
        """
        if keras.backend.backend() == "jax":
            return self._jax_train_step(*arguments)
        return self._tensorflow_train_step(*arguments)

    def _tensorflow_train_step(self, data) -> dict:
        import tensorflow as tf  # its tape

        low, normal, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape(persistent=True) as tape:
            losses = self.compute_losses(low, normal)
            objectives = self._objectives(losses)
        gradients = {
            name: tape.gradient(objective, getattr(self, name).trainable_variables)
            for name, objective in objectives.items()
        }
        for name, gradient in gradients.items():
            network = getattr(self, name)
            network.optimizer.apply(gradient, network.trainable_variables)
        return self._means_with(losses)

    def _jax_train_step(self, state: tuple, data) -> tuple[dict, tuple]:
        import jax  # its gradient

        low, normal, _ = keras.utils.unpack_x_y_sample_weight(data)
        weights, others, slots, sums = state
        weights = self._by_network(weights, "trainable_variables")

        def objectives(weights: dict) -> tuple[dict, tuple]:
            with self._stateless(weights, others, slots) as scope:
                losses = self.compute_losses(low, normal)
                scaled = self._objectives(losses)
            changed = [scope.get_current_value(v) for v in self.non_trainable_variables]
            return scaled, (losses, changed)

        scaled, pull_back, (losses, others) = jax.vjp(objectives, weights, has_aux=True)
        weights, slots = self._jax_apply(scaled, pull_back, weights, slots)
        with keras.StatelessScope(zip(self.metrics_variables, sums, strict=True)) as scope:
            means = self._means_with(losses)
            sums = [scope.get_current_value(v) for v in self.metrics_variables]
        return means, (weights, others, slots, sums)

    def _jax_apply(
        self, scaled: dict, pull_back: Callable, weights: dict, slots: list
    ) -> tuple[list, list]:
        """Move each network that has an objective along the gradient of that one alone."""
        slots = self._by_network(slots, "optimizer.variables")
        for name in scaled:
            chosen = {other: ops.full_like(scaled[other], other == name) for other in scaled}
            gradients = pull_back(chosen)[0][name]
            optimizer = getattr(self, name).optimizer
            weights[name], slots[name] = optimizer.stateless_apply(
                slots[name], gradients, weights[name]
            )
        return [*chain(*weights.values())], [*chain(*slots.values())]

    def _stateless(self, weights: dict, others: list, slots: list) -> keras.StatelessScope:
        """Return a scope in which the variables have the given values."""
        variables = [
            *self.trainable_variables,
            *self.non_trainable_variables,
            *self.optimizer.variables,
        ]
        values = [*chain(*weights.values()), *others, *slots]
        return keras.StatelessScope(zip(variables, values, strict=True))

    def _by_network(self, values: list, variables: str) -> dict[str, list]:
        """Divide values, one for each variable of that kind, between the networks."""
        count = len(attrgetter(variables)(self.discriminator))
        return {"discriminator": values[:count], "generator": values[count:]}

    def _objectives(self, losses: dict) -> dict:
        """Return the loss that each trained network minimises, scaled for 16 bits if in use."""
        names = ("discriminator", "generator") if self.adversarial_weight else ("generator",)
        return {
            name: getattr(self, name).optimizer.scale_loss(losses[f"{name}_loss"]) for name in names
        }

    def _means_with(self, losses: dict) -> dict:
        """Return the means of all losses, those of one more batch included."""
        for mean in self._means:
            mean.update_state(losses[mean.name])
        return {mean.name: mean.result() for mean in self._means}


class OptimizerPair(keras.optimizers.Optimizer):
    """The optimizers of two networks, as the one that Keras expects a model to have.

    ``fit`` asks it for state, to build it and to put averaged weights in place. It moves no
    weights itself: each network's own optimizer does.
    """

    def __init__(self, networks: Sequence[keras.Model]) -> None:
        super().__init__(learning_rate=0.0)
        self.networks = networks

    @property
    def variables(self) -> list:
        """The state of the optimizers, one after the other."""
        return [v for network in self.networks for v in network.optimizer.variables]

    def build(self, variables: Sequence) -> None:
        """Make the state of each optimizer; ``variables`` are those of its network."""
        for network in self.networks:
            network.optimizer.build(network.trainable_variables)
        self.built = True

    def finalize_variable_values(self, variables: Sequence) -> None:
        """Put averaged weights into each network whose optimizer keeps an average."""
        for network in self.networks:
            network.optimizer.finalize_variable_values(network.trainable_variables)


def cross_entropy(label: float, logits):
    """Return the mean binary cross-entropy of logits with one label for all, 0 or 1.

    Computed from logits, so that it stays finite however sure the discriminator is.
    """
    logits = ops.cast(logits, "float32")
    return ops.mean(ops.softplus(logits) - label * logits)


def fit_gan(
    gan: GAN,
    low: Photos,
    normal: Photos,
    stages: Sequence[Sequence[int]],
    steps: int,
    checkpoint: str | os.PathLike,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> dict[str, list[float]]:
    """Train in stages of growing crops, until the discriminator has won.

    As `lle_utils.training.fit_pairs`, with both networks and both optimizers in the checkpoint.
    Training also ends, with a message, when the loss of the discriminator was below 0.01 in
    three epochs in a row: it tells the generator nothing any more.

    Args:
        gan: The two networks.
        low, normal, stages, steps, checkpoint, seed: See `fit_pairs`.
        callbacks: Keras callbacks; what they add to the logs is kept.
        verbose: As in ``keras.Model.fit``.

    Returns:
        The history: name -> one value per epoch, those before a resume included.

    Raises:
        CheckpointError: If the checkpoint does not fit the networks.
    """
    return supervised.fit_pairs(
        gan,
        low,
        normal,
        stages,
        steps,
        checkpoint,
        seed,
        callbacks=callbacks,
        verbose=verbose,
        stop=discriminator_has_won,
    )


def discriminator_has_won(history: Mapping[str, Sequence[float]]) -> str:
    """Say that there is nothing left to learn from the discriminator, or return an empty text.

    Args:
        history: Name -> one value per epoch, with ``discriminator_loss``.
    """
    last = history.get("discriminator_loss", [])[-WON_AFTER_EPOCHS:]
    if len(last) < WON_AFTER_EPOCHS or max(last) >= WON_LOSS_BELOW:
        return ""
    return (
        f"the discriminator has won; its loss was below {WON_LOSS_BELOW} for "
        f"{WON_AFTER_EPOCHS} epochs. Lower its learning rate or raise the weight of the pixel loss."
    )
