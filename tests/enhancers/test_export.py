"""Exports, run in their own runtimes against Keras."""

import logging
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

from lle_utils.cli import main
from lle_utils.core.images import to_float
from lle_utils.data import synthetic
from lle_utils.enhancers import export
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.export import LARGEST_DIFFERENCE, export_enhancer
from lle_utils.enhancers.exported import Exported, ExportError
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.nn import Expose

pytest.importorskip("onnxruntime", reason="pip install 'lle-utils[export]'")
pytest.importorskip("openvino", reason="pip install 'lle-utils[export]'")
pytest.importorskip("tf2onnx", reason="pip install 'lle-utils[export]'")
pytest.importorskip("ai_edge_litert", reason="pip install 'lle-utils[export]'")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)


@pytest.mark.parametrize("target", ["onnx", "openvino", "litert", "saved_model"])
@pytest.mark.parametrize("name", ["zero_dce_pp", "zero_dce"])
def test_a_float_export_gives_what_keras_gives_at_any_size(tmp_path, name, target):
    enhancer = load_enhancer(name)
    path, measured = export_enhancer(enhancer, target, tmp_path)
    assert measured["difference"] <= LARGEST_DIFFERENCE
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    low = synthetic.synthetic_pairs(1, (75, 110), 3).low[0] / np.float32(255)
    again = Enhancer(Exported(path), enhancer.card).enhance(low)
    assert np.abs(again - enhancer.enhance(low)).max() <= LARGEST_DIFFERENCE


def test_openvino_takes_photos_of_many_sizes_in_any_order(tmp_path):
    enhancer = load_enhancer("zero_dce_pp")
    exported = Exported(export_enhancer(enhancer, "openvino", tmp_path)[0])
    rng = np.random.default_rng(0)
    cells = [(2, 3), (3, 2), (15, 13), (2, 3), (1, 1), (4, 1), (1, 4), (3, 2)]
    for height, width in cells:  # one is large, and there are more than networks are kept
        side = enhancer.size_divisor
        low = rng.random((1, side * height, side * width, 3), np.float32)
        expected = enhancer.model.predict_on_batch(low)
        assert np.abs(exported.predict_on_batch(low) - expected).max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("target", ["openvino", "saved_model"])
def test_mirnet_is_exported_with_layers_that_the_runtime_knows(tmp_path, target):
    enhancer = load_enhancer("mirnet")
    path, measured = export_enhancer(enhancer, target, tmp_path)
    low = synthetic.synthetic_pairs(1, (75, 110), 3).low[0] / np.float32(255)
    again = Enhancer(Exported(path), enhancer.card).enhance(low)
    assert (
        max(np.abs(again - enhancer.enhance(low)).max(), measured["difference"])
        <= LARGEST_DIFFERENCE / 5
    )


@pytest.mark.parametrize("target", ["onnx", "openvino", "litert", "saved_model"])
def test_normalisation_over_a_large_photo_keeps_its_digits(tmp_path, target):
    enhancer = load_enhancer("resnet_gan")
    path, _ = export_enhancer(enhancer, target, tmp_path)
    low = synthetic.synthetic_pairs(1, (400, 600), 3).low[0] / np.float32(255)
    again = Enhancer(Exported(path), enhancer.card).enhance(low)
    assert np.abs(again - enhancer.enhance(low)).max() <= LARGEST_DIFFERENCE / 2


@pytest.mark.parametrize("target", ["onnx", "openvino", "litert", "saved_model"])
def test_a_network_that_is_given_the_gain_is_exported_with_it(tmp_path, target):
    low, gain = keras.Input((None, None, 3), name="low"), keras.Input((1,), name="gain")
    keras.utils.set_random_seed(0)
    seen = keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")(Expose()([low, gain]))
    card = {"name": "told", "inputs": ["low", "gain"], "multiple": 1, "halo": 1}
    enhancer = Enhancer(keras.Model([low, gain], seen), card)
    path, _ = export_enhancer(enhancer, target, tmp_path)
    again = Enhancer(Exported(path), card)
    photos = synthetic.synthetic_pairs(2, (75, 110), 3).low
    for photo, level in zip(photos, (0.3, 0.6), strict=True):
        low = to_float(photo)
        difference = again.enhance(low, level) - enhancer.enhance(low, level)
        assert np.abs(difference).max() <= LARGEST_DIFFERENCE


def test_int8_is_smaller_and_close(tmp_path):
    enhancer = load_enhancer("zero_dce")
    path, measured = export_enhancer(enhancer, "int8", tmp_path)
    assert measured["bytes"] < 0.5 * export_enhancer(enhancer, "litert", tmp_path)[1]["bytes"]
    assert 30 < measured["psnr"] < 80  # close, and not float in disguise
    assert abs(measured["loss"]) < 0.5
    low = synthetic.synthetic_pairs(1, (75, 110), 3).low[0] / np.float32(255)
    assert Enhancer(Exported(path), enhancer.card).enhance(low).shape == low.shape


def test_int8_of_a_network_that_reduces_its_photo_is_close_too(tmp_path):
    measured = export_enhancer(load_enhancer("zero_dce_pp"), "int8", tmp_path)[1]
    assert measured["psnr"] > 35  # 20 when it was calibrated on crops


def test_what_cannot_be_exported_says_why_and_leaves_nothing(tmp_path):
    with pytest.raises(ExportError, match="mirnet cannot be exported to int8: int8 is for"):
        export_enhancer(load_enhancer("mirnet"), "int8", tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExportError, match="known are onnx, openvino"):
        export_enhancer(load_enhancer("zero_dce_pp"), "coreml", tmp_path)


def test_what_converters_say_is_kept_from_the_user(tmp_path, monkeypatch):
    portable, logger, said = export.portable, logging.getLogger("tensorflow"), []

    def talkative(*arguments):
        logger.warning("Assets written to a folder.")
        warnings.warn("np.object will be defined", FutureWarning, stacklevel=1)
        return portable(*arguments)

    monkeypatch.setattr(export, "portable", talkative)
    monkeypatch.setattr(logger, "handle", said.append)
    level = logger.level
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        export_enhancer(load_enhancer("zero_dce_pp"), "saved_model", tmp_path)
    assert said == [w for w in warned if w.category is FutureWarning] == []
    assert logger.level == level


def test_the_command_prints_parity_and_does_not_overwrite(tmp_path, capsys):
    words = ["export", "zero_dce_pp", "--to", "litert", "-o", str(tmp_path)]
    assert main.main(words) == 0
    assert "Against Keras on 5 synthetic pairs: largest difference" in capsys.readouterr().out
    assert main.main(words) == 1
    assert "exists; remove it" in capsys.readouterr().err


def test_under_jax_the_message_says_what_to_do(tmp_path):
    command = [sys.executable, "-m", "lle_utils.cli.main", "export", "zero_dce_pp", "--to", "onnx"]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    run = subprocess.run(
        [*command, "-o", str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "set KERAS_BACKEND=tensorflow" in run.stderr
    assert "Traceback" not in run.stderr


def test_openvino_works_where_onednn_is_held_to_fewer_instructions(tmp_path):
    path, _ = export_enhancer(load_enhancer("zero_dce_pp"), "openvino", tmp_path)
    code = "import sys, numpy as np; from lle_utils.enhancers import Exported\n"
    code += "network = Exported(sys.argv[1], exact=False)\n"
    code += "print(network.predict_on_batch(np.full((1, 72, 120, 3), 0.1, 'float32')).shape)"
    command = [sys.executable, "-c", code, str(path)]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 72, 120, 3)"
