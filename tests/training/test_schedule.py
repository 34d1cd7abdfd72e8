"""The folder, schedule and card of a training, and losses of several terms."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils.core.backend import compile_options
from lle_utils.enhancers.storage import CARD_KEYS, load_enhancer, save_enhancer
from lle_utils.training import run as training_run
from lle_utils.training.terms import WeightedTerms

ABOUT = {"name": "x", "method": "m", "inputs": ["low"], "multiple": 2, "halo": None}


@pytest.fixture
def run(tmp_path):
    stages = [[10, 64, 4], [3, 128, 2], [1, 96, 3]]
    return training_run.Run(tmp_path, stages, 20, 0.1, warmup=40, ema=0.9, seed=5)


def linear_network():
    low = keras.Input((None, None, 3), name="low")
    return keras.Model(low, keras.layers.Conv2D(3, 1, use_bias=False)(low), name="linear")


def test_steps_and_largest_stage_are_those_of_all_stages(run):
    assert run.total_steps == 20 * 14
    assert run.largest_stage == (3, 128, 2)
    assert replace(run, stages=[[2, 8, 1]]).total_steps == 40


def test_the_optimizer_follows_the_schedule_and_can_be_told_otherwise(run):
    optimizer = run.optimizer()
    rates = [float(optimizer._learning_rate(step)) for step in (0, 20, 40, 280)]
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 1e-6], atol=1e-6)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.9)
    other = run.optimizer(ema=None, beta_1=0.5)
    assert (other.use_ema, other.beta_1) == (False, 0.5)
    assert not replace(run, ema=0).optimizer().use_ema


def test_the_estimate_is_of_the_largest_batches(run, capsys):
    small = replace(run, stages=[[1, 16, 2], [2, 24, 3]], warmup=0)
    network = linear_network()
    network.compile(small.optimizer(), "mse", **compile_options())
    small.estimate(network)
    assert "a step of 3 crops of 24x24: 60 steps" in capsys.readouterr().out


def test_the_card_is_complete_and_tells_schedule_seed_and_best_epoch(run):
    card = run.card(ABOUT, "free", {"val_psnr": [1.0, 3.0, 2.0]}, data="lol", pairs=7)
    filled_in = {"parameters"}  # by `save_enhancer`
    assert set(CARD_KEYS) - filled_in <= set(card)
    assert ABOUT.items() <= card.items()
    told = card["training"]
    assert (told["data"], told["pairs"], told["split"], told["seed"]) == ("lol", 7, "train", 5)
    assert (told["stages"], told["steps"], told["warmup"]) == (run.stages, 20, 40)
    assert (told["learning_rate"], told["ema"], told["best_epoch"]) == (0.1, 0.9, 2)
    assert "best_epoch" not in run.card(ABOUT, "free")["training"]
    json.dumps(card)


def test_a_clipped_network_shares_the_weights_and_is_saved_with_its_card(run, capsys):
    network = linear_network()
    seen = training_run.clipped(network)
    network.set_weights([10 * np.eye(3, dtype="float32")[None, None]])
    photo = np.random.default_rng(0).random((6, 8, 3)).astype("float32")
    expected = np.clip(10 * photo, 0, 1)
    np.testing.assert_allclose(seen.predict_on_batch(photo[None])[0], expected)
    save_enhancer(seen, run.folder / "x", run.card(ABOUT, "free"))
    np.testing.assert_allclose(load_enhancer(run.folder / "x").enhance(photo), expected)
    training_run.describe(network)
    assert capsys.readouterr().out == "linear, 9 parameters, 0.00059 G multiply-adds\n"


class TwoTerms(WeightedTerms):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.add_up(ops.mean(y_pred), ops.mean(ops.square(y_pred)))


def test_terms_are_weighted_added_up_and_logged_by_name():
    model = TwoTerms(linear_network(), {"mean": 2.0, "square": 0.5})
    model.compile(keras.optimizers.SGD(0.0), **compile_options())
    photos = np.random.default_rng(0).random((2, 4, 4, 3)).astype("float32")
    logs = model.train_on_batch(photos, return_dict=True)
    output = np.asarray(model.network(photos))
    assert logs["mean"] == pytest.approx(output.mean(), rel=1e-4)
    assert logs["square"] == pytest.approx((output**2).mean(), rel=1e-4)
    wanted = 2 * output.mean() + 0.5 * (output**2).mean()
    assert logs["loss"] == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(ValueError, match="zip"):
        model.add_up(1.0)
