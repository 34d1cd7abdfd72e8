"""Supervised training on pairs: optimizer, validation, stages, and what a run will cost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from lle_utils import synthetic, training
from lle_utils.data import lol_pairs, scene_map
from lle_utils.images import as_float, read_uint8
from lle_utils.metrics import psnr
from lle_utils.streams import PairStream, Photos

LICENCES = {
    "synthetic": "photos of scikit-image's wheel, each free to use",
    "lol": "LOL v1: licence not stated",
}


def load_pairs(source: str, split: str, seed: int = 0) -> list[tuple]:
    """Load the pairs that the notebooks train on or judge by.

    Args:
        source: ``"lol"``, or ``"synthetic"`` for pairs of the synthetic camera: 24 of 192x192
            pixels for training and 4 of 160x240, of other scenes, for validation.
        split: ``"train"`` or ``"val"``; the two share no scene.
        seed: Decides the synthetic pairs.

    Returns:
        ``(name, low, normal)`` each, uint8 of shape ``(H, W, 3)``.

    Raises:
        ValueError: For another source or split.
        FileNotFoundError: If LOL is not there; the message says how to get it.
    """
    if source not in ("lol", "synthetic") or split not in ("train", "val"):
        raise ValueError(
            f"source is {source!r}, split is {split!r}; expected lol or synthetic, train or val."
        )
    if source == "lol":
        return [(p.name, read_uint8(p.low), read_uint8(p.normal)) for p in lol_pairs(split)]
    train = split == "train"
    scenes = synthetic.TRAIN_SCENES if train else synthetic.VAL_SCENES
    count, side = (24, (192, 192)) if train else (4, (160, 240))
    pairs = synthetic.synthetic_pairs(count, side, seed if train else seed + 1, scenes)
    return list(zip(pairs.names, pairs.low, pairs.normal, strict=True))


def scenes_of(source: str, names: Iterable[str]) -> dict:
    """Return the scene of each photo, for intervals that resample scenes and not photos.

    Args:
        source: As for `load_pairs`.
        names: Names of pairs; those of the synthetic camera begin with their scene.

    Returns:
        Name -> scene; for LOL of all photos that there are.
    """
    return scene_map() if source == "lol" else {name: name.split("-")[0] for name in names}


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


class ValidationPsnr(keras.callbacks.Callback):
    """Log ``val_psnr``: whole photos, blind, rounded to 8 bits, with the averaged weights.

    Args:
        enhance: Maps a float image ``(H, W, 3)`` in [0, 1] to one of the same shape with the
            weights of the model in training, such as `lle_utils.inference.Enhancer.enhance`.
        pairs: ``(name, low, reference)`` each, as paths or images; read once.
        every: Measure in every such epoch, the first one and the last one.
    """

    def __init__(
        self,
        enhance: Callable[[np.ndarray], np.ndarray],
        pairs: Sequence[tuple],
        every: int = 1,
    ) -> None:
        super().__init__()
        if every < 1 or not pairs:
            raise ValueError(f"every={every}, {len(pairs)} pairs: expected 1 or more of both.")
        self.enhance = enhance
        self.pairs = [(as_float(low), as_float(reference)) for _, low, reference in pairs]
        self.every = every

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add the value to the logs of the epoch."""
        due = epoch == 0 or (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]
        if due and logs is not None:
            with training.averaged_weights(self.model):
                logs["val_psnr"] = self.measure()

    def measure(self) -> float:
        """Return the mean PSNR over all pairs, in dB, with the weights as they are."""
        return float(np.mean([psnr(self.enhance(low), normal) for low, normal in self.pairs]))


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
) -> dict[str, list[float]]:
    """Train on pairs in stages of growing crops; a run that was killed goes on where it was.

    Args:
        model: Built and compiled model.
        low, normal: Photos, see `lle_utils.streams.PairStream`.
        stages: ``(epochs, crop, batch_size)`` of each stage, in turn.
        steps: Training steps per epoch.
        checkpoint: File ending in ``.npz``. The best state by ``val_psnr``, if a callback
            logs it, lies beside it (`lle_utils.training.best_path`).
        seed: Decides order, crops, symmetries and blends.
        mixup: See `lle_utils.streams.PairStream`.
        callbacks: Further Keras callbacks, such as `ValidationPsnr`.
        verbose: As in ``keras.Model.fit``.

    Returns:
        The history: name -> one value per epoch, over all stages.
    """
    history: dict[str, list[float]] = {}
    reached = 0
    for epochs, crop, batch_size in stages:
        reached += epochs
        stream = PairStream(low, normal, crop, batch_size, seed, steps=steps, mixup=mixup)
        history = training.fit(
            model, stream, reached, checkpoint, callbacks, verbose, best="val_psnr"
        )
        if len(history.get("loss", [])) < reached:
            break  # a loss or a weight was not finite; a later stage would not mend that
    return history


def estimate_training(model: keras.Model, crop: int, batch_size: int, steps: int) -> dict:
    """Measure a few training steps, print what the planned run needs, refuse what cannot fit.

    Steps with one crop and with two show how memory grows; only if the whole batch fits are
    steps of it timed. They are compiled as `fit` compiles them, so that the run that follows
    need not do it again. The model's state is put back afterwards.

    Args:
        model: Built and compiled model, images in and out.
        crop: Side of the crops in pixels.
        batch_size: Crops per step.
        steps: Steps planned.

    Returns:
        ``seconds_per_step``, ``minutes`` and ``gigabytes`` (main memory of the process at its
        peak; the memory of a GPU is not looked at).

    Raises:
        MemoryError: If the batch needs more main memory than is available; nothing larger
            than two crops has been computed then.
    """
    available = _resident() + _available()
    _trial(model, crop, 1)  # pays for what is needed once
    one, two = (_trial(model, crop, n)[1] for n in (1, 2))
    batch_alone = 2 * 3 * 4 * crop**2  # both sides of a pair in 32 bits
    needed = max(one, two) + max(batch_size - 2, 0) * max(two - one, batch_alone)
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
    variables = training._all_variables(model)
    before = [np.array(variable) for variable in variables]
    try:
        with _memory_watch() as seen:
            gaps = step_seconds(model, crop, batch_size, steps)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        model.reset_metrics()
    return float(np.median(gaps)) if gaps else float("nan"), max(seen)


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
    model.fit(stream, shuffle=False, callbacks=[clock], verbose=0)
    return np.diff(clock.ends).tolist()


class _Clock(keras.callbacks.Callback):
    """Note when each step ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        float(logs["loss"])  # a GPU works ahead; asking for a number waits for it
        self.ends.append(time.perf_counter())


@contextmanager
def _memory_watch() -> Iterator[list[int]]:
    """Yield a list that fills with the resident memory in bytes every few milliseconds."""
    done, seen = threading.Event(), [_resident()]

    def watch() -> None:
        while not done.wait(0.005):
            seen.append(_resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        seen.append(_resident())
        done.set()
        watcher.join()


def _resident() -> int:
    """Return the memory of this process in bytes (Linux)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _available() -> int:
    """Return the main memory that could still be had, in bytes (Linux)."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    return int(kilobytes) * 1024
