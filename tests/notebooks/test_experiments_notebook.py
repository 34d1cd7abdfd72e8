"""What notebook 16 computes: chance, searches, pruning and rounding."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from lle_utils.core.backend import compile_options
from lle_utils.data import synthetic
from lle_utils.metrics.pixelwise import psnr
from lle_utils.notebook_tools.importer import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("16_experiments")


@pytest.fixture(scope="module")
def photos(notebook):
    """Fourteen small photos of five scenes."""
    made = synthetic.synthetic_pairs(14, (192, 216), 2)
    sides = (notebook.thumbnails(side, 4, 6) for side in (made.low, made.normal))
    return notebook.Photos(*sides, np.array(made.scenes))


@pytest.fixture(scope="module")
def trainer(notebook):
    keras.utils.set_random_seed(0)
    trainer = notebook.Adjustable(notebook.zero_dce().dce_net_pp(6))
    trainer.compile(keras.optimizers.Adam(global_clipnorm=0.1), **compile_options())
    trainer.build((None, 48, 48, 3))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


@pytest.fixture(scope="module")
def task(notebook, trainer, photos):
    return notebook.Task(trainer, photos, {s: notebook.first_weights(s) for s in (0, 1)}, 2, 2)


# One training


def test_thumbnails_are_means_of_blocks_at_a_size_that_divides(photos):
    assert photos.low.shape == (14, 48, 54, 3)
    made = synthetic.synthetic_pairs(1, (192, 216), 2)
    expected = made.low[0, 4:8, 8:12].mean((0, 1)) / 255
    np.testing.assert_allclose(photos.low[0, 1, 2], expected, atol=1e-6)


def test_the_adjustable_loss_is_that_of_03(notebook, trainer, photos):
    x = ops.convert_to_tensor(photos.low[:2, :48, :48])
    drawn = trainer.network(x)
    notebook.begin(trainer, (0.4, 30.0, 1e-2), trainer.network.get_weights())
    plain = notebook.zero_dce().ZeroReference(trainer.network, [1, 10, 5, 30], 0.4, "official")
    expected = float(plain.compute_loss(x, None, drawn))
    assert float(trainer.compute_loss(x, None, drawn)) == pytest.approx(expected, rel=1e-5)
    trainer.settings["target"].assign(0.6)
    assert float(trainer.compute_loss(x, None, drawn)) != pytest.approx(expected, rel=1e-2)


def test_no_training_hands_anything_on_to_the_next(notebook, task):
    trained = np.arange(14) < 10
    one, other = (0.4, 30.0, 1e-2), (0.6, 300.0, 3e-2)
    first = list(notebook.looks(task, one, 0, trained, ~trained))
    list(notebook.looks(task, other, 1, trained, ~trained))
    again = list(notebook.looks(task, one, 0, trained, ~trained))
    np.testing.assert_allclose(first, again, atol=1e-4)
    assert len(first) == 2
    assert np.abs(np.subtract(*first)).max() > 1e-3  # the epochs train


def test_every_photo_is_scored_by_a_network_that_has_not_seen_it(notebook, task, monkeypatch):
    asked = []

    def looks(task, setting, seed, trained, judged):
        asked.append((trained, judged))
        yield np.zeros(judged.sum())
        yield np.flatnonzero(judged).astype(float)

    monkeypatch.setattr(notebook, "looks", looks)
    values = notebook.cross_validate(task, np.arange(14) % 3, (0.4, 30.0, 1e-2), 0)
    np.testing.assert_array_equal(values, np.arange(14))
    assert not any((trained & judged).any() for trained, judged in asked)


# Chance


def test_the_interval_is_that_of_the_t_test(notebook):
    values = np.random.default_rng(0).normal(0.3, 1.0, 9)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert notebook.half_width(values) == pytest.approx((high - low) / 2)


def test_a_difference_that_is_detectable_is_found_four_times_in_five(notebook):
    rng, count = np.random.default_rng(0), 12
    true = notebook.detectable(2.0, count)
    drawn = rng.normal(true, 2.0, (4000, count))
    found = stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.04)  # the formula is an approximation


def test_scenes_and_not_photos_are_counted(notebook):
    values = np.array([[1.0, 3.0, 10.0], [2.0, 4.0, 0.0]])
    means = notebook.by_scene(values, np.array(["b", "b", "a"]))
    np.testing.assert_array_equal(means, [[10.0, 2.0], [0.0, 3.0]])


# Searches


def trial(notebook, *epochs):
    """A trial with one validation photo, and the negative of its score on one of test."""
    val = np.array(epochs, float)[:, None]
    return notebook.Trial((0.5, 10.0, 0.01), val, -val)


def test_places_are_spread_by_value_or_by_logarithm(notebook):
    assert notebook.setting_at((0, 0, 0)) == pytest.approx((0.36, 3.0, 2e-3))
    assert notebook.setting_at((1, 1, 1)) == pytest.approx((0.6, 1000.0, 5e-2))
    assert notebook.setting_at((0.5, 0.5, 0.5)) == pytest.approx((0.48, 3000**0.5, 1e-2))


def test_the_best_so_far_is_known_when_its_epochs_are_paid(notebook):
    trials = [
        trial(notebook, 1, 5),
        trial(notebook, 9),
        trial(notebook, 2, 7),
        trial(notebook, 3, 6),
    ]
    best = notebook.best_so_far(trials, 2, 9)
    np.testing.assert_array_equal(best, [np.nan, 5, 5, 5, 7, 7, 7, 7, 7])
    row = notebook.summary("x", trials, 2)
    assert (row["trials"], row["epochs"], row["val"], row["test"]) == (4, 7, 7.0, -7.0)


def test_a_search_prunes_and_keeps_its_budget(notebook, task, photos):
    part = np.arange(14) % 3
    parts = notebook.Parts(part == 0, part == 1, part == 2)
    task = task._replace(epochs=3)
    done = notebook.search(notebook.new_study(0), task, parts, 0, budget=30, most=50)
    lengths = [len(trial.val) for trial in done]
    assert 30 <= sum(lengths) <= 32
    assert set(lengths) == {2, 3}
    assert done[0].val.shape == (3, 5)
    assert done[0].test.shape == (3, 4)
    few = notebook.search(notebook.new_study(0), task, parts, 0, budget=30, most=3)
    assert [trial.setting for trial in few] == [trial.setting for trial in done[:3]]


def test_of_noise_a_winner_promises_much_and_keeps_nothing(notebook):
    rng = np.random.default_rng(0)
    val, test = rng.normal(size=(60, 4)), rng.normal(size=(60, 400))
    promised, kept = notebook.drawn(val, test, 30, 4, rng, 400)
    assert promised > 0.8  # of a deviation of 0.5, the best of 30
    assert abs(kept) < 0.1
    merit = np.linspace(0, 3, 60)[:, None]
    promised, kept = notebook.drawn(merit + 0 * val, merit + 0 * test, 30, 4, rng, 400)
    assert promised == pytest.approx(kept)
    assert kept > 1
    assert abs(notebook.drawn(val, test, 1, 4, rng, 3000)[0]) < 0.05


# Pruning and rounding


@pytest.fixture
def network(notebook):
    keras.utils.set_random_seed(0)
    return notebook.restorer(4)


def test_an_untrained_restorer_changes_nothing_and_has_the_width_asked_for(network):
    photo = np.random.default_rng(0).random((1, 12, 20, 3), "float32")
    np.testing.assert_array_equal(network.predict_on_batch(photo), photo)
    widths = [layer.filters for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert widths == [4] * 6 + [3]


def test_the_smallest_weights_of_each_layer_go(notebook, network):
    before = [ops.convert_to_numpy(kernel).copy() for kernel in notebook.kernels(network)]
    notebook.apply_masks(network, notebook.masks(network, 0.75))
    for old, kernel in zip(before[:-1], notebook.kernels(network), strict=False):
        new = ops.convert_to_numpy(kernel)
        assert (new == 0).mean() == pytest.approx(0.75, abs=0.02)
        assert np.abs(old[new == 0]).max() <= np.abs(new[new != 0]).min()
        np.testing.assert_array_equal(new[new != 0], old[new != 0])


def test_gradual_pruning_ends_at_its_share_while_the_rest_learns(notebook, network, monkeypatch):
    rng = np.random.default_rng(0)
    windows = notebook.Windows(*rng.random((2, 4, 32, 32, 3), "float32"))
    notebook.compiled(network, 12)
    shares, masks = [], notebook.masks
    monkeypatch.setattr(notebook, "masks", lambda n, s: shares.append(s) or masks(n, s))
    before = network.get_weights()[0]
    notebook.prune_gradually(network, windows.stream(slice(None), 0, 12), 0.6)
    assert shares == sorted(shares)
    assert len(shares) == 8
    assert shares[-1] == pytest.approx(0.6)
    after = network.get_weights()[0]
    assert (after == 0).mean() >= 0.6 - 0.02
    assert np.abs(after - before)[after != 0].max() > 1e-3


def test_zeros_shrink_the_file(notebook):
    weights = np.random.default_rng(0).normal(size=4000).astype("float32")
    pruned = np.where(np.abs(weights) > 1.6, weights, 0).astype("float32")
    assert notebook.packed_size([pruned]) < 0.3 * notebook.packed_size([weights])


def test_a_rounded_layer_has_seven_levels_in_each_channel_and_learns(notebook):
    keras.utils.set_random_seed(0)
    layer = notebook.RoundedConv2D(5, 3, padding="same", use_bias=False)
    dot = np.zeros((1, 9, 9, 2), "float32")
    dot[0, 4, 4, 0] = 1
    response = ops.convert_to_numpy(layer(dot))[0, 3:6, 3:6]
    kernel = ops.convert_to_numpy(layer.kernel)
    for channel in range(5):
        step = np.abs(kernel[..., channel]).max() / 3
        levels = response[..., channel] / step
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
        assert np.abs(levels).max() <= 3 + 1e-4
    model = keras.Sequential([keras.Input((9, 9, 2)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse", **compile_options())
    model.train_on_batch(dot, np.ones((1, 9, 9, 5), "float32"))
    assert np.abs(ops.convert_to_numpy(layer.kernel) - kernel).max() > 1e-4


def test_windows_are_exposed_to_the_brightness_of_their_twins(notebook):
    made = synthetic.synthetic_pairs(2, (80, 100), 1)
    lit, normal = notebook.exposed_windows(made.low, made.normal, 64)
    assert lit.shape == normal.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(normal[0], made.normal[0, 8:72, 18:82] / 255, atol=1e-6)
    for one, other in zip(lit, normal, strict=True):
        assert one.mean() == pytest.approx(other.mean(), abs=0.01)
    assert psnr(lit[0], normal[0]) > psnr(made.low[0, 8:72, 18:82] / np.float32(255), normal[0])
