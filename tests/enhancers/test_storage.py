"""Files of enhancers, as older versions of Keras must be able to read them."""

import json
import zipfile

import keras
import numpy as np
import pytest

from lle_utils.core.paths import data_dir
from lle_utils.enhancers import list_enhancers, storage
from lle_utils.enhancers.storage import NEWER_KEYS, make_portable


def parts_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def newer(config, place=""):
    """List the empty settings in a configuration that Keras 3.8 does not know."""
    if isinstance(config, list):
        return [found for part in config for found in newer(part, place)]
    if not isinstance(config, dict):
        return []
    found = [f"{place}.{key}" for key in NEWER_KEYS if key in config and config[key] is None]
    return found + [each for key, part in config.items() for each in newer(part, f"{place}.{key}")]


@pytest.mark.parametrize("name", list_enhancers())
def test_a_shipped_enhancer_asks_for_nothing_that_old_versions_lack(name):
    config = parts_of(data_dir() / "pretrained" / name / "model.keras")["config.json"]
    assert newer(json.loads(config)) == []


def test_only_the_configuration_changes_and_the_network_stays_the_same(tmp_path):
    low = keras.Input((None, None, 3))
    halves = keras.ops.split(keras.layers.Conv2D(6, 3, padding="same")(low), 2, axis=-1)
    network = keras.Model(low, keras.ops.clip(halves[0] + halves[1], 0, 1))
    path = tmp_path / "model.keras"
    network.save(path)
    before = parts_of(path)
    make_portable(path)
    after = parts_of(path)
    assert newer(json.loads(after["config.json"])) == []
    assert {n: c for n, c in after.items() if n != "config.json"} == {
        n: c for n, c in before.items() if n != "config.json"
    }
    photo = np.random.default_rng(0).random((1, 8, 9, 3), np.float32)
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(photo)) for m in (network, again)))


def test_names_that_this_version_refuses_are_taken_out_when_loading(tmp_path, monkeypatch):
    low = keras.Input((None, None, 3))
    network = keras.Model(low, keras.ops.flip(keras.layers.Conv2D(3, 1)(low), axis=1))
    network.save(tmp_path / "model.keras")

    class Flip(keras.src.ops.numpy.Flip):  # as older versions have it
        def __init__(self, axis=None):
            super().__init__(axis)

    monkeypatch.setattr(keras.src.ops.numpy, "Flip", Flip)
    with pytest.raises(TypeError, match="unexpected keyword argument 'name'"):
        keras.saving.load_model(tmp_path / "model.keras")
    loaded = storage._load_keras(tmp_path / "model.keras")
    photo = np.random.default_rng(0).random((1, 8, 9, 3), np.float32)
    np.testing.assert_array_equal(loaded(photo), network(photo))
