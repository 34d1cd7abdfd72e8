"""Defects of well-known GANs for low light: each test fails on the faulty form."""

import keras
import numpy as np
import pytest

from lle_utils.core.images import ImageError, load_image, save_image, to_float
from lle_utils.data import synthetic
from lle_utils.data.pairs import join_pair, split_pair
from lle_utils.notebook_tools.importer import definitions
from lle_utils.training import Run, gan


@pytest.fixture(scope="module")
def notebook():
    return definitions("06_resnet_gan")


def test_the_old_recipe_freezes_the_discriminator_and_ours_does_not(notebook, tmp_path):
    rng = np.random.default_rng(0)
    pair = [rng.random((2, 32, 32, 3)).astype("float32") for _ in range(2)]
    labels = np.ones((2, 2, 2, 1), "float32")
    coded = notebook.strided_discriminator(4)
    notebook.compile_discriminator(coded)
    assert notebook.movement(coded, lambda: coded.train_on_batch(pair, labels)) > 0
    notebook.compile_discriminator(coded)
    notebook.set_trainable(coded, False)
    assert notebook.movement(coded, lambda: coded.train_on_batch(pair, labels)) == 0
    networks = (
        notebook.resnet(4, 1),
        notebook.strided_discriminator(4, notebook.instance_norm, "linear"),
    )
    run = Run(tmp_path, [[1, 32, 2]], 10, 1e-3, warmup=1, ema=0.9)
    ours = notebook.make_gan(*networks, run, notebook.pixel_loss, 100)
    for _ in range(2):  # and not only once
        assert notebook.movement(ours.discriminator, lambda: ours.train_on_batch(*pair)) > 0


def test_array_to_img_stretches_and_save_image_does_not(tmp_path):
    pale = 0.3 + 0.2 * to_float(synthetic.sample_scenes()["chelsea"])[:40, :60]
    stretched = np.asarray(keras.utils.array_to_img(pale)) / 255
    assert stretched.max() - stretched.min() > 0.99
    saved = load_image(save_image(tmp_path / "pale.png", pale))
    np.testing.assert_allclose(saved, pale, atol=0.5 / 255 + 1e-6)


def test_the_loss_of_a_sure_but_wrong_discriminator_keeps_growing():
    logits = np.array([20.0, 40.0], "float32")
    ours = [float(gan.cross_entropy(0.0, logits[i : i + 1])) for i in (0, 1)]
    assert ours == pytest.approx([20, 40])
    probabilities = 1 / (1 + np.exp(-logits))
    coded = [float(keras.losses.BinaryCrossentropy()(np.zeros(1), p[None])) for p in probabilities]
    assert coded[0] == pytest.approx(coded[1])  # clipped: no gradient any more


def test_pairs_side_by_side_are_written_and_read(tmp_path):
    made = synthetic.synthetic_pairs(1, (256, 256), 0)
    low, normal = made.low[0], made.normal[0]
    path = save_image(tmp_path / "pair.png", join_pair(low, normal))
    image = load_image(path)
    assert image.shape == (256, 512, 3)
    for half, original in zip(split_pair(image), (low, normal), strict=True):
        np.testing.assert_allclose(half, original / 255, atol=1e-6)
    with pytest.raises(ImageError, match="two photos side by side"):
        split_pair(image[:, :-1])
    with pytest.raises(ImageError, match="of one shape and type"):
        join_pair(low, normal[:-1])
