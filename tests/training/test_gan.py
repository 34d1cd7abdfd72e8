"""The adversarial trainer: its losses, whose weights move, and how training ends."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils.core import backend as backend_module
from lle_utils.data.batches import PairStream
from lle_utils.training import checkpoints, gan, gan_callbacks
from lle_utils.training import cost as cost_module
from lle_utils.training.gan import GAN, cross_entropy
from lle_utils.training.gan_callbacks import EpochCheckpoints, ImageLogger


def generator(seed=0):
    keras.utils.set_random_seed(seed)
    low = keras.Input((None, None, 3), name="low")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(low)
    return keras.Model(low, ops.sigmoid(keras.layers.Conv2D(3, 3, padding="same")(x)))


def discriminator(seed=1):
    keras.utils.set_random_seed(seed)
    low, bright = (keras.Input((None, None, 3)) for _ in range(2))
    x = keras.layers.Concatenate()([low, bright])
    x = keras.layers.LeakyReLU(negative_slope=0.2)(keras.layers.Conv2D(4, 4, strides=2)(x))
    return keras.Model([low, bright], keras.layers.Conv2D(1, 3)(x))


def mean_difference(normal, enhanced):
    return ops.mean(ops.abs(normal - enhanced))


def small_gan(rate=0.1, discriminator_rate=0.1, **options):
    options = {"pixel_weight": 5.0, **options}
    return GAN(
        generator(),
        discriminator(),
        keras.optimizers.SGD(rate),
        keras.optimizers.SGD(discriminator_rate),
        mean_difference,
        **options,
    )


def step(model, low, normal):
    return model.train_on_batch(low, normal, return_dict=True)


def batch(side=16, count=2):
    rng = np.random.default_rng(0)
    normal = rng.random((count, side, side, 3), "float32")
    return ops.convert_to_tensor(0.2 * normal), ops.convert_to_tensor(normal)


def photos(count=3, side=20):
    rng = np.random.default_rng(0)
    normal = [rng.integers(60, 256, (side, side, 3), np.uint8) for _ in range(count)]
    return [photo // 5 for photo in normal], normal


def test_cross_entropy_in_closed_form():
    assert float(cross_entropy(1.0, np.zeros(3))) == pytest.approx(np.log(2))
    logits = np.array([-2.0, 0.5, 3.0], "float32")
    probability = 1 / (1 + np.exp(-logits))
    expected = {1.0: -np.log(probability), 0.0: -np.log(1 - probability)}
    for label, values in expected.items():
        assert float(cross_entropy(label, logits)) == pytest.approx(values.mean(), rel=1e-5)
    # From probabilities this would be infinite, or clipped at 16.
    assert float(cross_entropy(0.0, np.array([200.0]))) == pytest.approx(200)


def test_the_losses_add_up():
    model = small_gan(adversarial_weight=0.5)
    low, normal = batch()
    losses = {name: float(value) for name, value in model.compute_losses(low, normal).items()}
    enhanced = model.generator(low)
    real, fake = model.discriminator([low, normal]), model.discriminator([low, enhanced])
    assert losses["pixel_loss"] == pytest.approx(float(mean_difference(normal, enhanced)))
    assert losses["adversarial_loss"] == pytest.approx(float(cross_entropy(1.0, fake)))
    halves = float(cross_entropy(1.0, real)) + float(cross_entropy(0.0, fake))
    assert losses["discriminator_loss"] == pytest.approx(halves / 2)
    weighted = 0.5 * losses["adversarial_loss"] + 5 * losses["pixel_loss"]
    assert losses["generator_loss"] == pytest.approx(weighted)


def test_the_reported_losses_are_those_before_the_step():
    model = small_gan()
    first, second = (step(model, *batch()) for _ in range(2))
    fresh = {name: float(value) for name, value in small_gan().compute_losses(*batch()).items()}
    assert first == pytest.approx(fresh)
    assert second["generator_loss"] < first["generator_loss"]  # of this batch, not a mean of both


def test_fit_logs_the_mean_losses_of_an_epoch():
    model, means = small_gan(rate=0.0, discriminator_rate=0.0), []
    stream = PairStream(*photos(), 16, 1, steps=3)
    for index in range(3):
        means.append(step(model, *stream[index]))
    history = model.fit(stream, shuffle=False, verbose=0).history
    for name, (value,) in history.items():
        assert value == pytest.approx(np.mean([losses[name] for losses in means]), rel=1e-5)
    assert list(history) == list(means[0])


def test_each_gradient_is_that_of_its_own_loss():
    import tensorflow as tf  # the reference is computed with tapes of its own

    model, low, normal = small_gan(), *batch()
    with tf.GradientTape() as tape:
        enhanced = model.generator(low)
        loss = cross_entropy(1.0, model.discriminator([low, enhanced]))
        loss += 5 * mean_difference(normal, enhanced)
    wanted = [tape.gradient(loss, model.generator.trainable_variables)]
    fixed = tf.stop_gradient(model.generator(low))
    with tf.GradientTape() as tape:
        loss = cross_entropy(1.0, model.discriminator([low, normal]))
        loss = (loss + cross_entropy(0.0, model.discriminator([low, fixed]))) / 2
    wanted.insert(0, tape.gradient(loss, model.discriminator.trainable_variables))
    before = [network.get_weights() for network in model.networks]
    step(model, low, normal)
    for network, old, gradients in zip(model.networks, before, wanted, strict=True):
        for new, start, gradient in zip(network.get_weights(), old, gradients, strict=True):
            np.testing.assert_allclose(start - new, 0.1 * gradient, atol=1e-6)


def test_without_an_adversarial_weight_the_discriminator_is_left_alone():
    model = small_gan(adversarial_weight=0.0)
    before = model.discriminator.get_weights()
    losses = step(model, *batch())
    assert set(losses) == {"pixel_loss", "generator_loss"}
    for new, old in zip(model.discriminator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_wrong_arguments_are_named():
    one = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="each needs its own"):
        GAN(generator(), discriminator(), one, one, mean_difference)
    with pytest.raises(ValueError, match="keep is 1"):
        EpochCheckpoints(generator(), "somewhere", 1)


def test_in_16_bits_the_losses_are_nearly_the_same_and_both_networks_move():
    with backend_module.dtype_policy("mixed_float16"):
        model = small_gan()
    assert keras.config.dtype_policy().name == "float32"
    assert all(isinstance(n.optimizer, keras.optimizers.LossScaleOptimizer) for n in model.networks)
    before = [network.get_weights() for network in model.networks]
    losses = step(model, *batch())
    plain = small_gan()
    assert losses == pytest.approx(step(plain, *batch()), rel=0.01)
    for network, same, old in zip(model.networks, plain.networks, before, strict=True):
        for new, other, start in zip(network.get_weights(), same.get_weights(), old, strict=True):
            np.testing.assert_allclose(new - start, other - start, atol=2e-3)
            assert (new != start).any()


BOTH_BACKENDS = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_gan import batch, small_gan, step
model = small_gan(rate=0.05, discriminator_rate=0.05)
for number, network in enumerate(model.networks):
    with np.load(f"{sys.argv[2]}/{number}.npz") as file:
        network.set_weights([file[name] for name in sorted(file.files)])
losses = [step(model, *batch()) for _ in range(6)]
alone = small_gan(rate=0.05, adversarial_weight=0.0)
alone.generator.set_weights(model.generator.get_weights())
losses += [step(alone, *batch()) for _ in range(2)]
print(json.dumps(losses))
"""


def test_both_backends_give_the_same_losses(tmp_path):
    for number, network in enumerate(small_gan().networks):
        named = {f"{i:03d}": w for i, w in enumerate(network.get_weights())}
        np.savez(tmp_path / f"{number}.npz", **named)
    rows = []
    for backend in ("tensorflow", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend}
        here = os.path.dirname(__file__)
        command = [sys.executable, "-c", BOTH_BACKENDS, here, str(tmp_path)]
        output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        rows.append(json.loads(output.splitlines()[-1]))
    for one, other in zip(*rows, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert rows[0][0]["generator_loss"] > rows[0][5]["generator_loss"]


RESUMED = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_gan import gan, photos, small_gan
folder, whole, broken = Path(sys.argv[2]), small_gan(), small_gan()
stages = [[3, 16, 2], [1, 20, 1]]
gan.fit_gan(whole, *photos(), stages, 2, folder / "whole.npz", verbose=0)
for epochs in ([[1, 16, 2]], [[2, 16, 2]], stages):
    gan.fit_gan(broken, *photos(), epochs, 2, folder / "broken.npz", verbose=0)
one, other = (np.load(folder / f"{name}.npz") for name in ("whole", "broken"))
assert one.files == other.files and str(one["meta"]) == str(other["meta"])
assert all(np.array_equal(one[name], other[name]) for name in one.files)
"""


def test_under_jax_a_resumed_run_ends_with_the_same_bits(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", RESUMED, os.path.dirname(__file__), str(tmp_path)]
    subprocess.run(command, env=environment, check=True)


def test_kept_models_are_bounded_spread_and_include_the_newest(tmp_path):
    model = generator()
    model.compile(keras.optimizers.SGD(0.1), "mse", **backend_module.compile_options())
    keeper = EpochCheckpoints(model, tmp_path, keep=4)
    for epoch in range(11):
        keeper.on_epoch_end(epoch)
        assert len(gan_callbacks.saved_epochs(tmp_path)) <= 4
    saved = gan_callbacks.saved_epochs(tmp_path)
    assert list(saved) == [4, 8, 10, 11]
    loaded = keras.saving.load_model(saved[11], compile=False)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_a_panel_is_written_after_every_epoch(tmp_path):
    from PIL import Image

    model, (low, normal) = small_gan(), batch(side=40, count=1)
    example = [np.array(side)[0] for side in (low, normal)]
    logger = ImageLogger(lambda image: image, *example, tmp_path)
    gan.fit_gan(
        model, *photos(), [[2, 16, 1]], 1, tmp_path / "c.npz", callbacks=[logger], verbose=0
    )
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["epoch_0001.png", "epoch_0002.png"]
    with Image.open(tmp_path / "epoch_0002.png") as panel:
        assert min(panel.size) > 100
    assert len(logger.history["pixel_loss"]) == 2


# The first kernel is before a ReLU, which hides NaN from the loss on some processors.
@pytest.mark.parametrize("which", [0, -1])
def test_what_is_not_finite_ends_training_at_the_last_good_epoch(tmp_path, capsys, which):
    model, calls = small_gan(), []

    def spoil(epoch, logs):
        calls.append(epoch)
        if epoch == 2:
            weight = model.generator.trainable_variables[which]
            weight.assign(np.full(weight.shape, np.nan))

    late = keras.callbacks.LambdaCallback(on_epoch_begin=spoil)
    path = tmp_path / "checkpoint.npz"
    history = gan.fit_gan(model, *photos(), [[6, 16, 1]], 2, path, callbacks=[late], verbose=0)
    assert calls == [0, 1, 2]
    assert "is not finite" in capsys.readouterr().out
    assert len(history["generator_loss"]) == 2
    assert all(np.isfinite(w).all() for n in model.networks for w in n.get_weights())


def test_training_ends_when_the_discriminator_has_won_and_stays_ended(tmp_path, capsys):
    # A generator that does not move, and pairs told apart by brightness alone.
    low, normal = photos(6)
    normal = [np.full_like(photo, 255) for photo in normal]
    model = small_gan(rate=0.0)
    model.discriminator.compile(keras.optimizers.Adam(0.05), **backend_module.compile_options())
    path, stages = tmp_path / "checkpoint.npz", [[40, 16, 2], [2, 16, 2]]
    history = gan.fit_gan(model, low, normal, stages, 10, path, verbose=0)
    done = len(history["discriminator_loss"])
    assert 3 <= done < 40
    assert max(history["discriminator_loss"][-3:]) < 0.01
    assert "the discriminator has won" in capsys.readouterr().out
    again = gan.fit_gan(model, low, normal, stages, 10, path, verbose=0)
    assert "the discriminator has won" in capsys.readouterr().out
    assert len(again["discriminator_loss"]) == done


# Of every discriminator and generator above: weights, then iteration and rate of its optimizer.
SHAPES = [(4, 4, 6, 4), (4,), (3, 3, 4, 1), (1,), (), ()]
SHAPES += [(3, 3, 3, 4), (4,), (3, 3, 4, 3), (3,), (), ()]


def test_checkpoints_keep_their_layout_so_that_an_older_run_goes_on(tmp_path):
    path, model = tmp_path / "c.npz", small_gan()
    gan.fit_gan(model, *photos(), [[1, 16, 1]], 2, path, verbose=0)
    with np.load(path) as file:
        assert file.files == ["meta", *(f"v{i:05d}" for i in range(len(SHAPES)))]
        assert [file[name].shape for name in file.files[1:]] == SHAPES
        assert set(json.loads(str(file["meta"]))) == {"epoch", "history"}
        assert int(file["v00004"]) == int(file["v00010"]) == 2
        for network, first in zip(model.networks, (0, 6), strict=True):
            for place, weight in enumerate(network.get_weights(), first):
                np.testing.assert_array_equal(file[f"v{place:05d}"], weight)


def test_a_checkpoint_written_by_hand_in_that_layout_is_taken_up(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "c.npz"
    values = [np.zeros(shape, "float32") for shape in SHAPES]
    for place in (0, 2, 6, 8):
        values[place] = rng.normal(0, 0.1, SHAPES[place]).astype("float32")
    values[4] = values[10] = np.array(6)
    values[5], values[11] = np.float32(0.1), np.float32(0.2)
    names = ["discriminator_loss", "adversarial_loss", "pixel_loss", "generator_loss"]
    meta = json.dumps({"epoch": 3, "history": {name: [0.5, 0.4, 0.3] for name in names}})
    named = {f"v{i:05d}": value for i, value in enumerate(values)}
    np.savez(path, meta=np.array(meta), **named)
    model, epochs = small_gan(), []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    history = gan.fit_gan(model, *photos(), [[4, 16, 1]], 2, path, callbacks=[note], verbose=0)
    assert epochs == [3]
    assert history["pixel_loss"][:3] == [0.5, 0.4, 0.3]
    assert [int(n.optimizer.iterations) for n in model.networks] == [8, 8]
    rates = [float(n.optimizer.learning_rate) for n in model.networks]
    assert rates == pytest.approx([0.1, 0.2])
    # The same two steps from the same weights, by hand.
    again = small_gan(rate=0.2, discriminator_rate=0.1)
    again.discriminator.set_weights(values[:4])
    again.generator.set_weights(values[6:10])
    for index in range(2):
        step(again, *PairStream(*photos(), 16, 1, steps=2, epoch=3)[index])
    for one, other in zip(model.networks, again.networks, strict=True):
        for weight, same in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(weight, same, atol=1e-6)


def test_averaged_weights_are_those_of_the_networks_that_keep_an_average():
    averaging = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model = GAN(generator(), discriminator(), averaging, keras.optimizers.SGD(0.1), mean_difference)
    for _ in range(2):
        step(model, *batch())
    before = [network.get_weights() for network in model.networks]
    with checkpoints.averaged_weights(model):
        inside = [network.get_weights() for network in model.networks]
    for now, then in zip(model.networks, before, strict=True):
        np.testing.assert_array_equal(now.get_weights()[0], then[0])
    np.testing.assert_array_equal(inside[0][0], before[0][0])
    assert (inside[1][0] != before[1][0]).any()


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    gan.fit_gan(small_gan(), *photos(), [[1, 16, 1]], 1, path, verbose=0)
    model = small_gan()
    with pytest.raises(checkpoints.CheckpointError, match="do not fit"):
        checkpoints.load_checkpoint(path, model.generator)


def test_the_cost_of_a_step_is_compared_with_its_parts():
    cost = cost_module.step_cost(small_gan(), *batch(), repeats=3)
    assert len(cost["parts"]) == 3
    assert cost["sum"] == pytest.approx(sum(cost["parts"].values()))
    assert cost["ratio"] == pytest.approx(cost["step"] / cost["sum"])
