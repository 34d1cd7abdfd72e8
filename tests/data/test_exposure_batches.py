"""Sequences of exposures, and the training examples made of them."""

import json

import numpy as np
import pytest
from PIL import Image

from lle_utils.core.exposure import expose
from lle_utils.core.images import to_uint8
from lle_utils.data import exposure_sequences
from lle_utils.data.exposure_batches import ExposureStream, Mix
from lle_utils.data.synthetic import synthetic_pairs

ONLY_PAIRS = Mix(sequences=0, camera=0, tinted=0, gray=0, resized=0)


@pytest.fixture(scope="module")
def pairs():
    made = synthetic_pairs(4, (64, 80), 0)
    return list(zip(made.names, made.low, made.normal, strict=True))


@pytest.fixture(scope="module")
def sequences(pairs):
    gains = (0.05, 0.3, 1.0, 3.0)
    return [
        exposure_sequences.ExposureSequence(
            name, tuple(to_uint8(expose(normal / 255, gain)) for gain in gains)
        )
        for name, _, normal in pairs
    ]


def stream(pairs, sequences=(), mix=None, seed=0, crop=32):
    return ExposureStream(pairs, sequences, crop, 4, 3, seed, mix)


def test_batch_contract_and_repetition(pairs, sequences):
    inputs, normal = stream(pairs, sequences)[1]
    assert inputs["low"].shape == normal.shape == (4, 32, 32, 3)
    assert inputs["low"].dtype == normal.dtype == inputs["gain"].dtype == np.float32
    assert inputs["gain"].shape == (4, 1)
    assert (
        0 <= min(inputs["low"].min(), normal.min()) <= max(inputs["low"].max(), normal.max()) <= 1
    )
    again, normal_again = stream(pairs, sequences)[1]
    np.testing.assert_array_equal(inputs["low"], again["low"])
    np.testing.assert_array_equal(normal, normal_again)
    other, _ = stream(pairs, sequences, seed=1)[1]
    assert np.abs(inputs["low"] - other["low"]).max() > 0.1


def test_the_gain_brings_the_whole_photo_to_the_mean_of_its_twin(pairs):
    """A pair of one well-lit photo and itself needs no gain, whatever is cropped."""
    same = [(name, normal, normal) for name, _, normal in pairs]
    mix = Mix(sequences=0, camera=0, tinted=0, gray=0)
    for _ in range(3):
        inputs, normal = stream(same, mix=mix).batch(0, 0)
    plain = [np.array_equal(low, lit) for low, lit in zip(inputs["low"], normal, strict=True)]
    assert any(plain)  # three in ten are taken at another exposure
    np.testing.assert_allclose(inputs["gain"][plain], 1, rtol=1e-4)


def test_the_camera_takes_a_lit_photo_towards_itself(pairs):
    mix = Mix(sequences=0, camera=1, tinted=0, gray=0, resized=0)
    inputs, normal = stream(pairs, mix=mix)[0]
    for low, gain, lit in zip(inputs["low"], inputs["gain"][:, 0], normal, strict=True):
        assert np.corrcoef(expose(low, float(gain)).ravel(), lit.ravel())[0, 1] > 0.5


def test_members_of_a_sequence_show_one_scene(pairs, sequences):
    mix = Mix(sequences=1, camera=0, noise=0, tinted=0, gray=0, resized=0)
    inputs, normal = stream(pairs, sequences, mix)[0]
    for low, gain, lit in zip(inputs["low"], inputs["gain"][:, 0], normal, strict=True):
        # The members are exposures of one photo, so the right gain gives back the other.
        assert np.abs(expose(low, float(gain)) - lit).mean() < 0.05


def test_gray_examples_have_no_colour(pairs):
    inputs, normal = stream(pairs, mix=Mix(sequences=0, camera=0.5, gray=1))[0]
    for photos in (inputs["low"], normal):
        assert np.abs(photos - photos[..., :1]).max() == 0


def test_what_cannot_be_is_refused(pairs):
    with pytest.raises(ValueError, match="expected 1 or more of each"):
        stream([])
    with pytest.raises(ValueError, match="cannot give 100x100"):
        stream(pairs, crop=100)


@pytest.fixture
def stored(tmp_path, monkeypatch, sequences):
    folder = tmp_path / "sice_sequences"
    folder.mkdir()
    index = {}
    for i in range(9):
        for j, photo in enumerate(sequences[0].photos):
            Image.fromarray(photo).save(folder / f"{10 * i + j}.webp", lossless=True)
        members = [str(10 * i + j) for j in range(4)]
        index[str(10 * i)] = {"members": members, "mean": {}}
    (folder / "sequences.json").write_text(json.dumps(index))
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    return sequences[0].photos


def test_sequences_are_read_in_order_and_split_by_scene(stored):
    val = exposure_sequences.load_sequences("val")
    train = exposure_sequences.load_sequences("train")
    assert [s.name for s in val] == ["0", "80"]
    assert [s.name for s in train] == [str(10 * i) for i in range(1, 8)]
    np.testing.assert_array_equal(val[1].photos[2], stored[2])


def test_the_pair_of_a_sequence_is_nearest_to_the_means(sequences):
    (_, low, normal), *_ = exposure_sequences.sequence_pairs(sequences[:1], 0.0, 1.0)
    assert low is sequences[0].photos[0]
    assert normal is sequences[0].photos[-1]
    assert exposure_sequences.sequence_pairs(sequences[:1], 0.0, 0.0) == []


def test_sequences_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="LLE_DATA_DIR"):
        exposure_sequences.load_sequences("val")
    with pytest.raises(ValueError, match="expected 'train' or 'val'"):
        exposure_sequences.load_sequences("test")
