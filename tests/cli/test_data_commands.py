"""From a folder of photos to a pack, and to a training, in a terminal."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main
from lle_utils.core import paths
from lle_utils.core.images import read_uint8
from lle_utils.data import npz_dataset
from lle_utils.data.sources import load
from lle_utils.notebook_tools.run import ParameterError, read_settings


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with six pairs in it, and a place for packs."""
    monkeypatch.setenv("LLE_PACK_DIR", str(tmp_path / "packs"))
    for i in range(6):
        view = np.random.default_rng(i).integers(60, 250, (4, 6, 3), np.uint8)
        photo = np.kron(view, np.ones((16, 16, 1), np.uint8))
        for side, picture in {"low": photo // 6, "high": photo}.items():
            path = tmp_path / "mypairs" / side / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mypairs"


def fails_with(capsys, *words):
    assert main.main([str(word) for word in words]) == 1
    return capsys.readouterr().err


def test_prepare_says_what_it_packed(mine, capsys):
    assert main.main(["data", "prepare", "mypairs", "--val", "0.34", "--test", "0"]) == 0
    said = capsys.readouterr().out
    assert "6 pairs of photos; your own photos" in said
    assert "sizes: 6 96x64" in said
    assert "6 scenes; 4 train, 2 val" in said
    assert "0 of 6 pairs are flagged." in said
    [pack] = (mine.parent / "packs").glob("*.npz")
    assert f"Pack: {pack}" in said
    assert len(load("mypairs", "val")) == 2


def test_prepare_names_what_is_odd(mine, capsys):
    wrong = np.random.default_rng(9).integers(0, 40, (64, 96, 3), np.uint8)
    Image.fromarray(wrong).save(mine / "low" / "1.png")
    (mine / "low" / "2.png").write_bytes(b"no image")
    said = fails_with(capsys, "data", "prepare", "mypairs", "-o", "own.npz")
    assert "1 of 6 pairs cannot be packed" in said
    assert "2.png" in said
    assert not (mine.parent / "own.npz").exists()
    assert main.main(["data", "prepare", "mypairs", "-o", "own.npz", "--skip-bad"]) == 0
    said = capsys.readouterr().out
    assert "left out: 2: " in said
    assert "1 of 5 pairs are flagged; look at them:\n  1: mismatch" in said
    assert len(npz_dataset.open_pack(mine.parent / "own.npz")) == 5


def test_scenes_are_found_and_written(mine, capsys):
    dim = Image.open(mine / "high" / "0.png").point(lambda value: value * 0.7)
    dim.save(mine / "high" / "7.png")
    dim.save(mine / "low" / "7.png")
    assert main.main(["data", "scenes", "mypairs", "-o", "s.csv"]) == 0
    assert "7 photos, 6 scenes by content" in capsys.readouterr().out
    assert "7,0" in (mine.parent / "s.csv").read_text().splitlines()


@pytest.mark.parametrize(
    "words", [["data", "prepare"], ["data", "scenes"], ["evaluate", "--source"]]
)
def test_an_unknown_source_is_an_error(mine, capsys, words):
    words = [*words, "--source"] if words == ["evaluate"] else words
    assert "No source is called 'nobody'; known are" in fails_with(capsys, *words, "nobody")


def test_any_pairs_are_scored(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    words = ["evaluate", "--source", "mypairs", "--method", "input", "--metrics", "psnr"]
    assert main.main(words) == 0
    assert "mypairs, all: 6 pairs" in capsys.readouterr().out
    assert main.main([*words, "--split", "val"]) == 0
    record = json.loads((tmp_path / "runs" / "evaluate" / "mypairs_val.json").read_text())
    assert record["methods"]["input"]["images"] == load("mypairs", "val").names


def test_who_was_trained_on_the_photos_is_told(mine, tmp_path, monkeypatch, capsys):
    own = tmp_path / "trained"
    shutil.copytree(paths.data_dir() / "pretrained" / "lumen_tiny", own)
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    card = json.loads((own / "card.json").read_text())
    card["training"]["data"] = f"lol+{mine}"
    (own / "card.json").write_text(json.dumps(card))
    words = ["evaluate", "--source", "mypairs", "--method", str(own), "--metrics", "psnr"]
    assert main.main(words) == 0
    assert "was trained on some of these photos; --split test" in capsys.readouterr().out
    record = json.loads((tmp_path / "runs" / "evaluate" / "mypairs_all.json").read_text())
    assert "the method was trained on some of them" in record["methods"][str(own)]["data"]
    assert main.main([*words, "--split", "test"]) == 0
    assert "was trained" not in capsys.readouterr().out


def test_a_training_is_refused_before_anything_starts(mine, capsys):
    words = ["train", "mirnet", "--source", "mypairs", "--set"]
    assert "step is no parameter of 04_mirnet; there are" in fails_with(capsys, *words, "step=3")
    assert "steps=many is str; expected int, such as" in fails_with(capsys, *words, "steps=many")
    assert "'steps' is no setting; expected NAME=VALUE" in fails_with(capsys, *words, "steps")
    assert not (mine.parent / "packs").exists()


def test_settings_have_the_kind_of_the_defaults():
    defaults = {"a": {"n": 1, "x": 0.5, "on": True, "name": "p", "list": [1]}, "b": {"n": 2}}
    found = read_settings(["n=3", "x=2", "on=false", "name=7", "list=[[2, 3]]"], defaults)
    assert found == {
        "a": {"n": 3, "x": 2.0, "on": False, "name": "7", "list": [[2, 3]]},
        "b": {"n": 3},
    }
    assert isinstance(found["a"]["x"], float)
    assert read_settings(["name=a=b"], defaults)["a"] == {"name": "a=b"}
    for wrong in ("n=1.5", "n=true", "x=yes", "on=1", "list=3", "n=[", "m=1", "n"):
        with pytest.raises(ParameterError):
            read_settings([wrong], defaults)


@pytest.mark.notebook
def test_photos_of_ones_own_train_an_enhancer(mine, capsys, tmp_path):
    words = ["train", "zero_dce", "--source", "mypairs", "--output", str(tmp_path / "out")]
    short = ["steps=2", "epochs=1", "epochs_pp=1", "crop=16", "batch_size=2"]
    short += ["smoothness_weights=[100.0]", "downsampling=2", "scale=4"]
    assert main.main([*words, *(word for pair in short for word in ("--set", pair))]) == 0
    said = capsys.readouterr().out
    assert "5 photos to train on" in said or "4 photos to train on" in said
    folder = tmp_path / "out" / "03_zero_dce" / "zero_dce_pp"
    card = json.loads((folder / "card.json").read_text())
    assert card["training"]["data"] == str(mine)
    assert card["licence"] == "your own photos"
    photo = mine / "low" / "0.png"
    assert main.main(["enhance", str(photo), "--method", str(folder), "--output", "done"]) == 0
    [result] = (tmp_path / "done").iterdir()
    assert read_uint8(result).shape == read_uint8(photo).shape
