"""Large photos: tiles against whole, the memory estimate, the limit."""

import keras
import numpy as np
import pytest
from keras import layers

from lle_utils.core import images
from lle_utils.core.images import to_float
from lle_utils.core.resizing import reduce_to, resize
from lle_utils.data import synthetic
from lle_utils.enhancers import fixed_statistics, tiling
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.storage import list_enhancers, load_enhancer
from lle_utils.enhancers.tiling import MemoryLimitError
from lle_utils.metrics.pixelwise import psnr

# Largest and mean difference between tiles and whole, in levels of 255. Networks that see only
# their surroundings must agree; for the others the reduced photo stands in for the whole one.
LIMITS = {"zero_dce": (2, 0.01), "zero_dce_pp": (2, 0.01), "shed_light": (40, 8)}
GLOBAL = (40, 4)


@pytest.fixture(scope="module")
def photo():
    """A dark scene of 776x1144 pixels, neither square nor a multiple of a tile."""
    low = synthetic.synthetic_pairs(4, (388, 572), seed=1).low
    return np.concatenate([np.concatenate(low[:2], 1), np.concatenate(low[2:], 1)])


@pytest.mark.parametrize("name", list_enhancers())
def test_tiles_agree_with_the_whole_photo(name, photo, monkeypatch, capsys):
    enhancer = load_enhancer(name)
    monkeypatch.setattr("lle_utils.enhancers.enhancer.WORKING_SIDE", 280)
    whole = enhancer.enhance(photo[:400, :560], memory=10**12)
    monkeypatch.setattr("lle_utils.enhancers.enhancer.tile_side", lambda *_: 256)
    tiled = enhancer.enhance(photo[:400, :560], memory=10**9)
    difference = np.abs(tiled.astype(int) - whole)
    with capsys.disabled():
        print(f"\n{name}: tiles differ by {difference.max()}, on average {difference.mean():.3f}")
    largest, mean = LIMITS.get(name, GLOBAL)
    assert difference.max() <= largest
    assert difference.mean() <= mean


@pytest.mark.parametrize("name", list_enhancers())
def test_a_photo_looks_alike_at_every_size(name, photo, monkeypatch, capsys):
    """Enlarged and enhanced it is, reduced again, what it is at its own size."""
    enhancer = load_enhancer(name)
    small = images.to_uint8(resize(to_float(photo[:192, :240]), (96, 120)))
    monkeypatch.setattr("lle_utils.enhancers.enhancer.WORKING_SIDE", 120)
    large = small.repeat(4, 0).repeat(4, 1)
    same = psnr(
        resize(to_float(enhancer.enhance(large)), small.shape[:2]),
        to_float(enhancer.enhance(small)),
    )
    with capsys.disabled():
        print(f"\n{name}: {same:.1f} dB between sizes")
    assert same > 35


@pytest.mark.parametrize("blend", [0, 7, 32])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiles_of_a_pointwise_method_are_its_result(photo, blend, dtype):
    image = images.convert_like(to_float(photo[:130, :301]), np.dtype(dtype))
    result = tiling.enhance_tiles(np.sqrt, image, 64, overlap=5, blend=blend, size_divisor=4)
    expected = images.convert_like(np.sqrt(images.as_float(image)), image.dtype)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.astype(float), expected.astype(float), atol=1e-6, rtol=3e-5)


def test_neighbouring_tiles_fade_into_each_other():
    brightness = iter([0.2, 0.6])
    image = np.zeros((8, 96, 3), np.float32)
    result = tiling.enhance_tiles(
        lambda tile: np.full_like(tile, next(brightness)), image, 64, blend=16
    )
    steps = np.diff(result[0, :, 0])
    assert steps.min() >= -1e-6
    assert steps.max() == pytest.approx(0.4 / 16, rel=1e-4)


def test_statistics_of_the_whole_photo_make_tiles_exact(photo):
    keras.utils.set_random_seed(3)
    low = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(low)
    x = layers.GroupNormalization(-1, epsilon=1e-5)(x)
    gain = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(8, 1)(x) ** 2)
    x = layers.GroupNormalization(-1)(layers.Conv2D(8, 3, padding="same")(x * gain + x))
    model = keras.Model(low, layers.Conv2D(3, 1, activation="sigmoid")(x))
    image = to_float(photo[:96, :160])
    whole = np.asarray(model(image[None]))[0]
    fixed = fixed_statistics.with_fixed_statistics(model, image)
    np.testing.assert_allclose(np.asarray(fixed(image[None]))[0], whole, atol=2e-5)
    part = np.asarray(fixed(image[None, :48, :80]))[0, :40, :72]
    np.testing.assert_allclose(part, whole[:40, :72], atol=2e-5)
    alone = np.asarray(model(image[None, :48, :80]))[0, :40, :72]
    assert np.abs(alone - whole[:40, :72]).max() > 0.01


def test_a_layer_called_twice_has_statistics_of_either_call(photo):
    keras.utils.set_random_seed(3)
    low = keras.Input((None, None, 3))
    normalise = layers.GroupNormalization(-1)
    x = layers.Conv2D(3, 1, name="first")(normalise(low))
    model = keras.Model(low, normalise(x * x))
    image = to_float(photo[:96, :160])
    whole = np.asarray(model(image[None]))[0]
    fixed = fixed_statistics.with_fixed_statistics(model, image)
    part = np.asarray(fixed(image[None, 8:48, :80]))[0]
    np.testing.assert_allclose(part, whole[8:48, :80], atol=2e-5)


def test_names_of_a_loaded_network_do_not_get_in_the_way(photo):
    keras.utils.clear_session()  # Keras counts the names that it gives to operations from 0 again
    low = keras.Input((None, None, 3))
    x = low * keras.ops.mean(low, axis=-1, keepdims=True)
    model = keras.Model(low, x + layers.GlobalAveragePooling2D(keepdims=True)(x))
    keras.utils.clear_session()
    image = to_float(photo[:96, :160])
    fixed = fixed_statistics.with_fixed_statistics(model, image)
    whole = np.asarray(model(image[None]))[0]
    part = np.asarray(fixed(image[None, :48, :80]))[0]
    np.testing.assert_allclose(part, whole[:48, :80], atol=2e-5)


def test_a_network_without_statistics_is_left_as_it_is():
    model = load_enhancer("zero_dce").model
    assert fixed_statistics.with_fixed_statistics(model, np.zeros((8, 8, 3), np.float32)) is model


def test_a_limit_too_low_is_refused_with_what_is_needed(photo):
    enhancer = load_enhancer("zero_dce")
    with pytest.raises(MemoryLimitError, match=r"1144x776 .* at least .* GB .*--memory"):
        enhancer.enhance(photo, memory=500_000_000)


def test_a_lower_limit_makes_smaller_tiles(photo):
    sides = [tiling.tile_side(photo, 800, 8, 1, limit) for limit in (10**10, 1.7e9, 1.3e9)]
    assert sides[0] is None
    assert sides[1] > sides[2] >= tiling.SMALLEST_TILE


@pytest.mark.parametrize(
    ("text", "expected"), [("2GB", 2e9), ("1.5 g", 1.5e9), ("800MB", 8e8), ("64000", 64000)]
)
def test_amounts_of_memory(text, expected):
    assert tiling.parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-2GB", "2 TB", "2GB RAM"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(MemoryLimitError, match="expected one such as 2GB"):
        tiling.parse_memory(text)


def test_reducing_averages_blocks():
    image = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    reduced = reduce_to(image, 9)
    assert reduced.shape == (2, 3, 3)
    np.testing.assert_allclose(reduced[0, 0], image[:2, :2].mean((0, 1)))
    assert reduce_to(image, 35) is image
    assert reduce_to(np.full((4, 4, 3), 9, np.uint8), 4).dtype == np.uint8


def test_an_enhancer_says_what_its_tiles_need():
    network = Enhancer(None, {"multiple": 12, "halo": 132})
    assert (network.size_divisor, network.overlap, network.is_global) == (12, 132, False)
    network = Enhancer(None, {"multiple": 4, "halo": None})
    assert (network.size_divisor, network.overlap) == (4, tiling.DEFAULT_OVERLAP)
    assert network.is_global
