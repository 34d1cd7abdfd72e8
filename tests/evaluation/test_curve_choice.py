"""The curve of the baseline `fixed_curve`: chosen as its record says, and shipped."""

import json

import numpy as np
import pytest

from lle_utils.cli import main
from lle_utils.core import images, paths
from lle_utils.core.exposure import expose
from lle_utils.data import lol
from lle_utils.data.pairs import find_pairs
from lle_utils.enhancers import classical
from lle_utils.evaluation import curve_choice
from lle_utils.metrics.pixelwise import psnr

RECORD = paths.data_dir() / "results" / "fixed_curve.json"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Three photos that a power of 2.5 made dark, with noise, as files."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for i in range(3):
        normal = 0.05 + 0.9 * rng.random((12, 17, 3))
        low = np.clip(normal**2.5 + rng.normal(0, 0.003, normal.shape), 0, 1)
        images.save_image(folder / "low" / f"{i}.png", low)
        images.save_image(folder / "high" / f"{i}.png", normal)
    return find_pairs(folder / "low", folder / "high")


@pytest.fixture(scope="module")
def chosen(pairs, tmp_path_factory):
    path = curve_choice.choose_fixed_curve(pairs, "three", tmp_path_factory.mktemp("results"))
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_exponent_that_made_the_photos_dark_is_found_again(chosen):
    assert chosen["families"]["exponent"]["best"] == pytest.approx(1 / 2.5, abs=0.02)
    assert (chosen["pairs"], chosen["data"]) == (3, "three")
    assert "no reference mean" in chosen["protocol"]


@pytest.mark.parametrize("family", ["exponent", "gain"])
def test_scores_are_those_of_the_applied_curve(pairs, chosen, family):
    curve = {"exponent": classical.gamma, "gain": expose}[family]
    found = chosen["families"][family]
    assert len(found["settings"]) == len(found["psnr"])
    assert found["settings"][int(np.argmax(found["psnr"]))] == found["best"]
    for index in (3, 60, -1):
        photos = [(images.load_image(p.low), images.load_image(p.normal)) for p in pairs]
        scores = [psnr(curve(x, found["settings"][index]), y) for x, y in photos]
        assert found["psnr"][index] == pytest.approx(np.mean(scores), abs=1e-3)


def test_no_pairs_choose_no_curve(tmp_path):
    with pytest.raises(ValueError, match="nothing: there are no pairs"):
        curve_choice.choose_fixed_curve([], "nothing", tmp_path)


def test_the_command_chooses_on_training_pairs(pairs, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(lol, "lol_pairs", lambda split: asked.append(split) or pairs)
    monkeypatch.setattr(curve_choice, "data_dir", lambda: tmp_path)
    assert main.main(["evaluate", "--choose-curve"]) == 0
    assert asked == ["train"]
    assert str(tmp_path / "results" / "fixed_curve.json") in capsys.readouterr().out


def test_the_shipped_exponent_is_the_best_of_the_record():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["families"]["exponent"]["best"] == classical.FIXED_EXPONENT
    assert "train" in record["data"]
    for found in record["families"].values():  # the best lies inside the range that was tried
        assert found["settings"][0] < found["best"] < found["settings"][-1]
    assert len(record["families"]["exponent"]["settings"]) == 141
