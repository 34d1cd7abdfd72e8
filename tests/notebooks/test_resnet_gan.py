"""Acceptance tests of the ResNet-generator GAN on the very code that notebook 06 teaches."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lle_utils.core.images import to_float
from lle_utils.data import synthetic
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training import Run, gan

CARD = {"name": "resnet_gan", "multiple": 4, "halo": None}


@pytest.fixture(scope="module")
def notebook():
    return definitions("06_resnet_gan")


@pytest.fixture(scope="module")
def tiny(notebook):
    keras.utils.set_random_seed(0)
    network = notebook.resnet(4, 2)
    network.compile(jit_compile=False)
    return network


@pytest.fixture(scope="module")
def photo():
    return to_float(synthetic.sample_scenes()["chelsea"])[:64, :96]


def test_as_coded_both_networks_have_the_published_parameters(notebook):
    assert notebook.as_coded().count_params() == 16_587_215
    discriminator = notebook.strided_discriminator()
    assert discriminator.count_params() == 6_968_257
    empty = np.zeros((1, 256, 256, 3), "float32")
    answers = ops.convert_to_numpy(discriminator([empty, empty]))
    assert answers.shape == (1, 16, 16, 1)
    assert 0 <= answers.min() <= answers.max() <= 1


def test_adding_takes_less_than_half_of_the_parameters_of_concatenating(notebook):
    assert notebook.resnet().count_params() < 0.5 * 16_587_215


def test_as_coded_the_output_cannot_follow_the_brightness_and_repaired_it_can(notebook, photo):
    keras.utils.set_random_seed(0)
    coded, repaired = notebook.as_coded(4, 1), notebook.resnet(4, 1)
    for network, follows in ((coded, False), (repaired, True)):
        lights = [notebook.before_tanh(network, share * photo) for share in (1.0, 0.25)]
        change = np.abs(np.subtract(*lights)).max()
        assert (change > 0.01) == follows, (network.name, lights)


def test_the_repaired_generator_learns_to_follow_the_brightness_and_the_coded_one_does_not(
    notebook, photo
):
    """Two exposures, each its own target: the mean of the output has to differ."""
    dim, bright = (np.float32(share) * photo[None, :32, :32] for share in (0.3, 1.0))
    gaps = []
    for build in (notebook.as_coded, notebook.resnet):
        keras.utils.set_random_seed(0)
        network = build(4, 1)
        network.compile(keras.optimizers.Adam(3e-3), "mae", jit_compile=False)
        for _ in range(60):
            network.train_on_batch(dim, dim)
            network.train_on_batch(bright, bright)
        outputs = [notebook.output_of(network, image[0]).mean() for image in (dim, bright)]
        gaps.append((outputs[1] - outputs[0]) / (bright.mean() - dim.mean()))
    assert gaps[0] < 0.6, gaps  # a little by the shape of the histogram, which the tanh bends
    assert gaps[1] > 0.8, gaps


def test_inference_is_deterministic_repaired_and_random_as_coded(notebook, tiny, photo):
    np.testing.assert_array_equal(*(notebook.output_of(tiny, photo) for _ in range(2)))
    coded = notebook.as_coded(4, 1)
    assert np.abs(np.subtract(*(notebook.output_of(coded, photo) for _ in range(2)))).mean() > 1e-3


def test_company_changes_a_photo_with_batch_norm_only(notebook, tiny, photo):
    others = [1 - photo, photo[::-1]]
    alone = notebook.in_company(tiny, photo, [])
    np.testing.assert_allclose(notebook.in_company(tiny, photo, others), alone, atol=1e-5)
    low = keras.Input((None, None, 3))
    normed = keras.Model(low, notebook.batch_norm(notebook.convolution(3)(low)))
    change = notebook.in_company(normed, photo, others) - notebook.in_company(normed, photo, [])
    assert np.abs(change).mean() > 0.01


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (40, 24)])
def test_any_size_comes_back_in_its_size_and_range(tiny, size):
    low = np.random.default_rng(1).random((*size, 3)).astype("float32")
    enhanced = Enhancer(tiny, CARD).enhance(low)
    assert enhanced.shape == low.shape
    assert 0 <= enhanced.min() <= enhanced.max() <= 1


def test_blocks_add_and_nothing_normalises_first_or_last(notebook):
    network = notebook.resnet(4, 3)
    assert sum(isinstance(layer, layers.Add) for layer in network.layers) == 3
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    for layer in (convolutions[0], convolutions[-1]):
        (node,) = layer._outbound_nodes
        assert not isinstance(node.operation, layers.GroupNormalization)


@pytest.fixture
def make_gan(notebook, tmp_path):
    """Return a function that joins a generator with a small discriminator."""

    def make(generator, rate, steps):
        run = Run(tmp_path, [[1, 32, 2]], steps, rate, warmup=1, ema=0.5)
        discriminator = notebook.strided_discriminator(4, notebook.instance_norm, "linear")
        return notebook.make_gan(generator, discriminator, run, notebook.pixel_loss, 100)

    return make


def test_the_discriminator_of_the_notebook_answers_with_logits(notebook, make_gan):
    joined = make_gan(notebook.resnet(4, 1), 2e-4, 10)
    assert isinstance(joined, gan.GAN)
    for layer in joined.discriminator.layers:
        if isinstance(layer, layers.Conv2D):
            layer.set_weights([100 * w for w in layer.get_weights()])
    rng = np.random.default_rng(0)
    pair = [rng.random((1, 64, 64, 3)).astype("float32") for _ in range(2)]
    assert np.abs(ops.convert_to_numpy(joined.discriminator(pair))).max() > 1


def test_the_two_networks_train_each_other_on_pairs(notebook, make_gan, tmp_path):
    keras.utils.set_random_seed(0)
    made = synthetic.synthetic_pairs(3, (40, 48), 0)
    joined = make_gan(notebook.resnet(4, 1), 3e-3, 40)
    history = gan.fit_gan(
        joined, made.low, made.normal, [[10, 32, 2]], 4, tmp_path / "c.npz", verbose=0
    )
    assert history["pixel_loss"][-1] < history["pixel_loss"][0]
    assert history["discriminator_loss"][0] != history["discriminator_loss"][-1]
