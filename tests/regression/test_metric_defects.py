"""Faulty metric formulas found in published code, each beside the test that tells it apart.

Every check is written once. It has to pass on this package and to fail on the faulty
formula, which is kept here in the fewest lines that show the fault.
"""

import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from lle_utils.core.images import ImageError, to_float, to_uint8
from lle_utils.metrics import pixelwise, structural


@pytest.fixture(scope="module")
def reference():
    """A natural, non-square image that is not quite black anywhere."""
    return np.clip(to_float(data.astronaut()[40:168, 120:300]), 4 / 255, 1)


@pytest.fixture(scope="module")
def enhanced(reference):
    noise = np.random.default_rng(0).normal(0, 0.05, reference.shape)
    return np.clip(0.75 * reference + noise, 0, 1).astype(np.float32)


def holds(check, *arguments) -> bool:
    """Say whether a check passes."""
    try:
        check(*arguments)
    except (AssertionError, pytest.fail.Exception):
        return False
    return True


# A peak of 255 on images in [0, 1] (keras.io MIRNet, enhance-me).


def psnr_with_peak_255(enhanced, reference):
    return 10 * np.log10(255**2 / np.mean((enhanced - reference) ** 2))


def check_shift_by_a_tenth(psnr, reference):
    ramp = 0.9 * reference
    assert psnr(ramp + 0.1, ramp) == pytest.approx(20, abs=1e-4)


def test_peak_of_255(enhanced, reference):
    assert holds(check_shift_by_a_tenth, pixelwise.psnr_float, reference)
    assert not holds(check_shift_by_a_tenth, psnr_with_peak_255, reference)
    bonus = psnr_with_peak_255(enhanced, reference) - pixelwise.psnr_float(enhanced, reference)
    assert bonus == pytest.approx(20 * np.log10(255), abs=1e-4)
    assert round(bonus, 2) == 48.13


# Differences of 8-bit integers wrap around ("about 28 dB" of a Zero-DCE notebook).


def psnr_of_wrapping_bytes(enhanced, reference):
    difference = enhanced - reference  # 10 - 20 is 246 in 8 bits
    return 10 * np.log10(255**2 / np.mean(difference**2))  # and 246**2 is 100


def check_bytes_are_refused(psnr, enhanced, reference):
    with pytest.raises(ImageError, match="uint8"):
        psnr(to_uint8(enhanced), to_uint8(reference))


def test_wrapping_bytes(enhanced, reference):
    assert holds(check_bytes_are_refused, pixelwise.psnr, enhanced, reference)
    assert not holds(check_bytes_are_refused, psnr_of_wrapping_bytes, enhanced, reference)


def test_wrapping_bytes_score_anything_as_about_28():
    """Squares modulo 256 average about 88, whatever the images: 28.7 dB."""
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    for spread in (20, 40, 80):
        noisy = np.clip(reference + rng.normal(0, spread, reference.shape), 0, 255).astype(np.uint8)
        wrapped = psnr_of_wrapping_bytes(noisy, reference)
        true = pixelwise.psnr(to_float(noisy), to_float(reference))
        assert 27 < wrapped < 29.5
        assert true < 24


# Each image scaled to its own minimum and maximum before comparison (restorers).


def stretched(metric):
    def scale(image):
        return (image - image.min()) / (image.max() - image.min())

    return lambda enhanced, reference: metric(scale(enhanced), scale(reference))


def check_a_dark_copy_scores_low(psnr, reference):
    assert psnr(reference / 5, reference) < 12


def test_min_max_scaling(reference):
    faulty = stretched(pixelwise.psnr_float)
    assert holds(check_a_dark_copy_scores_low, pixelwise.psnr_float, reference)
    assert not holds(check_a_dark_copy_scores_low, faulty, reference)
    assert faulty(reference / 5, reference) > 100  # "identical"
    assert pixelwise.psnr(reference / 5, reference) == pytest.approx(
        -10 * np.log10(0.64 * np.mean(reference**2)), abs=0.05
    )
    assert stretched(structural.ssim)(reference / 5, reference) > 0.999
    assert structural.ssim(reference / 5, reference) < 0.6


def test_min_max_scaling_hides_almost_all_of_a_known_error():
    """An image whose mean square is 1/3 (a full ramp): the truth is 6.7 dB."""
    ramp = np.linspace(0, 1, 60 * 90 * 3).reshape(60, 90, 3)
    assert pixelwise.psnr_float(ramp / 5, ramp) == pytest.approx(6.71, abs=0.01)
    assert stretched(pixelwise.psnr_float)(ramp / 5, ramp) > 100


# A cast to 8 bits that truncates instead of rounding.


def truncating(image):
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def check_cast_has_no_bias(cast):
    values = np.linspace(0, 1, 25_501)
    assert abs(np.mean(cast(values) / 255.0 - values)) < 1e-5
    np.testing.assert_array_equal(cast(np.float32(1) / 255 * np.arange(256)), np.arange(256))


def test_truncating_cast(enhanced, reference):
    assert holds(check_cast_has_no_bias, to_uint8)
    assert not holds(check_cast_has_no_bias, truncating)
    lost = pixelwise.psnr(enhanced, reference) - pixelwise.psnr(
        truncating(enhanced) / 255.0, reference
    )
    assert 0.02 < lost < 0.4  # the copy is too dark already, and truncation darkens it


# scikit-image once guessed a range of 2 for floating-point images.


def ssim_with_range_2(enhanced, reference):
    return structural_similarity(
        enhanced,
        reference,
        data_range=2,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def check_flat_shift(ssim):
    dark, light = np.full((16, 24, 3), 51 / 255), np.full((16, 24, 3), 102 / 255)
    assert ssim(dark, light) == pytest.approx(0.1601 / 0.2001, abs=1e-6)  # C1 = 0.0001


def test_range_of_2(enhanced, reference):
    assert holds(check_flat_shift, structural.ssim)
    assert not holds(check_flat_shift, ssim_with_range_2)
    assert ssim_with_range_2(enhanced, reference) > structural.ssim(enhanced, reference) + 0.01


# One PSNR of the mean squared error of all images, reported as the mean PSNR.


def pooled(pairs):
    return -10 * np.log10(np.mean([np.mean((a - b) ** 2) for a, b in pairs]))


def mean_of_images(pairs):
    return np.mean([pixelwise.psnr_float(a, b) for a, b in pairs])


def check_mean_over_images(average, reference):
    base = 0.5 * reference
    assert average([(base + 0.1, base), (base + 0.01, base)]) == pytest.approx(30, abs=1e-3)


def test_pooled_error(reference):
    assert holds(check_mean_over_images, mean_of_images, reference)
    assert not holds(check_mean_over_images, pooled, reference)


# Grey values compared and reported as PSNR.


def psnr_on_grey(enhanced, reference):
    return pixelwise.psnr_gray(enhanced, reference)


def check_sees_a_colour_cast(psnr, reference):
    cast = 0.8 * reference
    cast[..., 0] += 0.1
    cast[..., 1] -= 0.1 * 0.299 / 0.587
    assert psnr(np.clip(cast, 0, 1), 0.8 * reference) < 26


def test_grey_reported_as_colour(reference):
    lit = np.clip(reference, 0.1, 1)
    assert holds(check_sees_a_colour_cast, pixelwise.psnr, lit)
    assert not holds(check_sees_a_colour_cast, psnr_on_grey, lit)


# The mean of the reference handed to the output, and the result reported as PSNR.


def check_sees_a_wrong_exposure(psnr, reference):
    assert psnr(reference / 2, reference) < 15


def test_reference_mean_reported_as_psnr(reference):
    assert holds(check_sees_a_wrong_exposure, pixelwise.psnr, reference)
    assert not holds(check_sees_a_wrong_exposure, pixelwise.psnr_gtmean, reference)


# Images squashed to 256x256 before scoring: noise is averaged away.


def psnr_after_halving(enhanced, reference):
    def halve(image):
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        return image.reshape(rows, 2, columns, 2, 3).mean(axis=(1, 3))

    return pixelwise.psnr(halve(enhanced), halve(reference))


def check_noise_costs_what_it_should(psnr):
    grey = np.full((128, 180, 3), 0.5)
    noisy = grey + np.random.default_rng(0).normal(0, 0.05, grey.shape)
    assert psnr(noisy, grey) == pytest.approx(-20 * np.log10(0.05), abs=0.1)


def test_scoring_after_shrinking():
    assert holds(check_noise_costs_what_it_should, pixelwise.psnr)
    assert not holds(check_noise_costs_what_it_should, psnr_after_halving)
