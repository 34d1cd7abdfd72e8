"""Closed forms of the losses, and the defects of the widely copied zero-reference ones."""

import numpy as np
import pytest

from lle_utils.nn import zero_reference_losses
from lle_utils.nn.reconstruction_losses import ms_ssim_loss, ssim_loss
from lle_utils.nn.zero_reference_losses import (
    VARIANTS,
    color_constancy_loss,
    exposure_control_loss,
    illumination_smoothness_loss,
    spatial_consistency_loss,
)

RNG = np.random.default_rng(0)
PHOTO = RNG.random((2, 48, 64, 3)).astype("float32") * 0.4
SHIFTED = PHOTO + np.float32(0.4)
SOUND = ("paper", "official")


def ramp(side, channels=24, step=1 / 512):
    column = np.arange(side, dtype="float32")[:, None, None] * np.float32(step)
    return np.tile(column, (1, side, channels))[None]


def test_even_brightening_costs_nothing_without_padding():
    assert float(spatial_consistency_loss(SHIFTED, PHOTO)) == pytest.approx(0, abs=1e-10)


def test_official_padding_costs_a_little_at_the_border():
    dim = np.full((1, 256, 256, 3), 0.2, "float32")
    cost = float(spatial_consistency_loss(dim + 0.4, dim, "official"))
    assert cost == pytest.approx(0.010, abs=5e-4)


def test_the_copied_kernels_punish_brightening_itself():
    dim = np.full((1, 256, 256, 3), 0.2, "float32")
    cost = float(spatial_consistency_loss(dim + 0.4, dim, "keras_io"))
    assert cost == pytest.approx(0.215, abs=1e-3)


def _kernels_of_the_copy(images):
    """Convolve with the constants of the copied example, in their layout (1, 3, 1, 3)."""
    from keras import ops

    constants = (
        [[[[0, 0, 0]], [[-1, 1, 0]], [[0, 0, 0]]]],
        [[[[0, 0, 0]], [[0, 1, -1]], [[0, 0, 0]]]],
        [[[[0, -1, 0]], [[0, 1, 0]], [[0, 0, 0]]]],
        [[[[0, 0, 0]], [[0, 1, 0]], [[0, -1, 0]]]],
    )
    pooled = zero_reference_losses._region_means(images)
    return [ops.conv(pooled, np.array(k, "float32"), padding="same") for k in constants]


def test_the_copied_variant_is_the_copied_formula():
    from keras import ops

    enhanced = PHOTO**0.5
    pairs = zip(_kernels_of_the_copy(PHOTO), _kernels_of_the_copy(enhanced), strict=True)
    expected = float(ops.mean(sum(ops.square(a - b) for a, b in pairs)))
    got = float(spatial_consistency_loss(enhanced, PHOTO, "keras_io"))
    assert got == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("variant", SOUND)
def test_spatial_loss_of_a_transposed_photo_is_the_same(variant):
    enhanced = PHOTO**0.5
    turned = [a.transpose(0, 2, 1, 3) for a in (enhanced, PHOTO)]
    expected = float(spatial_consistency_loss(enhanced, PHOTO, variant))
    assert float(spatial_consistency_loss(*turned, variant)) == pytest.approx(expected, rel=1e-5)


def test_the_copied_kernels_see_no_vertical_contrast():
    flat = np.zeros((1, 64, 64, 3), "float32")
    rows = flat.copy()
    rows[:, np.arange(64) % 8 < 4] = 0.2
    horizontal, vertical = (
        float(spatial_consistency_loss(s, flat, "keras_io"))
        for s in (rows, rows.transpose(0, 2, 1, 3))
    )
    assert horizontal < 0.6 * vertical


def test_spatial_loss_takes_absolute_contrasts_only_in_the_paper():
    reversed_contrast = 0.4 - PHOTO
    assert float(spatial_consistency_loss(reversed_contrast, PHOTO)) == pytest.approx(0, abs=1e-9)
    assert float(spatial_consistency_loss(reversed_contrast, PHOTO, "official")) > 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_exposure_is_zero_at_the_target(variant):
    level = np.full((1, 32, 48, 3), 0.6, "float32")
    assert float(exposure_control_loss(level, 0.6, variant)) == pytest.approx(0, abs=1e-6)


def test_exposure_is_absolute_in_the_paper_and_squared_in_the_code():
    half = np.concatenate([np.full((1, 16, 32, 3), v, "float32") for v in (0.5, 0.2)], axis=1)
    assert float(exposure_control_loss(half, 0.6)) == pytest.approx(0.25, rel=1e-5)
    assert float(exposure_control_loss(half, 0.6, "official")) == pytest.approx(0.085, rel=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_color_is_zero_for_grey_and_its_gradient_finite(variant):
    tf = pytest.importorskip("tensorflow")
    grey = tf.Variable(np.repeat(PHOTO[..., :1], 3, axis=-1))
    with tf.GradientTape() as tape:
        loss = color_constancy_loss(grey, variant)
    assert float(loss) == 0
    assert np.isfinite(tape.gradient(loss, grey).numpy()).all()


def test_color_closed_forms():
    cast = np.zeros((1, 8, 8, 3), "float32") + np.array([0.5, 0.3, 0.2], "float32")
    squares = 0.2**2 + 0.3**2 + 0.1**2
    fourth = np.sqrt(0.2**4 + 0.3**4 + 0.1**4)
    assert float(color_constancy_loss(cast)) == pytest.approx(squares, rel=1e-5)
    assert float(color_constancy_loss(cast, "official")) == pytest.approx(fourth, rel=1e-5)


def test_smoothness_of_a_ramp_has_its_closed_form():
    step = 1 / 512
    assert float(illumination_smoothness_loss(ramp(64))) == pytest.approx(3 * step**2, rel=1e-4)
    official = float(illumination_smoothness_loss(ramp(64), "official"))
    assert official == pytest.approx(2 * 24 * step**2, rel=1e-4)


@pytest.mark.parametrize("variant", SOUND)
def test_smoothness_does_not_depend_on_size_or_batch(variant):
    small, tall = ramp(32), ramp(256)
    expected = float(illumination_smoothness_loss(small, variant))
    assert float(illumination_smoothness_loss(tall, variant)) == pytest.approx(expected, rel=1e-4)
    batch = np.concatenate([small] * 3)
    assert float(illumination_smoothness_loss(batch, variant)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("side", "factor"), [(256, 10.9), (512, 21.8)])
def test_the_copied_smoothness_divides_by_the_wrong_axes(side, factor):
    maps = RNG.random((1, side, side, 24)).astype("float32")
    copied, official = (
        float(illumination_smoothness_loss(maps, v)) for v in ("keras_io", "official")
    )
    assert copied / official == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("loss", [exposure_control_loss, color_constancy_loss])
def test_bad_arguments_are_named(loss):
    with pytest.raises(ValueError, match="expected a batch"):
        loss(np.zeros((16, 16, 3), "float32"))
    with pytest.raises(ValueError, match="variant is 'papr'"):
        loss(np.zeros((1, 16, 16, 3), "float32"), variant="papr")


def test_too_small_photos_and_impossible_targets_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        spatial_consistency_loss(np.zeros((1, 4, 9, 3)), np.zeros((1, 4, 9, 3)))
    with pytest.raises(ValueError, match="target is 60"):
        exposure_control_loss(np.zeros((1, 16, 16, 3), "float32"), 60)


def test_ms_ssim_of_one_scale_is_ssim():
    assert float(ms_ssim_loss(PHOTO, SHIFTED, 1)) == pytest.approx(float(ssim_loss(PHOTO, SHIFTED)))


def test_ms_ssim_of_flat_images_is_the_luminance_term_of_the_last_scale():
    dark, bright = (np.full((1, 176, 180, 3), v, "float32") for v in (0.2, 0.6))
    luminance = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    five, three = (float(ms_ssim_loss(dark, bright, scales)) for scales in (5, 3))
    assert five == pytest.approx(1 - luminance**0.1333, abs=2e-4)
    assert three == pytest.approx(1 - luminance ** (0.3001 / 0.6305), abs=2e-4)


def test_ms_ssim_minds_noise_less_than_ssim_since_coarse_scales_average_it():
    photo = np.repeat(np.repeat(RNG.random((1, 6, 6, 3)), 8, 1), 8, 2).astype("float32")
    noisy = photo + 0.1 * RNG.normal(size=photo.shape).astype("float32")
    assert 0 < float(ms_ssim_loss(photo, noisy, 3)) < 0.8 * float(ssim_loss(photo, noisy))


def test_ms_ssim_checks_scales_and_size():
    with pytest.raises(ValueError, match="scales is 6"):
        ms_ssim_loss(PHOTO, PHOTO, 6)
    with pytest.raises(ValueError, match="48x64 pixels; this loss needs at least 88"):
        ms_ssim_loss(PHOTO, PHOTO, 4)
