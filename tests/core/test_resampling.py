"""Enlarging without loss: means of blocks, range, smoothness."""

import numpy as np
import pytest

from lle_utils.core.images import ImageError, to_float
from lle_utils.core.resampling import STRIP_ROWS, enlarge
from lle_utils.core.resizing import block_mean
from lle_utils.data.synthetic import sample_scenes

RNG = np.random.default_rng(0)
IMAGES = {
    "noise": RNG.random((9, 14, 3)),
    "black and white": RNG.integers(0, 2, (9, 14, 3)).astype(float),
    "more than a strip": RNG.random((STRIP_ROWS + 7, 5, 3)),
    "one row": RNG.random((1, 6, 3)),
    "photo": to_float(sample_scenes()["rocket"])[100:180, 200:320],
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_averaging_gives_the_photo_back_and_the_range_is_kept(name, factor):
    photo = IMAGES[name]
    large = enlarge(photo, factor)
    assert large.shape == (factor * photo.shape[0], factor * photo.shape[1], 3)
    assert large.dtype == np.float32
    assert large.min() >= 0
    assert large.max() <= 1
    np.testing.assert_allclose(block_mean(large, factor), photo, atol=1e-6)


def test_a_constant_stays_constant():
    np.testing.assert_allclose(enlarge(np.full((5, 8, 3), 0.3), 4), 0.3, atol=1e-6)


def test_a_wave_is_seen_with_finer_pixels():
    """Pixels are means of a wave over their width; finer ones come near its finer means."""

    def means(pixel):
        edges = np.arange(0, 48 + pixel / 2, pixel)
        return 0.5 - 0.3 * np.diff(np.cos(0.7 * edges)) / (0.7 * pixel)

    def image(line):
        return np.tile(line[:, None, None], (1, 6, 3))

    inside = np.s_[32:-32]  # away from the ends
    error = np.abs(enlarge(image(means(1)), 4)[:, 0, 0] - means(0.25))[inside].max()
    copied = np.abs(np.repeat(means(1), 4) - means(0.25))[inside].max()
    assert error < 0.05 * copied


def test_blocks_are_means_and_what_is_left_over_is_cut():
    image = np.arange(5 * 7 * 2, dtype=float).reshape(5, 7, 2)
    expected = image[:4, :6].reshape(2, 2, 3, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(block_mean(image, 2), expected)


def test_what_cannot_be_is_refused():
    photo = RNG.random((4, 6, 3))
    for factor in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"factor is {factor}"):
            enlarge(photo, factor)
        with pytest.raises(ValueError, match=f"factor is {factor}"):
            block_mean(photo, factor)
    with pytest.raises(ValueError, match="no block of side 5"):
        block_mean(photo, 5)
    with pytest.raises(ImageError, match="uint8"):
        enlarge(photo.astype(np.uint8), 2)
