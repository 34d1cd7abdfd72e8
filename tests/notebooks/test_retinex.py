"""The losses, the linear system and the networks of notebook 13, against closed forms."""

import keras
import numpy as np
import pytest
from scipy.optimize import minimize

from lle_utils.core.exposure import expose, exposure_gain
from lle_utils.core.images import to_float
from lle_utils.data import synthetic
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training.run import clipped

WIDTHS = [8, 12]


@pytest.fixture(scope="module")
def notebook():
    return definitions("13_retinex")


@pytest.fixture
def network(notebook):
    """Return a small network; the last convolution of its second half is random as well."""
    keras.utils.set_random_seed(0)
    restore = notebook.restorer(WIDTHS)
    last = next(layer for layer in restore.layers[::-1] if getattr(layer, "filters", 0) == 3)
    rng = np.random.default_rng(0)
    last.set_weights([0.02 * rng.normal(size=w.shape) for w in last.get_weights()])
    return notebook.retinex(notebook.splitter(8, 2), restore)


def batch(height=5, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).random((2, height, width, channels)).astype("float32")


# LIME


def test_the_linear_system_minimises_the_sum_that_the_notebook_writes(notebook):
    guess = np.random.default_rng(0).random((4, 5))
    costs = notebook.lime_weights(guess) / (np.abs(notebook.slopes(guess)) + 1e-3)

    def total(t, alpha=1e-3):
        t = t.reshape(guess.shape)
        return ((t - guess) ** 2).sum() + alpha * (costs * notebook.slopes(t) ** 2).sum()

    found = notebook.smooth_light(guess, alpha=1e-3)
    best = minimize(total, guess.ravel(), method="BFGS", options={"gtol": 1e-9})
    assert total(found.ravel()) <= best.fun + 1e-9
    np.testing.assert_allclose(found.ravel(), best.x, atol=1e-4)
    assert total(found.ravel()) < 0.9 * total(guess.ravel())


def test_slopes_across_and_down_are_those_of_a_ramp(notebook):
    rows, columns = np.indices((3, 4))
    down, across = notebook.slopes(2.0 * rows + 5.0 * columns)
    np.testing.assert_array_equal(down, [[2] * 4, [2] * 4, [0] * 4])
    np.testing.assert_array_equal(across, [[5, 5, 5, 0]] * 3)


def test_texture_costs_more_than_an_edge_that_lasts(notebook):
    columns = np.indices((20, 40))[1]
    texture, edge = 0.5 + 0.2 * (columns % 2), 0.3 + 0.4 * (columns > 19)
    assert notebook.lime_weights(texture)[1, 10, 20] > 10 * notebook.lime_weights(edge)[1, 10, 19]


def test_light_without_any_slope_comes_back(notebook):
    np.testing.assert_allclose(notebook.smooth_light(np.full((6, 9), 0.3)), 0.3)


# Losses


def test_reconstruction_and_shared_paint_are_zero_where_they_have_to_be(notebook):
    reflectance, light = batch(), batch(channels=1, seed=1)
    product = reflectance * light
    assert float(notebook.reconstruction_loss(product, reflectance, light)) == 0
    off = notebook.reconstruction_loss(product + 0.25, reflectance, light)
    assert float(off) == pytest.approx(0.25, abs=1e-6)
    assert float(notebook.shared_loss(reflectance, reflectance)) == 0
    assert float(notebook.shared_loss(reflectance, reflectance - 0.1)) == pytest.approx(0.1)


def ramp(slope_down, slope_across, height=5, width=7, channels=1):
    rows, columns = np.indices((height, width))
    plane = slope_down * rows + slope_across * columns
    return np.repeat(plane[None, ..., None], channels, -1).astype("float32")


def test_smoothness_of_retinexnet_forgives_by_the_slope_of_the_paint(notebook):
    light, paint = ramp(0.02, 0.03), ramp(0.1, 0.05, channels=3)
    wanted = 0.02 * np.exp(-10 * 0.1) + 0.03 * np.exp(-10 * 0.05)
    assert float(notebook.aware_smoothness(light, paint)) == pytest.approx(wanted, rel=1e-4)


def test_smoothness_of_kind_divides_by_the_slope_of_the_photo(notebook):
    light, photo = ramp(0.02, 0.03), ramp(0.1, 0.001, channels=3)
    wanted = 0.02 / 0.1 + 0.03 / 0.01  # the second slope counts as 0.01
    assert float(notebook.relative_smoothness(light, photo)) == pytest.approx(wanted, rel=1e-4)


def test_mutual_consistency_costs_most_at_a_tenth(notebook):
    def cost(one, other):
        return float(notebook.mutual_consistency(ramp(one, 0), ramp(other, 0)))

    assert cost(0, 0) == 0
    assert cost(0.02, 0.08) == pytest.approx(0.1 * np.exp(-1), rel=1e-4)
    assert cost(0.1, 0.3) < cost(0.1, 0)


def test_nearness_is_to_the_brightest_channel(notebook):
    photo = batch()
    assert float(notebook.nearness_loss(photo.max(-1, keepdims=True), photo)) == 0
    above = photo.max(-1, keepdims=True) + 0.2
    assert float(notebook.nearness_loss(above, photo)) == pytest.approx(0.2, abs=1e-6)


def test_each_loss_alone_has_a_split_that_cheats_it(notebook):
    reflectance, light = notebook.made_scene()
    photos, splits = notebook.candidates(reflectance, [light, np.minimum(2 * light[::-1], 1)])
    rows = {name: notebook.terms(photos, split) for name, split in splits.items()}
    for row in rows.values():
        assert float(row["reconstruction"]) < 1e-6
    assert float(rows["all paint"]["aware"]) == 0 < float(rows["truth"]["aware"])
    assert float(rows["truth"]["shared"]) < 1e-6 < float(rows["all paint"]["shared"])
    assert float(rows["brightest channel"]["shared"]) < 1e-5
    assert float(rows["brightest channel"]["aware"]) > 2 * float(rows["truth"]["aware"])


# Networks


def test_the_split_multiplies_to_the_photo_where_the_light_is_no_less_than_it(notebook):
    keras.utils.set_random_seed(1)
    photo = 0.2 * batch(12, 20)
    both = np.asarray(notebook.splitter(8, 2)(photo))
    reflectance, light = both[..., :3], both[..., 3:]
    assert reflectance.max() <= 1
    assert light.min() >= 0.01
    assert light.max() <= 1
    enough = (light >= photo).all(-1)
    assert enough.mean() > 0.5
    np.testing.assert_allclose((reflectance * light)[enough], photo[enough], atol=1e-6)


def test_with_an_untrained_restorer_only_the_light_is_exposed(notebook):
    keras.utils.set_random_seed(1)
    split = notebook.splitter(8, 2)
    photo = 0.2 * batch(12, 20)[:1]
    network = notebook.retinex(split, notebook.restorer(WIDTHS))
    result = np.asarray(network([photo, np.array([[4.0]], "float32")]))
    both = np.asarray(split(photo))
    np.testing.assert_allclose(result, both[..., :3] * expose(both[..., 3:], 4.0), atol=1e-5)


def test_dark_photos_come_first_and_are_what_is_wanted(notebook):
    pairs = synthetic.synthetic_pairs(2, (48, 64), 0)
    rows = [(name, *pair) for name, *pair in zip(pairs.names, pairs.low, pairs.normal, strict=True)]
    stream = notebook.BothStream(rows, [], 32, 3, 2)
    inputs, wanted = stream.batch(1, 0)
    assert inputs.shape == (6, 32, 32, 3)
    assert (inputs == wanted).all()
    dark, normal = stream.batch(1, 0)[0][:3], super(notebook.BothStream, stream).batch(1, 0)[1]
    assert (inputs[3:] == normal).all()
    assert not (dark == normal).all()


def test_a_pixel_sees_no_further_than_the_card_says(notebook, network):
    divisor = 2 ** len(WIDTHS)
    halo = notebook.about(divisor)["halo"]
    side = 2 * halo + 64
    photo = np.random.default_rng(0).random((1, side, side, 3)).astype("float32")
    touched = photo.copy()
    touched[:, side // 2, side // 2] = 1 - touched[:, side // 2, side // 2]
    gain = np.ones((1, 1), "float32")
    before, after = (np.asarray(network.predict_on_batch([x, gain])) for x in (photo, touched))
    rows, columns = np.nonzero(np.abs(after - before).max((0, 3)) > 0)
    reach = max(np.abs(rows - side // 2).max(), np.abs(columns - side // 2).max())
    assert 8 < reach <= halo


def test_the_result_has_the_mean_of_the_level(notebook, network):
    photo = to_float(synthetic.synthetic_pairs(1, (90, 130), 1).low[0])
    enhancer = Enhancer(clipped(network), notebook.about(2 ** len(WIDTHS)))
    means = [enhancer.enhance(photo, level).mean() for level in (0.1, 0.3, 0.6)]
    np.testing.assert_allclose(means, (0.1, 0.3, 0.6), atol=0.005)


def test_the_restored_paint_does_not_depend_on_the_level(notebook, network):
    photo = to_float(synthetic.synthetic_pairs(1, (48, 64), 1).low[0])[None]
    gains = [np.array([[exposure_gain(photo, level)]], "float32") for level in (0.2, 0.5)]
    one, other = (np.asarray(network([photo, gain])) for gain in gains)
    light = np.asarray(network.get_layer("split")(photo))[..., 3:]
    paint = [r / expose(light, float(g[0, 0])) for r, g in zip((one, other), gains, strict=True)]
    np.testing.assert_allclose(paint[0], paint[1], atol=2e-3)
