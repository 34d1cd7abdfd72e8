"""The synthetic sensor: its noise follows the law that its docstring states."""

import numpy as np
import pytest

from lle_utils.core.exposure import srgb_to_linear
from lle_utils.core.images import to_float
from lle_utils.data.raw_camera import MATRIX, RawCamera, mosaic, random_raw_camera
from lle_utils.data.synthetic import sample_scenes

GRAY = np.full((400, 600, 3), 0.5, np.float32)


@pytest.mark.parametrize("ratio", [1, 20, 150])
def test_mean_and_variance(ratio):
    camera = RawCamera(row_noise=0)
    planes = camera.shoot(GRAY, ratio, 1).planes
    light = srgb_to_linear(0.5) / np.array(camera.gains)[[0, 1, 1, 2]] / ratio
    rounding = 1 / 12 / (camera.white - camera.black) ** 2
    variance = light / camera.electrons + (camera.read_noise / camera.electrons) ** 2 + rounding
    deviation = np.sqrt(variance)
    assert planes.mean((0, 1)) == pytest.approx(light, abs=5 * deviation.max() / 240)
    assert planes.var((0, 1)) == pytest.approx(variance, rel=0.03)


def test_rows_have_a_noise_of_their_own():
    black = np.zeros((400, 600, 3), np.float32)
    striped = RawCamera(read_noise=2, row_noise=2).shoot(black, 100, 1)
    plain = RawCamera(read_noise=2, row_noise=0).shoot(black, 100, 1)
    spread = [f.planes[..., 0].mean(1).std() * 6740 for f in (striped, plain)]
    assert spread[0] == pytest.approx(2, rel=0.15)
    assert spread[1] < 0.2
    first, second = striped.planes[..., 0].mean(1), striped.planes[..., 1].mean(1)
    below = striped.planes[..., 2].mean(1)
    assert np.corrcoef(first, second)[0, 1] > 0.95  # red and green share a row of the sensor
    assert abs(np.corrcoef(first, below)[0, 1]) < 0.3  # the other green is in the next one


def test_counts_are_whole_levels_below_white_and_on_both_sides_of_black():
    camera = RawCamera()
    levels = camera.white - camera.black
    dark = camera.shoot(np.zeros_like(GRAY), 1, 0).planes
    assert dark.min() < 0 < dark.max()
    assert abs(dark.mean()) < 2e-5
    light = RawCamera(gains=(1.0, 1.0, 1.0)).shoot(np.ones_like(GRAY), 0.5, 0).planes
    assert light.max() == 1
    for planes in (dark, light):
        np.testing.assert_allclose(planes * levels, np.rint(planes * levels), atol=2e-3)


def test_equal_seeds_are_equal_frames():
    frames = [RawCamera().shoot(GRAY, 50, seed).planes for seed in (3, 3, 4)]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert (frames[0] != frames[2]).any()


def test_a_mosaic_keeps_one_color_of_each_pixel():
    image = np.arange(5 * 7 * 3).reshape(5, 7, 3)
    cells = mosaic(image)
    assert cells.shape == (2, 3, 4)
    expected = [image[2, 4, 0], image[2, 5, 1], image[3, 4, 1], image[3, 5, 2]]
    assert cells[1, 2].tolist() == expected


def test_what_no_camera_has():
    for bad in (
        {"electrons": 0},
        {"read_noise": -1},
        {"black": 9, "white": 9},
        {"gains": (0.5, 1, 1)},
    ):
        with pytest.raises(ValueError, match="expected"):
            RawCamera(**bad)
    with pytest.raises(ValueError, match="ratio is 0"):
        RawCamera().shoot(GRAY, 0)


def test_random_cameras_differ_within_their_ranges():
    cameras = [random_raw_camera(seed) for seed in range(200)]
    electrons = [camera.electrons for camera in cameras]
    assert 4000 <= min(electrons) < 6000 < 30_000 < max(electrons) <= 40_000
    assert all(c.row_noise <= 0.3 * c.read_noise for c in cameras)
    for camera in cameras:
        np.testing.assert_allclose(np.sum(camera.matrix, 1), 1, atol=0.01)
    assert random_raw_camera(5) == random_raw_camera(5)


def test_every_color_of_a_photo_fits_a_camera():
    """The inverse of the matrix has no negative entry, so nothing is cut off."""
    assert np.linalg.inv(MATRIX).min() >= 0
    light = srgb_to_linear(to_float(sample_scenes()["astronaut"])) @ np.linalg.inv(MATRIX).T
    assert light.min() >= 0
    assert light.max() <= 1 + 1e-9
