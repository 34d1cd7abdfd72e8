"""Classical baselines: closed forms, range, and images that break careless code."""

import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2lab

from lle_utils.core import paths
from lle_utils.core.images import ImageError, load_image, luminance, to_float, to_uint8
from lle_utils.enhancers import classical, illumination
from lle_utils.enhancers.classical import BASELINES, EXPONENTS
from lle_utils.enhancers.factory import load_method
from lle_utils.metrics.pixelwise import psnr


@pytest.fixture
def photo():
    """A dark, non-square natural image."""
    return to_float(data.astronaut()[100:196, 150:290]) * 0.2


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (3, 5), (17, 31), (64, 48)])
@pytest.mark.parametrize("fill", ["black", "white", "grey", "noise"])
def test_any_image_stays_an_image(name, shape, fill):
    constant = {"black": 0.0, "white": 1.0, "grey": 0.3, "noise": None}[fill]
    rng = np.random.default_rng(0)
    image = rng.random((*shape, 3)) if constant is None else np.full((*shape, 3), constant)
    result = BASELINES[name](image)
    assert result.shape == image.shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert 0 <= result.min() <= result.max() <= 1


@pytest.mark.parametrize("name", BASELINES)
def test_uint8_is_refused(name):
    with pytest.raises(ImageError, match="uint8"):
        BASELINES[name](data.astronaut()[:20, :30])


@pytest.mark.parametrize("name", BASELINES)
def test_argument_is_left_alone(name, photo):
    before = photo.copy()
    BASELINES[name](photo)
    np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize("name", [n for n in BASELINES if n != "input"])
def test_a_dark_photo_gets_brighter(name, photo):
    assert BASELINES[name](photo).mean() > 1.3 * photo.mean()


@pytest.mark.parametrize("name", ["gamma", "fixed_curve", "auto_gamma", "lime"])
def test_grey_stays_grey(name, photo):
    grey = luminance(photo)[..., None].repeat(3, axis=-1)
    result = BASELINES[name](grey)
    np.testing.assert_allclose(result, result[..., :1].repeat(3, -1), atol=1e-6)


def test_identity_cases(photo):
    np.testing.assert_array_equal(classical.identity(photo), photo)
    np.testing.assert_array_equal(classical.gamma(photo, 1), photo)
    np.testing.assert_allclose(illumination.lime(photo, exponent=1e-9), photo, atol=1e-6)
    with pytest.raises(ValueError, match="positive"):
        classical.gamma(photo, 0)


def test_gamma_is_a_power_and_keeps_order():
    ramp = np.linspace(0, 1, 30).reshape(2, 5, 3)
    result = classical.gamma(ramp)
    np.testing.assert_allclose(result, ramp ** (1 / 2.2), rtol=1e-5)
    assert (np.diff(result.ravel()) > 0).all()


@pytest.mark.parametrize("name", EXPONENTS)
def test_from_a_table_an_8_bit_photo_is_what_the_power_makes_of_it(name):
    photos = [data.astronaut()[:301:2, :437:3] // 4]
    photos.append(np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8))
    photos.append(np.full((5, 7, 3), 255, np.uint8))
    for photo in photos:
        expected = to_uint8(BASELINES[name](to_float(photo)))
        np.testing.assert_array_equal(load_method(name)(photo), expected)


def test_the_fixed_curve_does_not_look_at_the_photo(photo):
    """A window of the result is the result of the window; and it is a power."""
    result = classical.fixed_curve(photo)
    np.testing.assert_allclose(result, photo**classical.FIXED_EXPONENT, rtol=1e-5)
    np.testing.assert_array_equal(classical.fixed_curve(photo[9:30, 4:77]), result[9:30, 4:77])
    assert not np.allclose(classical.auto_gamma(photo[9:30, 4:77]), result[9:30, 4:77], atol=0.01)


def test_auto_gamma_reaches_its_target(photo):
    grey = np.clip(luminance(photo), 0.05, 1)[..., None].repeat(3, axis=-1)
    result = classical.auto_gamma(grey)
    assert np.log(luminance(result)).mean() == pytest.approx(np.log(0.5), abs=1e-5)
    # One exponent absorbs another, as long as nothing falls below one level.
    np.testing.assert_allclose(classical.auto_gamma(grey**1.5), result, atol=1e-4)


def test_auto_gamma_darkens_a_bright_photo(photo):
    assert classical.auto_gamma(1 - photo).mean() < (1 - photo).mean()


def test_equalize_leaves_a_uniform_histogram_alone():
    ramp = (np.arange(256) / 255).reshape(16, 16, 1).repeat(3, axis=-1)
    np.testing.assert_allclose(classical.equalize(ramp), ramp, atol=1e-6)


def test_equalize_spreads_a_dark_ramp_over_the_range():
    ramp = (np.arange(64) / 255).reshape(8, 8, 1).repeat(3, axis=-1)
    expected = (np.arange(64) / 63).reshape(8, 8)
    np.testing.assert_allclose(classical.equalize(ramp)[..., 0], expected, atol=1e-6)


def test_clahe_without_limit_on_one_tile_is_plain_equalisation():
    levels = np.random.default_rng(0).integers(0, 50, (40, 56)).astype(np.uint8)
    result = classical._clahe_levels(levels, clip=1e9, tiles=1)
    share = np.searchsorted(np.sort(levels.ravel()), levels, side="right") / levels.size
    np.testing.assert_allclose(result, 255 * share, atol=1e-2)


def test_clahe_with_the_tightest_limit_on_one_tile_is_nearly_identity():
    """All bins cut to (almost) nothing and the excess spread evenly: a straight line."""
    levels = np.random.default_rng(0).integers(0, 256, (40, 56)).astype(np.uint8)
    result = classical._clahe_levels(levels, clip=1e-6, tiles=1)
    np.testing.assert_allclose(result, 255 * (levels + 1.0) / 256, atol=1e-2)


def test_clahe_contrast_is_bounded_by_its_clip():
    """No curve is steeper than clip plus the shared excess, 1."""
    levels = np.random.default_rng(0).integers(90, 110, (80, 120)).astype(np.uint8)
    result = classical._clahe_levels(levels, clip=2.0, tiles=1)
    by_level = [result[levels == level].mean() for level in range(90, 110)]
    assert np.diff(by_level).max() <= 3.0
    assert np.diff(by_level).min() > 1.5


def test_clahe_does_not_stretch_a_dark_photo(photo):
    """The hidden exposure correction of a min-max stretch would lift it far more."""
    lightness = [rgb2lab(image)[..., 0].mean() for image in (photo, classical.clahe(photo))]
    assert lightness[1] < 3 * lightness[0] + 3
    assert classical.clahe(photo).max() < 0.9


def test_clahe_and_gamma_compose(photo):
    expected = classical.clahe(classical.gamma(photo, 1 / 2.2))
    np.testing.assert_array_equal(classical.gamma_clahe(photo), expected)


def test_gradient_and_divergence_are_transposes():
    rng = np.random.default_rng(0)
    plane, slopes = rng.random((9, 14)), rng.random((2, 9, 14))
    left = (illumination._gradient(plane) * slopes).sum()
    assert left == pytest.approx((plane * illumination._divergence(slopes)).sum())


def _objective(light, estimate, strength):
    weights = np.stack(illumination._texture_weights(estimate))
    weighted = weights * illumination._gradient(light)
    return ((light - estimate) ** 2).sum() + strength * np.abs(weighted).sum()


def test_lime_minimises_its_objective(photo):
    estimate = photo.max(axis=-1)
    refined = illumination.refine_illumination(estimate, 0.01, iterations=80)
    best = _objective(refined, estimate, 0.01)
    assert best < 0.2 * _objective(estimate, estimate, 0.01)
    rng = np.random.default_rng(0)
    for other in (estimate, np.full_like(estimate, estimate.mean()), refined + 0.01):
        between = refined + 0.1 * (other - refined)
        assert best < _objective(between, estimate, 0.01) * 1.001
    assert best < _objective(refined + rng.normal(0, 1e-3, refined.shape), estimate, 0.01)


def test_lime_without_smoothing_keeps_the_estimate(photo):
    estimate = photo.max(axis=-1)
    np.testing.assert_allclose(illumination.refine_illumination(estimate, 0.0), estimate, atol=1e-5)


def test_lime_keeps_a_strong_edge_and_removes_texture():
    rng = np.random.default_rng(0)
    step = np.full((40, 60), 0.1)
    step[:, 30:] = 0.7
    refined = illumination.refine_illumination(step + rng.normal(0, 0.02, step.shape))
    assert refined[:, 35:].mean() - refined[:, :25].mean() > 0.5
    assert refined[:, :25].std() < 0.005


def test_published_values_on_the_validation_photos():
    """Gamma and auto-gamma against values measured independently on the same photos."""
    folder = paths.photo_dir()
    if folder is None:
        pytest.skip("LLE_DATA_DIR is not set: no real photos to compare on")
    found = {name: [] for name in ("input", "gamma", "auto_gamma")}
    for path in sorted((folder / "lol" / "val" / "low").iterdir()):
        low, reference = load_image(path), load_image(path.parents[1] / "high" / path.name)
        for name, values in found.items():
            values.append(psnr(BASELINES[name](low), reference))
    means = {name: round(float(np.mean(values)), 2) for name, values in found.items()}
    assert means == {"input": 7.22, "gamma": 12.0, "auto_gamma": 17.01}
