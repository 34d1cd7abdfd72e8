"""Exposure: the curve's closed form, its group, and the gain that reaches a brightness."""

import numpy as np
import pytest

from lle_utils.core.exposure import expose, exposure_gain, linear_to_srgb, srgb_to_linear
from lle_utils.core.images import to_uint8


@pytest.fixture(scope="module")
def photo():
    return 0.02 + 0.98 * np.random.default_rng(0).random((24, 32, 3)) ** 2


def test_the_curve_multiplies_the_light_of_the_darks_and_keeps_white():
    assert expose(np.array([0.0, 1.0]), 8.0).tolist() == pytest.approx([0, 1])
    dark = linear_to_srgb(np.array(1e-5))
    assert srgb_to_linear(expose(dark, 8.0)) == pytest.approx(8e-5, rel=1e-3)
    half = linear_to_srgb(np.array(0.5))  # 3 / 2 over 1 + 2 / 2
    assert srgb_to_linear(expose(half, 3.0)) == pytest.approx(0.75)


def test_exposures_are_a_group(photo):
    np.testing.assert_allclose(expose(expose(photo, 5.0), 0.2), photo, atol=1e-6)
    np.testing.assert_allclose(expose(photo, 1.0), photo, atol=1e-6)


@pytest.mark.parametrize("level", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["float", "uint8", "uint16"])
def test_the_gain_reaches_the_level_for_every_type(photo, level, kind):
    given = {"float": photo, "uint8": to_uint8(photo), "uint16": (photo * 65535).astype("uint16")}
    values = given[kind] / {"float": 1, "uint8": 255, "uint16": 65535}[kind]
    result = expose(values, exposure_gain(given[kind], level))
    assert result.mean() == pytest.approx(level, abs=2e-3)


def test_the_gain_of_a_photo_at_its_own_level_is_one(photo):
    assert exposure_gain(to_uint8(photo), to_uint8(photo).mean() / 255) == pytest.approx(1, 1e-6)


def test_a_black_photo_gets_a_finite_gain():
    assert np.isfinite(exposure_gain(np.zeros((4, 4, 3), np.uint8), 0.5))


@pytest.mark.parametrize("level", [0, 1, -0.1, np.nan])
def test_a_level_outside_is_refused(photo, level):
    with pytest.raises(ValueError, match="expected a mean brightness"):
        exposure_gain(photo, level)


@pytest.mark.parametrize("gain", [0, -1, np.inf, np.nan])
def test_a_gain_that_is_none_is_refused(photo, gain):
    with pytest.raises(ValueError, match="expected a positive number"):
        expose(photo, gain)
