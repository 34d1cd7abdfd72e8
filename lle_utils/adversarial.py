"""Adversarial training on pairs: two networks, one step, on TensorFlow and on JAX.

A *generator* enhances; a *discriminator* looks at a dark photo beside a bright one and says
whether the bright one is real. Each has an optimizer of its own, and gradients are taken for
the variables of one network only. Nothing is ever frozen, so nothing can stay frozen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import keras
import numpy as np
from keras import ops

from lle_utils import plotting, training
from lle_utils.files import atomic_path
from lle_utils.streams import PairStream, Photos

NETWORKS = ("discriminator", "generator")
WON_BELOW = 0.01  # a discriminator loss below this ...
WON_AFTER = 3  # ... in so many epochs in a row means that there is nothing to learn from it


class Adversaries:
    """A generator and a discriminator with their optimizers, trained together.

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
            ValueError: If one optimizer is given twice.
        """
        if generator_optimizer is discriminator_optimizer:
            raise ValueError("Both networks got one optimizer; each needs its own.")
        self.generator, self.discriminator = generator, discriminator
        generator.compile(generator_optimizer, **training.compile_options())
        discriminator.compile(discriminator_optimizer, **training.compile_options())
        for network in self.networks:
            network.optimizer.build(network.trainable_variables)
        self.pixel_loss = pixel_loss
        self.pixel_weight = pixel_weight
        self.adversarial_weight = adversarial_weight
        self._steps: dict[tuple, Callable] = {}

    @property
    def networks(self) -> tuple[keras.Model, keras.Model]:
        """The discriminator and the generator, in the order of `NETWORKS`."""
        return self.discriminator, self.generator

    def losses(self, low, normal) -> dict:
        """Compute all losses of a batch with the networks in training mode.

        Args:
            low, normal: Batches ``(N, H, W, 3)`` in [0, 1].

        Returns:
            Scalars: ``discriminator_loss``, half the sum of the cross-entropies of calling
            real pairs real and enhanced ones false; ``adversarial_loss``, the cross-entropy
            of enhanced pairs being called real; ``pixel_loss``; and ``generator_loss``, the
            weighted sum of the last two.

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

    def step(self, low, normal, update: Sequence[str] = NETWORKS) -> dict[str, float]:
        """Train on one batch: one step of each network, both from the weights before it.

        The photo is enhanced once, and judged once; both gradients come from that.

        Args:
            low, normal: Batches ``(N, H, W, 3)`` in [0, 1].
            update: Which networks move, of `NETWORKS`.

        Returns:
            The losses before the step, see `losses`.

        Raises:
            ValueError: For an unknown network.
        """
        chosen = tuple(name for name in NETWORKS if name in update)
        if not chosen or len(chosen) != len(set(update)):
            raise ValueError(f"update is {update!r}; expected one or both of {NETWORKS}.")
        if not self.adversarial_weight:
            chosen = ("generator",)
        if chosen not in self._steps:
            backend = keras.backend.backend()
            if backend not in ("tensorflow", "jax"):
                raise ValueError(f"The Keras backend is {backend}; use tensorflow or jax.")
            make = self._tensorflow_step if backend == "tensorflow" else self._jax_step
            self._steps[chosen] = make([getattr(self, name) for name in chosen])
        losses = self._steps[chosen](ops.convert_to_tensor(low), ops.convert_to_tensor(normal))
        return {name: float(value) for name, value in losses.items()}

    def _objective(self, losses: dict, network: keras.Model):
        """Return the loss that a network minimises, scaled for 16 bits where that is in use."""
        name = "generator" if network is self.generator else "discriminator"
        return network.optimizer.scale_loss(losses[f"{name}_loss"])

    def _tensorflow_step(self, networks: list[keras.Model]) -> Callable:
        import tensorflow as tf  # its tape and its compiler

        @tf.function(**training.compile_options())
        def step(low, normal):
            with tf.GradientTape(persistent=True) as tape:
                losses = self.losses(low, normal)
                objectives = [self._objective(losses, network) for network in networks]
            gradients = [
                tape.gradient(objective, network.trainable_variables)
                for objective, network in zip(objectives, networks, strict=True)
            ]
            for network, gradient in zip(networks, gradients, strict=True):
                network.optimizer.apply(gradient, network.trainable_variables)
            return losses

        return step

    def _jax_step(self, networks: list[keras.Model]) -> Callable:
        import jax  # its gradient and its compiler

        moving = [network.trainable_variables for network in networks]
        optimizers = [network.optimizer.variables for network in networks]
        every = [v for network in self.networks for v in network.variables]
        moved = {id(v) for variables in moving for v in variables}
        others = [v for v in every if id(v) not in moved]

        def objectives(weights, rest, state, low, normal):
            variables = [*chain(*moving), *others, *chain(*optimizers)]
            values = [*chain(*weights), *rest, *chain(*state)]
            with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
                losses = self.losses(low, normal)
                scaled = [self._objective(losses, network) for network in networks]
            return scaled, (losses, [scope.get_current_value(v) for v in others])

        @jax.jit
        def compute(weights, rest, state, low, normal):
            scaled, pull, (losses, rest) = jax.vjp(
                lambda w: objectives(w, rest, state, low, normal), weights, has_aux=True
            )
            ones = [ops.ones_like(value) for value in scaled]
            for i, network in enumerate(networks):
                only = [one if i == j else 0 * one for j, one in enumerate(ones)]
                (gradients,) = pull(only)
                weights[i], state[i] = network.optimizer.stateless_apply(
                    state[i], gradients[i], weights[i]
                )
            return weights, rest, state, losses

        def step(low, normal):
            groups = (moving, [others], optimizers)
            weights, (rest,), state = ([[v.value for v in g] for g in group] for group in groups)
            weights, rest, state, losses = compute(weights, rest, state, low, normal)
            for variables, values in zip(
                [*moving, others, *optimizers], [*weights, rest, *state], strict=True
            ):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            return losses

        return step


def cross_entropy(label: float, logits):
    """Return the mean binary cross-entropy of logits with one label for all, 0 or 1.

    Computed from logits, so that it stays finite however sure the discriminator is.
    """
    logits = ops.cast(logits, "float32")
    return ops.mean(ops.softplus(logits) - label * logits)


class KeepModels(keras.callbacks.Callback):
    """Save the model after every epoch, and bound how many files there are.

    When there are more than ``most``, every second one goes, so that those that stay are
    spread over the whole run; the newest always stays. The averaged weights are saved if the
    optimizer keeps an average.

    Args:
        folder: Where the files ``epoch_0001.keras`` and so on go.
        most: Files to keep at most, at least 2.
    """

    def __init__(self, folder: str | os.PathLike, most: int = 12) -> None:
        super().__init__()
        if most < 2:
            raise ValueError(f"most is {most}; expected 2 or more.")
        self.folder = Path(folder)
        self.most = most

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save the epoch and thin out the earlier ones."""
        path = self.folder / f"epoch_{epoch + 1:04d}.keras"
        with training.averaged_weights(self.model), atomic_path(path) as temporary:
            self.model.save(temporary)
        saved = saved_epochs(self.folder)
        stride = 1
        while len(saved) > self.most:
            stride *= 2
            for number in [n for n in saved if n % stride and n <= epoch]:
                saved.pop(number).unlink()


def saved_epochs(folder: str | os.PathLike) -> dict[int, Path]:
    """Return the files of `KeepModels`: number of the epoch -> path, in order."""
    paths = sorted(Path(folder).glob("epoch_*.keras"))
    return {int(path.stem.removeprefix("epoch_")): path for path in paths}


class Watch(keras.callbacks.Callback):
    """Show an example and the losses of both networks while training runs.

    After every epoch a panel (low, enhanced, normal) is written to ``epoch_0001.png`` and so on.
    In a notebook the newest panel and the curves since the start are also shown, in place.

    Args:
        enhance: As for `lle_utils.supervised.ValidationPsnr`.
        low, normal: The example, float images ``(H, W, 3)`` in [0, 1].
        folder: Where the panels go.
    """

    def __init__(
        self,
        enhance: Callable[[np.ndarray], np.ndarray],
        low: np.ndarray,
        normal: np.ndarray,
        folder: str | os.PathLike,
    ) -> None:
        super().__init__()
        self.enhance = enhance
        self.low, self.normal = low, normal
        self.folder = Path(folder)
        self.history: dict[str, list[float]] = {}
        self.places: list = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Draw panel and curves."""
        training.extend(self.history, logs or {})
        with training.averaged_weights(self.model):
            enhanced = self.enhance(self.low)
        panel = plotting.pair_grid([self.low], [self.normal], [f"epoch {epoch + 1}"], [enhanced])
        path = self.folder / f"epoch_{epoch + 1:04d}.png"
        with atomic_path(path) as temporary:
            temporary.write_bytes(plotting.png(panel))
        if _in_a_notebook():
            self._show(path.read_bytes(), plotting.png(plotting.loss_curves(self.history)))

    def _show(self, *pictures: bytes) -> None:
        from IPython.display import Image, display

        shown = [Image(data=picture, format="png") for picture in pictures]
        if not self.places:
            self.places = [display(picture, display_id=True) for picture in shown]
        for place, picture in zip(self.places, shown, strict=True):
            place.update(picture)


def _in_a_notebook() -> bool:
    """Return whether a Jupyter kernel runs this."""
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


def fit(
    adversaries: Adversaries,
    low: Photos,
    normal: Photos,
    stages: Sequence[Sequence[int]],
    steps: int,
    checkpoint: str | os.PathLike,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
) -> dict[str, list[float]]:
    """Train in stages of growing crops; a run that was killed goes on where it was.

    Training ends early, with a message, when a loss or a weight is not finite (the last good
    epoch is put back) or when the discriminator has won: its loss was below 0.01 in three
    epochs in a row, so it tells the generator nothing any more.

    Args:
        adversaries: The two networks.
        low, normal: Photos, see `lle_utils.streams.PairStream`.
        stages: ``(epochs, crop, batch_size)`` of each stage, in turn.
        steps: Training steps per epoch.
        checkpoint: File ending in ``.npz`` with both networks and both optimizers, rewritten
            after every epoch. The best state by ``val_psnr``, if a callback logs it, lies
            beside it (`lle_utils.training.best_path`).
        seed: Decides order, crops and symmetries.
        callbacks: Keras callbacks; their ``model`` is the generator, and what they add to
            the logs is kept.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        The history: name -> one value per epoch, those before a resume included.

    Raises:
        CheckpointError: If the checkpoint does not fit the networks.
    """
    generator, both = adversaries.generator, list(adversaries.networks)
    done, history = 0, {}
    if Path(checkpoint).exists():
        done, history = training.load_checkpoint(checkpoint, both)
    keeper = training.Checkpoint(
        checkpoint, history, "val_psnr", beside=[adversaries.discriminator]
    )
    watchers = keras.callbacks.CallbackList(
        [*callbacks, keeper],
        add_progbar=bool(verbose),
        model=generator,
        epochs=sum(epochs for epochs, *_ in stages),
        steps=steps,
        verbose=verbose,
    )
    generator.stop_training = False
    watchers.on_train_begin()
    for epoch, crop, batch_size in _epochs(stages)[done:]:
        if _has_won(history):
            print(
                f"Stopped after epoch {epoch}: the discriminator has won; its loss was below "
                f"{WON_BELOW} for {WON_AFTER} epochs. Lower its learning rate or raise the "
                "weight of the pixel loss."
            )
            break
        watchers.on_epoch_begin(epoch)
        stream = PairStream(low, normal, crop, batch_size, seed, steps=steps, epoch=epoch)
        sums: dict[str, float] = {}
        for index in range(steps):
            watchers.on_train_batch_begin(index)
            losses = adversaries.step(*stream[index])
            sums = {name: sums.get(name, 0.0) + value for name, value in losses.items()}
            watchers.on_train_batch_end(index, {k: v / (index + 1) for k, v in sums.items()})
        watchers.on_epoch_end(epoch, {name: value / steps for name, value in sums.items()})
        if generator.stop_training:
            break
    watchers.on_train_end()
    if keeper.stopped and Path(checkpoint).exists():
        training.load_checkpoint(checkpoint, both)
    training.use_average(generator)
    return history


def _epochs(stages: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """Return (epoch, crop, batch size) of every epoch."""
    sizes = [(crop, size) for count, crop, size in stages for _ in range(count)]
    return [(epoch, *pair) for epoch, pair in enumerate(sizes)]


def _has_won(history: dict[str, list[float]]) -> bool:
    last = history.get("discriminator_loss", [])[-WON_AFTER:]
    return len(last) == WON_AFTER and max(last) < WON_BELOW


def step_cost(adversaries: Adversaries, low, normal, repeats: int = 10) -> dict:
    """Time a step of both networks against the passes that it cannot do without.

    The passes are compiled apart, without optimizers: the generator forward and backward from
    the pixel loss, the discriminator forward and backward on real pairs, and on enhanced pairs
    forward and twice backward, to its weights and to the photo.

    Args:
        adversaries: The networks, which are trained; TensorFlow only.
        low, normal: A batch ``(N, H, W, 3)`` in [0, 1].
        repeats: Runs after a first one that compiles, interleaved; medians are taken.

    Returns:
        Seconds: ``parts`` by name, their ``sum``, the whole ``step``, and their ``ratio``.

    Raises:
        ValueError: Under another backend, where the parts would be compiled otherwise.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError("step_cost needs the TensorFlow backend; set KERAS_BACKEND=tensorflow.")
    low, normal = ops.convert_to_tensor(low), ops.convert_to_tensor(normal)
    enhanced = ops.convert_to_tensor(ops.convert_to_numpy(adversaries.generator(low)))
    parts = _passes(adversaries, low, normal, enhanced)
    works = {**parts, "step": lambda: adversaries.step(low, normal)}
    times: dict[str, list[float]] = {name: [] for name in works}
    for run in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if run:
                times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    step = medians.pop("step")
    total = sum(medians.values())
    return {"parts": medians, "sum": total, "step": step, "ratio": step / total}


def _passes(adversaries: Adversaries, low, normal, enhanced) -> dict[str, Callable]:
    """Return the compiled passes of `step_cost`, each to be called without arguments."""
    import tensorflow as tf

    generator, discriminator = adversaries.generator, adversaries.discriminator

    def compiled(forward: Callable, *sources) -> Callable:
        @tf.function(**training.compile_options())
        def work():
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(enhanced)
                loss = forward()
            return loss, [tape.gradient(loss, source) for source in sources]

        return lambda: float(work()[0])

    def judged(bright, label: float) -> Callable:
        return lambda: cross_entropy(label, discriminator([low, bright], training=True))

    weights = discriminator.trainable_variables
    return {
        "generator": compiled(
            lambda: adversaries.pixel_loss(normal, generator(low, training=True)),
            generator.trainable_variables,
        ),
        "discriminator, real": compiled(judged(normal, 1.0), weights),
        "discriminator, enhanced": compiled(judged(enhanced, 0.0), weights, enhanced),
    }
