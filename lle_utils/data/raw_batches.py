"""Batches of real raw pairs for ``fit()``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from lle_utils.core.images import to_float
from lle_utils.data.raw import amplified
from lle_utils.data.sid import RawPair, read_pair

HELD, CHANGE_EVERY = 8, 8  # decoded pairs in memory, and steps until one of them is replaced


class RawPairStream(keras.utils.PyDataset):
    """Crops of real pairs, of which `HELD` are decoded at a time: all are more than memory holds.

    Batches ``(raw, photo)``: float32 ``(batch_size, crop / 2, crop / 2, 4)``, amplified, and
    ``(batch_size, crop, crop, 3)`` in [0, 1]. Batch ``index`` of epoch ``epoch`` depends on the
    seed and on nothing else.

    Attributes:
        epoch: The epoch that indexing reads; `lle_utils.training.fit` sets it.
    """

    def __init__(
        self, pairs: Sequence[RawPair], crop: int, batch_size: int, steps: int, seed: int = 0
    ) -> None:
        """Describe the stream; nothing is read yet.

        Args:
            pairs: As of `raw_pairs`.
            crop: Side of the square crops in pixels of the photo, an even number.
            batch_size: Crops per batch.
            steps: Batches per epoch.
            seed: Decides order and crops.
        """
        super().__init__()
        if not pairs or crop < 2 or crop % 2 or min(batch_size, steps) < 1:
            raise ValueError(
                f"{len(pairs)} pairs, crop={crop}, batch_size={batch_size}, steps={steps}: "
                "expected 1 or more of each, and an even crop."
            )
        self.pairs, self.crop, self.batch_size = pairs, crop, batch_size
        self.steps, self.seed, self.epoch = steps, seed, 0
        self._read = functools.lru_cache(HELD)(read_pair)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch(self.epoch, index)

    def batch(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one batch, a function of ``(seed, epoch, index)`` alone."""
        rng = np.random.default_rng([self.seed, epoch, index])
        first = (epoch * self.steps + index) // CHANGE_EVERY
        chosen = [self._member(first + int(rng.integers(HELD))) for _ in range(self.batch_size)]
        raw, photo = zip(*(self._crop(pair, rng) for pair in chosen), strict=True)
        return np.stack(raw), np.stack(photo)

    def _member(self, place: int) -> RawPair:
        """Return the pair at a place of an endless list, in which each comes once a turn."""
        turn, position = divmod(place, len(self.pairs))
        order = np.random.default_rng([self.seed, turn, 1]).permutation(len(self.pairs))
        return self.pairs[order[position]]

    def _crop(self, pair: RawPair, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        frame, target = self._read(pair)
        side, (height, width) = self.crop // 2, frame.planes.shape[:2]
        if min(height, width) < side:
            raise ValueError(f"{pair.short} is smaller than crops of {self.crop}x{self.crop}.")
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        planes = frame.planes[top : top + side, left : left + side]
        photo = target[2 * top : 2 * (top + side), 2 * left : 2 * (left + side)]
        raw = amplified(replace(frame, planes=planes), pair.ratio)
        return raw, to_float(photo)
