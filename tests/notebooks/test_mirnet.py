"""Acceptance tests of MIRNet on the very code that notebook 04 teaches."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from processes import arrays, enhanced_under_jax, kill_in_training

from lle_utils.core.images import to_float
from lle_utils.data import synthetic
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.storage import load_enhancer, save_enhancer
from lle_utils.evaluation import records as results
from lle_utils.metrics.pixelwise import psnr
from lle_utils.nn.complexity import multiply_adds
from lle_utils.nn.layers import BlurPool, ScalarPReLU
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training.run import clipped

CARD = {"name": "mirnet", "method": "MIRNet", "inputs": ["low"], "multiple": 4, "halo": None}
CARD |= {"training": {}, "licence": "none"}


@pytest.fixture(scope="module")
def notebook():
    return definitions("04_mirnet")


@pytest.fixture(scope="module")
def tiny(notebook):
    keras.utils.set_random_seed(0)
    return notebook.mirnet(8, 1, 1)


def features(channels, height=12, width=20):
    return np.random.default_rng(0).normal(size=(2, height, width, channels)).astype("float32")


def test_the_papers_network_has_the_published_parameters_and_cost(notebook):
    network = notebook.mirnet(*notebook.SIZES["paper"])
    assert network.count_params() == 31_787_419
    # The released code does more for the same result, in each of its six blocks: it computes two
    # ways down twice, and seven shortcuts upwards have their 1x1 convolution after enlarging.
    level = 256**2 * 64**2  # pixels times squared channels, the same at every level
    doubled, late = 2 * 11 * level, 7 * 3 * level // 2
    released = multiply_adds(network, 4) + 6 * (doubled + late)
    assert released == pytest.approx(480e9, rel=0.005)


def test_the_named_sizes(notebook):
    assert 0.3e6 < notebook.mirnet(*notebook.SIZES["small"]).count_params() < 0.5e6
    assert notebook.mirnet(*notebook.SIZES["base"]).count_params() == pytest.approx(1e6, rel=0.1)


def test_one_prelu_serves_all_attention_units_and_no_convolution_has_a_bias(tiny):
    assert not any(w.path.endswith("bias") for w in tiny.weights)
    most = max(len(layer._inbound_nodes) for layer in tiny.layers if isinstance(layer, ScalarPReLU))
    assert most == 6  # three levels, two columns


def test_the_weights_of_the_branches_add_up_to_one(notebook):
    x = features(16)
    weights = ops.convert_to_numpy(notebook.branch_weights(16)([x, 2 * x, -x]))
    assert weights.shape == (3, 2, 1, 1, 16)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    assert weights.std(axis=0).max() > 0.01


def test_fusion_of_three_equal_branches_is_the_branch(notebook):
    x = features(16)
    np.testing.assert_allclose(notebook.skff(16)([x, x, x]), x, atol=1e-5)


def test_spatial_attention_sees_its_neighbourhood(notebook):
    x = np.zeros((1, 9, 9, 4), "float32")
    attend = notebook.spatial_attention()
    before = ops.convert_to_numpy(attend(x))
    x[0, 4, 4] = [1, 2, 3, 4]
    changed = ops.convert_to_numpy(attend(x)) != before
    assert changed[0, 2:7, 2:7].all()
    assert changed.sum() == 25


def test_resizing_halves_and_doubles(notebook):
    x = features(8)
    half = notebook.residual_down(8)(x)
    assert half.shape == (2, 6, 10, 16)
    assert notebook.residual_up(16)(half).shape == x.shape
    assert notebook.resize(8, 0, 2)(x).shape == (2, 3, 5, 32)
    assert notebook.resize(8, 1, 1)(x) is x


def test_blur_pool_minds_a_shift_less_than_max_pool(notebook):
    image = to_float(synthetic.sample_scenes()["chelsea"])[:100, :151]
    blur, most = (
        notebook.shift_variance(pool, image) for pool in (BlurPool(), keras.layers.MaxPooling2D())
    )
    assert blur < most


def test_the_shipped_network_is_the_one_that_the_notebook_builds(notebook):
    shipped = load_enhancer("mirnet")
    sizes = (shipped.card["training"][name] for name in ("features", "groups", "blocks"))
    network = notebook.mirnet(*sizes)
    network.set_weights(shipped.model.get_weights())
    photo = to_float(synthetic.synthetic_pairs(1, (30, 42), 3).low[0])
    built = Enhancer(clipped(network), shipped.card)
    np.testing.assert_array_equal(built.enhance(photo), shipped.enhance(photo))


def test_every_seed_passes_the_bar_and_the_shipped_network_too():
    seeds = results.load_records("mirnet_seeds")
    assert [record["training"]["seed"] for record in seeds.values()] == [0, 1, 2]
    shipped = results.load_records("lol_val")["mirnet"]
    for metric, bar in {"psnr": 22.5, "ssim": 0.83}.items():
        records = [*seeds.values(), shipped]
        assert min(record["summary"][metric]["mean"] for record in records) >= bar


def test_the_record_of_the_crops_ends_with_the_shipped_network():
    crops = list(results.load_records("mirnet_crops").values())
    sides = [record["training"]["stages"][-1][1] for record in crops]
    assert sides == [256, 224, 400]
    shipped = results.load_records("lol_val")["mirnet"]
    seed_0 = results.load_records("mirnet_seeds")["seed 0"]["values"]  # the first row, too
    assert all(crops[0]["values"][metric] == pytest.approx(seed_0[metric]) for metric in seed_0)
    for metric in ("psnr", "ssim", "psnr_gtmean"):
        first, longer, whole = (record["summary"][metric]["mean"] for record in crops)
        assert whole == pytest.approx(shipped["summary"][metric]["mean"], abs=1e-3)
        assert (longer < first) == (metric == "psnr")  # what the notebook says of the rows
        assert whole > max(first, longer)


def test_a_last_convolution_of_zeros_gives_the_input_back(notebook):
    network = notebook.mirnet(8, 1, 1)
    network.weights[-1].assign(np.zeros(network.weights[-1].shape))
    low = np.random.default_rng(0).random((1, 12, 20, 3)).astype("float32")
    np.testing.assert_array_equal(network.predict_on_batch(low), low)


def test_every_stream_reaches_the_output(notebook):
    low = keras.Input((16, 16, 8))
    block = keras.Model(low, notebook.multi_scale_block(8, ScalarPReLU())(low))
    x = features(8, 16, 16)
    before = block.predict_on_batch(x)
    for layer in block.layers:
        if getattr(layer, "kernel_size", None) == (5, 5):  # one for each stream
            start = layer.kernel.numpy()
            layer.kernel.assign(start + 1)
            assert np.abs(block.predict_on_batch(x) - before).max() > 1e-6
            layer.kernel.assign(start)


@pytest.mark.parametrize("size", [(2, 3), (17, 33), (40, 24)])
def test_any_size_comes_back_in_its_size_and_range(notebook, tiny, size):
    enhancer = Enhancer(clipped(tiny), CARD)
    low = np.random.default_rng(1).random((*size, 3)).astype("float32")
    enhanced = enhancer.enhance(low)
    assert enhanced.shape == low.shape
    assert 0 <= enhanced.min() <= enhanced.max() <= 1


def test_psnr_of_a_shift_by_a_tenth_is_20_db():
    ramp = np.linspace(0, 0.8, 5 * 7 * 3).reshape(5, 7, 3)
    ramp = np.round(ramp * 255) / 255
    assert psnr(ramp + 25.5 / 255, ramp) == pytest.approx(20, abs=0.2)  # rounded to 8 bits
    from lle_utils.metrics.pixelwise import psnr_float

    assert psnr_float(ramp + 0.1, ramp) == pytest.approx(20, abs=1e-4)


def test_a_saved_enhancer_is_the_same_under_the_other_backend(notebook, tiny, tmp_path):
    photo = to_float(synthetic.synthetic_pairs(1, (30, 42), 3).low[0])
    save_enhancer(clipped(tiny), tmp_path / "mirnet", CARD)
    here = load_enhancer(tmp_path / "mirnet").enhance(photo)
    there = enhanced_under_jax(tmp_path / "mirnet", photo, tmp_path)
    np.testing.assert_allclose(there, here, atol=1e-5)


TRAINING = """
import json
import sys
from functools import partial
from pathlib import Path
import keras
import numpy as np
from lle_utils import core, data, training
from lle_utils.notebook_tools.importer import definitions
folder, stages = Path(sys.argv[1]), json.loads(sys.argv[2])
core.set_seed(7, deterministic=True)
code = definitions("04_mirnet")
made = data.synthetic_pairs(3, (40, 48), 0)
pairs = list(zip(made.names, made.low, made.normal))
network = code.mirnet(8, 1, 1)
if "plain" in sys.argv:  # two convolutions are compiled in a fraction of the time
    low = keras.Input((None, None, 3), name="low")
    network = keras.Model(low, low + code.convolution(3)(code.convolution(8)(low)), name="plain")
run = training.Run(folder, stages, 2, 1e-3, warmup=2, ema=0.8, validate_every=2, seed=7)
code.prepare(network, run, partial(code.restoration_loss, ssim_weight=0.2, ssim_scales=1))
code.train(network, run, pairs, pairs[:1], folder / "checkpoint.npz", mixup=1.2)
np.savez(folder / "final.npz", *[np.asarray(w) for w in network.weights])
"""


def training_command(folder, stages, *words):
    return [sys.executable, "-c", TRAINING, str(folder), json.dumps(stages), *words]


@pytest.mark.slow
def test_killed_twice_training_ends_with_the_same_weights_best_last_and_average(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    stages = [[3, 16, 2], [57, 24, 1]]
    subprocess.run(training_command(whole, stages, "plain"), check=True)
    command = training_command(broken, stages, "plain")
    for delay in (0.0, 0.2):
        kill_in_training(command, broken, delay)
    subprocess.run(command, check=True)
    for name in ("final.npz", "checkpoint.npz", "checkpoint_best.npz"):
        one, other = arrays(whole / name), arrays(broken / name)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name}: {key}")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_training_improves_the_photos_on_either_backend(backend, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run(training_command(tmp_path, [[12, 24, 2]]), env=environment, check=True)
    history = json.loads(str(arrays(tmp_path / "checkpoint.npz")["meta"]))["history"]
    assert len(history["loss"]) == 12
    assert max(history["val_psnr"]) > history["val_psnr"][0] + 0.1


def test_the_shipped_enhancer_beats_an_untrained_one_and_auto_gamma():
    from lle_utils.core.paths import data_dir
    from lle_utils.enhancers.classical import auto_gamma

    if not (data_dir() / "pretrained" / "mirnet").is_dir():
        pytest.skip("mirnet is not shipped yet")
    pairs = synthetic.synthetic_pairs(6, (120, 180), 1, synthetic.VAL_SCENES)
    low, normal = to_float(pairs.low), to_float(pairs.normal)
    trained = load_enhancer("mirnet")
    untrained = Enhancer(keras.models.clone_model(trained.model), trained.card)
    scores = [
        np.mean([psnr(method(a), b) for a, b in zip(low, normal, strict=True)])
        for method in (trained.enhance, untrained.enhance, auto_gamma)
    ]
    assert scores[0] == max(scores)
