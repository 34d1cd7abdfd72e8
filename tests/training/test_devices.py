"""A training on two devices, or in two processes, is the training on one."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from lle_utils.cli.main import main
from lle_utils.core.devices import DeviceError, device_count, own_part, use_devices
from lle_utils.data.batches import PairStream

pytest.importorskip("jax", reason="training on several devices needs JAX")

TRAINING = """
import json, os, shutil, sys
import keras
import numpy as np
from lle_utils.core.devices import use_chosen_devices
from lle_utils.training.cost import estimate_training
from lle_utils.training.optimizers import make_optimizer
from lle_utils.training.supervised import ValidationPsnr, fit_pairs

folder = sys.argv[1]
use_chosen_devices()
keras.utils.set_random_seed(0)
layers = keras.layers
low = keras.Input((None, None, 3))
x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", activation="relu")(low))
x = layers.Conv2D(3, 3, padding="same", activation="sigmoid")(layers.Dropout(0.3)(x))
model = keras.Model(low, x)
model.compile(make_optimizer(1e-2, 12, ema=0.9), "mse")
normal = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), np.uint8)
dark = (0.3 * normal).astype(np.uint8)
if os.environ.get("LLE_DEVICES") == "2":
    estimate_training(model, 32, 4, 12)  # leaves the training as it was
validate = ValidationPsnr(lambda photo: model.predict_on_batch(photo[None])[0],
                          [("a", dark[0], normal[0])])
for epochs in (2, 3):
    history = fit_pairs(model, dark, normal, [(epochs, 32, 4)], 4, folder + "/checkpoint.npz",
                        callbacks=[validate], verbose=0)
    shutil.copy(folder + "/checkpoint.npz", folder + f"/epoch_{epochs}.npz")
np.savez(folder + "/weights.npz", *model.get_weights())
json.dump(history, open(folder + "/history.json", "w"))
"""

GAN_STEPS = """
import sys
import keras
import numpy as np
from lle_utils.core.devices import use_chosen_devices
from lle_utils.training.gan import GAN, fit_gan

use_chosen_devices()
keras.utils.set_random_seed(0)
layers = keras.layers
low, bright = (keras.Input((None, None, 3)) for _ in range(2))
generator = keras.Model(low, layers.Conv2D(3, 3, padding="same", activation="sigmoid")(low))
x = layers.Concatenate()([low, bright])
discriminator = keras.Model([low, bright], layers.Conv2D(1, 4, strides=2)(x))
gan = GAN(generator, discriminator, keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2),
          lambda y, p: keras.ops.mean(keras.ops.abs(y - p)))
normal = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), np.uint8)
fit_gan(gan, normal // 3, normal, [(2, 32, 4)], 3, sys.argv[1] + "/checkpoint.npz", verbose=0)
np.savez(sys.argv[1] + "/weights.npz", *generator.get_weights(), *discriminator.get_weights())
"""


def begin(script, folder, devices="", **variables):
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "LLE_DEVICES": devices, **variables}
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    output, _ = process.communicate(timeout=500)
    assert not process.returncode, output[-3000:]
    return output


def weights(folder):
    with np.load(folder / "weights.npz") as file:
        return [file[name] for name in file.files]


def assert_alike(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    finish(begin(TRAINING, folder))
    return folder


def test_two_devices_end_with_the_weights_of_one(alone, tmp_path):
    told = finish(begin(TRAINING, tmp_path, "2"))
    assert "shared by 2 devices: cpu:0, cpu:1" in told
    assert_alike(tmp_path, alone)
    one, two = (json.loads((f / "history.json").read_text()) for f in (alone, tmp_path))
    for name, values in one.items():
        assert two[name] == pytest.approx(values, rel=1e-4)


def test_both_networks_of_a_gan_are_those_of_one_device(tmp_path):
    for devices in ("", "2"):
        finish(begin(GAN_STEPS, tmp_path / f"devices{devices}", devices))
    assert_alike(tmp_path / "devices", tmp_path / "devices2")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def together(folder):
    """Train in two processes that share every batch."""
    job = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{free_port()}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    return [
        begin(TRAINING, folder / number, "1", KERAS_DISTRIBUTION_PROCESS_ID=number, **job)
        for number in "01"
    ]


def test_two_processes_go_on_from_a_checkpoint_and_end_with_the_weights_of_one(alone, tmp_path):
    for number in "01":
        (tmp_path / number).mkdir()
        shutil.copy(alone / "epoch_2.npz", tmp_path / number / "checkpoint.npz")
    processes = together(tmp_path)
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    assert not any(process.returncode for process in processes), outputs
    for number in "01":
        assert_alike(tmp_path / number, alone)


def test_processes_that_stopped_at_different_epochs_are_refused(alone, tmp_path):
    (tmp_path / "1").mkdir()
    shutil.copy(alone / "epoch_2.npz", tmp_path / "1" / "checkpoint.npz")
    processes = together(tmp_path)
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    assert all(process.returncode for process in processes)
    assert all("finished [0, 2] epochs. Copy the checkpoint" in output for output in outputs)


def test_batches_that_devices_cannot_share_are_refused(tmp_path):
    process = begin(TRAINING, tmp_path, "3")
    output, _ = process.communicate(timeout=500)
    assert process.returncode
    assert "A batch of 4 cannot be shared by 3 devices" in output


def test_other_backends_and_numbers_are_refused():
    with pytest.raises(DeviceError, match="Set KERAS_BACKEND=jax before Python starts"):
        use_devices(2)
    with pytest.raises(DeviceError, match="0 devices; expected 1 or more"):
        use_devices(0)


def test_alone_the_stream_is_the_stream():
    stream = PairStream(*np.zeros((2, 3, 32, 32, 3), np.uint8), 16, 3)
    assert device_count() == 1
    assert own_part(stream) is stream


def test_the_command_refuses_before_anything_starts(tmp_path, capsys):
    assert main(["train", "zero_dce", "--devices", "0", "-o", str(tmp_path / "out")]) == 1
    assert "--devices 0: expected 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
