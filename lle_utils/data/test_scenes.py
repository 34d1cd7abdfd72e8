"""Scenes of which everything is known, to see what an enhancer does that it should not.

A lamp and a horizon have one edge at a known distance from every pixel. Constant images hold
nothing at all. A colour chart has patches that are grey. The bundled photos, taken by the synthetic
camera with too little light, enough and too much, are ordinary photos. Nothing is downloaded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from skimage.color import hsv2rgb

from lle_utils.core.exposure import linear_to_srgb, srgb_to_linear
from lle_utils.core.images import to_float
from lle_utils.core.resizing import block_mean
from lle_utils.data.synthetic import Camera, darken, sample_scenes

STOPS = (-4, -2, 0, 2)  # of exposure: each is twice the light
SLIGHT_NOISE = {"photons": 20000.0, "read_noise": 0.0005}  # of the synthetic camera
EDGE_SHARE = 1.0  # pixels on either side of an edge over which a lens spreads it
STEP_SIZE, PLAIN_SIZE = (256, 384), (272, 336)
GREYS = (0.95, 0.8, 0.62, 0.45, 0.32, 0.2)  # sRGB values of the grey patches
PATCH_SIDE, PATCH_GAP = 40, 8


class StepScene(NamedTuple):
    """One edge: ``image`` ``(H, W, 3)`` in [0, 1] and the ``distance`` ``(H, W)`` of its pixels.

    Distances from the edge are in pixels, positive on the bright side.
    """

    image: np.ndarray
    distance: np.ndarray


class PatchScene(NamedTuple):
    """A chart: ``image`` ``(H, W, 3)`` in [0, 1], and the ``patches`` ``(H, W)`` that are grey.

    Patches are numbered from 1; 0 is everything else, their own outermost pixels included.
    """

    image: np.ndarray
    patches: np.ndarray


def lamp(
    size: tuple[int, int] = STEP_SIZE, radius: float = 48, bright: float = 0.85, dark: float = 0.05
) -> StepScene:
    """Draw a disc of light in the middle of a dark ground.

    Args:
        size: Height and width in pixels.
        radius: Of the disc, in pixels.
        bright: sRGB value of the disc, in [0, 1].
        dark: sRGB value of the ground, in [0, 1].

    Returns:
        The scene, float32. The edge is spread over `EDGE_SHARE` pixels on either side, in light.
    """
    rows, columns = (np.arange(length) - (length - 1) / 2 for length in size)
    return _step(radius - np.hypot.outer(rows, columns), bright, dark)


def horizon(
    size: tuple[int, int] = STEP_SIZE, bright: float = 0.7, dark: float = 0.05
) -> StepScene:
    """Draw a bright sky above a dark ground, half of the image each; otherwise as `lamp`."""
    rows = (size[0] - 1) / 2 - np.arange(size[0])
    return _step(np.repeat(rows[:, None], size[1], axis=1), bright, dark)


def _step(distance: np.ndarray, bright: float, dark: float) -> StepScene:
    share = np.clip((distance / EDGE_SHARE + 1) / 2, 0, 1)
    light = srgb_to_linear(dark) + share * (srgb_to_linear(bright) - srgb_to_linear(dark))
    image = linear_to_srgb(light)[..., None].repeat(3, axis=2)
    return StepScene(image.astype(np.float32), distance)


def step_scenes(seed: int = 0) -> dict[str, StepScene]:
    """Return lamp and horizon, each without noise and with that of a good camera."""
    scenes = {"lamp": lamp(), "horizon": horizon()}
    for name, (image, distance) in list(scenes.items()):
        noisy = darken(image, seed, Camera(**SLIGHT_NOISE))
        scenes[f"{name} with noise"] = StepScene(noisy, distance)
    return scenes


def plain_images(size: tuple[int, int] = PLAIN_SIZE) -> dict[str, np.ndarray]:
    """Return images without any content: three constants and a slow change from dark to bright.

    Args:
        size: Height and width in pixels.

    Returns:
        Name -> float32 image ``(H, W, 3)``: ``"constant 10"`` is 10 of 255, and ``"slope"`` goes
        from 10 to 80 of 255 along the diagonal.
    """
    images = {
        f"constant {level}": np.full((*size, 3), level / 255, np.float32) for level in (10, 50, 120)
    }
    along = np.add.outer(*(np.linspace(0, 0.5, length) for length in size))
    slope = (10 + 70 * along) / 255
    return {**images, "slope": slope[..., None].repeat(3, axis=2).astype(np.float32)}


def color_chart(hue: float) -> PatchScene:
    """Draw a chart of three rows of colours about one hue and a row of greys.

    The colours do not average to grey: who balances white by the mean of the scene gives the greys
    the opposite hue.

    Args:
        hue: In [0, 1), of the colour circle: 0 is red, 1/3 green.

    Returns:
        The chart, float32, `GREYS` from left to right.
    """
    pitch, margin = PATCH_SIDE + PATCH_GAP, PATCH_GAP
    image = np.full((4 * pitch + margin, 6 * pitch + margin, 3), 0.12, np.float32)
    patches = np.zeros(image.shape[:2], int)
    for row in range(4):
        for column, grey in enumerate(GREYS):
            top, left = margin + row * pitch, margin + column * pitch
            area = np.s_[top : top + PATCH_SIDE, left : left + PATCH_SIDE]
            if row < 3:
                turned = (hue + (column - 2.5) * 0.03) % 1
                image[area] = hsv2rgb([turned, 0.25 + 0.2 * row, 0.35 + 0.1 * column])
            else:
                image[area] = grey
                inner = np.s_[top + 8 : top + PATCH_SIDE - 8, left + 8 : left + PATCH_SIDE - 8]
                patches[inner] = column + 1
    return PatchScene(image, patches)


def chart_scenes(seed: int = 0) -> dict[str, PatchScene]:
    """Return charts with warm and with cool colours, well lit and with an eighth of the light."""
    scenes = {}
    for name, hue in (("warm", 0.08), ("cool", 0.6)):
        image, patches = color_chart(hue)
        for stops in (0, -3):
            shot = darken(image, seed, Camera(exposure=2.0**stops, **SLIGHT_NOISE))
            scenes[f"{name} {stops:+d} EV"] = PatchScene(shot, patches)
    return scenes


def exposed_scenes(stops: tuple[int, ...] = STOPS, seed: int = 0) -> dict[int, dict]:
    """Take the bundled photos again with less, the same, and more light.

    Args:
        stops: Of exposure; at +2 the light is four times as much and the brightest parts clip.
        seed: Of the noise, which is that of a good camera.

    Returns:
        Stops -> name of the scene -> float32 image ``(H, W, 3)``, half as large as the original.
    """
    scenes = {name: block_mean(to_float(photo), 2) for name, photo in sample_scenes().items()}
    return {
        stop: {
            name: darken(photo, seed, Camera(exposure=2.0**stop, **SLIGHT_NOISE))
            for name, photo in scenes.items()
        }
        for stop in stops
    }
