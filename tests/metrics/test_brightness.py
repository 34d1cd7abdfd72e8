"""Mean error, PSNR with the brightness settled, and the split of the squared error."""

import json

import numpy as np
import pytest

from lle_utils.core.exposure import expose
from lle_utils.core.images import to_uint8
from lle_utils.core.paths import data_dir
from lle_utils.metrics import brightness, pixelwise, squared_error
from lle_utils.metrics.catalog import METRICS, score


@pytest.fixture(scope="module")
def photo():
    """Texture on a ramp in three colours, neither square nor of one colour, 0.05 to 0.95."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :56] / 64
    planes = np.stack([0.1 + rows, 0.2 + columns / 2, 0.6 - rows / 2], axis=-1)
    return np.clip(planes + rng.normal(0, 0.03, planes.shape), 0.05, 0.95)


def test_mean_error_is_a_distance_and_blind_to_everything_else(photo):
    squeezed = np.rint((0.2 + 0.5 * photo) * 255) / 255
    for levels in (-17, 17):
        shifted = squeezed + levels / 255
        assert brightness.mean_error(shifted, squeezed) == pytest.approx(17, abs=1e-4)
    shuffled = np.random.default_rng(1).permutation(squeezed.ravel()).reshape(squeezed.shape)
    assert brightness.mean_error(shuffled, squeezed) == pytest.approx(0, abs=1e-9)
    assert METRICS["mean_error"].direction == "lower"


@pytest.mark.parametrize("gain", [0.05, 0.5, 3.0])
def test_psnr_level_does_not_care_about_the_exposure_of_the_output(photo, gain):
    noisy = np.clip(photo + np.random.default_rng(2).normal(0, 0.05, photo.shape), 0, 1)
    wanted = brightness.psnr_level(noisy, photo)
    assert brightness.psnr_level(expose(noisy, gain), photo) == pytest.approx(wanted, abs=0.02)
    assert pixelwise.psnr(expose(noisy, gain), photo) < wanted - 1
    at_level = expose(photo, gain)
    assert brightness.psnr_level(at_level, photo) > 50  # nothing is wrong but the exposure


def test_psnr_level_clips_nothing_where_a_gain_does(photo):
    """A dark output of a bright photo: the gain of GT-mean drives its lights to white."""
    bright = expose(photo, 6.0)
    assert brightness.psnr_level(expose(bright, 0.1), bright) > 50
    assert pixelwise.psnr_gtmean(expose(bright, 0.1), bright) < 30


def test_psnr_constant_gives_every_output_one_brightness(photo):
    """It is what `psnr_level` would be, were the constant the reference's mean."""
    mean = float(photo.mean())
    for gain in (0.2, 5.0):
        dark = expose(photo, gain)
        same = brightness.psnr_level(dark, photo)
        assert brightness.psnr_constant(dark, photo, mean=mean) == pytest.approx(same, abs=0.02)
        assert brightness.psnr_constant(dark, photo, mean=mean + 0.1) < 21


def test_psnr_constant_never_sees_the_level_of_the_reference(photo):
    """With a reference of another mean the output stays as it is: only the comparison changes."""
    output = expose(photo, 0.3)
    exposed = to_uint8(brightness._exposed_to(output, brightness.LOL_MEAN)) / 255.0
    for reference in (photo, 0.5 * photo, 1 - photo):
        expected = pixelwise.psnr(exposed, reference)
        assert brightness.psnr_constant(output, reference) == pytest.approx(expected, abs=1e-6)
    assert exposed.mean() == pytest.approx(brightness.LOL_MEAN, abs=1e-3)


@pytest.mark.parametrize("name", ["psnr_level", "psnr_constant", "mean_error", "mse_structure"])
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_photos_of_one_colour_have_a_score(photo, name, fill):
    flat = np.full(photo.shape, fill)
    for pair in ((flat, photo), (photo, flat)):
        assert np.isfinite(METRICS[name].function(*pair))


def test_the_protocols_say_which_score_borrows():
    assert "USES the reference's RGB mean" in METRICS["psnr_level"].protocol
    assert "no reference mean" in METRICS["psnr_constant"].protocol
    assert str(brightness.LOL_MEAN) in METRICS["psnr_constant"].protocol


def test_the_constant_is_the_mean_of_the_record():
    record = json.loads((data_dir() / "results" / "fixed_curve.json").read_text(encoding="utf-8"))
    assert round(record["mean_of_normal"], 3) == brightness.LOL_MEAN


@pytest.mark.parametrize("kind", ["noise", "gain", "unrelated"])
def test_the_three_parts_add_up_to_the_squared_error(photo, kind):
    rng = np.random.default_rng(3)
    output = {
        "noise": np.clip(photo + rng.normal(0.05, 0.05, photo.shape), 0, 1),
        "gain": photo * [0.3, 0.5, 0.4],
        "unrelated": rng.random(photo.shape),
    }[kind]
    parts = squared_error.error_split(output, photo)
    assert list(parts) == list(squared_error.ERROR_PARTS)
    assert min(parts.values()) >= 0
    whole = 255**2 * 10 ** (-pixelwise.psnr(output, photo) / 10)
    assert sum(parts.values()) == pytest.approx(whole, rel=1e-12)
    named = score(output, photo, [f"mse_{part}" for part in parts])
    assert list(named.values()) == list(parts.values())
    error = brightness.mean_error(output, photo)
    assert parts["brightness"] == pytest.approx(error**2, rel=1e-9)


def test_each_part_sees_its_own_error_alone(photo):
    base = np.rint((0.2 + 0.5 * photo) * 255)
    stripes = np.where(np.arange(56) % 2, 4, -4)[None, :, None]  # as many up as down
    errors = {"brightness": 10, "color": np.array([6, -3, -3]), "structure": stripes}
    squares = {"brightness": 100, "color": 18, "structure": 16}
    for part, error in errors.items():
        found = squared_error.error_split((base + error) / 255, base / 255)
        expected = {name: squares[name] * (name == part) for name in squares}
        assert found == pytest.approx(expected, abs=1e-3)
    found = squared_error.error_split((base + sum(errors.values())) / 255, base / 255)
    assert found == pytest.approx(squares, abs=1e-3)


def test_structure_is_what_no_constant_per_channel_removes(photo):
    output = np.clip(photo * 0.6 + np.random.default_rng(4).normal(0, 0.02, photo.shape), 0, 1)
    rounded = [to_uint8(image) / 1.0 for image in (output, photo)]
    best = min(
        np.mean((rounded[0] + shift - rounded[1]) ** 2)
        for shift in (np.mean(rounded[1] - rounded[0], axis=(0, 1)) + d for d in (0, -1, [0, 0, 1]))
    )
    found = squared_error.error_split(output, photo)["structure"]
    assert found == pytest.approx(best, rel=1e-9)


def test_a_wrong_gain_leaves_a_share_in_the_structure(photo):
    base = 2 * np.rint(photo * 120) / 255  # even levels: half of them are whole
    found = squared_error.error_split(base / 2, base)
    variance = 255**2 * base.var(axis=(0, 1)).mean()
    assert found["structure"] == pytest.approx(variance / 4, rel=1e-4)
    assert found["brightness"] == pytest.approx((255 * base.mean() / 2) ** 2, rel=1e-4)


def test_errors_of_curves_are_those_of_the_applied_curves(photo):
    low, normal = to_uint8(photo * 0.2), to_uint8(photo)
    curves = np.random.default_rng(5).integers(0, 256, (7, 256)).astype(np.uint8)
    applied = [np.mean((curve[low] / 255.0 - normal / 255.0) ** 2) for curve in curves]
    np.testing.assert_allclose(pixelwise.curve_errors(low, normal, curves), applied, rtol=1e-9)
