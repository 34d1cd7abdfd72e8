"""NIQE: the estimator against known distributions, the score against known damage."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import gennorm
from skimage import data

from lle_utils.core import paths
from lle_utils.core.images import ImageError, load_image, to_float
from lle_utils.metrics import naturalness


@pytest.fixture(scope="module")
def photo():
    return to_float(data.chelsea()[:288, :384])


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0, 4.0])
def test_estimator_recovers_a_symmetric_distribution(shape):
    samples = gennorm.rvs(shape, scale=1.5, size=400_000, random_state=1)
    found = naturalness.asymmetric_gaussian(samples)
    np.testing.assert_allclose(found, [shape, 1.5, 1.5], rtol=0.02)


def test_estimator_recovers_an_asymmetric_distribution():
    """Each side is a generalised Gaussian; its share of the samples is its share of scale."""
    rng = np.random.default_rng(2)
    size, left, right, shape = 400_000, 0.5, 1.5, 1.3
    sides = rng.random(size) < left / (left + right)
    samples = np.abs(gennorm.rvs(shape, size=size, random_state=rng))
    samples = np.where(sides, -left * samples, right * samples)
    np.testing.assert_allclose(
        naturalness.asymmetric_gaussian(samples), [shape, left, right], rtol=0.02
    )


def test_estimator_works_along_the_last_axis():
    samples = np.random.default_rng(0).normal(size=(3, 2, 500))
    together = naturalness.asymmetric_gaussian(samples)
    assert together.shape == (3, 2, 3)
    np.testing.assert_allclose(together[2, 1], naturalness.asymmetric_gaussian(samples[2, 1]))


def test_features_have_one_row_per_patch(photo):
    values = naturalness.features(photo)
    assert values.shape == (3 * 4, 36)
    assert np.isfinite(values).all()


def test_score_rises_with_noise_and_with_blur(photo):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=photo.shape)
    noisy = [
        naturalness.niqe(np.clip(photo + level * noise, 0, 1)) for level in (0, 0.05, 0.1, 0.2)
    ]
    blurred = [naturalness.niqe(gaussian_filter(photo, (s, s, 0))) for s in (0, 1, 2, 4)]
    assert noisy == sorted(noisy)
    assert blurred == sorted(blurred)
    assert noisy[-1] > noisy[0] + 1
    assert blurred[-1] > blurred[0] + 1


def test_distance_from_the_own_model_is_zero(photo):
    """A model whose mean and covariance are the image's own leaves no distance."""
    values = naturalness.features(photo)
    own = naturalness.NiqeModel(values.mean(axis=0), np.cov(values, rowvar=False), {})
    assert naturalness.niqe(photo, own) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_image_gives_a_finite_score(value):
    assert np.isfinite(naturalness.niqe(np.full((96, 192, 3), value)))


@pytest.mark.parametrize("shape", [(1, 1), (95, 400), (96, 96), (191, 191)])
def test_too_small_an_image_is_refused(shape):
    with pytest.raises(ImageError, match="96x96"):
        naturalness.niqe(np.random.default_rng(0).random((*shape, 3)))


def test_uint8_is_refused():
    with pytest.raises(ImageError, match="uint8"):
        naturalness.niqe(data.chelsea())


def test_fit_keeps_sharp_patches_and_survives_the_file(photo, tmp_path):
    half_blurred = photo.copy()
    half_blurred[:, :192] = gaussian_filter(photo, (5, 5, 0))[:, :192]
    model = naturalness.fit_pristine([photo, half_blurred], "two photos")
    assert model.meta["images"] == 2
    assert 2 <= model.meta["patches"] <= 12 + 6
    path = naturalness.save_pristine(model, tmp_path / "model.npz")
    again = naturalness.load_pristine(path)
    np.testing.assert_array_equal(again.mean, model.mean)
    np.testing.assert_array_equal(again.covariance, model.covariance)
    assert again.meta == model.meta


def test_fit_without_images_is_refused():
    with pytest.raises(ImageError, match="0 patches"):
        naturalness.fit_pristine([])


def test_shipped_model_is_a_distribution_with_meta():
    model = naturalness.load_pristine()
    assert model.mean.shape == (36,)
    assert model.mean.dtype == np.float64
    np.testing.assert_allclose(model.covariance, model.covariance.T)
    assert np.linalg.eigvalsh(model.covariance).min() > 0
    assert model.meta["patch"] == naturalness.PATCH_SIDE
    assert model.meta["sharpness_threshold"] == naturalness.MIN_SHARPNESS


def test_shipped_model_is_reproduced_by_the_documented_call():
    folder = paths.photo_dir()
    if folder is None:
        pytest.skip("LLE_DATA_DIR is not set: the photos of the shipped model are not here")
    photos = sorted((folder / "lol" / "train" / "high").iterdir())
    model = naturalness.fit_pristine(load_image(photo) for photo in photos)
    shipped = naturalness.load_pristine()
    assert model.meta["patches"] == shipped.meta["patches"]
    np.testing.assert_allclose(model.mean, shipped.mean, rtol=1e-6)
    np.testing.assert_allclose(model.covariance, shipped.covariance, rtol=1e-4, atol=1e-8)
