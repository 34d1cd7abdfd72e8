"""Resizing, and the merge of a result at full size with one at a working size."""

import numpy as np
import pytest

from lle_utils.core.images import to_float, to_uint8
from lle_utils.core.resizing import MERGED_ROWS, fit_side, merge_scales, resize


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : 2 * MERGED_ROWS + 40, 0:300] / 300
    waves = np.stack([np.sin(5 * rows + c) * np.cos(7 * columns - c) for c in range(3)], -1)
    return (0.5 + 0.3 * waves + 0.05 * rng.normal(size=waves.shape)).astype("float32")


def test_small_photos_keep_their_size():
    assert fit_side((10, 20, 3), 20) == (10, 20)
    assert fit_side((1000, 1, 3), 10) == (10, 1)
    assert fit_side((40, 61, 3), 30) == (20, 30)


def test_reducing_averages_and_enlarging_interpolates(photo):
    half = resize(photo[:40, :60], (20, 30))
    np.testing.assert_allclose(half, photo[:40, :60].reshape(20, 2, 30, 2, 3).mean((1, 3)), 1e-5)
    ramp = np.repeat(np.arange(8, dtype="float32")[:, None, None], 3, -1) * np.ones((8, 5, 3), "f4")
    twice = resize(ramp, (16, 10))
    np.testing.assert_allclose(np.diff(twice[1:-1, 0, 0]), 0.5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_type_stays(photo, dtype):
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    image = (photo[:30, :40] * top).astype(dtype)
    small = resize(image, (15, 20))
    assert (small.dtype, small.shape) == (np.dtype(dtype), (15, 20, 3))
    assert np.abs(small / top - resize(photo[:30, :40], (15, 20))).max() < 0.01


def test_rows_resized_by_themselves_are_those_of_the_whole(photo):
    small = resize(photo, (76, 50))
    whole = resize(small, photo.shape[:2])
    top, bottom = 50, 150
    rows = (top * 76 / len(photo), bottom * 76 / len(photo))
    part = resize(small, (bottom - top, photo.shape[1]), rows)
    np.testing.assert_allclose(part, whole[top:bottom], atol=1e-4)


def test_merged_a_result_reduces_to_the_base_and_keeps_its_detail(photo):
    small = fit_side(photo.shape, 120)
    base = resize(photo, small) * 0.8 + 0.05
    merged = merge_scales(photo.copy(), base)
    assert np.sqrt(np.mean((resize(merged, small) - base) ** 2)) < 0.005
    fine = photo - resize(resize(photo, small), photo.shape[:2])
    kept = merged - resize(resize(merged, small), photo.shape[:2])
    assert np.corrcoef(fine.ravel(), kept.ravel())[0, 1] > 0.98


def test_merged_with_its_own_reduced_copy_a_result_stays(photo):
    given = to_uint8(photo)
    base = resize(to_float(given), (60, 40))
    np.testing.assert_array_equal(merge_scales(given.copy(), base), given)


def test_merged_a_result_takes_the_type_that_is_asked_for_and_is_rounded_once(photo):
    base = resize(photo, (60, 40)) * np.float32(0.9)
    exact = merge_scales(photo.copy(), base)
    given = np.rint(photo * 65535).astype(np.uint16)
    merged = merge_scales(given, base, np.uint8)
    assert merged.dtype == np.uint8
    assert np.abs(merged - 255 * exact).max() < 0.51


def test_merged_an_8_bit_result_loses_nothing_to_rounding_its_reduced_copy():
    """A flat photo between two levels: rounded, its reduced copy would be half a level off."""
    given = np.zeros((90, 60, 3), np.uint8)
    given[::2] = 1
    base = np.full((30, 20, 3), 0.5 / 255, np.float32)
    np.testing.assert_array_equal(merge_scales(given.copy(), base), given)
