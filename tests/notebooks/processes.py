"""Notebook code in processes of its own: killed in training, or under JAX; no test in here."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np

ENHANCE = """
import sys
import keras
import numpy as np
from lle_utils.enhancers import load_enhancer
assert keras.backend.backend() == "jax"
photo, enhancer, result = sys.argv[1:]
np.save(result, load_enhancer(enhancer).enhance(np.load(photo)))
"""


def arrays(path):
    """Return the arrays of a file by name."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def finished_epochs(folder):
    """Return the number of finished epochs, read as a resume reads it, or 0."""
    for checkpoint in folder.glob("*checkpoint.npz"):
        with np.load(checkpoint) as file:
            return json.loads(str(file["meta"]))["epoch"]
    return 0


def kill_in_training(command, folder, delay):
    """Start training and kill it ``delay`` seconds after it has finished an epoch more."""
    before = finished_epochs(folder)
    process = subprocess.Popen(command)
    while process.poll() is None and finished_epochs(folder) == before:
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"


def enhanced_under_jax(enhancer, photo, folder):
    """Return what the enhancer in a folder makes of a photo under the JAX backend."""
    np.save(folder / "photo.npy", photo)
    places = [str(folder / "photo.npy"), str(enhancer), str(folder / "enhanced.npy")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", ENHANCE, *places], env=environment, check=True)
    return np.load(folder / "enhanced.npy")
