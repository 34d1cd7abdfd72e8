"""The adversarial trainer: its losses, whose weights move, and how training ends."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils import adversarial, training
from lle_utils.adversarial import Adversaries, KeepModels, Watch, cross_entropy


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


def players(rate=0.1, judge_rate=0.1, **options):
    options = {"pixel_weight": 5.0, **options}
    return Adversaries(
        generator(),
        discriminator(),
        keras.optimizers.SGD(rate),
        keras.optimizers.SGD(judge_rate),
        mean_difference,
        **options,
    )


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
    game = players(adversarial_weight=0.5)
    low, normal = batch()
    losses = {name: float(value) for name, value in game.losses(low, normal).items()}
    enhanced = game.generator(low)
    real, fake = game.discriminator([low, normal]), game.discriminator([low, enhanced])
    assert losses["pixel_loss"] == pytest.approx(float(mean_difference(normal, enhanced)))
    assert losses["adversarial_loss"] == pytest.approx(float(cross_entropy(1.0, fake)))
    halves = float(cross_entropy(1.0, real)) + float(cross_entropy(0.0, fake))
    assert losses["discriminator_loss"] == pytest.approx(halves / 2)
    weighted = 0.5 * losses["adversarial_loss"] + 5 * losses["pixel_loss"]
    assert losses["generator_loss"] == pytest.approx(weighted)


@pytest.mark.parametrize("update", [["discriminator"], ["generator"], adversarial.NETWORKS])
def test_a_step_moves_the_networks_that_it_should_and_no_other(update):
    game = players()
    before = [network.get_weights() for network in game.networks]
    reported = game.step(*batch(), update)
    for name, network, old in zip(adversarial.NETWORKS, game.networks, before, strict=True):
        moved = any((a != b).any() for a, b in zip(network.get_weights(), old, strict=True))
        assert moved == (name in update), name
    fresh = {name: float(value) for name, value in players().losses(*batch()).items()}
    assert reported == pytest.approx(fresh)  # the losses before the step


def test_each_gradient_is_that_of_its_own_loss():
    import tensorflow as tf  # the reference is computed with tapes of its own

    game, low, normal = players(), *batch()
    with tf.GradientTape() as tape:
        enhanced = game.generator(low)
        loss = cross_entropy(1.0, game.discriminator([low, enhanced]))
        loss += 5 * mean_difference(normal, enhanced)
    wanted = [tape.gradient(loss, game.generator.trainable_variables)]
    fixed = tf.stop_gradient(game.generator(low))
    with tf.GradientTape() as tape:
        loss = cross_entropy(1.0, game.discriminator([low, normal]))
        loss = (loss + cross_entropy(0.0, game.discriminator([low, fixed]))) / 2
    wanted.insert(0, tape.gradient(loss, game.discriminator.trainable_variables))
    before = [network.get_weights() for network in game.networks]
    game.step(low, normal)
    for network, old, gradients in zip(game.networks, before, wanted, strict=True):
        for new, start, gradient in zip(network.get_weights(), old, gradients, strict=True):
            np.testing.assert_allclose(start - new, 0.1 * gradient, atol=1e-6)


def test_without_an_adversarial_weight_the_judge_is_left_alone():
    game = players(adversarial_weight=0.0)
    before = game.discriminator.get_weights()
    losses = game.step(*batch())
    assert set(losses) == {"pixel_loss", "generator_loss"}
    for new, old in zip(game.discriminator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_wrong_arguments_are_named():
    one = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="each needs its own"):
        Adversaries(generator(), discriminator(), one, one, mean_difference)
    with pytest.raises(ValueError, match="expected one or both"):
        players().step(*batch(), ["judge"])
    with pytest.raises(ValueError, match="most is 1"):
        KeepModels("somewhere", 1)


def test_in_16_bits_the_losses_are_nearly_the_same_and_both_networks_move():
    with training.dtype_policy("mixed_float16"):
        game = players()
    assert keras.config.dtype_policy().name == "float32"
    assert all(isinstance(n.optimizer, keras.optimizers.LossScaleOptimizer) for n in game.networks)
    before = [network.get_weights() for network in game.networks]
    losses = game.step(*batch())
    assert losses == pytest.approx(players().step(*batch()), rel=0.01)
    plain = players()
    plain.step(*batch())
    for network, same, old in zip(game.networks, plain.networks, before, strict=True):
        for new, other, start in zip(network.get_weights(), same.get_weights(), old, strict=True):
            np.testing.assert_allclose(new - start, other - start, atol=2e-3)
            assert (new != start).any()


BOTH_BACKENDS = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_adversarial import batch, players
game = players(rate=0.05, judge_rate=0.05)
for number, network in enumerate(game.networks):
    with np.load(f"{sys.argv[2]}/{number}.npz") as file:
        network.set_weights([file[name] for name in sorted(file.files)])
losses = [game.step(*batch()) for _ in range(6)]
losses.append(game.step(*batch(), ["discriminator"]))
print(json.dumps(losses))
"""


def test_both_backends_give_the_same_losses(tmp_path):
    for number, network in enumerate(players().networks):
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


def test_kept_models_are_bounded_spread_and_include_the_newest(tmp_path):
    model = generator()
    model.compile(keras.optimizers.SGD(0.1), "mse", **training.compile_options())
    keeper = KeepModels(tmp_path, most=4)
    keeper.set_model(model)
    for epoch in range(11):
        keeper.on_epoch_end(epoch)
        assert len(adversarial.saved_epochs(tmp_path)) <= 4
    saved = adversarial.saved_epochs(tmp_path)
    assert list(saved) == [4, 8, 10, 11]
    loaded = keras.saving.load_model(saved[11], compile=False)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_a_panel_is_written_after_every_epoch(tmp_path):
    from PIL import Image

    game, (low, normal) = players(), batch(side=40, count=1)
    watch = Watch(lambda image: image, *(np.array(side)[0] for side in (low, normal)), tmp_path)
    adversarial.fit(
        game, *photos(), [[2, 16, 1]], 1, tmp_path / "c.npz", callbacks=[watch], verbose=0
    )
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["epoch_0001.png", "epoch_0002.png"]
    assert min(Image.open(tmp_path / "epoch_0002.png").size) > 100
    assert len(watch.history["pixel_loss"]) == 2


# The first kernel is before a ReLU, which hides NaN from the loss on some processors.
@pytest.mark.parametrize("which", [0, -1])
def test_what_is_not_finite_ends_training_at_the_last_good_epoch(tmp_path, capsys, which):
    game, calls = players(), []

    def spoil(epoch, logs):
        calls.append(epoch)
        if epoch == 2:
            weight = game.generator.trainable_variables[which]
            weight.assign(np.full(weight.shape, np.nan))

    late = keras.callbacks.LambdaCallback(on_epoch_begin=spoil)
    path = tmp_path / "checkpoint.npz"
    history = adversarial.fit(game, *photos(), [[6, 16, 1]], 2, path, callbacks=[late], verbose=0)
    assert calls == [0, 1, 2]
    assert "is not finite" in capsys.readouterr().out
    assert len(history["generator_loss"]) == 2
    assert all(np.isfinite(w).all() for n in game.networks for w in n.get_weights())


def test_training_ends_when_the_discriminator_has_won_and_stays_ended(tmp_path, capsys):
    # A generator that does not move, and pairs told apart by brightness alone.
    low, normal = photos(6)
    normal = [np.full_like(photo, 255) for photo in normal]
    game = players(rate=0.0)
    game.discriminator.compile(keras.optimizers.Adam(0.05), **training.compile_options())
    path = tmp_path / "checkpoint.npz"
    history = adversarial.fit(game, low, normal, [[40, 16, 2]], 10, path, verbose=0)
    done = len(history["discriminator_loss"])
    assert 3 <= done < 40
    assert max(history["discriminator_loss"][-3:]) < 0.01
    assert "the discriminator has won" in capsys.readouterr().out
    again = adversarial.fit(game, low, normal, [[40, 16, 2]], 10, path, verbose=0)
    assert len(again["discriminator_loss"]) == done


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    adversarial.fit(players(), *photos(), [[1, 16, 1]], 1, path, verbose=0)
    game = players()
    with pytest.raises(training.CheckpointError, match="do not fit"):
        training.load_checkpoint(path, game.generator)


def test_the_cost_of_a_step_is_compared_with_its_parts():
    cost = adversarial.step_cost(players(), *batch(), repeats=3)
    assert len(cost["parts"]) == 3
    assert cost["sum"] == pytest.approx(sum(cost["parts"].values()))
    assert cost["ratio"] == pytest.approx(cost["step"] / cost["sum"])
