"""What a training tells while it runs, and the order to stop that it obeys."""

import json
import os

import keras
import numpy as np
import pytest

from lle_utils.core import backend
from lle_utils.data.batches import PairStream
from lle_utils.nn.reconstruction_losses import charbonnier_loss
from lle_utils.training import checkpoints, loop, progress


def test_the_history_lies_beside_the_checkpoint_and_later_trainings_follow(tmp_path):
    for i, (place, values) in enumerate((("warm", [1.0, 2.0]), ("own", [3.0]))):
        path = tmp_path / place / "checkpoint.npz"
        progress.tell_history(path, {"val_psnr": values, "loss": [0.0]})
        os.utime(tmp_path / place / "checkpoint_history.json", (1000 + i, 1000 + i))
    found = progress.read_history(tmp_path)
    assert found == {"val_psnr": [1.0, 2.0, 3.0], "loss": [0.0, 0.0]}
    assert progress.read_history(tmp_path / "none") == {}


def test_the_order_to_stop_goes_to_the_training_that_told_last(tmp_path):
    progress.order_stop(tmp_path, "no one is there")
    first, last = tmp_path / "a" / "x.npz", tmp_path / "b" / "x.npz"
    for i, path in enumerate((last, first)):
        progress.tell_history(path, {"loss": [1.0]})
        os.utime(path.with_name("x_history.json"), (2000 - i, 2000 - i))
    progress.order_stop(tmp_path, "too slow")
    progress.tell_history(first, {"loss": [1.0, 0.5]})
    with pytest.raises(progress.TrainingStoppedError, match=r"^too slow$"):
        progress.tell_history(last, {"loss": [1.0, 0.5]})
    assert len(json.loads((tmp_path / "b" / "x_history.json").read_text())["loss"]) == 2


def test_a_network_in_training_tells_each_epoch_and_stops_when_told(tmp_path):
    keras.utils.set_random_seed(0)
    low = keras.Input((None, None, 3))
    model = keras.Model(low, keras.layers.Conv2D(3, 3, padding="same")(low))
    model.compile("adam", charbonnier_loss, **backend.compile_options())
    rng = np.random.default_rng(0)
    dark, bright = ([rng.integers(0, 256, (20, 24, 3), np.uint8)] for _ in range(2))
    stream, path = PairStream(dark, bright, 16, 1, steps=1), tmp_path / "net.npz"
    told = []

    def follow(epoch, logs):
        told.append(len(progress.read_history(tmp_path).get("loss", [])))
        if epoch == 2:
            progress.order_stop(tmp_path, "others are better")

    watch = keras.callbacks.LambdaCallback(on_epoch_begin=follow)
    with pytest.raises(progress.TrainingStoppedError, match="others are better"):
        loop.fit(model, stream, 9, path, [watch], verbose=0)
    assert told == [0, 1, 2]
    epoch, history = checkpoints.load_checkpoint(path, model)  # whole, and of the last epoch
    assert epoch == 3
    assert progress.read_history(tmp_path) == history
