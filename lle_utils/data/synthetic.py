"""A synthetic camera: dark photos with a known exposure, made offline from bundled pictures.

The recipe is physical. Light is linear, so a photo is first turned back into light, dimmed,
given the noise that few photons and the electronics add, and only then encoded as sRGB.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from PIL import Image

from lle_utils.core.exposure import linear_to_srgb, srgb_to_linear
from lle_utils.core.images import check_image, read_uint8, to_float, to_uint8

SCENE_FILES = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "stereo_motorcycle": "motorcycle_left.png",
}
VAL_SCENES = ("chelsea", "stereo_motorcycle")
TRAIN_SCENES = tuple(name for name in SCENE_FILES if name not in VAL_SCENES)


@dataclass(frozen=True)
class Camera:
    """What one dark shot was taken with. The defaults change nothing but the 8-bit rounding.

    Attributes:
        exposure: Share k of the light of the well-lit photo that reaches the sensor.
        illumination: Darkest value of the smooth light falloff, in (0, 1]; 1 is even light.
        white_balance: Gains of red, green and blue.
        photons: Photo-electrons that a white pixel collects; None leaves out the shot noise.
        read_noise: Standard deviation of the electronics' noise, as a share of white.
        jpeg_quality: 1 to 100; None stores without loss.
    """

    exposure: float = 1.0
    illumination: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    photons: float | None = None
    read_noise: float = 0.0
    jpeg_quality: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no camera has."""
        if not self.exposure > 0:
            raise ValueError(f"exposure is {self.exposure}; expected a positive share of light.")
        if not 0 < self.illumination <= 1:
            raise ValueError(f"illumination is {self.illumination}; expected a value in (0, 1].")
        if len(self.white_balance) != 3 or min(self.white_balance) <= 0:
            raise ValueError(f"white_balance is {self.white_balance}; expected 3 positive gains.")
        if self.photons is not None and not self.photons > 0:
            raise ValueError(f"photons is {self.photons}; expected a positive number or None.")
        if not self.read_noise >= 0:
            raise ValueError(f"read_noise is {self.read_noise}; expected 0 or more.")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality is {self.jpeg_quality}; expected 1 to 100 or None.")


class SyntheticPairs(NamedTuple):
    """Pairs of equal size; `low` and `normal` are uint8 of shape ``(N, H, W, 3)``."""

    low: np.ndarray
    normal: np.ndarray
    names: list[str]
    scenes: list[str]


def sample_scenes() -> dict[str, np.ndarray]:
    """Read the five natural colour scenes that scikit-image carries in its wheel.

    The files are opened directly: `skimage.data` would reach for the network when one
    is missing.

    Returns:
        Scene name -> uint8 image of shape ``(H, W, 3)``; sizes differ.
    """
    folder = files("skimage") / "data"
    return {name: read_uint8(str(folder / file)) for name, file in SCENE_FILES.items()}


def random_camera(seed: int | np.random.Generator = 0) -> Camera:
    """Draw a plausible low-light shot.

    Exposure and photons are log-uniform, because each halving of the light matters alike.
    Half of the shots are stored as JPEG.

    Args:
        seed: A seed, or a generator to draw from.

    Returns:
        A `Camera` with exposure in [0.02, 0.3], illumination in [0.3, 1], white balance in
        [0.9, 1.1], photons in [200, 4000], read noise in [0.001, 0.01], JPEG quality 75 to 95.
    """
    rng = np.random.default_rng(seed)
    return Camera(
        exposure=log_uniform(rng, 0.02, 0.3),
        illumination=float(rng.uniform(0.3, 1.0)),
        white_balance=tuple(rng.uniform(0.9, 1.1, 3).tolist()),
        photons=log_uniform(rng, 200, 4000),
        read_noise=float(rng.uniform(0.001, 0.01)),
        jpeg_quality=int(rng.integers(75, 96)) if rng.random() < 0.5 else None,
    )


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform: each doubling is equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def illumination_map(
    shape: tuple[int, int], darkest: float, seed: int | np.random.Generator = 0
) -> np.ndarray:
    """Draw a smooth pattern of light: a 3x3 grid of random values, enlarged.

    Args:
        shape: Height and width in pixels.
        darkest: Minimum of the map, in (0, 1]; its maximum is 1.
        seed: A seed, or a generator to draw from.

    Returns:
        float64 array of shape ``shape`` in [darkest, 1].
    """
    grid = np.random.default_rng(seed).random((3, 3), np.float32)
    height, width = shape
    smooth = np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    smooth = smooth.astype(np.float64) - smooth.min()
    peak = smooth.max()
    share = smooth / peak if peak > 0 else np.ones(shape)
    return darkest + (1.0 - darkest) * share


def add_noise(
    light: np.ndarray,
    photons: float | None,
    read_noise: float,
    seed: int | np.random.Generator = 0,
) -> np.ndarray:
    """Add shot noise and read noise: ``Poisson(photons * light) / photons + N(0, read_noise^2)``.

    Args:
        light: Linear light, 0 or more, any shape.
        photons: Photo-electrons at white, or None for no shot noise.
        read_noise: Standard deviation as a share of white.
        seed: A seed, or a generator to draw from.

    Returns:
        float64 array of the same shape; its mean is ``light``, its variance
        ``light / photons + read_noise**2``. Not clipped.
    """
    rng = np.random.default_rng(seed)
    noisy = np.asarray(light, np.float64)
    if photons is not None:
        noisy = rng.poisson(photons * noisy) / photons
    return noisy + rng.normal(0.0, read_noise, noisy.shape) if read_noise else noisy


def darken(
    image: np.ndarray, seed: int | np.random.Generator = 0, camera: Camera | None = None
) -> np.ndarray:
    """Take a well-lit photo again with too little light.

    Decode to light, dim (exposure, falloff, white balance), add noise, clip, encode, round
    to 8 bits and optionally compress. ``Camera()`` returns an 8-bit photo unchanged.

    Args:
        image: Float image ``(H, W, 3)`` in [0, 1].
        seed: Decides falloff and noise, and the camera when none is given; a seed or a
            generator.
        camera: The shot; None draws one with `random_camera`.

    Returns:
        float32 image ``(H, W, 3)`` whose values are multiples of 1/255.
    """
    image = check_image(image)
    rng = np.random.default_rng(seed)
    if camera is None:
        camera = random_camera(rng)
    falloff = illumination_map(image.shape[:2], camera.illumination, rng)
    light = camera.exposure * falloff[..., None] * srgb_to_linear(np.clip(image, 0, 1))
    light = add_noise(light * camera.white_balance, camera.photons, camera.read_noise, rng)
    low = to_uint8(linear_to_srgb(np.clip(light, 0.0, 1.0)))
    if camera.jpeg_quality is not None:
        low = through_jpeg(low, camera.jpeg_quality)
    return to_float(low)


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Store a photo, uint8, as JPEG of this quality, 1 to 100, and read it again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def synthetic_pairs(
    count: int,
    size: tuple[int, int] = (128, 128),
    seed: int = 0,
    scene_names: tuple[str, ...] | None = None,
) -> SyntheticPairs:
    """Make low/normal pairs from windows of the bundled scenes; equal arguments, equal pairs.

    Scenes take turns. A window has the aspect ratio of ``size`` and a random scale; it is
    never magnified unless the scene is smaller than ``size``.

    Args:
        count: Number of pairs.
        size: Height and width in pixels.
        seed: Decides windows and cameras. Pair i does not depend on ``count``.
        scene_names: Which of `SCENE_FILES` to use; None uses all five.

    Returns:
        The pairs; ``names`` are like ``coffee-0007``, ``sample_scenes`` holds the scene of each.

    Raises:
        ValueError: If ``count`` is below 1 or a scene is unknown.
    """
    names = tuple(SCENE_FILES) if scene_names is None else tuple(scene_names)
    unknown = sorted(set(names) - set(SCENE_FILES))
    if count < 1 or unknown or not names:
        raise ValueError(
            f"count={count}, scene_names={names}: expected a positive count and scenes among "
            f"{', '.join(SCENE_FILES)}."
        )
    pictures = sample_scenes()
    owners = [names[i % len(names)] for i in range(count)]
    low = np.empty((count, *size, 3), np.uint8)
    normal = np.empty_like(low)
    for i, owner in enumerate(owners):
        rng = np.random.default_rng([seed, i])
        normal[i] = _random_window(pictures[owner], size, rng)
        low[i] = to_uint8(darken(to_float(normal[i]), rng))
    return SyntheticPairs(low, normal, [f"{o}-{i:04d}" for i, o in enumerate(owners)], owners)


def _random_window(
    picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    height, width = size
    largest = min(picture.shape[0] / height, picture.shape[1] / width)
    scale = rng.uniform(min(1.0, largest), largest)
    top = rng.uniform(0, picture.shape[0] - scale * height)
    left = rng.uniform(0, picture.shape[1] - scale * width)
    box = (left, top, left + scale * width, top + scale * height)
    window = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box=box)
    return np.asarray(window)


def sample_split(
    train: int, val: int, size: tuple[int, int] = (128, 128), seed: int = 0
) -> dict[str, SyntheticPairs]:
    """Make training and validation pairs that share no scene.

    Args:
        train: Number of training pairs, from `TRAIN_SCENES`.
        val: Number of validation pairs, from `VAL_SCENES`.
        size: Height and width in pixels.
        seed: See `synthetic_pairs`.

    Returns:
        ``{"train": pairs, "val": pairs}``.
    """
    return {
        "train": synthetic_pairs(train, size, seed, TRAIN_SCENES),
        "val": synthetic_pairs(val, size, seed, VAL_SCENES),
    }
