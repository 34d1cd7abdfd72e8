"""Enhancers whose brightness can be chosen: level, reference, one encoding for many levels."""

import keras
import numpy as np
import pytest
from keras import layers

from lle_utils.images import save_image
from lle_utils.inference import Enhancer, EnhancerError, load_enhancer, multiply_adds, save_enhancer
from lle_utils.layers import CropLike, FadeIn, TowardsMean

CARD = {"name": "tiny", "method": "test", "inputs": ["low", "level"], "multiple": 2, "halo": None}
CARD |= {"training": {}, "licence": "none"}
MEAN = np.array([0.5, 0.2, 0.3], "float32")


def tiny_model():
    """Build a model that puts out ``low - mean(low) + vector``, the vector starting as the mean."""
    low = keras.Input((None, None, 3), name="low")
    encoder = keras.Model(
        low, [layers.Identity()(low), layers.GlobalAveragePooling2D()(low)], name="encoder"
    )
    features, vector = keras.Input((None, None, 3)), keras.Input((3,))
    same = layers.Conv2D(3, 1, name="same")(features)
    own = layers.GlobalAveragePooling2D(keepdims=True)(features)
    result = same - own + layers.Reshape((1, 1, 3))(vector)
    decoder = keras.Model([features, vector], result, name="decoder")
    level = keras.Input((1,), name="level")
    features, vector = encoder(low)
    towards = TowardsMean(name="towards_mean")
    result = decoder([features, towards([vector, level])])
    result = FadeIn(name="fade_in")([low, result, level])
    model = keras.Model([low, level], result, name="tiny")
    decoder.get_layer("same").set_weights([np.eye(3)[None, None], np.zeros(3)])
    towards.mean.assign(MEAN)
    return model


@pytest.fixture(scope="module")
def enhancer(tmp_path_factory):
    return load_enhancer(save_enhancer(tiny_model(), tmp_path_factory.mktemp("e") / "tiny", CARD))


@pytest.fixture
def photo():
    return np.random.default_rng(0).uniform(0.05, 0.15, (8, 6, 3)).astype("float32")


def test_level_0_keeps_the_photo_1_reaches_the_mean_and_2_goes_past_it(enhancer, photo):
    np.testing.assert_allclose(enhancer.enhance(photo, 0), photo, atol=1e-6)
    own = photo.mean(axis=(0, 1))
    for level in (0.25, 1, 1.5):
        expected = own + level * (MEAN - own)
        np.testing.assert_allclose(
            enhancer.enhance(photo, level).mean(axis=(0, 1)), expected, atol=1e-6
        )


def test_low_levels_fade_into_the_photo():
    photo, result = np.zeros((3, 2, 4, 3), "float32"), np.ones((3, 2, 4, 3), "float32")
    level = np.array([[0], [0.125], [0.3]], "float32")
    faded = keras.ops.convert_to_numpy(FadeIn()([photo, result, level]))
    np.testing.assert_allclose(faded.mean(axis=(1, 2, 3)), [0, 0.5, 1])


def test_the_usual_level_is_1(enhancer, photo):
    np.testing.assert_array_equal(enhancer.enhance(photo), enhancer.enhance(photo, level=1.0))


def test_the_parts_do_what_the_whole_model_does(enhancer, photo):
    for level in (0, 0.1, 0.7, 1.2):
        whole = enhancer.model.predict_on_batch([photo[None], np.full((1, 1), level, "float32")])
        np.testing.assert_allclose(enhancer.enhance(photo, level), whole[0], atol=1e-6)


def test_one_encoding_serves_all_levels(enhancer, photo):
    at = enhancer.prepare(photo)
    for level in (1.0, 0.0, 0.3):
        np.testing.assert_array_equal(at(level), enhancer.enhance(photo, level))


def test_a_reference_of_another_size_takes_the_place_of_the_mean(enhancer, photo, tmp_path):
    reference = np.full((5, 9, 3), 153, "uint8")
    path = save_image(tmp_path / "reference.png", reference / 255)
    for given in (reference, path):
        np.testing.assert_allclose(
            enhancer.enhance(photo, reference=given).mean(axis=(0, 1)), 0.6, atol=1e-6
        )
    halfway = enhancer.enhance(photo, 0.5, reference=reference).mean(axis=(0, 1))
    np.testing.assert_allclose(halfway, (photo.mean(axis=(0, 1)) + 0.6) / 2, atol=1e-6)


def test_8_bits_stay_8_bits_and_odd_sizes_their_size(enhancer):
    photo = np.random.default_rng(1).integers(10, 40, (7, 5, 3), np.uint8)
    result = enhancer.enhance(photo, 0)
    assert (result.dtype, result.shape) == (np.uint8, photo.shape)
    assert np.abs(result.astype(int) - photo).max() <= 2  # padding moves the mean a little


@pytest.mark.parametrize("level", [-0.1, np.nan, np.inf, "bright", [1, 2]])
def test_a_bad_level_is_refused(enhancer, photo, level):
    with pytest.raises(EnhancerError, match=r"level is .*expected a number from 0"):
        enhancer.enhance(photo, level)


@pytest.mark.parametrize("given", [{"level": 1.0}, {"reference": np.zeros((4, 4, 3), "uint8")}])
def test_an_enhancer_without_level_refuses_one(photo, given):
    low = keras.Input((None, None, 3), name="low")
    plain = Enhancer(keras.Model(low, low * 1), {**CARD, "name": "plain", "inputs": ["low"]})
    assert not plain.has_level
    np.testing.assert_array_equal(plain.enhance(photo), photo)
    with pytest.raises(EnhancerError, match=r"plain has one brightness only.*Its inputs are: low"):
        plain.enhance(photo, **given)
    with pytest.raises(EnhancerError, match="one brightness"):
        plain.prepare(photo)


def test_models_inside_a_model_are_counted_once_per_call():
    low = keras.Input((None, None, 3))
    inner = keras.Model(low, layers.Conv2D(3, 3, padding="same")(low))
    outer = keras.Input((None, None, 3))
    assert multiply_adds(keras.Model(outer, inner(outer)), size=8) == 64 * 81
    assert multiply_adds(keras.Model(outer, inner(inner(outer))), size=8) == 2 * 64 * 81
    assert multiply_adds(tiny_model(), 2, size=8) == 64 * 9


def test_crop_like_cuts_at_the_bottom_and_right():
    image = np.arange(4 * 6, dtype="float32").reshape(1, 4, 6, 1)
    cut = keras.ops.convert_to_numpy(CropLike()([image, np.zeros((1, 3, 5, 2), "float32")]))
    np.testing.assert_array_equal(cut, image[:, :3, :5])
    large, small = keras.Input((None, None, 7)), keras.Input((None, 5, 2))
    assert CropLike()([large, small]).shape == (None, None, 5, 7)


def test_towards_mean_moves_each_vector_by_its_own_level():
    layer = TowardsMean()
    vectors = np.array([[1, 2], [3, 4]], "float32")
    layer.build([(None, 2), (None, 1)])
    layer.mean.assign([0, 10])
    moved = keras.ops.convert_to_numpy(layer([vectors, np.array([[0], [1.5]], "float32")]))
    np.testing.assert_allclose(moved, [[1, 2], [-1.5, 13]])
    assert not layer.trainable_variables
