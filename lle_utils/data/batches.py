"""Batches of random crops for ``fit()``, on any Keras backend, the same after a resume.

Batch ``index`` of epoch ``epoch`` depends on the seed and on nothing else, so a run that was
killed continues with exactly the batches it would have seen.

Pass ``shuffle=False`` to ``fit()`` and leave ``steps_per_epoch`` unset. By default Keras
permutes the batches of a `PyDataset` with Python's global random state, which no checkpoint
holds; the streams shuffle photos themselves.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from lle_utils.core.images import ImageError, check_image, to_float

Photos = np.ndarray | Sequence[np.ndarray]


class _Stream(keras.utils.PyDataset):
    """Photos in a new order every epoch, cropped, flipped and rotated alike in every source."""

    def __init__(
        self,
        sources: dict[str, Photos],
        crop: int,
        batch_size: int,
        seed: int,
        steps: int | None,
        augment: bool,
        epoch: int,
    ) -> None:
        super().__init__()
        self._sources = list(sources.values())
        self._count = _check_sources(sources, crop)
        if batch_size < 1 or (steps is not None and steps < 1):
            raise ValueError(f"batch_size={batch_size}, steps={steps}: expected 1 or more.")
        self.crop = crop
        self.batch_size = batch_size
        self.seed = seed
        self.steps = -(-self._count // batch_size) if steps is None else steps
        self.augment = augment
        self.epoch = epoch
        self._finished: bool | None = None
        self._maps = {id(found): found for photos in self._sources for found in _maps(photos)}

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int):
        if not 0 <= index < self.steps:
            raise IndexError(f"Batch {index} of {self.steps}.")
        batch = self.batch(self.epoch, index)
        if self._finished is not None and index == self.steps - 1:
            self._finished = True
        return batch

    def on_epoch_begin(self) -> None:
        """Note that Keras starts to read batches."""
        self._finished = False

    def on_epoch_end(self) -> None:
        """Move to the next epoch if the last batch of this one was read.

        ``fit()`` also calls this once before its first epoch, and the JAX trainer draws a
        batch before that to build the model; neither may count as an epoch. (With one batch
        per epoch the latter looks like an epoch; an interrupted epoch may or may not count.
        In both cases set `epoch` from a callback's ``on_epoch_begin``, which comes first.)
        """
        if self._finished:
            self.epoch += 1
        self._finished = None

    def batch(self, epoch: int, index: int):
        """Return one batch, a function of ``(seed, epoch, index)`` alone; see the class."""
        batches = self._batches(epoch, index)
        return tuple(batches) if len(batches) > 1 else batches[0]

    def _batches(self, epoch: int, index: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch, index])
        shape = (self.batch_size, self.crop, self.crop, 3)
        batches = [np.empty(shape, photos[0].dtype) for photos in self._sources]
        for row, photo in enumerate(self._members(epoch, index)):
            height, width = self._sources[0][photo].shape[:2]
            top = rng.integers(height - self.crop + 1)
            left = rng.integers(width - self.crop + 1)
            symmetry = int(rng.integers(8)) if self.augment else 0
            window = np.s_[top : top + self.crop, left : left + self.crop]
            for batch, photos in zip(batches, self._sources, strict=True):
                patch = np.ascontiguousarray(photos[photo][window])
                _pixels(batch[row])[...] = transform(_pixels(patch), symmetry)
        for mapped in self._maps.values():
            mapped.madvise(mmap.MADV_DONTNEED)  # or in time all of a large pack is in memory
        return [_to_float(batch) for batch in batches]

    def _members(self, epoch: int, index: int) -> list[int]:
        """Say which photos batch ``index`` holds: all of them once before any comes again."""
        first = index * self.batch_size
        rounds = {}
        members = []
        for place in range(first, first + self.batch_size):
            turn, position = divmod(place, self._count)
            if turn not in rounds:
                # The closing 1 keeps these draws apart from those of the crops.
                order = np.random.default_rng([self.seed, epoch, turn, 1])
                rounds[turn] = order.permutation(self._count)
            members.append(int(rounds[turn][position]))
        return members


class PhotoStream(_Stream):
    """Single photos for training without references: batches ``low``.

    Each batch is float32 of shape ``(batch_size, crop, crop, 3)`` in [0, 1].

    Attributes:
        epoch: The epoch that indexing reads. It advances by itself under ``fit()``; set it
            to the number of finished epochs to resume.
    """

    def __init__(
        self,
        photos: Photos,
        crop: int,
        batch_size: int,
        seed: int = 0,
        steps: int | None = None,
        augment: bool = True,
        epoch: int = 0,
    ) -> None:
        """Describe the stream; nothing is read yet.

        Args:
            photos: uint8, or float in [0, 1]: one array ``(N, H, W, 3)``, which may be
                memory-mapped, or a list of ``(H, W, 3)`` arrays of any sizes.
            crop: Side of the square crops in pixels.
            batch_size: Crops per batch.
            seed: Decides order, crops and symmetries.
            steps: Batches per epoch; None for just enough to show every photo once.
            augment: Whether to apply one of the eight symmetries of the square at random.
            epoch: Epoch to start with.

        Raises:
            ValueError: If a photo is smaller than the crop or not an image, or a number is
                below 1.
        """
        super().__init__({"photos": photos}, crop, batch_size, seed, steps, augment, epoch)


class PairStream(_Stream):
    """Pairs for supervised training: batches ``(low, normal)`` with crops at the same place.

    Both are float32 of shape ``(batch_size, crop, crop, 3)`` in [0, 1].

    Attributes:
        epoch: See `PhotoStream`.
    """

    def __init__(
        self,
        low: Photos,
        normal: Photos,
        crop: int,
        batch_size: int,
        seed: int = 0,
        steps: int | None = None,
        augment: bool = True,
        epoch: int = 0,
        mixup: float | None = None,
    ) -> None:
        """Describe the stream; nothing is read yet.

        Args:
            low: Dark photos, see ``photos`` of `PhotoStream`; ``pack.low`` of an open pack.
            normal: The well-lit photos in the same order and of the same sizes.
            crop, batch_size, seed, steps, augment, epoch: See `PhotoStream`.
            mixup: Blend each pair with another of its batch, with a share drawn from
                Beta(mixup, mixup); None does not.

        Raises:
            ValueError: If the two differ in number or size, or as in `PhotoStream`.

        Reference:
            Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.
        """
        sources = {"low": low, "normal": normal}
        super().__init__(sources, crop, batch_size, seed, steps, augment, epoch)
        if mixup is not None and not mixup > 0:
            raise ValueError(f"mixup is {mixup}; expected a positive number or None.")
        self.mixup = mixup

    def _batches(self, epoch: int, index: int) -> list[np.ndarray]:
        batches = super()._batches(epoch, index)
        if self.mixup is None:
            return batches
        # The closing 2 keeps these draws apart from those of crops and order.
        rng = np.random.default_rng([self.seed, epoch, index, 2])
        share = rng.beta(self.mixup, self.mixup, (self.batch_size, 1, 1, 1)).astype("float32")
        other = rng.permutation(self.batch_size)
        return [share * batch + (1 - share) * batch[other] for batch in batches]


def transform(patch: np.ndarray, symmetry: int) -> np.ndarray:
    """Apply one of the eight symmetries of the square.

    Args:
        patch: Array of shape ``(H, W, C)``.
        symmetry: 0 to 7: quarter turns ``symmetry % 4``, then a left-right flip from 4 on.

    Returns:
        A view of the patch; 0 leaves it as it is.
    """
    patch = np.rot90(patch, symmetry % 4)
    return patch[:, ::-1] if symmetry >= 4 else patch


def _maps(photos: Photos) -> Iterator[mmap.mmap]:
    """Find the memory maps that photos are read from, where the system can be told to let go."""
    for photo in photos:
        owner = photo
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            yield owner


def _pixels(patch: np.ndarray) -> np.ndarray:
    """View ``(H, W, 3)`` as ``(H, W, 1)``: turning whole pixels is several times as fast."""
    return patch.view(f"V{3 * patch.itemsize}")


def _to_float(batch: np.ndarray) -> np.ndarray:
    return to_float(batch) if batch.dtype == np.uint8 else batch.astype(np.float32, copy=False)


def _check_sources(sources: dict[str, Photos], crop: int) -> int:
    counts = {name: len(photos) for name, photos in sources.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f"Expected equal, non-zero numbers of photos, got {counts}.")
    for i, photos in enumerate(zip(*sources.values(), strict=True)):
        for name, photo in zip(sources, photos, strict=True):
            _check_photo(photo, f"{name}[{i}]", crop)
        if len({photo.shape for photo in photos}) != 1:
            shapes = {name: photo.shape for name, photo in zip(sources, photos, strict=True)}
            raise ValueError(f"Pair {i} has differing shapes {shapes}.")
    for name, photos in sources.items():
        if len({photo.dtype for photo in photos}) > 1:
            raise ValueError(f"{name} mixes 8-bit and float photos; convert them to one type.")
    return counts.popitem()[1]


def _check_photo(photo: np.ndarray, name: str, crop: int) -> None:
    if photo.dtype != np.uint8:
        check_image(photo, name)
    elif photo.ndim != 3 or photo.shape[-1] != 3:
        raise ImageError(f"{name} has shape {photo.shape}; expected RGB of shape (H, W, 3).")
    if not 1 <= crop <= min(photo.shape[:2]):
        raise ValueError(
            f"{name} of shape {photo.shape} cannot give crops of {crop}x{crop}; "
            "choose a smaller crop or leave the photo out."
        )
