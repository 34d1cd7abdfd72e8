"""Training examples for restoration at a given brightness: dark crop, gain, well-lit crop.

An example is made of two photos of one scene. The first, ``low``, may be varied as a camera
would: another exposure, noise, JPEG; both get another white balance at times. The gain is the
one that brings the whole of ``low`` to the mean of the whole of ``normal``, so that a crop shows
a network what a whole photo will.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from PIL import Image

from lle_utils.core.exposure import expose, exposure_gain, linear_to_srgb, srgb_to_linear
from lle_utils.core.images import luminance, to_float, to_uint8
from lle_utils.data.batches import transform
from lle_utils.data.exposure_sequences import ExposureSequence
from lle_utils.data.synthetic import Camera, add_noise, log_uniform, through_jpeg

LIT = (0.25, 0.65)  # means of photos that count as well lit
VISIBLE = (0.03, 0.85)  # means of photos that still show the scene
WANTED = (0.08, 0.75)  # means of photos that somebody may want
LIGHT = srgb_to_linear(np.arange(256) / 255)
THUMBNAIL_STEP = 8  # every so many pixels, of the photos that a gain is found on


@dataclass(frozen=True)
class Mix:
    """How often examples are of which kind; shares of 1.

    Attributes:
        sequences: Any usable member of a sequence towards any other. What the two leave is
            real pairs.
        camera: A well-lit photo, taken again by the synthetic camera, towards itself.
        noise: Of examples from sequences: how many get noise.
        jpeg: Of all but pairs: how many are stored as JPEG.
        tinted: Of all: how many get another white balance, the same in both photos.
        gray: Of all: how many lose their colour.
        resized: Of all: how many are shown reduced or enlarged.
    """

    sequences: float = 0.25
    camera: float = 0.2
    noise: float = 0.5
    jpeg: float = 0.3
    tinted: float = 0.3
    gray: float = 0.04
    resized: float = 0.2


class ExposureStream(keras.utils.PyDataset):
    """Batches ``({"low", "gain"}, normal)`` for ``fit()``; see the module.

    ``low`` and ``normal`` are float32 of shape ``(N, crop, crop, 3)`` in [0, 1], ``gain`` of
    shape ``(N, 1)``. A batch depends on seed, epoch and index alone.

    Attributes:
        epoch: The epoch that indexing reads; set by `lle_utils.training.fit`.
    """

    def __init__(
        self,
        pairs: Sequence[tuple],
        sequences: Sequence[ExposureSequence],
        crop: int,
        batch_size: int,
        steps: int,
        seed: int = 0,
        mix: Mix | None = None,
    ) -> None:
        """Describe the stream.

        Args:
            pairs: ``(name, low, normal)`` each, uint8 of shape ``(H, W, 3)``.
            sequences: May be empty; their share then goes to the pairs.
            crop: Side of the square crops in pixels.
            batch_size, steps: Crops per batch, batches per epoch.
            seed: Decides everything that is drawn.
            mix: Shares of the kinds of examples; None for those of `Mix`.

        Raises:
            ValueError: If there are no pairs, a photo is smaller than a crop, or a number is
                below 1.
        """
        super().__init__()
        if min(crop, batch_size, steps) < 1 or not pairs:
            raise ValueError(
                f"crop={crop}, batch_size={batch_size}, steps={steps}, {len(pairs)} pairs: "
                "expected 1 or more of each."
            )
        smallest = min(min(low.shape[:2]) for _, low, _ in pairs)
        if smallest < crop:
            raise ValueError(f"A photo with a side of {smallest} pixels cannot give {crop}x{crop}.")
        self.pairs, self.sequences = pairs, sequences
        self.crop, self.batch_size, self.steps, self.seed = crop, batch_size, steps, seed
        self.mix = mix or Mix()
        self.epoch = 0
        lit = [normal for *_, normal in pairs]
        self._lit = lit + [photo for s in sequences for photo in _within(s.photos, LIT)]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int):
        return self.batch(self.epoch, index)

    def batch(self, epoch: int, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return one batch, a function of ``(seed, epoch, index)`` alone."""
        rng = np.random.default_rng([self.seed, epoch, index])
        low, gain, normal = zip(*(self._example(rng) for _ in range(self.batch_size)), strict=True)
        inputs = {"low": np.stack(low), "gain": np.array(gain, np.float32)[:, None]}
        return inputs, np.stack(normal)

    def _example(self, rng: np.random.Generator) -> tuple[np.ndarray, float, np.ndarray]:
        low, normal, camera, lift = self._scene(rng)
        box = self._window(low.shape[:2], rng)
        symmetry = int(rng.integers(8))
        tint = rng.uniform(0.8, 1.25, 3) if rng.random() < self.mix.tinted else np.ones(3)
        camera = replace(camera, white_balance=tuple(tint))
        gray = rng.random() < self.mix.gray
        crop, whole = (_shoot(x, camera, gray, rng) for x in (self._cut(low, box), _thinned(low)))
        wanted, wanted_whole = (
            _lift(x, lift, tint, gray) for x in (self._cut(normal, box), _thinned(normal))
        )
        gain = exposure_gain(whole, float(np.clip(wanted_whole.mean(), 0.005, 0.995)))
        crop, wanted = (np.ascontiguousarray(transform(x, symmetry)) for x in (crop, wanted))
        return crop, gain, wanted

    def _scene(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Camera, float]:
        """Draw two photos of a scene, how the first is taken, and the gain of the second."""
        kind = rng.random()
        if kind < self.mix.camera:
            photo = _draw(self._lit, rng)
            lift = 2.0 ** rng.uniform(-2, 1.5) if rng.random() < 0.5 else 1.0
            return photo, photo, self._camera(rng, 2.0 ** rng.uniform(-5.5, 0)), lift
        if self.sequences and kind < self.mix.camera + self.mix.sequences:
            photos = self.sequences[rng.integers(len(self.sequences))].photos
            low, normal = (_draw(_within(photos, means), rng) for means in (VISIBLE, WANTED))
            noisy = rng.random() < self.mix.noise
            camera = self._camera(rng, 1.0) if noisy else Camera()
            return low, normal, camera, 1.0
        _, low, normal = _draw(self.pairs, rng)
        exposure = 2.0 ** rng.uniform(-0.7, 0.7) if rng.random() < 0.3 else 1.0
        return low, normal, Camera(exposure=exposure), 1.0

    def _camera(self, rng: np.random.Generator, exposure: float) -> Camera:
        jpeg = int(rng.integers(70, 97)) if rng.random() < self.mix.jpeg else None
        return Camera(
            exposure=exposure,
            photons=log_uniform(rng, 400, 10000),
            read_noise=float(rng.uniform(0, 0.003)),
            jpeg_quality=jpeg,
        )

    def _window(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple:
        """Draw what to show: a square (left, top, right, bottom), at times not of crop's size."""
        scale = 1.0
        if rng.random() < self.mix.resized:
            scale = max(2.0 ** rng.uniform(-1, 1), self.crop / min(shape))
        side = min(round(self.crop / scale), *shape)
        top, left = (int(rng.integers(n - side + 1)) for n in shape)
        return left, top, left + side, top + side

    def _cut(self, photo: np.ndarray, box: tuple) -> np.ndarray:
        left, top, right, bottom = box
        part = photo[top:bottom, left:right]
        if right - left == self.crop:
            return part
        size = (self.crop, self.crop)
        return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BICUBIC))


def _within(photos: Sequence[np.ndarray], means: tuple[float, float]) -> list[np.ndarray]:
    return [photo for photo in photos if means[0] <= photo.mean() / 255 <= means[1]]


def _draw(things: Sequence, rng: np.random.Generator):
    return things[rng.integers(len(things))]


def _thinned(photo: np.ndarray) -> np.ndarray:
    """Return some pixels of a photo; averaging would remove the noise, which has a mean too."""
    return photo[::THUMBNAIL_STEP, ::THUMBNAIL_STEP]


def _shoot(photo: np.ndarray, camera: Camera, gray: bool, rng: np.random.Generator) -> np.ndarray:
    """Take a photo again, as `darken` does, but with even light; uint8 to float in [0, 1]."""
    if camera != Camera():
        light = camera.exposure * LIGHT[photo] * camera.white_balance
        light = add_noise(light, camera.photons, camera.read_noise, rng)
        photo = to_uint8(linear_to_srgb(np.clip(light, 0, 1)))
        if camera.jpeg_quality is not None:
            photo = through_jpeg(photo, camera.jpeg_quality)
    return _grayed(to_float(photo), gray)


def _lift(photo: np.ndarray, gain: float, tint: np.ndarray, gray: bool) -> np.ndarray:
    """Give a well-lit photo the tint of the other, and another exposure; to float in [0, 1]."""
    if gain == 1 and (tint == 1).all():
        return _grayed(to_float(photo), gray)
    light = np.clip(LIGHT[photo] * tint, 0, 1)
    return _grayed(expose(linear_to_srgb(light), gain).astype(np.float32), gray)


def _grayed(photo: np.ndarray, gray: bool) -> np.ndarray:
    return np.repeat(luminance(photo)[..., None], 3, -1).astype(np.float32) if gray else photo
