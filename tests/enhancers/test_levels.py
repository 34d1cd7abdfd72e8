"""Enhancers whose brightness can be chosen: level, reference, one encoding for many levels."""

import keras
import numpy as np
import pytest
from keras import layers

from lle_utils.core.exposure import expose, exposure_gain
from lle_utils.core.images import save_image
from lle_utils.enhancers.brightness import default_level
from lle_utils.enhancers.enhancer import Enhancer, EnhancerError
from lle_utils.enhancers.storage import load_enhancer, save_enhancer
from lle_utils.enhancers.tiling import enhance_tiles
from lle_utils.nn.complexity import multiply_adds
from lle_utils.nn.layers import CropLike, Expose, FadeIn, TowardsMean

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
    np.testing.assert_allclose(enhancer.enhance(photo, strength=0), photo, atol=1e-6)
    own = photo.mean(axis=(0, 1))
    for level in (0.25, 1, 1.5):
        expected = own + level * (MEAN - own)
        np.testing.assert_allclose(
            enhancer.enhance(photo, strength=level).mean(axis=(0, 1)), expected, atol=1e-6
        )


def test_low_levels_fade_into_the_photo():
    photo, result = np.zeros((3, 2, 4, 3), "float32"), np.ones((3, 2, 4, 3), "float32")
    level = np.array([[0], [0.125], [0.3]], "float32")
    faded = keras.ops.convert_to_numpy(FadeIn()([photo, result, level]))
    np.testing.assert_allclose(faded.mean(axis=(1, 2, 3)), [0, 0.5, 1])


def test_the_usual_level_is_1(enhancer, photo):
    np.testing.assert_array_equal(enhancer.enhance(photo), enhancer.enhance(photo, strength=1.0))


def test_the_parts_do_what_the_whole_model_does(enhancer, photo):
    for level in (0, 0.1, 0.7, 1.2):
        whole = enhancer.model.predict_on_batch([photo[None], np.full((1, 1), level, "float32")])
        np.testing.assert_allclose(enhancer.enhance(photo, strength=level), whole[0], atol=1e-6)


def test_one_encoding_serves_all_levels(enhancer, photo):
    at = enhancer.prepare(photo)
    for level in (1.0, 0.0, 0.3):
        np.testing.assert_array_equal(at(level), enhancer.enhance(photo, strength=level))


def test_a_reference_of_another_size_takes_the_place_of_the_mean(enhancer, photo, tmp_path):
    reference = np.full((5, 9, 3), 153, "uint8")
    path = save_image(tmp_path / "reference.png", reference / 255)
    for given in (reference, path):
        np.testing.assert_allclose(
            enhancer.enhance(photo, reference=given).mean(axis=(0, 1)), 0.6, atol=1e-6
        )
    halfway = enhancer.enhance(photo, strength=0.5, reference=reference).mean(axis=(0, 1))
    np.testing.assert_allclose(halfway, (photo.mean(axis=(0, 1)) + 0.6) / 2, atol=1e-6)


def test_8_bits_stay_8_bits_and_odd_sizes_their_size(enhancer):
    photo = np.random.default_rng(1).integers(10, 40, (7, 5, 3), np.uint8)
    result = enhancer.enhance(photo, strength=0)
    assert (result.dtype, result.shape) == (np.uint8, photo.shape)
    assert np.abs(result.astype(int) - photo).max() <= 2  # padding moves the mean a little


@pytest.mark.parametrize("level", [-0.1, np.nan, np.inf, "bright", [1, 2]])
def test_a_bad_strength_is_refused(enhancer, photo, level):
    with pytest.raises(EnhancerError, match=r"strength is .*expected a number from 0"):
        enhancer.enhance(photo, strength=level)
    with pytest.raises(EnhancerError, match="strength is"):
        enhancer.prepare(photo)(level)


@pytest.mark.parametrize("level", [-0.1, 0, 1, 1.5, np.nan, "bright", [1, 2]])
def test_a_bad_level_is_refused(enhancer, photo, level):
    with pytest.raises(EnhancerError, match=r"level is .*expected a mean brightness"):
        enhancer.enhance(photo, level)


def plain(factor=1.0):
    low = keras.Input((None, None, 3), name="low")
    return Enhancer(keras.Model(low, low * factor), {**CARD, "name": "plain", "inputs": ["low"]})


def test_an_enhancer_without_strength_refuses_one(photo):
    assert not plain().has_strength
    np.testing.assert_array_equal(plain().enhance(photo), photo)
    with pytest.raises(EnhancerError, match=r"plain has one strength only.*Its inputs are: low"):
        plain().enhance(photo, strength=1.0)
    with pytest.raises(EnhancerError, match="one strength"):
        plain().prepare(photo)


def test_every_enhancer_reaches_a_level_and_the_mean_of_a_reference(enhancer, photo):
    reference = np.full((5, 9, 3), 153, "uint8")
    for network in (plain(2.0), enhancer, gained()):
        for level in (0.05, 0.3, 0.7):
            assert network.enhance(photo, level).mean() == pytest.approx(level, rel=0.005)
    for network in (plain(2.0), gained()):
        result = network.enhance(photo, reference=reference)
        assert result.mean() == pytest.approx(0.6, rel=0.005)


def gained():
    """Build a network that is given a gain, and makes its photo half as dark again, and blue."""
    low, gain = keras.Input((None, None, 3), name="low"), keras.Input((1,), name="gain")
    lit = Expose()([low, gain]) * 0.7
    return Enhancer(keras.Model([low, gain], lit), {**CARD, "inputs": ["low", "gain"], "halo": 0})


def test_a_network_with_a_gain_gets_the_level_that_suits_the_photo(photo):
    assert gained().enhance(photo).mean() == pytest.approx(default_level(photo), rel=0.005)
    bright = photo + 0.5
    assert gained().enhance(bright).mean() == pytest.approx(bright.mean(), rel=0.005)


def test_a_photo_without_colour_stays_so(photo):
    low = keras.Input((None, None, 3), name="low")
    tinting = Enhancer(keras.Model(low, low * np.array([1, 0.8, 1.2])), plain().card)
    gray = np.repeat(photo[..., :1], 3, axis=-1)
    result = tinting.enhance(gray)
    assert np.ptp(result, axis=-1).max() == 0
    assert result.mean() == pytest.approx(gray.mean() * (0.299 + 0.8 * 0.587 + 1.2 * 0.114))
    gray[0, 0, 0] += 0.1  # a single coloured pixel makes it a colour photo
    assert np.ptp(tinting.enhance(gray), axis=-1).min() > 0


def test_lights_keep_a_night_scene_dark_and_a_lit_photo_its_brightness():
    night = np.full((40, 50, 3), 0.02)
    assert default_level(night) == 0.45
    night[:12] = 0.5  # more than a fifth
    level = default_level(night)
    assert night.mean() < level < 0.45
    lit = expose(night, exposure_gain(night, level))
    assert lit.max() == pytest.approx(0.8, abs=0.02)
    night[:12] = 0.9
    assert default_level(night) == pytest.approx(night.mean(), rel=0.01)
    assert default_level(np.zeros((4, 4, 3), "uint8")) == 0.45
    assert default_level(np.full((4, 4, 3), 65535, "uint16")) == 0.99


def test_brightness_rises_strictly_with_the_level(photo):
    means = [gained().enhance(photo, level).mean() for level in np.linspace(0.1, 0.9, 17)]
    assert (np.diff(means) > 0).all()


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


def test_a_padding_keeps_the_border_of_the_network_out_of_the_photo(photo):
    low = keras.Input((None, None, 3), name="low")
    box = np.full((3, 3, 3, 1), 1 / 9)
    blurred = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="box")(low)
    network = keras.Model(low, blurred)
    network.get_layer("box").set_weights([box])
    bare = Enhancer(network, {**CARD, "inputs": ["low"], "halo": 1})
    wide = Enhancer(network, {**bare.card, "padding": 4})
    plain_photo = np.full((20, 30, 3), 0.6, "float32")
    assert bare.enhance(plain_photo)[0, 0].max() == pytest.approx(0.6 * 4 / 9, abs=1e-6)
    np.testing.assert_allclose(wide.enhance(plain_photo), 0.6, atol=1e-6)
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(wide.enhance(photo)[inside], bare.enhance(photo)[inside], atol=1e-6)


def test_tiles_with_a_padding_agree_with_the_whole(photo):
    low = keras.Input((None, None, 3), name="low")
    keras.utils.set_random_seed(0)
    seen = keras.layers.Conv2D(4, 4, strides=2, padding="same", activation="relu")(low)
    out = keras.layers.Conv2DTranspose(3, 2, strides=2, activation="sigmoid")(seen)
    card = {**CARD, "inputs": ["low"], "multiple": 2, "halo": 4, "padding": 6}
    enhancer = Enhancer(keras.Model(low, out), card)
    whole = enhancer.enhance(photo)
    tiles = enhance_tiles(enhancer.enhance, photo, 16, overlap=4, size_divisor=2)
    np.testing.assert_allclose(tiles, whole, atol=1e-6)
