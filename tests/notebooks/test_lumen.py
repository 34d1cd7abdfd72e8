"""Acceptance tests of lumen on the very code that notebook 12 teaches."""

import keras
import numpy as np
import pytest

from lle_utils.core.exposure import expose, exposure_gain
from lle_utils.core.images import to_float
from lle_utils.data import synthetic
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training.run import clipped

WIDTHS = [8, 12, 16]


@pytest.fixture
def notebook():
    return definitions("12_lumen")


@pytest.fixture
def network(notebook):
    """Return a small network with random weights in the last convolution too."""
    keras.utils.set_random_seed(0)
    network = notebook.lumen(WIDTHS, [1, 1, 1], [1, 1])
    last = next(layer for layer in network.layers if getattr(layer, "filters", 0) == 3)
    rng = np.random.default_rng(0)
    last.set_weights([0.02 * rng.normal(size=w.shape) for w in last.get_weights()])
    return network


@pytest.fixture(scope="module")
def pair():
    made = synthetic.synthetic_pairs(1, (96, 128), 1)
    return made.low[0], made.normal[0]


def test_untrained_it_exposes(notebook, pair):
    low = to_float(pair[0])
    network = notebook.lumen(*notebook.SIZES["lumen_tiny"])
    gain = exposure_gain(low, 0.4)
    output = np.asarray(network([low[None], np.array([[gain]], "float32")]))[0]
    np.testing.assert_allclose(output, expose(low, gain), atol=1e-5)


def test_no_value_is_driven_to_white_that_the_exposed_photo_has_below(notebook, network, pair):
    low = to_float(pair[0])
    strong = keras.Model(network.input, network.output)
    last = next(layer for layer in network.layers if getattr(layer, "filters", 0) == 3)
    last.set_weights([50 * w for w in last.get_weights()])
    gain = exposure_gain(low, 0.6)
    lit = expose(low, gain)
    output = np.asarray(strong([low[None], np.array([[gain]], "float32")]))[0]
    assert (output <= 1 - 0.5 * (1 - lit) + 1e-6).all()
    assert (output > lit + 0.1).any()


def test_sizes_stay_below_what_was_asked_for(notebook):
    counts = {name: notebook.lumen(*size).count_params() for name, size in notebook.SIZES.items()}
    assert counts["lumen"] <= 2_000_000
    assert counts["lumen_tiny"] <= 45_000


def test_a_pixel_sees_no_further_than_the_card_says(notebook, network):
    """Tiles agree with the whole photo only if `halo` is no less than what a pixel sees."""
    side = 2 * notebook.about(WIDTHS)["halo"] + 64
    photo = np.random.default_rng(0).random((1, side, side, 3)).astype("float32")
    touched = photo.copy()
    touched[:, side // 2, side // 2] = 1 - touched[:, side // 2, side // 2]
    gain = np.ones((1, 1), "float32")
    before, after = (np.asarray(network.predict_on_batch([x, gain])) for x in (photo, touched))
    rows, columns = np.nonzero(np.abs(after - before).max((0, 3)) > 0)
    reach = max(np.abs(rows - side // 2).max(), np.abs(columns - side // 2).max())
    assert 8 < reach <= notebook.about(WIDTHS)["halo"]


def test_the_result_has_the_mean_of_the_level_and_of_a_reference(notebook, network, pair):
    enhancer = Enhancer(clipped(network), notebook.about(WIDTHS))
    levels = np.linspace(0.05, 0.8, 6)
    means = [enhancer.enhance(pair[0], level).mean() / 255 for level in levels]
    np.testing.assert_allclose(means, levels, rtol=0.03)
    reached = enhancer.enhance(pair[0], reference=pair[1]).mean() / 255
    assert reached == pytest.approx(pair[1].mean() / 255, rel=0.03)


def test_a_few_steps_lower_the_loss(notebook, pair):
    from functools import partial

    keras.utils.set_random_seed(0)
    network = notebook.lumen([8, 12], [1, 1], [1])
    network.compile("adam", partial(notebook.restoration_loss, ssim_weight=0.25), jit_compile=False)
    low, normal = (to_float(photo)[None, :64, :64] for photo in pair)
    inputs = [low, np.array([[exposure_gain(low[0], float(normal.mean()))]], "float32")]
    losses = [float(network.train_on_batch(inputs, normal)) for _ in range(25)]
    assert losses[-1] < 0.9 * losses[0]


def test_left_out_prediction_knows_nothing_of_the_scene(notebook):
    """A value that only its own scene could tell is predicted no better than by the mean."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(10).astype(str), 4)
    wanted = np.repeat(rng.normal(size=10), 4)
    inputs = np.c_[np.repeat(rng.normal(size=(10, 5)), 4, 0), np.ones(40)]
    error = notebook.predict_left_out(inputs, wanted, scenes, 1e-4) - wanted
    assert np.std(error) > np.std(wanted)
    linear = inputs[:, :5] @ np.arange(5.0)
    error = notebook.predict_left_out(inputs, linear, scenes, 1e-9) - linear
    assert np.abs(error).max() < 1e-3
