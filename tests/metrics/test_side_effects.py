"""Harm to tones, neutral colours and clean areas: closed forms on images with texture."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb

from lle_utils.core.images import ImageError
from lle_utils.metrics import side_effects


@pytest.fixture(scope="module")
def photo():
    """A dark ramp with noise, neither square nor of one colour, of 20 to 120 of 255."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :96] / 128
    planes = np.stack([0.15 + rows / 3, 0.2 + columns / 4, 0.3 - rows / 4], axis=-1)
    return np.rint(255 * (planes + rng.normal(0, 0.01, planes.shape))) / 255


def test_darkened_counts_from_13_levels_on(photo):
    assert side_effects.darkened(photo - 12 / 255, photo) == 0
    assert side_effects.darkened(photo - 13 / 255, photo) == 100
    assert side_effects.darkened(photo + 0.3, photo) == 0
    one_channel = photo.copy()
    one_channel[:32, :, 1] = 0
    assert side_effects.darkened(one_channel, photo) == pytest.approx(100 / 6)


def test_clipping_counts_what_was_not_clipped_before(photo):
    lit, black = photo.copy(), photo.copy()
    lit[:16], black[:, :24, 2] = 1, 0
    assert side_effects.newly_clipped(lit, photo) == 25
    assert side_effects.newly_clipped(lit, lit) == side_effects.newly_clipped(photo, lit) == 0
    assert side_effects.newly_black(black, photo) == pytest.approx(100 / 12)
    assert side_effects.newly_black(black, black) == side_effects.newly_black(lit, photo) == 0


def test_brightness_moves_either_way(photo):
    for change in (-10, 10):
        moved = side_effects.brightness_change(photo + change / 255, photo)
        assert moved == pytest.approx(10 / 255)


def test_the_colour_of_a_grey_photo_is_the_spread_of_its_channels(photo):
    grey = photo[..., :1].repeat(3, axis=2)
    assert side_effects.chroma_spread(grey) == 0
    assert side_effects.chroma_spread(grey + np.array([-1, 0, 4]) / 255) == 5
    spots = grey.copy()
    spots[0, :5, 0] += 0.2  # 5 of 6144 pixels
    assert side_effects.chroma_spread(spots) == 0
    spots[0, :10, 0] += 0.2
    assert side_effects.chroma_spread(spots) > 20


def test_a_cast_is_measured_and_a_level_is_not():
    patches = np.zeros((8, 12), int)
    patches[:4, :5], patches[5:, 6:] = 1, 2
    grey = np.full((8, 12, 3), 0.6)
    for level in (0.2, 1):
        assert side_effects.neutral_error(level * grey, patches) < 0.05
    # On the b* axis CIEDE2000 is C / (1 + 0.045 C / 2), with no other term that matters.
    cast = grey.copy()
    cast[patches == 2] = lab2rgb([60.0, 0.0, 10.0])
    assert side_effects.neutral_error(cast, patches) == pytest.approx(10 / 1.225, rel=0.03)
    cast[patches == 0] = [1, 0, 0]  # outside
    assert side_effects.neutral_error(cast, patches) == pytest.approx(10 / 1.225, rel=0.03)
    with pytest.raises(ImageError, match="mark nothing"):
        side_effects.neutral_error(grey, 0 * patches)
    with pytest.raises(ImageError, match="mark nothing"):
        side_effects.neutral_error(grey, patches[1:])


def test_a_neutral_error_ignores_noise(photo):
    noise = np.random.default_rng(1).normal(0, 0.05, (40, 60, 3))
    assert side_effects.neutral_error(0.5 + noise, np.ones((40, 60), int)) < 0.5


@pytest.mark.parametrize("exponent", [0.3, 1, 1.7])
def test_gamma_is_as_noisy_as_gamma(photo, exponent):
    enhanced = photo**exponent
    assert side_effects.matching_gamma(photo, enhanced.mean()) == pytest.approx(exponent)
    assert side_effects.noise_over_gamma(enhanced, photo) == pytest.approx(1, abs=1e-3)


def test_noise_is_compared_at_like_brightness(photo):
    bright = photo**0.5
    noise = np.random.default_rng(2).normal(0, 0.05, photo.shape)
    assert side_effects.noise_over_gamma(np.clip(bright + noise, 0, 1), photo) > 1.5
    smooth = gaussian_filter(bright, (1, 1, 0))
    assert side_effects.noise_over_gamma(smooth, photo) < 0.6


def test_a_mean_that_black_forbids_gets_the_last_gamma(photo):
    half = np.concatenate([photo, 0 * photo])
    low, high = side_effects.GAMMAS
    assert side_effects.matching_gamma(half, 0.9) == pytest.approx(low)
    assert side_effects.matching_gamma(half, 0.0) == pytest.approx(high)


@pytest.mark.parametrize("measure", ["darkened", "newly_clipped", "newly_black"])
def test_sizes_and_types_are_checked(photo, measure):
    with pytest.raises(ImageError, match="photo"):
        getattr(side_effects, measure)(photo, photo[1:])
    with pytest.raises(ImageError, match="uint8"):
        getattr(side_effects, measure)((photo * 255).astype(np.uint8), photo)
