"""Acceptance tests of pix2pix on the very code that notebook 05 teaches."""

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
from lle_utils.metrics.pixelwise import psnr
from lle_utils.nn.complexity import multiply_adds
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training import Run, gan

CARD = {"name": "pix2pix", "method": "pix2pix", "inputs": ["low"], "multiple": 8, "halo": None}
CARD |= {"training": {}, "licence": "none"}


@pytest.fixture(scope="module")
def notebook():
    return definitions("05_pix2pix")


@pytest.fixture(scope="module")
def tiny(notebook):
    keras.utils.set_random_seed(0)
    return notebook.unet(4, 3, "instance")


def test_the_papers_networks_have_the_published_parameters_and_shapes(notebook):
    network, discriminator = notebook.unet(), notebook.patch_gan()
    assert network.count_params() == 54_425_859
    assert multiply_adds(network, 256) == pytest.approx(6.05e9, rel=0.01)
    assert discriminator.count_params() == 2_770_433
    assert network.compute_output_shape((1, 256, 256, 3)) == (1, 256, 256, 3)
    photo = np.zeros((1, 256, 256, 3), "float32")
    assert discriminator([photo, photo]).shape == (1, 30, 30, 1)
    bottom = [layer.output for layer in network.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert keras.Model(network.input, bottom[-1])(photo).shape == (1, 1, 1, 512)


def test_a_logit_sees_70_by_70_pixels(notebook):
    rows, columns = np.nonzero(notebook.receptive_field(notebook.patch_gan(4, "none")))
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 70


def test_every_activation_of_encoder_and_discriminator_has_the_papers_slope(notebook, tiny):
    for network in (tiny, notebook.patch_gan(4, "instance")):
        slopes = {x.negative_slope for x in network.layers if isinstance(x, keras.layers.LeakyReLU)}
        assert slopes == {0.2}


def test_the_pixel_loss_is_the_absolute_difference_on_the_scale_of_the_papers(notebook):
    normal, enhanced = (np.full((1, 12, 12, 3), level, "float32") for level in (0.75, 0.5))
    assert float(notebook.pixel_loss(normal, enhanced)) == pytest.approx(0.5)
    assert float(notebook.pixel_loss(normal, enhanced, ssim_weight=0.5)) > 0.5


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("upsampling", ["transpose", "resize"])
def test_inference_is_deterministic_and_independent_of_the_batch(notebook, norm, upsampling):
    network = notebook.unet(4, 3, norm, upsampling, 0.5)
    photos = np.random.default_rng(0).random((2, 16, 24, 3)).astype("float32")
    once, again = (network.predict_on_batch(photos) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    alone = network.predict_on_batch(photos[:1])
    np.testing.assert_allclose(alone[0], once[0], atol=1e-5)
    assert once.shape == photos.shape
    assert 0 <= once.min() <= once.max() <= 1


@pytest.mark.parametrize("size", [(2, 3), (17, 33), (40, 24)])
def test_any_size_comes_back_in_its_size_and_range(notebook, tiny, size):
    enhancer = Enhancer(tiny, CARD)
    tiny.compile(jit_compile=False)
    low = np.random.default_rng(1).random((*size, 3)).astype("float32")
    enhanced = enhancer.enhance(low)
    assert enhanced.shape == low.shape
    assert 0 <= enhanced.min() <= enhanced.max() <= 1


def test_brightness_has_a_way_from_the_photo_to_the_result(notebook):
    # Every normalised level forgets a constant factor; the first level has no normalisation.
    network = notebook.unet(4, 3, "instance", dropout=0)
    photo = to_float(synthetic.sample_scenes()["chelsea"])[None, :64, :64]
    full, half = (ops.convert_to_numpy(network(share * photo)) for share in (1.0, 0.5))
    assert np.abs(full - half).mean() > 0.01
    first = network.layers[2]
    assert isinstance(first, keras.layers.Conv2D)
    assert not isinstance(first._outbound_nodes[0].operation, keras.layers.GroupNormalization)


def test_a_transposed_convolution_leaves_a_checkerboard_and_resizing_does_not(notebook):
    transposed, resized = (notebook.flat_output(kind, 0) for kind in ("transpose", "resize"))
    assert notebook.checkerboard(transposed) > 0.9
    assert transposed.mean(axis=-1).std() > 100 * resized.mean(axis=-1).std()


def test_the_measure_of_a_checkerboard_in_closed_form(notebook):
    rows, columns = np.mgrid[:32, :32]
    board = np.repeat(((rows + columns) % 2)[..., None], 3, axis=-1).astype(float)
    assert notebook.checkerboard(board) == pytest.approx(1)
    waves = np.repeat(np.sin(2 * np.pi * columns / 8)[..., None], 3, axis=-1)
    assert notebook.checkerboard(waves) == pytest.approx(0, abs=1e-9)


def test_the_darkest_window_is_found(notebook):
    photo = np.full((100, 150, 3), 0.5)
    photo[20:84, 40:136] = 0.1
    assert notebook.darkest_window(photo) == np.s_[20:84, 40:136]


def test_a_saved_enhancer_is_the_same_under_the_other_backend(notebook, tiny, tmp_path):
    photo = to_float(synthetic.synthetic_pairs(1, (30, 42), 3).low[0])
    save_enhancer(tiny, tmp_path / "pix2pix", CARD)
    here = load_enhancer(tmp_path / "pix2pix").enhance(photo)
    there = enhanced_under_jax(tmp_path / "pix2pix", photo, tmp_path)
    np.testing.assert_allclose(there, here, atol=1e-5)


TRAINING = """
import json
import sys
from pathlib import Path
import numpy as np
from lle_utils import core, data, training
from lle_utils.enhancers import Enhancer
from lle_utils.notebook_tools.importer import definitions
folder, stages = Path(sys.argv[1]), json.loads(sys.argv[2])
core.set_seed(7, deterministic=True)
code = definitions("05_pix2pix")
made = data.synthetic_pairs(3, (40, 48), 0)
network = code.unet(4, 3, "instance", dropout=0.5)
run = training.Run(folder, stages, 2, 2e-3, warmup=1, ema=0.8, seed=7)
judge = code.patch_gan(4, "instance")
gan = code.make_gan(network, judge, run, 2e-3, code.pixel_loss, 100.0)
pairs = [("one", made.low[0], made.normal[0])]
see = Enhancer(training.clipped(network), {"multiple": 8, "halo": None}).enhance
callbacks = [training.ValidationPsnr(see, pairs, 3)]
path = folder / "checkpoint.npz"
training.fit_gan(gan, made.low, made.normal, stages, 2, path, 7, callbacks, 0)
np.savez(folder / "final.npz", *[np.asarray(w) for n in gan.networks for w in n.weights])
"""


def command(folder, stages):
    return [sys.executable, "-c", TRAINING, str(folder), json.dumps(stages)]


@pytest.mark.slow
def test_killed_twice_both_networks_and_optimizers_end_with_the_same_bits(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    stages = [[4, 32, 2], [14, 40, 1]]
    subprocess.run(command(whole, stages), check=True)
    for delay in (0.0, 0.3):
        kill_in_training(command(broken, stages), broken, delay)
    subprocess.run(command(broken, stages), check=True)
    for name in ("final.npz", "checkpoint.npz", "checkpoint_best.npz"):
        one, other = arrays(whole / name), arrays(broken / name)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name}: {key}")


@pytest.mark.slow
def test_training_improves_the_photos_under_jax(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run(command(tmp_path, [[20, 32, 2]]), env=environment, check=True)
    history = json.loads(str(arrays(tmp_path / "checkpoint.npz")["meta"]))["history"]
    assert len(history["discriminator_loss"]) == 20
    assert np.mean(history["pixel_loss"][-4:]) < np.mean(history["pixel_loss"][:4])


def shipped_scores(name):
    """Return mean PSNR on synthetic pairs: the enhancer, untrained, and gamma."""
    from lle_utils.enhancers.classical import gamma

    pairs = synthetic.synthetic_pairs(6, (120, 180), 1, synthetic.VAL_SCENES)
    low, normal = to_float(pairs.low), to_float(pairs.normal)
    trained = load_enhancer(name)
    untrained = Enhancer(keras.models.clone_model(trained.model), trained.card)
    return [
        np.mean([psnr(method(a), b) for a, b in zip(low, normal, strict=True)])
        for method in (trained.enhance, untrained.enhance, gamma)
    ]


@pytest.mark.parametrize("name", ["pix2pix", "resnet_gan"])
def test_the_shipped_enhancer_beats_an_untrained_one_and_gamma(name):
    scores = shipped_scores(name)
    assert scores[0] == max(scores)


# `pix2pix` as shipped does not pass with "low": what is darker than its training photos comes out
# alike, because instance normalisation makes up for the missing light.
@pytest.mark.parametrize(
    ("name", "side", "margin"),
    [("pix2pix", "normal", 0.03), ("resnet_gan", "normal", 0.03), ("resnet_gan", "low", 0.003)],
)
def test_the_brightness_of_the_shipped_enhancer_follows_the_photo(name, side, margin):
    enhancer = load_enhancer(name)
    pairs = synthetic.synthetic_pairs(6, (120, 180), 1, synthetic.VAL_SCENES)
    photos = to_float(getattr(pairs, side))
    bright, dark = (
        np.mean([enhancer.enhance(photo * np.float32(share)) for photo in photos])
        for share in (1.0, 0.25)
    )
    assert bright > dark + margin


@pytest.fixture
def small(notebook, tmp_path):
    """Return a function that makes the notebook's GAN, small and without dropout."""
    run = Run(tmp_path, [[1, 32, 2]], 10, 1e-4, warmup=1, ema=0.9)

    def make(weight=1.0):
        keras.utils.set_random_seed(0)
        networks = notebook.unet(4, 3, "instance", dropout=0), notebook.patch_gan(4, "instance")
        return notebook.make_gan(*networks, run, 5e-5, notebook.pixel_loss, 115.0, weight)

    return make


def test_the_two_networks_of_the_notebook_are_joined_as_the_paper_says(small):
    joined = small()
    assert isinstance(joined, gan.GAN)
    assert joined.pixel_weight == 115
    assert {network.optimizer.beta_1 for network in joined.networks} == {0.5}
    rates = [float(network.optimizer.learning_rate) for network in joined.networks]
    np.testing.assert_allclose(rates, [5e-5, 1e-4], rtol=1e-5)
    assert [network.optimizer.use_ema for network in joined.networks] == [False, True]


def test_the_pixel_loss_alone_has_the_warm_up_and_the_long_memory(small):
    alone = small(0.0)
    assert {network.optimizer.beta_1 for network in alone.networks} == {0.9}
    assert [float(network.optimizer.learning_rate) for network in alone.networks] == [0, 0]


def test_a_training_keeps_its_files_in_the_folder_of_its_run(notebook, tmp_path):
    made = synthetic.synthetic_pairs(2, (40, 48), 0)
    pairs = list(zip(made.names, made.low, made.normal, strict=True))
    run = Run(tmp_path / "warm", [[2, 32, 1]], 1, 1e-3, ema=0.5, validate_every=2)
    networks = notebook.unet(4, 3, "instance"), notebook.patch_gan(4, "instance")
    joined = notebook.make_gan(*networks, run, 1e-3, notebook.pixel_loss, 100.0, 0)
    example = to_float(made.low[0]), to_float(made.normal[0])
    watched = run.watchers(notebook.viewer(networks[0], CARD).enhance, pairs, example)
    history = run.fit_gan(joined, pairs, watched)
    assert len(history["pixel_loss"]) == 2
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert {"warm/checkpoint.npz", "warm/checkpoint_best.npz"} < names
    assert "warm/panels/epoch_0001.png" in names


def test_the_step_in_the_notebook_is_that_of_the_package(notebook, small):
    rng = np.random.default_rng(0)
    low, normal = (rng.random((2, 32, 32, 3), "float32") for _ in range(2))
    taught, packed = small(), small()
    start = [network.get_weights() for network in taught.networks]
    notebook.adversarial_step(taught, low, normal)
    packed.train_on_batch(low, normal)
    for one, other, before in zip(taught.networks, packed.networks, start, strict=True):
        moves = [
            np.concatenate([(a - b).ravel() for a, b in zip(n.get_weights(), before, strict=True)])
            for n in (one, other)
        ]
        # Adam moves by the rate whatever the size of a gradient, so a rounded zero may differ.
        assert np.mean(np.abs(moves[0] - moves[1]) < 1e-6) > 0.99
        assert np.abs(moves[0]).mean() > 1e-5


@pytest.mark.parametrize("update", ["discriminator", "generator"])
def test_the_step_in_the_notebook_moves_the_named_network_alone(notebook, small, update):
    rng = np.random.default_rng(0)
    low, normal = (rng.random((1, 32, 32, 3), "float32") for _ in range(2))
    joined = small()
    before = [[np.asarray(v) for v in n.trainable_variables] for n in joined.networks]
    notebook.adversarial_step(joined, low, normal, [update])
    moved = [notebook.change(n, b) for n, b in zip(joined.networks, before, strict=True)]
    assert [distance > 0 for distance in moved] == [
        update == "discriminator",
        update == "generator",
    ]
