"""Defects of the best-known MIRNet example; its PSNR with a peak of 255 is in test_metric_defects.

Every check is written once. It has to pass on this suite and to fail on the faulty version.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lle_utils.data.batches import PairStream
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.metrics.pixelwise import psnr, psnr_float
from lle_utils.nn.layers import BlurPool
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training.run import clipped
from lle_utils.training.supervised import ValidationPsnr


@pytest.fixture(scope="module")
def notebook():
    return definitions("04_mirnet")


@pytest.fixture(scope="module")
def copies():
    return definitions("14_copies")


def holds(check, *arguments) -> bool:
    """Say whether a check passes."""
    try:
        check(*arguments)
    except (AssertionError, ValueError):
        return False
    return True


def noise(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


# 1. PSNR with a peak of 255 on images in [0, 1]: the well-known 67 dB.


def psnr_of_the_copy(enhanced, reference):
    return 10 * np.log10(255**2 / np.mean((enhanced - reference) ** 2))


def check_a_poor_result_scores_poorly(measure):
    reference = 0.8 * noise(20, 30, 3)
    assert measure(reference + 0.112, reference) < 20


def test_the_67_db_are_19_db():
    assert holds(check_a_poor_result_scores_poorly, psnr_float)
    assert not holds(check_a_poor_result_scores_poorly, psnr_of_the_copy)
    reference = 0.8 * noise(20, 30, 3)
    assert psnr_of_the_copy(reference + 0.112, reference) == pytest.approx(67.15, abs=0.01)
    assert psnr_float(reference + 0.112, reference) == pytest.approx(19.02, abs=0.01)


# 2. The softmax of the fusion over channels: features shrink by 3 / C.


def check_equal_branches_come_back(fusion):
    x = noise(1, 6, 8, 64)
    np.testing.assert_allclose(fusion(64)([x, x, x]), x, atol=1e-5)


def test_softmax_over_channels(notebook, copies):
    assert holds(check_equal_branches_come_back, notebook.skff)
    assert not holds(check_equal_branches_come_back, copies.keras_io_fusion)
    for channels, left in ((64, 0.047), (128, 0.023), (256, 0.012)):
        ones = np.ones((1, 4, 4, channels), "float32")
        faded = ops.convert_to_numpy(copies.keras_io_fusion(channels)([ones] * 3))
        assert faded.mean() == pytest.approx(left, abs=5e-4)


# 3. A slip of names gives the fusion one stream twice and another never.


def fusion_with_a_slip(notebook):
    fuse = notebook.skff(8)
    return lambda branches: fuse([branches[0], branches[2], branches[2]])


def check_every_stream_counts(fuse):
    branches = [noise(1, 4, 6, 8) for _ in range(3)]
    before = ops.convert_to_numpy(fuse(branches))
    for i in range(3):
        changed = [branch + (i == j) for j, branch in enumerate(branches)]
        assert not np.allclose(ops.convert_to_numpy(fuse(changed)), before)


def test_no_stream_is_lost(notebook):
    assert holds(check_every_stream_counts, notebook.skff(8))
    assert not holds(check_every_stream_counts, fusion_with_a_slip(notebook))


# 4. Spatial attention of 1x1: a pixel does not know its neighbours.


def response_of_the_copy(x):
    extremes = [ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)]
    return layers.Conv2D(1, 1, activation="sigmoid")(ops.concatenate(extremes, -1))


def check_a_dot_is_noticed_next_door(respond):
    keras.utils.set_random_seed(0)
    dot = np.zeros((1, 9, 9, 4), "float32")
    dot[0, 4, 4] = [1, 2, 3, 4]
    weights = ops.convert_to_numpy(respond(dot))
    assert weights[0, 4, 5, 0] != weights[0, 0, 0, 0]


def test_spatial_attention_of_one_pixel(notebook):
    assert holds(check_a_dot_is_noticed_next_door, notebook.spatial_attention())
    assert not holds(check_a_dot_is_noticed_next_door, response_of_the_copy)


# 5. Max-pool for blur-pool: fine stripes turn white instead of grey.


def check_fine_stripes_turn_grey(pool):
    stripes = np.tile(np.array([0, 1], "float32")[None, None, :, None], (1, 8, 8, 1))
    np.testing.assert_allclose(ops.convert_to_numpy(pool(stripes))[:, 1:-1, 1:-1], 0.5, atol=1e-6)


def test_max_pool_aliases():
    assert holds(check_fine_stripes_turn_grey, BlurPool())
    assert not holds(check_fine_stripes_turn_grey, layers.MaxPooling2D())


# 5b. Nothing is shared and everything has a bias: the parameters are another network's.


def check_the_published_size(build):
    assert build().count_params() == 31_787_419


def test_the_copy_is_another_network(notebook, copies):
    assert holds(check_the_published_size, notebook.mirnet)
    assert not holds(check_the_published_size, copies.keras_io)
    assert copies.keras_io().count_params() == 44_157_007


# 6. No shuffle and no flips.


def check_epochs_differ(stream):
    first, second = (stream.batch(epoch, 0)[0] for epoch in (0, 1))
    assert not np.array_equal(first, second)
    assert len(np.unique(np.concatenate([first, second]), axis=0)) > 2


def test_pairs_are_shuffled_and_turned():
    photos = [np.arange(i, i + 768).reshape(16, 16, 3).astype(np.uint8) for i in range(4)]
    fixed = PairStream(photos, photos, 16, 2, augment=False)
    fixed.batch = lambda epoch, index: (np.stack(photos[:2]) / np.float32(255),) * 2
    assert holds(check_epochs_differ, PairStream(photos, photos, 16, 2))
    assert not holds(check_epochs_differ, fixed)


# 7. Validation on random crops: the value moves although the model does not.


def on_whole_photos(pairs):
    callback = ValidationPsnr(lambda low: np.clip(2 * low, 0, 1), pairs)
    return [callback.measure() for _ in range(2)]


def on_random_crops(pairs):
    rng, values = np.random.default_rng(0), []
    for _ in range(2):
        top = rng.integers(20)
        crops = [(low[top : top + 12], ref[top : top + 12]) for _, low, ref in pairs]
        values.append(np.mean([psnr(np.clip(2 * low, 0, 1), ref) for low, ref in crops]))
    return values


def check_validation_stands_still(measure):
    gradient = np.linspace(0, 1, 32, dtype="float32")[:, None, None]
    pairs = [("one", 0.3 * gradient * noise(32, 20, 3), gradient * noise(32, 20, 3))]
    one, two = measure(pairs)
    assert one == two


def test_validation_on_whole_photos():
    assert holds(check_validation_stands_still, on_whole_photos)
    assert not holds(check_validation_stands_still, on_random_crops)


# 8. Photos whose sides are no multiple of 4 crash.


def check_any_photo_works(enhance):
    assert enhance(noise(13, 18, 3)).shape == (13, 18, 3)


def test_odd_sizes(notebook):
    network = clipped(notebook.mirnet(8, 1, 1))
    enhancer = Enhancer(network, {"multiple": 4, "halo": None})

    def unpadded(image):
        try:
            return np.asarray(network(image[None]))[0]
        except Exception as error:  # each backend raises its own kind for shapes that differ
            raise ValueError(str(error)) from error

    assert holds(check_any_photo_works, enhancer.enhance)
    assert not holds(check_any_photo_works, unpadded)


# 9. The output is not clipped and the cast to bytes wraps around.


def check_too_bright_stays_white(model):
    output = np.asarray(model(np.full((1, 8, 8, 3), 0.9, "float32")))
    assert (output * 255).round().max() <= 255


def test_the_saved_network_clips(notebook):
    network = notebook.mirnet(8, 1, 1)
    for weight in network.weights:
        weight.assign(np.abs(np.asarray(weight)))
    assert holds(check_too_bright_stays_white, clipped(network))
    assert not holds(check_too_bright_stays_white, network)
