"""The ONNX form of enhancers: what Keras gives, at every size, without Keras."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main
from lle_utils.core.paths import data_dir
from lle_utils.core.photo_formats import read_photo
from lle_utils.data import synthetic
from lle_utils.data.raw import read_raw, write_dng
from lle_utils.data.raw_camera import RawCamera
from lle_utils.enhancers import onnx_export
from lle_utils.enhancers.exported import ExportError
from lle_utils.enhancers.factory import load_method
from lle_utils.enhancers.fixed_statistics import with_fixed_statistics, with_told_statistics
from lle_utils.enhancers.onnx_export import write_onnx
from lle_utils.enhancers.onnx_form import is_current, load_onnx
from lle_utils.enhancers.storage import (
    list_enhancers,
    load_card,
    load_enhancer,
    onnx_paths,
    save_enhancer,
)
from lle_utils.nn.complexity import bytes_per_pixel

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

LARGEST_FILE = 25 * 2**20  # bytes
OPENVINO_NAMES = ("lumen_tiny", "pix2pix")  # one that sees its surroundings, one that sees all
NAMES = [*list_enhancers(), *list_enhancers(raw=True)]
# What a process has loaded that no photo needs.
HEAVY = {"IPython", "jax", "keras", "matplotlib", "openvino", "tensorflow", "tf2onnx", "torch"}


def photo(height, width, seed=0):
    """Return a dark photo that is neither square nor plain, uint8."""
    return synthetic.synthetic_pairs(1, (height, width), seed).low[0]


def farthest(one, other) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_form_was_made_of_the_shipped_weights(name):
    folder = data_dir() / "pretrained" / name
    assert is_current(name), f"lle export {name} --beside"
    assert all(path.stat().st_size < LARGEST_FILE for path in onnx_paths(name))
    model, card = load_enhancer(name).model, load_card(folder)
    assert card["bytes_per_pixel"] == bytes_per_pixel(model, card["multiple"])


def run_light(words, folder, before=""):
    """Run `lle` in a process of its own; return what heavy modules it has loaded in the end."""
    code = (
        f"{before}import sys; from lle_utils.cli import main; failed = main.main(sys.argv[1:]);"
        f"print(failed, *sorted({HEAVY} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", list_enhancers())
def test_the_command_gives_what_keras_gives_and_loads_no_keras(name, tmp_path):
    low = photo(45, 70)
    Image.fromarray(low).save(tmp_path / "low.png")
    assert run_light(["enhance", "low.png", "--method", name, "-o", "out"], tmp_path) == "0"
    result = np.asarray(Image.open(tmp_path / "out" / "low_enhanced.png"))
    assert farthest(result, load_enhancer(name).enhance(low)) <= 1


def test_camera_raw_is_developed_as_by_keras_and_without_it(tmp_path):
    for module in ("rawpy", "tifffile"):
        pytest.importorskip(module, reason=f"camera raw needs {module}")
    frame = RawCamera().shoot(photo(90, 130) / np.float32(255), 30, 1)
    path = write_dng(tmp_path / "low.dng", frame)
    words = ["enhance", "low.dng", "--method", "raw_unet", "-o", "out"]
    assert run_light(words, tmp_path) == "0"
    result = read_photo(tmp_path / "out" / "low_enhanced.tif").pixels
    assert farthest(result, load_enhancer("raw_unet").enhance(read_raw(path))) <= 257


def test_a_video_is_brightened_without_keras(tmp_path):
    av = pytest.importorskip("av", reason="pip install 'lle-utils[video]'")
    with av.open(str(tmp_path / "low.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=5, width=64, height=48, pix_fmt="yuv420p")
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(photo(48, 64), format="rgb24")))
        file.mux(stream.encode())
    words = ["video", "low.mp4", "out.mp4", "--method", "lumen_tiny"]
    assert run_light(words, tmp_path) == "0"
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert len(list(file.decode(video=0))) == 3


MEASURED = {
    "evaluate": (
        ["--source", "./lol", "--split", "val", "--metrics", "psnr", "ssim"],
        "runs/evaluate/lol_val.json",
    ),
    "behavior": (["--photos", "1", "--factors", "2"], "data/results/behavior.json"),
}


@pytest.mark.parametrize("command", MEASURED)
def test_what_measures_loads_no_keras_either(command, tmp_path, monkeypatch):
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)
    name, (words, record) = "zero_dce_pp", MEASURED[command]
    shipped, copy = (folder / "pretrained" / name for folder in (data_dir(), tmp_path / "data"))
    shutil.copytree(shipped, copy)
    shutil.copy(data_dir() / "registry.toml", tmp_path / "data")
    pairs = synthetic.synthetic_pairs(4, (45, 70))
    for kind in ("low", "normal"):
        (tmp_path / "lol" / kind).mkdir(parents=True)
        for index, pixels in enumerate(getattr(pairs, kind)):
            Image.fromarray(pixels).save(tmp_path / "lol" / kind / f"{index}.png")
    # All that is written goes to this copy of the project.
    before = "from pathlib import Path; from lle_utils.core import paths;"
    before += "paths.project_root = Path.cwd;"
    assert run_light([command, "--method", name, *words], tmp_path, before) == "0"
    assert (tmp_path / record).is_file()
    assert load_card(copy)["metrics"] == load_card(shipped)["metrics"]  # photos of one's own


def test_the_process_behind_the_page_loads_no_keras(tmp_path):
    Image.fromarray(photo(45, 70)).save(tmp_path / "low.png")
    code = (
        "import sys; from pathlib import Path; from lle_utils.serving import worker;"
        "job = worker.Job(Path('low.png').read_bytes(), 'lumen_tiny', None, 'png');"
        "good, _ = worker._answer(job, {});"
        f"print(good, *sorted({HEAVY} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert outcome.stdout == "True\n", outcome.stderr


@pytest.mark.parametrize("name", list_enhancers())
def test_reduced_and_in_tiles_it_is_what_keras_gives(name, monkeypatch):
    low = photo(130, 190)
    monkeypatch.setattr("lle_utils.enhancers.enhancer.WORKING_SIDE", 100)
    monkeypatch.setattr("lle_utils.enhancers.enhancer.UNTILED_PIXELS", 0)
    monkeypatch.setattr(
        "lle_utils.enhancers.enhancer.tile_side", lambda p, *_: 96 if len(p) > 100 else None
    )
    by_keras = load_enhancer(name).enhance(low)
    assert farthest(load_onnx(name).enhance(low), by_keras) <= 1
    if name in OPENVINO_NAMES and find_spec("openvino"):
        assert farthest(load_onnx(name, "openvino").enhance(low), by_keras) <= 1


def test_strength_and_reference_do_the_same_in_both():
    low, reference = photo(50, 75), photo(40, 90, 1)
    ours, theirs = load_onnx("shed_light"), load_enhancer("shed_light")
    for strength in (0, 0.1, 0.7, 1.5):
        pair = [e.enhance(low, strength=strength) for e in (ours, theirs)]
        assert farthest(*pair) <= 1
        np.testing.assert_array_equal(ours.prepare(low)(strength), pair[0])
    pair = [e.enhance(low, strength=0.5, reference=reference) for e in (ours, theirs)]
    assert farthest(*pair) <= 1
    assert farthest(pair[0], ours.enhance(low, strength=0.5)) > 1


@pytest.fixture
def own(tmp_path):
    """The folder of an enhancer of one's own that sees the whole photo, in Keras alone."""
    keras.utils.set_random_seed(0)
    low = keras.Input((None, None, 3), name="low")
    norm = keras.layers.GroupNormalization(-1)
    seen = norm(keras.layers.Conv2D(4, 3, padding="same", activation="relu")(low))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(keras.layers.ReLU()(seen))
    seen = norm(keras.layers.Conv2D(4, 3, padding="same")(seen)) * mean  # one layer, two calls
    network = keras.Model(low, keras.layers.Conv2D(3, 1, activation="sigmoid")(seen))
    card = {"name": "own", "method": "own", "inputs": ["low"], "multiple": 1, "halo": None}
    return save_enhancer(network, tmp_path / "own", card | {"training": {}, "licence": "MIT"})


def test_a_network_is_told_its_statistics(own):
    model = load_enhancer(own).model
    told, rng = with_told_statistics(model), np.random.default_rng(0)
    whole, part = rng.random((1, 24, 32, 3), np.float32), rng.random((1, 9, 11, 3), np.float32)
    nothing, one = np.zeros((1, told.inputs[1].shape[-1]), np.float32), np.ones((1, 1), np.float32)
    result, statistics = told.predict_on_batch([whole, nothing, 0 * one])
    assert statistics.shape == (1, 8 + 4 + 8)
    np.testing.assert_allclose(result, model.predict_on_batch(whole), atol=1e-5)
    result, own_statistics = told.predict_on_batch([part, statistics, one])
    expected = with_fixed_statistics(model, whole[0]).predict_on_batch(part)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert np.abs(expected - model.predict_on_batch(part)).max() > 1e-3
    assert np.abs(own_statistics - statistics).max() > 1e-3


def test_of_ones_own_the_form_is_taken_where_there_is_one_until_the_network_changes(own, capsys):
    low = photo(30, 44)
    by_keras = load_method(own)(low)
    with pytest.raises(ExportError, match=r"no ONNX form; `lle export \S+own --beside` writes it"):
        load_method(own, "onnx")
    assert main.main(["export", str(own), "--beside"]) == 0
    assert "own: largest difference from Keras" in capsys.readouterr().out
    assert is_current(own)
    session = onnxruntime.InferenceSession(own / "model.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["name"], facts["licence"]) == ("own", "MIT")
    assert session.get_inputs()[0].shape == ["batch", "height", "width", 3]
    assert farthest(load_method(own, "onnx")(low), by_keras) <= 1
    (own / "model.keras").rename(own / "kept.keras")
    assert farthest(load_method(own)(low), by_keras) <= 1
    assert main.main(["enhance", "no.png", "--method", str(own), "--runtime", "keras"]) == 1
    (own / "kept.keras").rename(own / "model.keras")
    save_enhancer(load_enhancer(own).model, own, load_card(own))
    assert onnx_paths(own) == []
    np.testing.assert_array_equal(load_method(own)(low), by_keras)


def test_a_form_that_differs_is_not_written(own, monkeypatch):
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    monkeypatch.setattr(onnx_export, "LARGEST_DIFFERENCE", 0.0)
    with pytest.raises(ExportError, match=r"own in ONNX differs from Keras by .* Nothing was"):
        write_onnx(own)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_a_form_of_other_weights_is_noticed(tmp_path):
    copy = shutil.copytree(data_dir() / "pretrained" / "zero_dce_pp", tmp_path / "copy")
    assert is_current(copy)
    model = load_enhancer(copy).model
    model.set_weights([1.01 * weights for weights in model.get_weights()])
    model.save(copy / "model.keras")
    assert not is_current(copy)


def test_export_asks_for_a_name_and_a_target(capsys):
    assert main.main(["export", "lumen"]) == 1
    assert "name an enhancer and --to which runtime, or take --beside" in capsys.readouterr().err


def test_without_the_weights_of_keras_the_message_says_what_to_do(tmp_path, capsys):
    copy = shutil.copytree(data_dir() / "pretrained" / "zero_dce_pp", tmp_path / "copy")
    os.remove(copy / "model.keras")
    Image.fromarray(photo(20, 30)).save(tmp_path / "low.png")
    words = ["enhance", str(tmp_path / "low.png"), "--method", str(copy), "-o", str(tmp_path / "o")]
    assert main.main([*words, "--runtime", "keras"]) == 1
    assert "has no model.keras" in capsys.readouterr().err
    assert main.main(words) == 0
