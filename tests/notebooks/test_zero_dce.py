"""Acceptance tests of Zero-DCE on the very code that notebook 03 teaches."""

import json
import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from processes import enhanced_under_jax, finished_epochs, kill_in_training

from lle_utils.core.images import to_float
from lle_utils.core.paths import project_root
from lle_utils.data import synthetic
from lle_utils.enhancers.enhancer import Enhancer, EnhancerError
from lle_utils.enhancers.storage import load_enhancer, save_enhancer
from lle_utils.nn.complexity import multiply_adds
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training import checkpoints
from lle_utils.training import run as training_run

CARD = {"name": "test", "method": "Zero-DCE", "inputs": ["low"], "training": {}, "licence": "none"}


@pytest.fixture(scope="module")
def notebook():
    return definitions("03_zero_dce")


@pytest.fixture(scope="module")
def photo():
    return to_float(synthetic.synthetic_pairs(1, (60, 84), 3).low[0])


def bold(network):
    """Give a network weights large enough that its maps matter."""
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(rng.normal(0, 0.1, weight.shape).astype("float32"))
    return network


def test_parameters_and_cost(notebook):
    slow, fast = notebook.dce_net(), notebook.dce_net_pp(12)
    assert slow.count_params() == 79_416
    assert fast.count_params() == 10_561
    single = keras.Model(slow.input, slow.outputs[0])
    assert multiply_adds(single) == pytest.approx(5.19e9, rel=0.01)


def test_curve_fixes_black_and_white_and_is_monotone(notebook):
    x = np.linspace(0, 1, 1001)
    for alpha in (-1, -0.4, 0.3, 1):
        y = notebook.light_curve(x, alpha)
        assert (y[0], y[-1]) == (0, 1)
        assert (np.diff(y) >= 0).all()
        assert ((y[1:-1] > x[1:-1]) == (alpha > 0)).all()


def test_zero_maps_change_nothing_and_negative_maps_brighten(notebook, photo):
    shape = (1, *photo.shape[:2], 24)
    same = ops.convert_to_numpy(notebook.apply_curves(photo[None], ops.zeros(shape)))
    np.testing.assert_array_equal(same[0], photo)
    brighter = ops.convert_to_numpy(notebook.apply_curves(photo[None], -ops.ones(shape)))[0]
    inside = (photo > 0) & (photo < 1)
    assert (brighter[inside] > photo[inside]).all()
    assert (brighter[photo == 0] == 0).all()


def test_maps_of_three_channels_serve_all_iterations(notebook, photo):
    maps = np.random.default_rng(0).uniform(-1, 1, (1, *photo.shape)).astype("float32")
    shared = notebook.apply_curves(photo[None], maps)
    repeated = notebook.apply_curves(photo[None], np.concatenate([maps] * 8, axis=-1))
    np.testing.assert_array_equal(ops.convert_to_numpy(shared), ops.convert_to_numpy(repeated))


def test_each_layer_starts_with_numbers_of_its_own(notebook):
    kernels = [layer.kernel.numpy() for layer in notebook.dce_net().layers if layer.weights]
    assert not np.allclose(kernels[1], kernels[2])
    assert np.std(kernels[1]) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("build", ["dce_net", "dce_net_pp"])
@pytest.mark.parametrize("size", [(1, 1), (16, 33), (95, 61)])
def test_any_size_comes_back_in_its_size_and_range(notebook, build, size, tmp_path):
    multiple = 1 if build == "dce_net" else 12
    network = bold(notebook.dce_net() if multiple == 1 else notebook.dce_net_pp(12))
    enhancer = Enhancer(
        keras.Model(network.input, network.outputs[0]), {**CARD, "multiple": multiple, "halo": None}
    )
    low = np.random.default_rng(1).random((*size, 3)).astype("float32")
    enhanced = enhancer.enhance(low)
    assert enhanced.shape == low.shape
    assert enhanced.dtype == np.float32
    assert 0 <= enhanced.min() <= enhanced.max() <= 1
    assert enhancer.enhance((low * 255).astype(np.uint8)).dtype == np.uint8


def test_tiles_leave_no_seam(notebook, monkeypatch):
    network = bold(notebook.dce_net())
    model = keras.Model(network.input, network.outputs[0])
    low = np.random.default_rng(1).random((70, 90, 3)).astype("float32")
    whole = Enhancer(model, {**CARD, "multiple": 1, "halo": None}).enhance(low)
    monkeypatch.setattr("lle_utils.enhancers.enhancer.tile_side", lambda *_: 32)
    tiled = Enhancer(model, {**CARD, "multiple": 1, "halo": 8}).enhance(low, memory=10**9)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_saved_enhancer_is_the_same_under_the_other_backend(notebook, photo, tmp_path):
    for name, network, multiple in (
        ("zero_dce", notebook.dce_net(), 1),
        ("zero_dce_pp", notebook.dce_net_pp(12), 12),
    ):
        model = keras.Model(bold(network).input, network.outputs[0])
        save_enhancer(model, tmp_path / name, {**CARD, "multiple": multiple, "halo": None})
        here = load_enhancer(tmp_path / name).enhance(photo)
        there = enhanced_under_jax(tmp_path / name, photo, tmp_path)
        np.testing.assert_allclose(there, here, atol=1e-5)


def test_a_file_with_a_lambda_is_refused(tmp_path):
    low = keras.Input((None, None, 3))
    model = keras.Model(low, keras.layers.Lambda(lambda x: x * 0.5)(low))
    folder = tmp_path / "evil"
    folder.mkdir()
    model.save(folder / "model.keras")
    card = {**CARD, "multiple": 1, "halo": None, "parameters": 0}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(EnhancerError, match=r"evil.*cannot be loaded safely"):
        load_enhancer(folder)


def test_a_missing_or_damaged_enhancer_is_named(tmp_path, notebook):
    with pytest.raises(FileNotFoundError, match="zero_dec"):
        load_enhancer("zero_dec")
    network = notebook.dce_net_pp(12)
    card = {**CARD, "multiple": 12, "halo": None}
    save_enhancer(keras.Model(network.input, network.outputs[0]), tmp_path, card)
    (tmp_path / "model.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:5000])
    with pytest.raises(EnhancerError, match=r"model\.keras"):
        load_enhancer(tmp_path)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(EnhancerError, match="lacks name"):
        load_enhancer(tmp_path)


TRAINING = """
import sys
from pathlib import Path
import numpy as np
from lle_utils import core, training
from lle_utils.notebook_tools.importer import definitions
folder, epochs, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
core.set_seed(seed, deterministic=True)
code = definitions("03_zero_dce")
photos = [np.random.default_rng(i).integers(0, 90, (40, 50, 3), np.uint8) for i in range(5)]
network = code.dce_net_pp(2)
if "given-weights" in sys.argv:  # the backends draw different ones from one seed
    rng = np.random.default_rng(0)
    for w in network.weights:
        w.assign(rng.normal(0, 0.05, w.shape).astype("float32"))
run = training.Run(folder, [[epochs, 32, 2]], 3, 1e-3, seed=seed)
code.train(network, photos, run, [1.0, 1.0, 0.5, 20.0], 0.6, "paper")
np.savez(folder / "final.npz", *[np.asarray(w) for w in network.weights])
"""
KILLS, EPOCHS = 10, 40


def training_command(folder, epochs=EPOCHS, seed=7, *words):
    return [sys.executable, "-c", TRAINING, str(folder), str(epochs), str(seed), *words]


def final_weights(folder):
    with np.load(folder / "final.npz") as file:
        return [file[name] for name in file.files]


@pytest.mark.slow
def test_killed_at_ten_random_points_training_ends_with_the_same_weights(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(training_command(whole), check=True)
    delays = random.Random(20)
    reached = [0]
    for _ in range(KILLS):
        kill_in_training(training_command(broken), broken, delays.uniform(0, 0.15))
        reached.append(finished_epochs(broken))
    assert reached == sorted(set(reached)), "a kill lost finished epochs"
    subprocess.run(training_command(broken), check=True)
    for resumed, uninterrupted in zip(final_weights(broken), final_weights(whole), strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_the_seed_decides_the_weights(tmp_path):
    for name, seed in {"one": 7, "again": 7, "other": 8}.items():
        subprocess.run(training_command(tmp_path / name, 2, seed), check=True)
    one, again, other = (final_weights(tmp_path / name) for name in ("one", "again", "other"))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_training_under_jax_follows_training_under_tensorflow(tmp_path):
    for backend in ("tensorflow", "jax"):
        command = training_command(tmp_path / backend, 2, 7, "given-weights")
        subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, check=True)
    for a, b in zip(
        final_weights(tmp_path / "tensorflow"), final_weights(tmp_path / "jax"), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_a_checkpoint_of_another_model_is_refused(notebook, tmp_path):
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    small.compile("adam", "mse")
    checkpoints.save_checkpoint(tmp_path / "c.npz", small, 1, {})
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    other.compile("adam", "mse")
    with pytest.raises(checkpoints.CheckpointError, match=r"c\.npz"):
        checkpoints.load_checkpoint(tmp_path / "c.npz", other)
    (tmp_path / "c.npz").write_bytes(b"PK nonsense")
    with pytest.raises(checkpoints.CheckpointError, match="not a readable checkpoint"):
        checkpoints.load_checkpoint(tmp_path / "c.npz", small)


def test_the_shipped_networks_are_those_that_the_notebook_builds(notebook, photo):
    for name, build in (("zero_dce", notebook.dce_net), ("zero_dce_pp", notebook.dce_net_pp)):
        shipped = load_enhancer(name)
        multiple = shipped.card["multiple"]
        network = build(multiple)
        network.set_weights(shipped.model.get_weights())
        built = Enhancer(keras.Model(network.input, network.outputs[0]), shipped.card)
        np.testing.assert_array_equal(built.enhance(photo), shipped.enhance(photo))


def test_the_card_tells_how_the_network_was_trained(notebook, tmp_path):
    run = training_run.Run(tmp_path, [[5, 32, 2]], 3, 1e-3, seed=7)
    network = notebook.dce_net_pp(2)
    enhancer = notebook.save(network, "x", "m", 2, run, "none", data="d", downsampling=4)
    told = enhancer.card["training"]
    assert {
        "epochs": 5,
        "crop": 32,
        "batch_size": 2,
        "downsampling": 4,
        "seed": 7,
    }.items() <= told.items()
    assert (enhancer.card["multiple"], enhancer.card["halo"]) == (2, 16)


def test_the_shipped_enhancers_beat_untrained_ones_and_the_input_on_the_sample():
    from lle_utils.metrics.pixelwise import psnr

    pairs = synthetic.synthetic_pairs(6, (120, 180), 1, synthetic.VAL_SCENES)
    low, normal = to_float(pairs.low), to_float(pairs.normal)

    def mean_psnr(method):
        return np.mean([psnr(method(a), b) for a, b in zip(low, normal, strict=True)])

    untouched = mean_psnr(lambda image: image)
    for name in ("zero_dce", "zero_dce_pp"):
        if not (project_root() / "data" / "pretrained" / name).is_dir():
            pytest.skip(f"{name} is not shipped yet")
        trained = load_enhancer(name)
        untrained = Enhancer(keras.models.clone_model(trained.model), trained.card)
        assert mean_psnr(trained.enhance) > max(untouched, mean_psnr(untrained.enhance)) + 1


def test_reducing_the_photo_costs_as_little_as_the_square_of_the_scale(notebook):
    whole, reduced = (notebook.dce_net(scale) for scale in (1, 8))
    assert reduced.count_params() == whole.count_params() == 79_416
    costs = [multiply_adds(keras.Model(n.input, n.outputs[0]), 8) for n in (whole, reduced)]
    assert costs[1] < costs[0] / 50


def test_maps_are_drawn_at_the_size_of_any_photo(notebook):
    network = bold(notebook.dce_net_pp(12))
    photo = np.random.default_rng(0).random((50, 70, 3)).astype("float32")
    enhanced, maps = notebook.draw(network, photo, 12)
    assert enhanced.shape == maps.shape == photo.shape
    np.testing.assert_allclose(notebook.apply_curves(photo, maps), enhanced, atol=1e-5)


def test_adaptivity_tells_one_curve_for_all_from_curves_that_follow(notebook):
    """A network of one map for all photos, and one whose maps are the photo itself."""
    photos = [np.full((24, 24, 3), value, "float32") for value in (0.1, 0.4, 0.8)]
    low = keras.Input((None, None, 3))
    one = keras.Model(low, [low, 0 * low - 0.3 + 1e-4 * low * (1 - low)])
    following = keras.Model(low, [low - 0.1, low - 0.5])
    assert notebook.adaptivity(following, photos, 1)["r"] == pytest.approx(1, abs=1e-4)
    assert notebook.adaptivity(following, photos, 1)["lightest"] == pytest.approx(-0.1, abs=1e-5)
    assert abs(notebook.adaptivity(one, photos, 1)["r"]) < 0.7
    assert notebook.adaptivity(one, photos, 1)["spread"] < 1e-4


def test_the_shipped_networks_follow_the_brightness_and_darken_what_is_too_light(notebook):
    normal = to_float(synthetic.synthetic_pairs(1, (240, 360), 1, synthetic.VAL_SCENES).normal[0])
    shots = notebook.exposures(normal, 0)
    for name, build in (("zero_dce", notebook.dce_net), ("zero_dce_pp", notebook.dce_net_pp)):
        shipped = load_enhancer(name)
        scale = shipped.card["multiple"]
        network = build(scale)
        network.set_weights(shipped.model.get_weights())
        found = notebook.adaptivity(network, shots, scale)
        assert abs(found["r"]) > 0.7
        assert found["lightest"] < 0
