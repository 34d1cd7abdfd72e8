"""Callbacks for adversarial training: an example and a saved network of every epoch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from lle_utils.core.paths import atomic_path
from lle_utils.display import charts, figure_style, plotting
from lle_utils.training import checkpoints


class EpochCheckpoints(keras.callbacks.Callback):
    """Save a network after every epoch, and bound how many files there are.

    When there are more than ``keep``, every second one goes, so that those that stay are
    spread over the whole run; the newest always stays. The averaged weights are saved if the
    optimizer keeps an average.

    Args:
        network: Compiled model to save: the one in training, or of a GAN its generator.
        folder: Where the files ``epoch_0001.keras`` and so on go.
        keep: Files to keep at most, at least 2.

    Raises:
        ValueError: If ``keep`` is below 2.
    """

    def __init__(self, network: keras.Model, folder: str | os.PathLike, keep: int = 12) -> None:
        super().__init__()
        if keep < 2:
            raise ValueError(f"keep is {keep}; expected 2 or more.")
        self.network = network
        self.folder = Path(folder)
        self.keep = keep

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save the epoch and thin out the earlier ones."""
        path = self.folder / f"epoch_{epoch + 1:04d}.keras"
        with checkpoints.averaged_weights(self.network), atomic_path(path) as temporary:
            self.network.save(temporary)
        saved = saved_epochs(self.folder)
        stride = 1
        while len(saved) > self.keep:
            stride *= 2
            for number in [n for n in saved if n % stride and n <= epoch]:
                saved.pop(number).unlink()


def saved_epochs(folder: str | os.PathLike) -> dict[int, Path]:
    """Return the files of `EpochCheckpoints`: number of the epoch -> path, in order."""
    paths = sorted(Path(folder).glob("epoch_*.keras"))
    return {int(path.stem.removeprefix("epoch_")): path for path in paths}


class ImageLogger(keras.callbacks.Callback):
    """Show an example and the losses of both networks while training runs.

    After every epoch a panel (low, enhanced, normal) is written to ``epoch_0001.png`` and so on.
    In a notebook the newest panel and the curves since the start are also shown, in place.

    Args:
        enhance: As for `lle_utils.training.ValidationPsnr`.
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
        checkpoints.extend(self.history, logs or {})
        with checkpoints.averaged_weights(self.model):
            enhanced = self.enhance(self.low)
        panel = plotting.pair_grid([self.low], [self.normal], [f"epoch {epoch + 1}"], [enhanced])
        path = self.folder / f"epoch_{epoch + 1:04d}.png"
        with atomic_path(path) as temporary:
            temporary.write_bytes(figure_style.png(panel))
        if _has_kernel():
            self._show(path.read_bytes(), figure_style.png(charts.loss_curves(self.history)))

    def _show(self, *pictures: bytes) -> None:
        from IPython.display import Image, display

        shown = [Image(data=picture, format="png") for picture in pictures]
        if not self.places:
            self.places = [display(picture, display_id=True) for picture in shown]
        for place, picture in zip(self.places, shown, strict=True):
            place.update(picture)


def _has_kernel() -> bool:
    """Return whether a Jupyter kernel runs this."""
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
