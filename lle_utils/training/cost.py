"""What a training will take: seconds and memory, measured on a few steps."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from lle_utils.core.backend import card_memory, compile_options
from lle_utils.core.devices import device_count, own_part
from lle_utils.core.environment import available_memory, resident_memory, watch_memory
from lle_utils.data.batches import PairStream
from lle_utils.training import checkpoints
from lle_utils.training.gan import GAN, cross_entropy


def estimate_training(model: keras.Model, crop: int, batch_size: int, steps: int) -> dict:
    """Measure a few training steps, print what the planned run needs, refuse what cannot fit.

    Steps with one crop per device and with two show how memory grows; only if the whole batch
    fits are steps of it timed. They are compiled as `fit` compiles them, so that the run that
    follows need not do it again. The model's state is put back afterwards.

    Args:
        model: Built and compiled model, images in and out.
        crop: Side of the crops in pixels.
        batch_size: Crops per step.
        steps: Steps planned.

    Returns:
        ``seconds_per_step``, ``minutes`` and ``gigabytes``: the peak of the memory that the
        network is computed in, that of a graphics card where there is one, else of the process.

    Raises:
        MemoryError: If the batch needs more of it than there is; nothing larger than two crops
            has been computed then.
    """
    card = card_memory()
    available = card.limit if card else resident_memory() + available_memory()
    share = device_count()  # the fewest crops that a step can have
    _trial(model, crop, share)  # pays for what is needed once
    one, two = (_trial(model, crop, n * share)[1] for n in (1, 2))
    batch_alone = 2 * 3 * 4 * crop**2 * share  # both sides of a pair in 32 bits
    needed = max(one, two) + max(batch_size / share - 2, 0) * max(two - one, batch_alone)
    if needed > available:
        raise MemoryError(
            f"A step of {batch_size} crops of {crop}x{crop} needs about {needed / 1e9:.1f} GB "
            f"but {available / 1e9:.1f} GB are available. Take a smaller batch or crop (half "
            "the crop needs a quarter), fewer features, or a machine with more memory."
        )
    seconds, peak = _trial(model, crop, batch_size, steps=5)
    minutes, gigabytes = steps * seconds / 60, max(peak, needed) / 1e9
    print(
        f"{seconds:.2f} s a step of {batch_size} crops of {crop}x{crop}: {steps} steps take about "
        f"{minutes:.1f} minutes and {gigabytes:.1f} of {available / 1e9:.1f} GB"
    )
    return {"seconds_per_step": seconds, "minutes": minutes, "gigabytes": gigabytes}


def _trial(model: keras.Model, crop: int, batch_size: int, steps: int = 1) -> tuple[float, int]:
    """Train a few steps on noise and undo them.

    Returns:
        Median seconds from one step to the next (NaN for a single step), and the peak of memory
        in bytes.
    """
    variables = checkpoints.checkpoint_variables(model)
    before = [np.asarray(variable).copy() for variable in variables]
    try:
        card_memory(forget_peak=True)
        with watch_memory() as seen:
            gaps = step_seconds(model, crop, batch_size, steps)
        card = card_memory()
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        model.reset_metrics()
    return float(np.median(gaps)) if gaps else float("nan"), card.peak if card else max(seen)


def step_seconds(model: keras.Model, crop: int, batch_size: int, steps: int) -> list[float]:
    """Train on noise and time the steps.

    Args:
        model: Built and compiled model, images in and out; it is trained.
        crop: Side of the crops in pixels.
        batch_size: Crops per step.
        steps: Training steps.

    Returns:
        The seconds from the end of one step to the end of the next, ``steps - 1`` of them:
        the first step also compiles.
    """
    photo = np.random.default_rng(0).integers(0, 256, (crop, crop, 3), np.uint8)
    stream = PairStream([photo], [photo], crop, batch_size, steps=steps)
    clock = _Clock()
    model.fit(own_part(stream), shuffle=False, callbacks=[clock], verbose=0)
    return np.diff(clock.ends).tolist()


class _Clock(keras.callbacks.Callback):
    """Note when each step ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        float(logs["loss"])  # a GPU works ahead; asking for a number waits for it
        self.ends.append(time.perf_counter())


def step_cost(gan: GAN, low, normal, repeats: int = 10) -> dict:
    """Time a step of both networks against the passes that it cannot do without.

    The passes are compiled apart, without optimizers: the generator forward and backward from
    the pixel loss, the discriminator forward and backward on real pairs, and on enhanced pairs
    forward and twice backward, to its weights and to the photo.

    Args:
        gan: The networks, which are trained; TensorFlow only.
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
    enhanced = ops.convert_to_tensor(ops.convert_to_numpy(gan.generator(low)))
    parts = _passes(gan, low, normal, enhanced)
    works = {**parts, "step": lambda: gan.train_on_batch(low, normal)}
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


def _passes(gan: GAN, low, normal, enhanced) -> dict[str, Callable]:
    """Return the compiled passes of `step_cost`, each to be called without arguments."""
    import tensorflow as tf

    generator, discriminator = gan.generator, gan.discriminator

    def compiled(forward: Callable, *sources) -> Callable:
        @tf.function(**compile_options())
        def work():
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(enhanced)
                loss = forward()
            return loss, [tape.gradient(loss, source) for source in sources]

        return lambda: float(work()[0])

    def answered(bright, label: float) -> Callable:
        return lambda: cross_entropy(label, discriminator([low, bright], training=True))

    weights = discriminator.trainable_variables
    return {
        "generator": compiled(
            lambda: gan.pixel_loss(normal, generator(low, training=True)),
            generator.trainable_variables,
        ),
        "discriminator, real": compiled(answered(normal, 1.0), weights),
        "discriminator, enhanced": compiled(answered(enhanced, 0.0), weights, enhanced),
    }
