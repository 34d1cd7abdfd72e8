"""Supervised training: schedule, validation, MixUp, NaN, estimate. Kills are in test_mirnet.py."""

import keras
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from lle_utils.core import backend
from lle_utils.data.batches import PairStream
from lle_utils.metrics.pixelwise import psnr
from lle_utils.nn.reconstruction_losses import charbonnier_loss, ssim_loss
from lle_utils.training import checkpoints, cost, optimizers, supervised


def photos(count, height=20, width=24):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def plain_model(optimizer):
    keras.utils.set_random_seed(0)
    low = keras.Input((None, None, 3), name="low")
    model = keras.Model(low, keras.layers.Conv2D(3, 3, padding="same")(low))
    model.compile(optimizer, charbonnier_loss, **backend.compile_options())
    return model


def test_the_rate_warms_up_and_falls_along_a_cosine():
    optimizer = optimizers.make_optimizer(0.1, steps=110, warmup=10, final=0.01)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 60, 110)]
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 0.055, 0.01], atol=1e-6)
    without = optimizers.make_optimizer(0.1, steps=100)
    assert float(without._learning_rate(0)) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="fewer warm-up"):
        optimizers.make_optimizer(0.1, steps=10, warmup=10)


def test_mixup_blends_pairs_alike_and_depends_on_seed_epoch_and_index_only():
    low = photos(4)
    normal = [255 - photo for photo in low]
    plain, mixed, again = (PairStream(low, normal, 16, 4, mixup=m) for m in (None, 1.2, 1.2))
    dark, bright = mixed.batch(3, 0)
    np.testing.assert_allclose(dark + bright, 1, atol=1e-6)  # the same blend on both sides
    assert not np.allclose(dark, plain.batch(3, 0)[0])
    np.testing.assert_array_equal(dark, again.batch(3, 0)[0])
    assert not np.array_equal(dark, again.batch(4, 0)[0])
    with pytest.raises(ValueError, match="mixup is 0"):
        PairStream(low, normal, 16, 4, mixup=0)


def test_validation_is_psnr_of_whole_photos_with_the_averaged_weights():
    model = plain_model(optimizers.make_optimizer(0.01, 100, ema=0.5))
    low, normal = photos(2)
    seen = []

    def enhance(image):
        seen.append(model.get_weights()[0])
        return np.clip(np.asarray(model(image[None]))[0], 0, 1)

    callback = supervised.ValidationPsnr(enhance, [("one", low, normal)], every=2)
    history = model.fit(
        PairStream([low], [normal], 16, 1, steps=3), epochs=3, callbacks=[callback], verbose=0
    ).history["val_psnr"]
    assert len(history) == 3
    assert len(seen) == 3  # the first epoch, the second, and the last
    np.testing.assert_array_equal(seen[-1], model.get_weights()[0])  # fit ends with the average
    assert history[-1] == psnr(enhance(low / np.float32(255)), normal / np.float32(255))


def test_validation_with_the_brightness_told_hands_over_the_reference():
    low, normal = photos(2)
    validate = supervised.ValidationPsnr(
        lambda image, reference: np.clip(0.9 * reference + 0.05, 0, 1),
        [("one", low, normal)],
        told=True,
    )
    told = normal / np.float32(255)
    assert validate.measure() == psnr(0.9 * told + np.float32(0.05), told)


def test_the_averaged_weights_are_taken_back():
    model = plain_model(optimizers.make_optimizer(0.01, 100, ema=0.5))
    model.train_on_batch(*PairStream(photos(1), photos(1), 16, 1).batch(0, 0))
    model.train_on_batch(*PairStream(photos(1), photos(1), 16, 1).batch(1, 0))
    before = model.get_weights()
    with checkpoints.averaged_weights(model):
        assert not np.array_equal(model.get_weights()[0], before[0])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


class Spoil(keras.callbacks.Callback):
    """Make a weight NaN in an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            weight = self.model.trainable_variables[0]
            weight.assign(np.full(weight.shape, np.nan))


def test_after_a_nan_the_last_good_epoch_is_in_the_model_and_later_stages_are_left_out(tmp_path):
    model = plain_model(optimizers.make_optimizer(0.01, 100, ema=0.5))
    stages, path = [[4, 16, 1], [2, 20, 1]], tmp_path / "c.npz"
    history = supervised.fit_pairs(
        model, photos(2), photos(2), stages, 2, path, callbacks=[Spoil(2)], verbose=0
    )
    assert len(history["loss"]) == 2
    assert np.isfinite(model.get_weights()[0]).all()
    assert checkpoints.load_checkpoint(path, model)[0] == 2


def test_the_best_state_is_kept(tmp_path):
    model = plain_model(optimizers.make_optimizer(0.01, 100))
    values = iter([1.0, 3.0, 2.0])
    kept = {}

    def log(epoch, logs):
        logs["val_psnr"] = next(values)
        kept[epoch] = model.get_weights()[0]

    callback = keras.callbacks.LambdaCallback(on_epoch_end=log)
    path = tmp_path / "c.npz"
    supervised.fit_pairs(
        model, photos(1), photos(1), [[3, 16, 1]], 2, path, callbacks=[callback], verbose=0
    )
    assert checkpoints.load_checkpoint(checkpoints.best_path(path), model)[0] == 2
    np.testing.assert_array_equal(model.get_weights()[0], kept[1])


def test_the_estimate_leaves_the_model_alone_and_speaks_of_all_steps(capsys):
    model = plain_model(optimizers.make_optimizer(0.01, 100, ema=0.9))
    before = [np.asarray(v).copy() for v in checkpoints.checkpoint_variables(model)]
    plan = cost.estimate_training(model, 16, 4, steps=6000)
    for variable, value in zip(checkpoints.checkpoint_variables(model), before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)
    assert plan["minutes"] == pytest.approx(100 * plan["seconds_per_step"])
    assert 0.05 < plan["gigabytes"] < 20
    assert "6000 steps take about" in capsys.readouterr().out


def test_a_run_that_cannot_fit_is_refused_with_advice():
    model = plain_model(optimizers.make_optimizer(0.01, 100))
    with pytest.raises(MemoryError, match=r"smaller batch or crop"):
        cost.estimate_training(model, 512, 10**7, steps=1)


def test_charbonnier_is_epsilon_for_equal_images_and_nearly_l1_for_others():
    x = np.random.default_rng(0).random((1, 6, 9, 3)).astype("float32")
    assert float(charbonnier_loss(x, x)) == pytest.approx(1e-3, rel=1e-4)
    y = np.random.default_rng(1).random((1, 6, 9, 3)).astype("float32")
    wanted = np.sqrt((x - y) ** 2 + 1e-6).mean()
    assert float(charbonnier_loss(x, y)) == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(ValueError, match="epsilon is 0"):
        charbonnier_loss(x, x, 0)


def test_ssim_loss_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    x = rng.random((24, 37, 3)).astype("float32")
    y = np.clip(0.6 * x + rng.normal(0, 0.1, x.shape), 0, 1).astype("float32")
    wanted = structural_similarity(
        x,
        y,
        data_range=1,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim_loss(x[None], y[None])) == pytest.approx(1 - wanted, abs=1e-4)
