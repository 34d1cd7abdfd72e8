"""What notebook 08 computes: the leaderboard, ranks, disputes, curves, keypoints."""

import json

import numpy as np
import pytest

from lle_utils import data
from lle_utils.cli import main
from lle_utils.core import images, paths
from lle_utils.data import synthetic
from lle_utils.data.evaluation_sets import EVALUATION_SETS, EvaluationSet
from lle_utils.enhancers import classical
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.evaluation import records, tables
from lle_utils.notebook_tools.importer import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("08_compare")


@pytest.fixture(scope="module")
def low():
    return images.to_float(synthetic.synthetic_pairs(1, (50, 70), 3).low[0])


def test_the_leaderboard_is_what_lle_evaluate_prints(notebook, tmp_path, monkeypatch, capsys):
    made = synthetic.synthetic_pairs(3, (20, 30))
    for i, (low, normal) in enumerate(zip(made.low, made.normal, strict=True)):
        images.save_image(tmp_path / "low" / f"{i}.png", low)
        images.save_image(tmp_path / "high" / f"{i}.png", normal)
    pairs = data.find_pairs(tmp_path / "low", tmp_path / "high")
    scenes = {pair.name: int(pair.name) for pair in pairs}
    shown = EvaluationSet("three pairs", pairs, scenes)
    monkeypatch.setitem(EVALUATION_SETS, "lol_val", lambda: shown)
    monkeypatch.setattr(records, "data_dir", lambda: tmp_path)
    words = ["evaluate", "--method", "input", "--method", "auto_gamma"]
    assert main.main(words) == 0
    printed = capsys.readouterr().out
    assert "| auto_gamma |" in printed
    assert printed.startswith(notebook.leaderboard() + "\n")


def test_the_leaderboard_has_every_shipped_enhancer(notebook):
    table = notebook.leaderboard()
    for name in (*classical.BASELINES, "zero_dce", "zero_dce_pp", "mirnet"):
        assert f"| {name} |" in table
    assert table == tables.leaderboard(records.load_records("lol_val"))


def record(method, **values):
    count = len(next(iter(values.values())))
    names = [str(i) for i in range(count)]
    mean = {
        metric: {"mean": float(np.mean(v)), "low": 0, "high": 0} for metric, v in values.items()
    }
    return {"method": method, "images": names, "scenes": names, "values": values, "summary": mean}


@pytest.fixture
def scores():
    return {
        "a": record("a", psnr=[20, 10, 30], delta_e=[9, 9, 1]),
        "b": record("b", psnr=[19, 11, 20], delta_e=[8, 3, 2]),
        "c": record("c", psnr=[10, 9, 8], delta_e=[20, 30, 20]),
    }


def test_ranks_follow_the_direction_of_the_metric(notebook, scores):
    assert notebook.ranks(scores, "psnr") == {"a": 1, "b": 2, "c": 3}
    assert notebook.ranks(scores, "delta_e") == {"b": 1, "a": 2, "c": 3}


def test_preferences_of_two_metrics_can_be_compared(notebook, scores):
    by_psnr, by_colour = (notebook.preferences(scores, m) for m in ("psnr", "delta_e"))
    assert by_psnr.tolist() == [[1, -1, 1], [1, 1, 1], [1, 1, 1]]  # a-b, a-c, b-c
    assert np.mean(by_psnr != by_colour) == pytest.approx(1 / 9)


def test_share_of_photos_in_which_the_input_wins(notebook, scores):
    by_name = {"input": scores["b"], "a": scores["a"]}
    assert notebook.input_wins(by_name, "a", "psnr") == pytest.approx(1 / 3)
    assert notebook.input_wins(by_name, "a", "delta_e") == pytest.approx(2 / 3)


def test_steps_down_the_ranking_with_their_verdict(notebook, scores):
    thrice = {name: record(name, psnr=r["values"]["psnr"] * 3) for name, r in scores.items()}
    (first, *_), (second, mean, low, high) = notebook.steps_down(thrice, ["a", "b", "c"], "psnr")
    assert (first, second) == ("a − b", "b − c")
    assert mean == pytest.approx((9 + 2 + 12) / 3)
    assert notebook.verdict(low, high) == "clear"
    assert notebook.verdict(-1, 1) == "open"
    assert notebook.verdict(-2, -1) == "reversed"


@pytest.mark.parametrize("name", ["zero_dce", "zero_dce_pp"])
def test_all_curves_at_full_strength_are_the_enhancer(notebook, low, name):
    enhancer = load_enhancer(name)
    maps = notebook.curve_maps(enhancer, low)
    assert maps.shape[:2] == low.shape[:2]
    np.testing.assert_allclose(notebook.apply_curves(low, maps), enhancer.enhance(low), atol=1e-5)
    np.testing.assert_array_equal(notebook.apply_curves(low, maps, iterations=0), low)
    np.testing.assert_array_equal(notebook.apply_curves(low, maps, strength=0.0), low)
    means = [notebook.apply_curves(low, maps, n).mean() for n in range(9)]
    assert (np.diff(means) > 0).all()


def test_keypoints_survive_a_gain_and_not_heavy_noise(notebook):
    normal = images.to_float(synthetic.sample_scenes()["coffee"])[:200, :300]
    sought = notebook.keypoints(normal)
    assert notebook.found_again(normal, sought) == 1
    dark = notebook.found_again(0.3 * normal, sought)
    noise = np.random.default_rng(0).normal(0, 0.4, normal.shape)
    assert dark > 0.95
    assert notebook.found_again(np.clip(normal + noise, 0, 1), sought) < dark / 2
    shifted = np.roll(normal, 30, axis=1)
    assert notebook.found_again(shifted, sought) < 0.2


def test_own_photos_are_one_file_or_a_folder(notebook, tmp_path):
    assert notebook.own_photos("") == {}
    with pytest.raises(FileNotFoundError, match="holds no photo"):
        notebook.own_photos(str(tmp_path))
    path = images.save_image(tmp_path / "a.png", np.zeros((3, 4, 3)))
    assert notebook.own_photos(str(tmp_path)) == notebook.own_photos(str(path)) == {"a.png": path}


def test_pairs_are_spread_over_all_there_are(notebook):
    pairs = [str(i) for i in range(10)]
    assert notebook.spread(pairs, 4) == ["0", "2", "5", "7"]
    assert notebook.spread(pairs, 0) == notebook.spread(pairs, 99) == pairs


LATENCY = paths.data_dir() / "results" / "latency.json"


def test_the_record_of_the_sliders_has_every_control(notebook):
    rows = json.loads(LATENCY.read_text(encoding="utf-8"))["controls"]
    assert {row["control"] for row in rows} >= {
        "Crop",
        "Strength",
        "Position",
        "Amplification",
        "Iterations",
    }
    for row in rows:
        assert f"| {row['panel']} | {row['control']} |" in notebook.latency_table()


def test_votes_are_counted(notebook):
    votes = [
        {"best": "a", "second": "b", "rejected": ["c"]},
        {"best": "b", "second": "a", "rejected": ["c", "d"]},
    ]
    assert notebook.tally(votes, "a") == [1, 1, 0]
    assert notebook.tally(votes, "c") == [0, 0, 2]
