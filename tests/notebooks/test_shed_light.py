"""Acceptance tests of Shed Light on the very code that notebook 07 teaches."""

import json
import os
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops
from skimage.color import rgb2hsv

from lle_utils.core import backend
from lle_utils.core.images import to_float
from lle_utils.core.paths import data_dir
from lle_utils.data import synthetic
from lle_utils.enhancers.storage import load_enhancer, save_enhancer
from lle_utils.evaluation.records import load_records
from lle_utils.metrics.pixelwise import psnr
from lle_utils.nn.complexity import multiply_adds
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training import optimizers, supervised

LEVELS = [0, 0.25, 0.5, 0.75, 1, 1.25]


@pytest.fixture
def notebook():
    return definitions("07_shed_light")


@pytest.fixture
def network(notebook):
    keras.utils.set_random_seed(0)
    return notebook.shed_light(4)


def noise(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


# The network


def test_the_papers_size_has_the_specified_parameters_and_cost(notebook):
    assert notebook.encoder().count_params() == 2_352_416
    assert notebook.decoder().count_params() == 2_654_499
    *_, content, luminance = notebook.encoder().outputs
    assert (luminance.shape[-1], content.shape[-1]) == (96, 416)
    pixels = 400 * 600 / 256**2
    assert multiply_adds(notebook.encoder()) * pixels == pytest.approx(13.7e9, rel=0.02)
    both = multiply_adds(notebook.shed_light()) * pixels
    assert both == pytest.approx(13.7e9 + 28.4e9, rel=0.02)


def test_all_three_passes_share_one_set_of_encoder_weights(notebook, network):
    trainer = notebook.ShedLight(network, (1.0, 1.0, 1.0))
    trainer.build((None, 32, 32, 3))
    trainer.compile("adam", **backend.compile_options())
    trainer.train_on_batch(0.1 * noise(2, 32, 32, 3), noise(2, 32, 32, 3))
    parts = notebook.encoder(4), notebook.decoder(4)
    assert len(trainer.trainable_variables) == sum(len(part.weights) for part in parts)
    assert sum(w.shape[0] == 3 for w in trainer.trainable_variables if len(w.shape) == 4) > 0
    photo_kernels = [w for w in trainer.trainable_variables if w.shape == (3, 3, 3, 4)]
    assert len(photo_kernels) == 1


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 33), (31, 20)])
def test_any_size_comes_back_in_its_size_and_range(notebook, network, size):
    low = noise(*size, 3)
    for level in (0, 1.25):
        enhanced = notebook.viewer(network).enhance(low, strength=level)
        assert enhanced.shape == low.shape
        assert 0 <= enhanced.min() <= enhanced.max() <= 1


def test_level_and_reference_change_the_luminance_and_not_a_bit_of_the_content(network):
    network.get_layer("towards_mean").mean.assign(np.full(12, 0.7))
    handed = network.get_layer("decoder")._inbound_nodes[-1].input_tensors
    inside = keras.Model(network.inputs, handed)
    low = noise(1, 24, 40, 3)
    *dark, own = inside.predict_on_batch([low, np.zeros((1, 1), "float32")])
    *bright, moved = inside.predict_on_batch([low, np.ones((1, 1), "float32")])
    for a, b in zip(dark, bright, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(own - moved).min() > 0
    np.testing.assert_allclose(moved, 0.7, atol=1e-6)


def test_a_saved_enhancer_is_the_same_under_the_other_backend(notebook, network, tmp_path):
    network.get_layer("towards_mean").mean.assign(noise(12))
    card = notebook.CARD | {"training": {}, "licence": "none"}
    save_enhancer(network, tmp_path / "shed_light", card)
    np.save(tmp_path / "photo.npy", noise(21, 30, 3))
    code = (
        "import sys, numpy as np; from lle_utils.enhancers import load_enhancer;"
        "import keras; assert keras.backend.backend() == 'jax';"
        "folder = sys.argv[1]; e = load_enhancer(folder + '/shed_light');"
        "photo = np.load(folder + '/photo.npy');"
        "both = [e.enhance(photo, strength=0.5), e.enhance(photo, reference=photo)];"
        "np.save(folder + '/out.npy', both)"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True)
    here = load_enhancer(tmp_path / "shed_light")
    photo = noise(21, 30, 3)
    expected = [here.enhance(photo, strength=0.5), here.enhance(photo, reference=photo)]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)


# The losses


def test_distance_ignores_shift_and_scale_and_has_a_closed_form(notebook):
    a = noise(4, 6)
    assert number(notebook.distance(a, 3 * a + 2)) == pytest.approx(0, abs=1e-6)
    assert number(notebook.distance(a, -a)) == pytest.approx(4, rel=1e-4)  # twice each, squared


def test_triplet_loss_closed_forms(notebook):
    reference, low = noise(4, 6), -noise(4, 6)
    assert number(notebook.triplet_loss(low, low, reference)) == pytest.approx(0.08)
    assert number(notebook.triplet_loss(reference, low, reference)) == 0
    assert number(notebook.triplet_loss(reference, low, low)) == pytest.approx(4.08, rel=1e-4)


def test_feature_loss_adds_the_squared_change_of_the_content(notebook):
    vectors, content = noise(4, 6), noise(4, 8)
    contents = (content, content + 0.5, content)
    loss = notebook.feature_loss(vectors, -vectors, vectors, contents)
    assert number(loss) == pytest.approx(0.25, rel=1e-4)
    loss = notebook.feature_loss(vectors, -vectors, vectors, contents, weight=3.0)
    assert number(loss) == pytest.approx(0.75, rel=1e-4)


def test_pairwise_separation_is_the_share_of_light_and_knows_no_size(notebook):
    dark, lit = noise(6, 8), noise(12, 8)[6:]
    share = notebook.share_of_light(dark, lit)
    assert number(notebook.pairwise(dark, None, lit)) == pytest.approx(share, rel=1e-4)
    assert number(notebook.pairwise(dark / 50, None, lit / 50)) == pytest.approx(share, rel=1e-3)
    assert number(notebook.pairwise(dark, None, dark)) == 0
    assert number(notebook.pairwise(dark, None, 2 * dark.mean(0) - dark)) == pytest.approx(1, 1e-4)


def test_standardised_separation_cannot_be_won_by_small_vectors(notebook):
    low, result = noise(4, 8), noise(8, 8)[4:]
    large, small = (number(notebook.standardised(s * low, s * result, None)) for s in (1, 0.01))
    assert small == pytest.approx(large, rel=1e-3)
    assert number(notebook.squared(0.01 * low, 0.01 * result, None)) < 1e-3


def gradient_of(function, *values):
    """Return the gradient of a scalar for its first argument."""
    import tensorflow as tf

    first = tf.Variable(values[0])
    with tf.GradientTape() as tape:
        loss = function(first, *values[1:])
    return loss, tape.gradient(loss, first)


def test_a_detached_goal_does_not_come_to_meet_the_result(notebook):
    low, result = noise(4, 8), 1 - noise(4, 8)
    _, moved = gradient_of(lambda x: notebook.squared(x, result, None), low)
    _, left = gradient_of(lambda x: notebook.detached(x, result, None), low)
    assert np.abs(moved).max() > 0
    assert left is None


def test_the_adversary_learns_and_the_content_flees(notebook):
    """Descending along the content's gradient makes the guess worse, along the weights' better."""
    keras.utils.set_random_seed(0)
    dark, lit = noise(6, 8), noise(6, 8) + 0.5
    adversary = notebook.Adversary(8)
    before, gradient = gradient_of(lambda x: adversary(x, x, lit), dark)
    fled = number(adversary(dark - 0.1 * gradient, dark, lit))
    assert fled > number(before)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = adversary(dark, dark, lit)
    moves = tape.gradient(loss, adversary.trainable_variables)
    for weight, move in zip(adversary.trainable_variables, moves, strict=True):
        weight.assign(weight - 0.1 * move)
    assert number(adversary(dark, dark, lit)) < number(loss)


def test_the_content_cannot_flee_from_the_adversary_by_growing(notebook):
    """It did, and a trained network painted noise after one epoch."""
    keras.utils.set_random_seed(0)
    dark, lit = noise(6, 8), noise(6, 8)
    adversary = notebook.Adversary(8)
    grown = number(adversary(1000 * dark, dark, 1000 * lit))
    assert grown == pytest.approx(number(adversary(dark, dark, lit)), abs=0.05)


@pytest.mark.parametrize("name", ["squared", "detached", "standardised", "pairwise", "Adversary"])
def test_every_separation_trains(notebook, network, name):
    separate = getattr(notebook, name)
    separate = separate(52) if isinstance(separate, type) else separate
    trainer = notebook.ShedLight(network, (1.0, 0.2, 0.1), separate=separate)
    trainer.compile("adam", **backend.compile_options())
    trainer.build((None, 32, 32, 3))
    before = [np.asarray(w).copy() for w in network.get_layer("encoder").trainable_variables]
    loss = trainer.train_on_batch(0.1 * noise(2, 32, 32, 3), noise(2, 32, 32, 3))
    assert np.isfinite(loss).all()
    after = network.get_layer("encoder").trainable_variables
    assert any(np.abs(np.asarray(a) - b).max() > 0 for a, b in zip(after, before, strict=True))


def test_what_a_half_explains_in_closed_form(notebook):
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=200)
    knows = np.stack([wanted, rng.normal(size=200)], axis=1)
    half = np.arange(200) % 2 == 0
    assert notebook.explained(knows, wanted, half) > 0.7  # the penalty halves what it would say
    assert notebook.explained(rng.normal(size=(200, 5)), wanted, half) < 0.1


def test_hue_and_saturation_are_those_of_skimage(notebook):
    photo = to_float(synthetic.sample_scenes()["coffee"])[:80, :120]
    photo = photo[..., [1, 0, 2]]  # a green cast beside the red one
    for picture in (photo, to_float(synthetic.sample_scenes()["chelsea"])[:80, :121]):
        hue, saturation = map(ops.convert_to_numpy, notebook.hue_saturation(picture[None]))
        expected = rgb2hsv(picture)
        away = np.abs(hue[0] - expected[..., 0])
        assert np.minimum(away, 1 - away).max() < 1e-4
        np.testing.assert_allclose(saturation[0], expected[..., 1], atol=1e-4)


@pytest.mark.parametrize("circular", [False, True])
def test_content_loss_is_zero_for_the_input_even_when_grey_or_black(notebook, circular):
    for photo in (noise(2, 9, 7, 3), np.full((1, 4, 4, 3), 0.3, "float32"), np.zeros((1, 4, 4, 3))):
        photo = photo.astype("float32")
        assert number(notebook.content_loss(photo, photo, circular)) == pytest.approx(0, abs=1e-5)


def test_content_loss_ignores_light_and_minds_colour(notebook):
    photo = noise(1, 16, 16, 3)
    assert number(notebook.content_loss(photo, photo / 2)) == pytest.approx(0, abs=1e-5)
    assert number(notebook.content_loss(photo, photo[..., ::-1])) > 0.05


def test_only_as_a_circle_do_two_reds_lie_side_by_side(notebook):
    def red(turn):
        sixth = np.mod(6 * turn + np.array([0, 4, 2]), 6)
        return np.tile(np.clip(np.abs(sixth - 3) - 1, 0, 1), (1, 4, 4, 1)).astype("float32")

    # A quarter of the picture is green, so that the planes have a direction to differ in.
    one, other = (np.concatenate([red(t), red(1 / 3)], axis=2) for t in (0.02, 0.98))
    assert number(notebook.content_loss(one, other, circular=True)) < 0.02
    assert number(notebook.content_loss(one, other, circular=False)) > 0.2


def test_the_gradient_of_the_content_loss_is_finite_at_grey(notebook):
    import tensorflow as tf  # only to differentiate outside of a model

    grey = tf.fill((1, 4, 4, 3), 0.3)
    for start in (grey, 0 * grey):
        with tf.GradientTape() as tape:
            tape.watch(start)
            loss = notebook.content_loss(noise(1, 4, 4, 3), start, circular=True)
        assert np.isfinite(tape.gradient(loss, start).numpy()).all()


# Training


def test_the_patch_blends_a_window_and_leaves_the_rest(notebook):
    low, normal = np.zeros((3, 40, 60, 3), "float32"), np.ones((3, 40, 60, 3), "float32")
    seeds = keras.random.SeedGenerator(3)
    patched = ops.convert_to_numpy(notebook.luminance_patch(low, normal, seeds, 0.25))
    for photo in patched:
        window = photo[..., 0] > 0
        assert window.sum() == pytest.approx(10 * 15, abs=25)
        rows, columns = np.nonzero(window)
        assert window[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
        assert np.unique(photo[window]).size == 1
    assert np.unique(patched.max(axis=(1, 2, 3))).size == 3  # each photo has a blend of its own


def test_levels_and_references_are_drawn_as_said(notebook):
    vectors = np.zeros((4000, 12)), np.ones((4000, 12)), np.full(12, 0.3)
    own, bright, mean = (vector.astype("float32") for vector in vectors)
    seeds = keras.random.SeedGenerator(1)
    drawn = notebook.draw(own, bright, mean, seeds)
    level, reference = map(ops.convert_to_numpy, drawn)
    assert (level == 1).mean() == pytest.approx(0.5, abs=0.05)
    assert level.min() < 0.05
    assert 1.2 < level.max() <= 1.25
    assert (reference == mean).all(axis=1).mean() == pytest.approx(0.5, abs=0.05)
    drawn = notebook.draw(own, bright, mean, seeds, reference_dropout=0.9, highest=3.0)
    level, reference = map(ops.convert_to_numpy, drawn)
    assert 2.8 < level.max() <= 3
    assert (reference == mean).all(axis=1).mean() == pytest.approx(0.9, abs=0.05)
    drawn = notebook.draw(own, bright, mean, seeds, reference_dropout=0, spread=0)  # the paper
    level, reference = map(ops.convert_to_numpy, drawn)
    assert (level == 1).all()
    assert (reference == bright).all()


def test_the_mean_vector_moves_a_share_of_the_way(notebook):
    mean = keras.Variable(np.zeros(5, "float32"))
    notebook.follow(mean, noise(4, 5), share=0.25)
    np.testing.assert_allclose(mean.numpy(), 0.25 * noise(4, 5).mean(axis=0), rtol=1e-5)


def test_every_setting_of_the_trainer_reaches_the_loss(notebook, network):
    low, normal = 0.2 * noise(2, 32, 32, 3), noise(2, 32, 32, 3)[::-1].copy()
    paper = partial(notebook.draw, reference_dropout=0.0, spread=0.0)
    plain = {"draw": paper, "patch": 0.0, "ssim_weight": 0.0, "circular": True}

    def loss(**settings):
        trainer = notebook.ShedLight(network, (1.0, 0.2, 0.1), 3, **{**plain, **settings})
        return number(trainer.compute_loss(x=ops.convert_to_tensor(low), y=normal))

    mean = np.asarray(network.get_layer("towards_mean").mean).copy()
    start = loss()
    for settings in ({"draw": notebook.draw}, {"patch": 0.5}, {"ssim_weight": 0.5}):
        network.get_layer("towards_mean").mean.assign(mean)
        assert abs(loss(**settings) - start) > 1e-5, settings
    network.get_layer("towards_mean").mean.assign(mean)
    assert loss(circular=False) != start


def test_validation_takes_the_mean_vector_of_the_weights_and_puts_the_old_one_back(notebook):
    keras.utils.set_random_seed(0)
    network = notebook.shed_light(4)
    mean = network.get_layer("towards_mean").mean
    mean.assign(100 * noise(12))
    photos = [(255 * noise(20, 30, 3)).astype(np.uint8), np.full((24, 20, 3), 90, np.uint8)]
    seen = []
    validate = notebook.Validation(network, photos, [("one", photos[0], photos[0])], 1)
    validate.enhance = lambda low: seen.append(np.asarray(mean).copy()) or low
    validate.measure()
    expected = notebook.luminance_vectors(network, photos).mean(axis=0)
    np.testing.assert_array_equal(seen[0], expected)
    np.testing.assert_array_equal(np.asarray(mean), 100 * noise(12))


def train(notebook, steps, folder):
    """Train a narrow network for some steps; return it as an enhancer, and the history."""
    keras.utils.set_random_seed(0)
    network = notebook.shed_light(8)
    trainer = notebook.ShedLight(network, (1.0, 0.2, 0.1))
    trainer.compile(optimizers.make_optimizer(3e-3, steps, 10), **backend.compile_options())
    trainer.build((None, 48, 48, 3))
    pairs = synthetic.synthetic_pairs(12, (96, 96), 0, synthetic.TRAIN_SCENES)
    history = supervised.fit_pairs(
        trainer, pairs.low, pairs.normal, [[2, 48, 4]], steps // 2, folder / "c.npz", verbose=0
    )
    return notebook.viewer(network), history


@pytest.mark.slow
def test_after_a_short_training_brightness_rises_with_level_and_follows_the_reference(
    notebook, tmp_path
):
    enhancer, history = train(notebook, 160, tmp_path)
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", *notebook.TERMS}
    pairs = synthetic.synthetic_pairs(3, (96, 128), 5, synthetic.VAL_SCENES)
    untrained = notebook.viewer(notebook.shed_light(8))
    scores = []
    for low, normal in zip(to_float(pairs.low), to_float(pairs.normal), strict=True):
        # Between 0, which is the photo itself, and 0.25 such a short training may still dip.
        seen = notebook.brightness(enhancer.prepare(low), LEVELS)
        assert (np.diff(seen[1:]) > 0).all(), seen
        assert seen[2] > seen[0]
        dim, lit = (enhancer.enhance(low, reference=k * normal).mean() for k in (0.3, 1))
        assert dim < lit
        compared = (enhancer.enhance(low), low, untrained.enhance(low))
        scores.append([psnr(photo, normal) for photo in compared])
    assert np.argmax(np.mean(scores, axis=0)) == 0


@pytest.mark.slow
def test_it_trains_under_jax_too(tmp_path):
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "import keras; assert keras.backend.backend() == 'jax';"
        "from test_shed_light import definitions, train; code = definitions('07_shed_light');"
        "enhancer, history = train(code, 24, Path(sys.argv[2]));"
        "mean = enhancer.model.get_layer('towards_mean').mean.numpy();"
        "assert abs(mean).max() > 1e-3, mean; assert history['loss'][1] < history['loss'][0]"
    )
    here = os.path.dirname(__file__)
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code, here, str(tmp_path)], env=environment, check=True)


# The shipped enhancer


def test_the_shipped_network_is_the_one_that_the_notebook_builds(notebook):
    shipped = load_enhancer("shed_light")
    network = notebook.shed_light(shipped.card["training"]["width"])
    network.set_weights(shipped.model.get_weights())
    photo, built = noise(21, 30, 3), notebook.viewer(network)
    for level in (0.5, 1.0):
        np.testing.assert_array_equal(
            built.enhance(photo, strength=level), shipped.enhance(photo, strength=level)
        )


def test_the_shipped_enhancer_beats_an_untrained_one_and_gamma_and_follows_the_level():
    from lle_utils.enhancers.classical import gamma

    pairs = synthetic.synthetic_pairs(6, (120, 180), 1, synthetic.VAL_SCENES)
    trained = load_enhancer("shed_light")
    scores = {"trained": [], "gamma": [], "input": []}
    for low, normal in zip(to_float(pairs.low), to_float(pairs.normal), strict=True):
        at = trained.prepare(low)
        assert (np.diff([at(level).mean() for level in LEVELS]) > 0).all()
        for name, enhanced in zip(scores, (at(1.0), gamma(low), low), strict=True):
            scores[name].append(psnr(enhanced, normal))
    means = {name: np.mean(values) for name, values in scores.items()}
    assert max(means, key=means.get) == "trained", means


def test_the_records_of_the_shipped_enhancer_meet_what_was_asked():
    blind = load_records("lol_val")["shed_light"]["summary"]
    assert blind["psnr"]["mean"] >= 20.5
    assert blind["ssim"]["mean"] >= 0.77
    apart = load_records("shed_light_val")
    assert apart["shed_light, mean level"]["summary"]["psnr"]["mean"] == pytest.approx(
        blind["psnr"]["mean"], abs=0.01
    )
    own = apart["shed_light, own reference"]["summary"]["psnr"]["mean"]
    assert own > blind["psnr"]["mean"]
    path = data_dir() / "results" / "shed_light_levels.json"
    rise = json.loads(path.read_text(encoding="utf-8"))
    output = np.array(rise["output"])
    assert output.shape == (40, len(rise["levels"]))
    assert (np.diff(output, axis=1) > 0).all()
    assert np.abs(output[:, 0] / rise["input"] - 1).max() < 0.1


def test_the_ways_of_separating_are_compared_at_equal_steps():
    path = data_dir() / "results" / "shed_light_separation.json"
    tried = json.loads(path.read_text(encoding="utf-8"))
    assert {"squared", "pairwise", "adversary"} <= set(tried)
    begun, ended = (tried.pop(name) for name in ("before", "pairwise, longer"))
    assert len({row["steps"] for row in tried.values()}) == 1
    least = min(tried, key=lambda name: tried[name]["light"]["content"][0])
    assert least == "pairwise"
    assert ended["light"]["content"][0] < 0.1 < begun["light"]["content"][0]
    assert begun["psnr"] == pytest.approx(
        load_records("shed_light_val")["shed_light, mean level"]["summary"]["psnr"]["mean"]
    )
    elsewhere = load_records("synthetic")["shed_light"]["summary"]["psnr"]["mean"]
    assert begun["elsewhere"]["synthetic_psnr"] == pytest.approx(elsewhere)
