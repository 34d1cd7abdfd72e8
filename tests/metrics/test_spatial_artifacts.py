"""Halos, frames and grids: what filters do to steps and constants is known in closed form."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter1d
from scipy.special import ndtr

from lle_utils.core.images import ImageError
from lle_utils.metrics.spatial_artifacts import (
    border_difference,
    glow,
    grid_amplitude,
    overshoot,
)


def _grey(plane):
    return np.repeat(plane[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def step():
    """A vertical edge from 0.3 to 0.6, and the distances from it, which are 0.5, 1.5 and so on."""
    distance = np.tile(np.arange(-80, 80) + 0.5, (48, 1))
    return _grey(np.where(distance > 0, 0.6, 0.3)), distance


def _blurred(image, sigma):
    return gaussian_filter(image, (0, sigma, 0), mode="nearest")


@pytest.mark.parametrize(("amount", "sigma"), [(0.2, 6), (0.5, 4), (0.1, 9)])
def test_an_unsharp_mask_overshoots_by_the_tail_of_its_blur(step, amount, sigma):
    """Beside a step, blur leaves the tail Q(d / sigma); the mask adds the amount times that."""
    image, distance = step
    sharpened = image + amount * (image - _blurred(image, sigma))
    expected = 100 * amount * ndtr(-3.5 / sigma)
    assert overshoot(sharpened, distance) == pytest.approx(expected, rel=0.05)
    assert glow(sharpened, distance) == pytest.approx(0, abs=1e-3)
    # A tone curve afterwards changes both plateaus; one that is a line leaves the ratio.
    assert overshoot(0.5 * sharpened + 0.1, distance) == pytest.approx(expected, rel=0.05)
    assert overshoot(sharpened[:, ::-1], distance[:, ::-1]) == pytest.approx(expected, rel=0.05)


def test_blur_is_a_glow_and_no_overshoot(step):
    image, distance = step
    blurred = _blurred(image, 7)
    assert overshoot(blurred, distance) == pytest.approx(0, abs=1e-3)
    assert glow(blurred, distance) == pytest.approx(100 * ndtr(-8.5 / 7), rel=0.05)
    assert glow(_blurred(image, 2), distance) < 0.01


def test_each_side_of_an_edge_counts(step):
    image, distance = step
    for side in (1, -1):
        near = (side * distance > 5) & (side * distance < 20)
        halo = image + side * 0.03 * near[..., None]
        assert overshoot(halo, distance) == pytest.approx(10, abs=0.01)
        assert glow(halo, distance) == 0
        assert glow(image - side * 0.03 * near[..., None], distance) == pytest.approx(10, abs=0.01)


def test_the_edge_itself_and_noise_are_no_halo(step):
    image, distance = step
    assert overshoot(image, distance) == glow(image, distance) == 0
    edge = image + 0.3 * (np.abs(distance) < 3)[..., None]
    assert overshoot(edge, distance) == 0
    noise = np.random.default_rng(0).normal(0, 0.01, (48, 160, 3))
    assert overshoot(image + noise, distance) < 2
    assert overshoot(0 * image, distance) == 0


def test_edges_that_cannot_be_judged_are_refused(step):
    image, distance = step
    with pytest.raises(ImageError, match="distance has shape"):
        overshoot(image, distance[1:])
    with pytest.raises(ImageError, match="too few"):
        overshoot(image[:, 76:], distance[:, 76:])


@pytest.mark.parametrize("axis", [0, 1])
def test_zero_padding_leaves_a_frame(axis):
    """At the border, 8 of the 17 values that are averaged are zeros."""
    constant = np.full((70, 96, 3), 0.4)
    assert border_difference(constant) == 0
    framed = uniform_filter1d(constant, 17, axis=axis, mode="constant")
    assert border_difference(framed) == pytest.approx(255 * 0.4 * 8 / 17, rel=1e-5)


@pytest.mark.parametrize("line", [np.s_[7], np.s_[-8], np.s_[:, 0], np.s_[:, -1]])
def test_every_border_is_looked_at_and_every_channel(line):
    image = np.full((70, 96, 3), 0.4)
    image[(*line, 2) if isinstance(line, tuple) else (line, slice(None), 2)] -= 3 / 255
    assert border_difference(image) == pytest.approx(3, rel=1e-4)


def test_what_is_inside_too_is_no_frame():
    image = np.full((70, 96, 3), 0.4)
    image[12] = 0.5
    assert border_difference(image) == 0
    lines = image - 0.01 * (np.arange(96) % 8 == 0)[:, None]
    assert border_difference(lines) == pytest.approx(0, abs=1e-4)
    lines[:, -2] -= 0.03
    assert border_difference(lines) == pytest.approx(255 * (0.03 - 0.01), rel=0.05)
    with pytest.raises(ImageError, match="32 at least"):
        border_difference(image[:30])


ROWS, COLUMNS = np.mgrid[:200, :264]


@pytest.mark.parametrize(
    ("pattern", "amplitude"),
    [
        (np.where((ROWS + COLUMNS) % 2, 1, -1), 1),  # a checkerboard of pixels
        (np.where(COLUMNS % 2, 1, -1), 1),
        (np.where(ROWS % 8 == 3, 1, 0), 2 / 8),
        (np.where(COLUMNS % 16 == 3, 1, 0), 2 / 16),
        (np.cos(2 * np.pi * ROWS / 16 + 0.4), 1),
        (np.cos(2 * np.pi * (ROWS + COLUMNS) / 4 + 0.4), 1),
        (np.where(ROWS // 4 % 2 == COLUMNS // 4 % 2, 1, -1), 1 / (8 * np.sin(np.pi / 8) ** 2)),
    ],
)
def test_a_grid_is_the_amplitude_of_its_strongest_wave(pattern, amplitude):
    for channel in range(3):
        image = np.full((200, 264, 3), 0.4)
        image[..., channel] += 3 * pattern / 255
        assert grid_amplitude(image) == pytest.approx(3 * amplitude, rel=0.02)


def test_constants_slopes_noise_and_odd_waves_are_no_grid():
    assert grid_amplitude(np.full((200, 264, 3), 0.4)) == 0
    assert grid_amplitude(_grey(0.2 + ROWS / 1000 + COLUMNS / 1000)) < 0.03
    noise = np.random.default_rng(0).normal(0, 2 / 255, (200, 264, 3))
    assert grid_amplitude(0.4 + noise) < 0.15
    assert grid_amplitude(_grey(0.4 + 0.02 * np.cos(2 * np.pi * ROWS / 5))) < 0.03
    with pytest.raises(ImageError, match="160 at least"):
        grid_amplitude(np.full((159, 264, 3), 0.4))
