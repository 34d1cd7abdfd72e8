"""Strength and truth of fine detail, in closed form and on a real photo."""

import numpy as np
import pytest

from lle_utils.core.images import to_float
from lle_utils.data import synthetic
from lle_utils.metrics import detail


@pytest.fixture(scope="module")
def photo():
    return to_float(synthetic.sample_scenes()["chelsea"])[:120, :160]


def test_a_photo_has_all_of_its_own_detail(photo):
    assert detail.sharpness(photo, photo) == pytest.approx(1)
    assert detail.true_detail(photo, photo) == pytest.approx(1)


def test_a_gain_changes_the_strength_alone(photo):
    assert detail.sharpness(photo / 2, photo) == pytest.approx(0.5, abs=0.01)
    assert detail.true_detail(photo / 2, photo) == pytest.approx(1, abs=0.01)


def test_invented_detail_is_as_strong_and_not_true(photo):
    fine = detail.fine_detail(photo)
    noise = np.random.default_rng(0).normal(0, fine.std(), fine.shape)
    invented = np.clip(photo - fine[..., None] + noise[..., None], 0, 1)
    assert detail.sharpness(invented, photo) > 0.6
    assert detail.true_detail(invented, photo) < 0.3


def test_the_share_of_true_detail_in_closed_form():
    # As much noise as detail: the correlation is 1 / sqrt(2).
    scene = np.full((200, 300, 3), 0.5)
    rng = np.random.default_rng(1)
    true, false = (rng.normal(0, 0.05, (200, 300, 1)) for _ in range(2))
    assert detail.true_detail(scene + true + false, scene + true) == pytest.approx(0.5**0.5, 0.01)
    assert detail.sharpness(scene + true + false, scene + true) == pytest.approx(2**0.5, rel=0.01)


def test_a_flat_photo_has_none(photo):
    flat = np.full_like(photo, 0.5)
    assert detail.sharpness(flat, photo) == 0
    assert detail.true_detail(flat, photo) == detail.true_detail(photo, flat) == 0
    assert np.isfinite(detail.sharpness(photo, flat))


def test_fine_detail_has_no_mean_and_no_ramp():
    ramp = np.linspace(0, 1, 90)[None, :, None].repeat(60, 0).repeat(3, 2)
    assert np.abs(detail.fine_detail(ramp)[:, 10:-10]).max() < 1e-6
