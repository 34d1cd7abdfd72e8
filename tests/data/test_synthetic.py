"""The synthetic camera: closed forms of light and noise, and pairs that repeat exactly."""

import socket

import numpy as np
import pytest
from skimage.color import rgb2xyz

from lle_utils.core import exposure
from lle_utils.core.images import ImageError, to_float
from lle_utils.data import synthetic
from lle_utils.data.synthetic import Camera, darken


@pytest.fixture(scope="module")
def photo():
    return to_float(synthetic.sample_scenes()["coffee"][100:220, 200:360])


def ramp():
    """Every 8-bit value in each channel, each channel in another direction."""
    values = np.arange(256, dtype=np.uint8).reshape(8, 32)
    return to_float(np.stack([values, values[::-1], values[:, ::-1]], axis=-1))


def test_scenes_need_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    pictures = synthetic.sample_scenes()
    assert set(pictures) == {"astronaut", "chelsea", "coffee", "rocket", "stereo_motorcycle"}
    for name, picture in pictures.items():
        assert picture.dtype == np.uint8, name
        assert picture.shape[-1] == 3, name
        assert min(picture.shape[:2]) >= 300, name
        assert picture.std(axis=(0, 1)).min() > 10, name


def test_srgb_curve_agrees_with_scikit_image_and_inverts():
    values = np.linspace(0, 1, 1001)
    grey = np.repeat(values[None, :, None], 3, axis=-1)
    expected = rgb2xyz(grey)[0, :, 1]  # Y of grey is its linear value
    np.testing.assert_allclose(exposure.srgb_to_linear(values), expected, atol=1e-6)
    light = exposure.srgb_to_linear(values)
    # The standard's published thresholds round to 1e-7 of each other at the junction.
    np.testing.assert_allclose(exposure.linear_to_srgb(light), values, atol=1e-6)


def test_full_exposure_without_noise_changes_nothing():
    np.testing.assert_array_equal(darken(ramp(), camera=Camera()), ramp())


def test_exposure_is_a_gain_on_light(photo):
    share = 0.25
    low = darken(photo, camera=Camera(exposure=share))
    expected = exposure.linear_to_srgb(share * exposure.srgb_to_linear(photo))
    assert np.abs(low - expected).max() <= 0.5 / 255 + 1e-6
    # A gain on the encoded values, the usual shortcut, is something else.
    assert np.abs(low - share * photo).max() > 0.1


def test_white_balance_gains_belong_to_their_channels(photo):
    gains = (0.9, 1.0, 0.7)
    low = darken(photo, camera=Camera(exposure=0.5, white_balance=gains))
    ratio = exposure.srgb_to_linear(low).mean((0, 1)) / exposure.srgb_to_linear(photo).mean((0, 1))
    np.testing.assert_allclose(ratio, 0.5 * np.array(gains), rtol=0.02)


def test_noise_has_the_stated_mean_and_variance():
    light, photons, read_noise = 0.2, 500.0, 0.01
    noisy = synthetic.add_noise(np.full((400, 500), light), photons, read_noise, seed=1)
    count = noisy.size
    variance = light / photons + read_noise**2
    assert noisy.mean() == pytest.approx(light, abs=5 * np.sqrt(variance / count))
    assert noisy.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / count))


def test_shot_noise_grows_with_light():
    dark = synthetic.add_noise(np.full((300, 300), 0.02), 1000, 0.0, seed=2)
    bright = synthetic.add_noise(np.full((300, 300), 0.5), 1000, 0.0, seed=2)
    assert bright.var() / dark.var() == pytest.approx(25, rel=0.05)


def test_illumination_map_is_smooth_and_spans_its_range():
    light = synthetic.illumination_map((90, 120), 0.4, seed=5)
    assert light.shape == (90, 120)
    assert light.min() == pytest.approx(0.4)
    assert light.max() == pytest.approx(1.0)
    steps = max(np.abs(np.diff(light, axis=0)).max(), np.abs(np.diff(light, axis=1)).max())
    assert steps < 0.04
    np.testing.assert_array_equal(synthetic.illumination_map((1, 1), 0.4), [[1.0]])


def test_less_light_means_lower_psnr(photo):
    errors = [
        np.mean((darken(photo, 0, Camera(exposure=k, photons=800, read_noise=0.005)) - photo) ** 2)
        for k in (0.02, 0.05, 0.1, 0.3, 0.6, 1.0)
    ]
    assert np.all(np.diff(errors) < 0)


def test_output_is_eight_bit_and_repeats(photo):
    low = darken(photo, seed=11)
    assert low.dtype == np.float32
    assert low.shape == photo.shape
    np.testing.assert_allclose(low * 255, np.rint(low * 255), atol=1e-4)
    np.testing.assert_array_equal(low, darken(photo, seed=11))
    assert (low != darken(photo, seed=12)).mean() > 0.1
    np.testing.assert_array_equal(low, darken(photo, seed=np.random.default_rng(11)))


def test_jpeg_changes_values_a_little(photo):
    plain = darken(photo, camera=Camera(exposure=0.3))
    packed = darken(photo, camera=Camera(exposure=0.3, jpeg_quality=75))
    difference = np.abs(plain - packed)
    assert 0 < difference.mean() < 0.02


def test_random_cameras_stay_in_range():
    rng = np.random.default_rng(0)
    cameras = [synthetic.random_camera(rng) for _ in range(1000)]
    exposures = np.array([camera.exposure for camera in cameras])
    assert 0.02 <= exposures.min() < 0.03
    assert 0.25 < exposures.max() <= 0.3
    # Log-uniform: the median is the geometric mean of the ends.
    assert np.median(np.log(exposures)) == pytest.approx(np.log(np.sqrt(0.02 * 0.3)), abs=0.2)
    qualities = [camera.jpeg_quality for camera in cameras]
    assert 400 < qualities.count(None) < 600
    assert {q for q in qualities if q is not None} <= set(range(75, 96))
    gains = np.array([camera.white_balance for camera in cameras])
    assert 0.9 <= gains.min() < 0.92
    assert 1.08 < gains.max() <= 1.1
    assert all(200 <= camera.photons <= 4000 for camera in cameras)
    assert all(0.3 <= camera.illumination <= 1 for camera in cameras)


@pytest.mark.parametrize(
    "wrong",
    [
        {"exposure": 0.0},
        {"illumination": 1.5},
        {"photons": -1},
        {"read_noise": -0.1},
        {"white_balance": (1.0, 1.0)},
        {"jpeg_quality": 101},
    ],
)
def test_impossible_cameras_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Camera(**wrong)


def test_eight_bit_input_is_refused():
    with pytest.raises(ImageError, match="to_float"):
        darken(np.zeros((4, 4, 3), np.uint8))


def test_pairs_repeat_and_do_not_depend_on_their_number():
    few = synthetic.synthetic_pairs(3, (32, 48), seed=4)
    many = synthetic.synthetic_pairs(7, (32, 48), seed=4)
    assert few.low.shape == few.normal.shape == (3, 32, 48, 3)
    assert few.low.dtype == few.normal.dtype == np.uint8
    np.testing.assert_array_equal(few.low, many.low[:3])
    np.testing.assert_array_equal(few.normal, many.normal[:3])
    assert few.names == many.names[:3]
    assert len(set(many.names)) == 7
    other = synthetic.synthetic_pairs(3, (32, 48), seed=5)
    assert not np.array_equal(few.normal, other.normal)


def test_pairs_are_dark_and_show_the_same_thing():
    pairs = synthetic.synthetic_pairs(10, (64, 64), seed=0)
    low, normal = to_float(pairs.low), to_float(pairs.normal)
    assert np.all(low.mean((1, 2, 3)) < 0.7 * normal.mean((1, 2, 3)))
    small = [x.reshape(10, 8, 8, 8, 8, 3).mean((2, 4, 5)).reshape(10, -1) for x in (low, normal)]
    correlation = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(*small, strict=True)])
    assert np.median(correlation) > 0.8


def test_sizes_larger_than_a_scene_work():
    pairs = synthetic.synthetic_pairs(1, (400, 600), scene_names=("chelsea",))
    assert pairs.normal.shape == (1, 400, 600, 3)


def test_sample_split_shares_no_scene():
    split = synthetic.sample_split(6, 4, (32, 32), seed=0)
    assert len(split["train"].low) == 6
    assert len(split["val"].low) == 4
    assert not set(split["train"].scenes) & set(split["val"].scenes)
    assert set(synthetic.TRAIN_SCENES) | set(synthetic.VAL_SCENES) == set(synthetic.SCENE_FILES)


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="positive count"):
        synthetic.synthetic_pairs(0)
    with pytest.raises(ValueError, match="tea"):
        synthetic.synthetic_pairs(1, scene_names=("tea",))
