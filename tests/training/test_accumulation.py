"""Gradients of small batches, added up, move the weights as one large batch does."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils.core.backend import compile_options
from lle_utils.training import checkpoints
from lle_utils.training.gan import GAN
from lle_utils.training.optimizers import make_optimizer

STEPS, PARTS = 3, 4


def network(seed=0):
    keras.utils.set_random_seed(seed)
    low = keras.Input((None, None, 3), name="low")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(low)
    return keras.Model(low, ops.sigmoid(keras.layers.Conv2D(3, 3, padding="same")(x)))


def discriminator():
    keras.utils.set_random_seed(1)
    low, bright = (keras.Input((None, None, 3)) for _ in range(2))
    x = keras.layers.Conv2D(4, 4, strides=2)(keras.layers.Concatenate()([low, bright]))
    return keras.Model([low, bright], keras.layers.Conv2D(1, 3)(keras.activations.silu(x)))


def optimizer(accumulate, ema=0.6):
    return make_optimizer(0.01, 10, warmup=2, ema=ema, clip=0.05, accumulate=accumulate)


def batches(parts):
    """Return the same photos as ``STEPS`` large batches, or each of them in parts."""
    rng = np.random.default_rng(0)
    normal = rng.random((STEPS, PARTS * 2, 16, 16, 3), "float32")
    normal = normal.reshape(STEPS * parts, -1, 16, 16, 3)
    return [(0.2 * photos, photos) for photos in normal]


def trained(model, parts):
    """Train, and return the weights and then their averages."""
    for low, normal in batches(parts):
        model.train_on_batch(low, normal)
    weights = [ops.convert_to_numpy(w).copy() for w in model.trainable_variables]
    with checkpoints.averaged_weights(model):
        return weights, [ops.convert_to_numpy(w).copy() for w in model.trainable_variables]


def plain(accumulate, make=optimizer):
    model = network()
    model.compile(make(accumulate), "mse", **compile_options())
    return model


def gan(accumulate):
    def loss(normal, enhanced):
        return ops.mean(ops.abs(normal - enhanced))

    pair = [optimizer(accumulate) for _ in range(2)]
    return GAN(network(), discriminator(), *pair, loss, pixel_weight=5.0)


@pytest.mark.parametrize("build", [plain, gan])
def test_small_batches_added_up_move_weights_and_averages_as_large_ones(build):
    large, small = trained(build(1), 1), trained(build(PARTS), PARTS)
    untouched = [ops.convert_to_numpy(w).copy() for w in build(1).trainable_variables]
    for kind in range(2):
        for one, other, before in zip(large[kind], small[kind], untouched, strict=True):
            assert np.abs(one - before).max() > 1e-3
            np.testing.assert_allclose(one, other, atol=2e-6)
    assert max(np.abs(w - a).max() for w, a in zip(*large, strict=True)) > 1e-3


def test_the_average_of_keras_alone_is_another_one():
    """Why there is an Adam of ours: this fails when Keras averages once per step itself."""

    def kerasown(accumulate):
        more = {"gradient_accumulation_steps": accumulate} if accumulate > 1 else {}
        return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.6, **more)

    large, small = (trained(plain(n, kerasown), n) for n in (1, PARTS))
    apart = [
        max(np.abs(a - b).max() for a, b in zip(*kind, strict=True))
        for kind in zip(large, small, strict=True)
    ]
    assert apart[0] < 2e-6
    assert apart[1] > 1e-3


def test_weights_stand_still_until_a_step_is_full():
    model = plain(2)
    (low, normal), *_ = batches(1)
    before = model.get_weights()
    model.train_on_batch(low, normal)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.train_on_batch(low, normal)  # of the warm-up, whose first rate is 0
    model.train_on_batch(low, normal)
    model.train_on_batch(low, normal)
    assert np.abs(before[0] - model.get_weights()[0]).max() > 1e-3


def test_what_was_saved_in_between_goes_on_after_loading(tmp_path):
    model, parts = plain(2), batches(2)
    for low, normal in parts[:3]:
        model.train_on_batch(low, normal)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.compile(loaded.optimizer, "mse", **compile_options())
    for low, normal in parts[3:]:
        for each in (model, loaded):
            each.train_on_batch(low, normal)
    for each in (model, loaded):
        checkpoints.use_average(each)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_no_batch_to_a_step_is_refused():
    with pytest.raises(ValueError, match="accumulate is 0"):
        make_optimizer(0.01, 10, accumulate=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="runs itself under JAX")
def test_the_same_holds_under_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
