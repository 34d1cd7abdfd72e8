"""Exports, run in their own runtimes against Keras."""

import json
import logging
import os
import subprocess
import sys
import warnings
from importlib.metadata import version

import keras
import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main
from lle_utils.core.images import to_float, to_uint8
from lle_utils.data import synthetic
from lle_utils.enhancers import export
from lle_utils.enhancers.enhancer import Enhancer
from lle_utils.enhancers.export import LARGEST_DIFFERENCE, export_enhancer
from lle_utils.enhancers.export_notes import usual_inputs
from lle_utils.enhancers.exported import Exported, ExportError
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.nn import Expose

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'lle-utils[export]'")
pytest.importorskip("openvino", reason="pip install 'lle-utils[export]'")
pytest.importorskip("tf2onnx", reason="pip install 'lle-utils[export]'")
pytest.importorskip("ai_edge_litert", reason="pip install 'lle-utils[export]'")


FLOAT = ("onnx", "openvino", "litert", "saved_model")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)


def farthest(result, expected) -> int:
    """Return by how many of 255 levels a result differs from one of 8 bits."""
    return int(np.abs(to_uint8(result).astype(int) - expected).max())


def dark(height, width, seed=3):
    return synthetic.synthetic_pairs(1, (height, width), seed).low[0]


@pytest.mark.parametrize("target", FLOAT)
@pytest.mark.parametrize("name", ["zero_dce_pp", "lumen_tiny", "shed_light"])
def test_a_float_export_is_the_whole_enhancer_at_any_size(tmp_path, name, target):
    enhancer = load_enhancer(name)
    path, measured = export_enhancer(enhancer, target, tmp_path)
    assert measured["difference"] <= LARGEST_DIFFERENCE
    example = [f"{name}_example.py"] if target == "onnx" else []
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted([path.name, *example])
    exported, more = Exported(path), usual_inputs(enhancer)
    grey = np.repeat(dark(30, 50)[..., :1], 3, -1)
    for photo in (dark(75, 110), dark(64, 41)[:3], dark(40, 40)[:1, :1], grey):
        low = to_float(photo)
        again = exported.predict_on_batch([low[None], *more] if more else low[None])[0]
        assert again.shape == photo.shape
        assert farthest(again, enhancer.enhance(photo)) <= 1


def test_every_photo_of_a_batch_has_a_level_of_its_own(tmp_path):
    enhancer = load_enhancer("lumen_tiny")
    exported = Exported(export_enhancer(enhancer, "onnx", tmp_path)[0])
    photos = np.stack([dark(50, 70, seed) for seed in range(3)])
    bright = np.clip(photos[2].astype(int) * 3 + 120, 0, 255).astype(np.uint8)
    photos[2] = bright  # keeps the brightness that it has
    levels = (0.3, 0.6, None)
    told = np.array([[level or 0] for level in levels], np.float32)
    results = exported.predict_on_batch([to_float(photos), told])
    for photo, level, result in zip(photos, levels, results, strict=True):
        assert farthest(result, enhancer.enhance(photo, level)) <= 1


def test_an_export_with_a_strength_takes_it_and_the_brightness_of_another_photo(tmp_path):
    enhancer, photo, other = load_enhancer("shed_light"), dark(50, 70), dark(40, 90, 1)
    other = np.clip(other.astype(int) * 6, 0, 255).astype(np.uint8)
    session = onnxruntime.InferenceSession(export_enhancer(enhancer, "onnx", tmp_path)[0])
    names = [entry.name for entry in session.get_outputs()]
    assert names == ["enhanced", "brightness"]
    trained = np.zeros((1, session.get_outputs()[1].shape[1]), np.float32)

    def run(image, strength, reference):
        inputs = {"low": to_float(image)[None], "reference": reference}
        found = session.run(None, inputs | {"strength": np.full((1, 1), strength, np.float32)})
        return found[0][0], found[1]

    brightness = run(other, 1, trained)[1]
    for strength in (0, 0.1, 0.7, 1.5):
        for vector, reference in ((trained, None), (brightness, other)):
            expected = enhancer.enhance(photo, strength=strength, reference=reference)
            assert farthest(run(photo, strength, vector)[0], expected) <= 1
    assert np.abs(run(photo, 0.7, trained)[0] - run(photo, 0.7, brightness)[0]).max() > 0.01


@pytest.mark.parametrize("name", ["lumen_tiny", "shed_light", "zero_dce_pp"])
def test_the_file_says_what_it_is_and_its_example_does_what_the_command_does(tmp_path, name):
    assert main.main(["export", name, "--to", "onnx", "-o", str(tmp_path)]) == 0
    session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx")
    facts, card = session.get_modelmeta().custom_metadata_map, load_enhancer(name).card
    assert (facts["name"], facts["licence"]) == (name, card["licence"])
    assert facts["version"] == f"lle-utils {version('lle-utils')}"
    assert set(json.loads(facts["inputs"])) == {entry.name for entry in session.get_inputs()}
    assert set(json.loads(facts["outputs"])) == {entry.name for entry in session.get_outputs()}
    shapes = {e.name: e.shape for e in (*session.get_inputs(), *session.get_outputs())}
    assert shapes["low"] == shapes["enhanced"] == ["batch", "height", "width", 3]
    assert all(shape[0] == "batch" for shape in shapes.values())
    Image.fromarray(dark(203, 317)).save(tmp_path / "low.png")
    command = [sys.executable, "-W", "error", f"{name}_example.py", "low.png", "bright.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    words = [str(tmp_path / "low.png"), "--method", name, "-o", str(tmp_path / "ours.png")]
    assert main.main(["enhance", *words]) == 0
    one, other = (np.asarray(Image.open(tmp_path / f)) for f in ("bright.png", "ours.png"))
    assert np.abs(one.astype(int) - other).max() <= 1
    assert one.mean() > 1.5 * dark(203, 317).mean()


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


@pytest.mark.parametrize("target", FLOAT)
def test_normalisation_over_a_large_photo_keeps_its_digits(tmp_path, target):
    enhancer = load_enhancer("resnet_gan")
    path, _ = export_enhancer(enhancer, target, tmp_path)
    low = synthetic.synthetic_pairs(1, (400, 600), 3).low[0] / np.float32(255)
    again = Enhancer(Exported(path), enhancer.card).enhance(low)
    assert np.abs(again - enhancer.enhance(low)).max() <= LARGEST_DIFFERENCE / 2


def test_a_network_of_ones_own_is_exported_with_its_level(tmp_path):
    low, gain = keras.Input((None, None, 3), name="low"), keras.Input((1,), name="gain")
    keras.utils.set_random_seed(0)
    seen = keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")(Expose()([low, gain]))
    card = {"name": "told", "inputs": ["low", "gain"], "multiple": 1, "halo": 1}
    enhancer = Enhancer(keras.Model([low, gain], seen), card)
    again = Exported(export_enhancer(enhancer, "onnx", tmp_path)[0])
    for photo, level in zip((dark(75, 110), dark(30, 44)), (0.3, 0.6), strict=True):
        told = np.full((1, 1), level, np.float32)
        result = again.predict_on_batch([to_float(photo)[None], told])[0]
        assert farthest(result, enhancer.enhance(photo, level)) <= 1


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
    with pytest.raises(ExportError, match=r"raw_unet develops camera raw, .* --beside` writes"):
        export_enhancer(load_enhancer("raw_unet"), "onnx", tmp_path)
    (tmp_path / "zero_dce_pp_example.py").write_text("of somebody else")
    with pytest.raises(ExportError, match=r"zero_dce_pp_example.py exists; remove it"):
        export_enhancer(load_enhancer("zero_dce_pp"), "onnx", tmp_path)
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
