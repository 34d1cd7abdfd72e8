"""What methods do to noise, colour and highlights: closed forms on images with texture."""

import numpy as np
import pytest

from lle_utils.core.images import ImageError
from lle_utils.metrics import artifacts


@pytest.fixture(scope="module")
def photo():
    """A ramp with texture, neither square nor of one colour, below 0.7."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :96] / 128
    planes = np.stack([0.1 + rows, 0.2 + columns / 2, 0.5 - rows / 2], axis=-1)
    return planes + rng.normal(0, 0.01, planes.shape)


def test_residual_noise_ignores_a_gain_and_grows_with_noise(photo):
    assert artifacts.residual_noise(photo, photo) == pytest.approx(1, abs=1e-9)
    assert artifacts.residual_noise(photo * 0.5, photo) == pytest.approx(1, abs=0.02)
    noise = np.random.default_rng(1).normal(0, 0.03, photo.shape)
    noisy = np.clip(photo + noise, 0, 1)
    assert artifacts.residual_noise(noisy, photo) > 2
    assert artifacts.residual_noise(noisy * 0.5, photo) == pytest.approx(
        artifacts.residual_noise(noisy, photo), rel=0.05
    )


def test_flat_noise_is_the_deviation_where_nothing_else_is():
    noise = np.random.default_rng(3).normal(0, 4 / 255, (160, 240, 1))
    image = np.full((160, 240, 3), 0.4)
    image[:, 150:] = 0.65  # an edge, and on its right a texture
    image[:, 152:160, :] += 0.1 * (np.arange(160) % 3)[:, None, None] / 2
    assert artifacts.flat_noise(image + noise) == pytest.approx(4, rel=0.08)
    assert artifacts.flat_noise(np.full((16, 24, 3), 0.4)) == 0
    noisy = image + noise
    assert artifacts.noise_gain(1.5 * noisy - 0.2, noisy) == pytest.approx(1.5, rel=0.02)


def test_residual_noise_needs_light(photo):
    with pytest.raises(ImageError, match="black"):
        artifacts.residual_noise(photo * 0, photo)


def test_chroma_error_sees_a_cast_and_not_a_level():
    grey = np.full((6, 9, 3), 0.5)
    assert artifacts.chroma_error(grey * 0.4, grey) == pytest.approx(0, abs=0.01)
    cast = grey * np.array([1.2, 1.0, 0.8])
    assert artifacts.chroma_error(cast, grey) > 10
    assert artifacts.chroma_error(cast[..., ::-1], grey) > 10


def test_overexposed_counts_what_the_reference_has_below_white(photo):
    bright = photo.copy()
    bright[:16] = 1
    assert artifacts.overexposed(bright, photo) == pytest.approx(25)
    assert artifacts.overexposed(bright, bright) == 0
    assert artifacts.overexposed(photo, bright) == 0


def test_highlight_error_looks_at_the_brightest_alone(photo):
    light = photo @ [0.299, 0.587, 0.114]
    dark = light < np.quantile(light, 0.5)
    changed = photo.copy()
    changed[dark] = 0
    assert artifacts.highlight_error(changed, photo) == 0
    assert artifacts.highlight_error(photo + 0.2, photo) == pytest.approx(51, abs=0.01)
