"""Test scenes are what they say: areas, distances, greys, stops; and low-light photos by origin."""

import numpy as np
import pytest

from lle_utils.core.exposure import srgb_to_linear
from lle_utils.core.images import save_image
from lle_utils.data import samples, test_scenes


def test_a_lamp_is_a_disc_of_the_stated_light():
    image, distance = test_scenes.lamp((121, 160), radius=30, bright=0.8, dark=0.1)
    assert image.shape == (121, 160, 3)
    low, high = srgb_to_linear(0.1), srgb_to_linear(0.8)
    share = (srgb_to_linear(image) - low) / (high - low)
    assert share[..., 0].sum() == pytest.approx(np.pi * 30**2, rel=0.002)
    np.testing.assert_allclose(image[distance > 1], 0.8, atol=1e-6)
    np.testing.assert_allclose(image[distance < -1], 0.1, atol=1e-6)
    assert distance[60, 79] == pytest.approx(30, abs=0.51)
    assert distance[60, 0] == pytest.approx(30 - 79.5)


def test_a_horizon_parts_the_image_in_half():
    image, distance = test_scenes.horizon((40, 60), bright=0.7, dark=0.2)
    np.testing.assert_allclose(image[:19], 0.7, atol=1e-6)
    np.testing.assert_allclose(image[21:], 0.2, atol=1e-6)
    np.testing.assert_allclose(distance[:, 7], np.arange(19.5, -20, -1))


def test_noise_is_slight_and_repeats():
    scenes = test_scenes.step_scenes()
    for name in ("lamp", "horizon"):
        plain, noisy = scenes[name], scenes[f"{name} with noise"]
        np.testing.assert_array_equal(plain.distance, noisy.distance)
        difference = noisy.image - plain.image
        assert 0.5 / 255 < difference.std() < 5 / 255
        assert abs(difference.mean()) < 0.5 / 255
        np.testing.assert_array_equal(
            noisy.image, test_scenes.step_scenes()[f"{name} with noise"].image
        )


def test_plain_images_hold_nothing():
    images = test_scenes.plain_images((160, 200))
    for name, image in images.items():
        assert image.shape == (160, 200, 3)
        assert np.ptp(image, axis=-1).max() == 0
        if name.startswith("constant"):
            np.testing.assert_allclose(255 * image, int(name.split()[1]), rtol=1e-5)
    slope = 255 * images["slope"][..., 0]
    assert slope[0, 0] == pytest.approx(10)
    assert slope[-1, -1] == pytest.approx(80)
    for axis in (0, 1):  # it changes evenly, by less than half a level from pixel to pixel
        step = np.diff(slope, axis=axis)
        np.testing.assert_allclose(step, step.mean(), atol=1e-3)
        assert 0 < step.mean() < 0.5


@pytest.mark.parametrize("hue", [0.08, 0.6])
def test_the_patches_of_a_chart_are_grey_and_the_rest_is_not(hue):
    image, patches = test_scenes.color_chart(hue)
    assert sorted(np.unique(patches)) == list(range(len(test_scenes.GREYS) + 1))
    for number, grey in enumerate(test_scenes.GREYS, 1):
        np.testing.assert_allclose(image[patches == number], grey, atol=1e-6)
    red, _, blue = image[patches == 0].mean(axis=0)
    assert (red > blue + 0.02) == (hue < 0.5)
    assert (blue > red + 0.02) == (hue > 0.5)


def test_a_dark_chart_has_an_eighth_of_the_light():
    scenes = test_scenes.chart_scenes()
    assert list(scenes) == ["warm +0 EV", "warm -3 EV", "cool +0 EV", "cool -3 EV"]
    for name in ("warm", "cool"):
        lit, dark = scenes[f"{name} +0 EV"], scenes[f"{name} -3 EV"]
        where = lit.patches == 2
        ratio = srgb_to_linear(lit.image[where]).mean() / srgb_to_linear(dark.image[where]).mean()
        assert ratio == pytest.approx(8, rel=0.02)


def test_stops_double_the_light_until_it_clips():
    scenes = test_scenes.exposed_scenes((-1, 0, 2))
    assert {stop: len(found) for stop, found in scenes.items()} == {-1: 5, 0: 5, 2: 5}
    for name, lit in scenes[0].items():
        light = srgb_to_linear(lit)
        assert srgb_to_linear(scenes[-1][name]).mean() == pytest.approx(light.mean() / 2, rel=0.02)
        brighter = scenes[2][name]
        assert (brighter[light > 0.3] == 1).mean() > 0.95
        unclipped = light < 0.15
        ratio = srgb_to_linear(brighter)[unclipped].mean() / light[unclipped].mean()
        assert ratio == pytest.approx(4, rel=0.03)


def test_real_photos_come_first(tmp_path, monkeypatch):
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    words, bundled = samples.low_light_photos()
    assert (words, len(bundled)) == ("5 bundled scenes, darkened", 5)
    for folder, count in (("a", 3), ("b", 2)):
        for number in range(count):
            photo = np.full((4, 6, 3), 10 * number, np.uint8)
            save_image(tmp_path / "unpaired" / folder / f"{number}.png", photo)
    (tmp_path / "unpaired" / "readme.txt").touch()
    words, photos = samples.low_light_photos()
    assert words == "5 real photos without reference"
    assert [name for name, _ in photos] == ["a/0", "a/1", "a/2", "b/0", "b/1"]
    np.testing.assert_allclose(photos[2][1], np.full((4, 6, 3), 20 / 255))
    assert [name for name, _ in samples.low_light_photos(2)[1]] == ["a/0", "a/2"]
    assert len(samples.low_light_photos(9)[1]) == 5
    with pytest.raises(ValueError, match="count is 0"):
        samples.low_light_photos(0)


def test_without_a_folder_the_bundled_scenes_are_dark(monkeypatch):
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)
    _, photos = samples.low_light_photos(2)
    assert [name for name, _ in photos] == ["astronaut", "coffee"]
    assert all(photo.mean() < 0.25 and photo.dtype == np.float32 for _, photo in photos)
