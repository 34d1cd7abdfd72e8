"""What methods do to noise, colour and highlights: closed forms on images with texture."""

import doctest

import numpy as np
import pytest

from lle_utils import effects
from lle_utils.images import ImageError


@pytest.fixture(scope="module")
def photo():
    """A ramp with texture, neither square nor of one colour, below 0.7."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :96] / 128
    planes = np.stack([0.1 + rows, 0.2 + columns / 2, 0.5 - rows / 2], axis=-1)
    return planes + rng.normal(0, 0.01, planes.shape)


def test_doctests():
    outcome = doctest.testmod(effects)
    assert outcome.attempted > 4
    assert not outcome.failed


def test_noise_left_ignores_a_gain_and_grows_with_noise(photo):
    assert effects.noise_left(photo, photo) == pytest.approx(1, abs=1e-9)
    assert effects.noise_left(photo * 0.5, photo) == pytest.approx(1, abs=0.02)
    noise = np.random.default_rng(1).normal(0, 0.03, photo.shape)
    noisy = np.clip(photo + noise, 0, 1)
    assert effects.noise_left(noisy, photo) > 2
    assert effects.noise_left(noisy * 0.5, photo) == pytest.approx(
        effects.noise_left(noisy, photo), rel=0.05
    )


def test_noise_left_needs_light(photo):
    with pytest.raises(ImageError, match="black"):
        effects.noise_left(photo * 0, photo)


def test_chroma_error_sees_a_cast_and_not_a_level():
    grey = np.full((6, 9, 3), 0.5)
    assert effects.chroma_error(grey * 0.4, grey) == pytest.approx(0, abs=0.01)
    cast = grey * np.array([1.2, 1.0, 0.8])
    assert effects.chroma_error(cast, grey) > 10
    assert effects.chroma_error(cast[..., ::-1], grey) > 10


def test_clipped_counts_what_the_reference_has_below_white(photo):
    bright = photo.copy()
    bright[:16] = 1
    assert effects.clipped(bright, photo) == pytest.approx(25)
    assert effects.clipped(bright, bright) == 0
    assert effects.clipped(photo, bright) == 0


def test_highlight_error_looks_at_the_brightest_alone(photo):
    light = photo @ [0.299, 0.587, 0.114]
    dark = light < np.quantile(light, 0.5)
    changed = photo.copy()
    changed[dark] = 0
    assert effects.highlight_error(changed, photo) == 0
    assert effects.highlight_error(photo + 0.2, photo) == pytest.approx(51, abs=0.01)
