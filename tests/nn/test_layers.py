"""The registered layers: closed forms, unknown sizes, saving."""

import keras
import numpy as np
import pytest

from lle_utils.core.exposure import expose
from lle_utils.nn.frozen_layers import FrozenPReLU
from lle_utils.nn.layers import BlurPool, ConvTranspose2x, Expose, ScalarPReLU, UpsampleBilinear


def test_a_constant_stays_constant_and_a_ramp_a_ramp():
    layer = UpsampleBilinear(4)
    ramp = np.tile(np.arange(6, dtype="float32")[:, None, None], (1, 5, 2))[None]
    large = keras.ops.convert_to_numpy(layer(ramp))
    assert large.shape == (1, 24, 20, 2)
    inside = large[0, 2:-2, 0, 0]  # the outermost half pixel repeats the edge
    np.testing.assert_allclose(np.diff(inside), 0.25, atol=1e-6)
    np.testing.assert_allclose(large[0, :2, 0, 0], 0, atol=1e-6)


def test_unknown_height_and_width_inside_a_nested_model_and_after_saving(tmp_path):
    inner = keras.Sequential([keras.Input((None, None, 3)), UpsampleBilinear(3)])
    outer_input = keras.Input((None, None, 3))
    model = keras.Model(outer_input, inner(outer_input))
    assert model.output_shape == (None, None, None, 3)
    low = np.random.default_rng(0).random((2, 5, 7, 3)).astype("float32")
    before = model.predict(low, verbose=0)
    model.save(tmp_path / "m.keras")
    after = keras.saving.load_model(tmp_path / "m.keras").predict(low, verbose=0)
    assert before.shape == (2, 15, 21, 3)
    np.testing.assert_array_equal(before, after)


def test_the_factor_is_checked():
    with pytest.raises(ValueError, match="factor is 0"):
        UpsampleBilinear(0)


def shift_variance(pool):
    """Measure how much pooling differs between an image and its copy shifted by a pixel."""
    image = np.random.default_rng(0).random((1, 33, 65, 2)).astype("float32")
    here, there = (keras.ops.convert_to_numpy(pool(image[:, :, i : 64 + i])) for i in (0, 1))
    return np.abs(here - there).mean()


def test_blur_pool_keeps_a_constant_and_follows_the_closed_form():
    flat = np.full((2, 5, 8, 3), 0.3, "float32")
    pooled = keras.ops.convert_to_numpy(BlurPool()(flat))
    assert pooled.shape == (2, 3, 4, 3)
    np.testing.assert_allclose(pooled, 0.3, atol=1e-6)
    dot = np.zeros((1, 6, 8, 2), "float32")
    dot[0, 2, 3, 1] = 16  # row 2 is kept (weight 2/4); column 3 adds to 2 and 4 (weight 1/4)
    spread = keras.ops.convert_to_numpy(BlurPool()(dot))
    assert spread[0, 1].tolist() == [[0, 0], [0, 2], [0, 2], [0, 0]]
    assert spread[..., 0].max() == 0


def test_blur_pool_minds_a_shift_less_than_max_pool():
    assert shift_variance(BlurPool()) < 0.8 * shift_variance(keras.layers.MaxPooling2D())


def test_scalar_prelu_has_one_parameter_and_bends_at_zero():
    layer = ScalarPReLU()
    x = np.linspace(-1, 1, 24, dtype="float32").reshape(1, 2, 3, 4)
    bent = keras.ops.convert_to_numpy(layer(x))
    assert layer.count_params() == 1
    np.testing.assert_allclose(bent, np.where(x > 0, x, 0.25 * x), atol=1e-7)


def test_scalar_prelu_learns_any_slope():
    model = keras.Sequential([keras.Input((4,)), ScalarPReLU()])
    model.compile(keras.optimizers.SGD(0.2), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model.fit(x, np.where(x > 0, x, 3 * x), epochs=40, verbose=0)
    assert float(model.layers[0].slope) == pytest.approx(3, abs=1e-3)


@pytest.mark.parametrize("slope", [-0.2, 0.1, 3.0])
def test_scalar_prelu_can_be_fixed(slope):
    layer = ScalarPReLU(slope)
    x = np.linspace(-1, 1, 24, dtype="float32").reshape(1, 2, 3, 4)
    bent = keras.ops.convert_to_numpy(layer(x))
    fixed = keras.ops.convert_to_numpy(FrozenPReLU(layer)(x))
    np.testing.assert_allclose(fixed, bent, atol=1e-6)


def test_transposed_convolution_is_that_of_keras_cropped_at_top_and_left():
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    layer = ConvTranspose2x(5)
    doubled = keras.ops.convert_to_numpy(layer(x))
    keras_layer = keras.layers.Conv2DTranspose(5, 3, strides=2, padding="valid", use_bias=False)
    keras_layer.build(x.shape)
    keras_layer.kernel.assign(layer.kernel)
    expected = keras.ops.convert_to_numpy(keras_layer(x))[:, 1:, 1:]
    np.testing.assert_allclose(doubled, expected, atol=1e-5)


def test_transposed_convolution_puts_the_middle_of_its_kernel_on_the_pixel():
    layer = ConvTranspose2x(1)
    dot = np.zeros((1, 3, 3, 1), "float32")
    dot[0, 1, 1] = 1
    layer.build(dot.shape)
    kernel = np.arange(1, 10, dtype="float32").reshape(3, 3)
    layer.kernel.assign(kernel[..., None, None])
    spread = keras.ops.convert_to_numpy(layer(dot))[0, ..., 0]
    np.testing.assert_array_equal(spread[1:4, 1:4], kernel)
    assert spread.sum() == kernel.sum()


def test_the_filters_are_checked():
    with pytest.raises(ValueError, match="filters is 0"):
        ConvTranspose2x(0)


@pytest.mark.parametrize("layer", [BlurPool(), ScalarPReLU(0.1), ConvTranspose2x(3)])
def test_saved_and_loaded_with_unknown_size(layer, tmp_path):
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    photo = np.random.default_rng(0).normal(size=(1, 6, 9, 3)).astype("float32")
    before = model.predict_on_batch(photo)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict_on_batch(photo), before)
    assert model.compute_output_shape((1, 6, 9, 3)) == before.shape
    assert loaded.output_shape == model.output_shape == (None, None, None, 3)


def test_expose_is_the_curve_of_core_for_each_photo_of_a_batch():
    photos = np.random.default_rng(0).random((2, 4, 5, 3)).astype("float32")
    photos[0, 0, 0] = [0, 1, 0.04]
    exposed = keras.ops.convert_to_numpy(Expose()([photos, np.array([[0.2], [30.0]], "float32")]))
    for photo, gain, got in zip(photos, (0.2, 30.0), exposed, strict=True):
        np.testing.assert_allclose(got, expose(photo, gain), atol=1e-5)
