"""Intervals against theory, records against damage, tables against records."""

import json

import numpy as np
import pytest

from lle_utils.cli import measure, readme_tables
from lle_utils.core import images
from lle_utils.enhancers import classical
from lle_utils.evaluation import bootstrap, scoring, tables
from lle_utils.evaluation import records as results
from lle_utils.evaluation.records import RecordError

NAMES = [f"photo{i}" for i in range(16)]
SCENES = {name: i // 2 for i, name in enumerate(NAMES)}


def _pairs(count=16):
    rng = np.random.default_rng(5)
    for name in NAMES[:count]:
        normal = rng.random((16, 20, 3))
        yield name, 0.3 * normal * rng.uniform(0.5, 1.5), normal


def _record(method="gamma", **options):
    options = {"data": "sixteen random images", "metrics": ("psnr", "mae", "loe"), **options}
    return scoring.evaluate(method, classical.BASELINES[method], _pairs(), **options)


def test_told_hands_each_photo_the_mean_of_its_reference():
    told, means = [], [reference.mean() for *_, reference in _pairs()]

    def enhance(low, level):
        told.append(level)
        return low

    record = scoring.evaluate("told", enhance, _pairs(), data="eight images", level_told=True)
    np.testing.assert_allclose(told, means, atol=1e-3)
    assert record["data"] == f"eight images{scoring.TOLD}"


def test_interval_of_a_normal_sample():
    values = np.random.default_rng(1).normal(20, 3, 400)
    half = 1.96 * values.std() / np.sqrt(len(values))
    low, high = bootstrap.bootstrap_interval(values)
    assert low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        low, high = bootstrap.bootstrap_interval(rng.normal(0, 1, 60), seed=trial)
        hits += low <= 0 <= high
    assert 180 <= hits <= 199


def test_interval_of_constants_has_no_width():
    assert bootstrap.bootstrap_interval([2.5] * 9) == (2.5, 2.5)
    assert bootstrap.bootstrap_interval([2.5] * 9, list("aabbcdddd")) == (2.5, 2.5)


def test_interval_over_scenes_ignores_copies_within_a_scene():
    """Ten copies of each photo are no new evidence."""
    values = np.random.default_rng(3).normal(size=15)
    alone = bootstrap.bootstrap_interval(values)
    copies, scenes = np.repeat(values, 10), np.repeat(np.arange(15), 10)
    grouped = bootstrap.bootstrap_interval(copies, scenes)
    np.testing.assert_allclose(grouped, alone, atol=1e-12)
    naive = bootstrap.bootstrap_interval(copies)
    assert naive[1] - naive[0] < 0.5 * (alone[1] - alone[0])


def test_interval_is_a_function_of_its_seed():
    values = np.random.default_rng(4).normal(size=10)
    assert bootstrap.bootstrap_interval(values) == bootstrap.bootstrap_interval(values)
    assert bootstrap.bootstrap_interval(values) != bootstrap.bootstrap_interval(values, seed=1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [1.0, np.inf]])
def test_interval_refuses_what_has_none(values):
    with pytest.raises(ValueError, match="interval needs"):
        bootstrap.bootstrap_interval(values)
    with pytest.raises(ValueError, match="scenes"):
        bootstrap.bootstrap_interval([1.0, 2.0], ["a"])


def test_record_holds_values_protocol_and_interval():
    record = _record(scenes=SCENES)
    assert record["images"] == NAMES
    assert record["scenes"] == [i // 2 for i in range(16)]
    assert "8 scenes" in record["interval"]
    assert record["sizes"] == ["20x16"]
    assert "rounded to 8 bits" in record["protocol"]["psnr"]
    summary, values = record["summary"]["psnr"], record["values"]["psnr"]
    assert summary["mean"] == pytest.approx(np.mean(values))
    assert (summary["low"], summary["high"]) == bootstrap.bootstrap_interval(
        values, [*SCENES.values()]
    )
    assert "16 images" in _record()["interval"]
    assert {"python", "numpy", "scikit-image"} <= set(record["versions"])


def test_paths_bytes_and_16_bits_give_the_same_values(tmp_path):
    rounded = [[n, *(images.to_uint8(image) for image in rest)] for n, *rest in _pairs()]
    paths = [
        [n, *(images.save_image(tmp_path / f"{n}_{i}.png", x) for i, x in enumerate(rest))]
        for n, *rest in rounded
    ]
    deep = [[n, *(np.uint16(257) * image for image in rest)] for n, *rest in rounded]
    found = [
        scoring.evaluate("gamma", classical.gamma, pairs, ["psnr"], data="d")["values"]
        for pairs in (rounded, paths, deep)
    ]
    assert found[0] == found[1]
    assert found[2]["psnr"] == pytest.approx(found[0]["psnr"], abs=0.01)


def test_one_image_has_a_mean_but_no_interval():
    record = scoring.evaluate("gamma", classical.gamma, _pairs(1), data="one image")
    assert record["summary"]["psnr"]["low"] is None
    assert "[" not in tables.table([record]).splitlines()[2]


def test_records_survive_the_file(tmp_path):
    records = [_record(scenes=SCENES), _record("input", scenes=SCENES)]
    path = results.save_records("trial", records, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["trial.json"]
    assert list(results.load_records("trial", tmp_path).values()) == records
    assert json.loads(path.read_text())["kind"] == "evaluation"


def test_value_that_is_no_number_is_refused_and_named(tmp_path):
    perfect = [(name, normal, normal) for name, _, normal in _pairs()]
    with pytest.raises(RecordError, match="psnr of image photo0 is inf"):
        scoring.evaluate("input", classical.identity, perfect, data="d")
    record = _record()
    record["values"]["mae"][3] = float("nan")
    with pytest.raises(RecordError, match="mae of image photo3 is nan"):
        results.save_records("trial", [record], tmp_path)
    assert not list(tmp_path.iterdir())


def test_broken_records_are_refused(tmp_path):
    with pytest.raises(RecordError, match="no images"):
        scoring.evaluate("gamma", classical.gamma, [], data="d")
    with pytest.raises(RecordError, match="twice"):
        scoring.evaluate("gamma", classical.gamma, [*_pairs(), *_pairs()], data="d")
    with pytest.raises(RecordError, match="occurs twice"):
        results.save_records("trial", [_record(), _record()], tmp_path)
    with pytest.raises(RecordError, match="lacks protocol"):
        results.save_records(
            "t", [{k: v for k, v in _record().items() if k != "protocol"}], tmp_path
        )
    short = _record()
    short["values"]["mae"].pop()
    with pytest.raises(RecordError, match="15 values of mae, 16 images"):
        results.check_record(short)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "kind"),
        ('{"kind": "bench"}', "kind"),
        ('{"kind": "evaluation", "schema": 9}', "schema 9"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RecordError, match=message):
        results.load_records("x", tmp_path)
    with pytest.raises(FileNotFoundError):
        results.load_records("y", tmp_path)


def test_paired_difference_is_exact_and_uses_common_images():
    first = _record(scenes=SCENES)
    second = json.loads(json.dumps(first))
    second["values"]["psnr"] = [value - 1.5 for value in first["values"]["psnr"]]
    second["images"] = [*NAMES[:15], "other"]
    found = bootstrap.paired_difference(first, second)
    assert found["images"] == 15
    assert [found[key] for key in ("mean", "low", "high")] == pytest.approx([1.5] * 3)
    with pytest.raises(RecordError, match="no values of ssim"):
        bootstrap.paired_difference(first, second, "ssim")
    second["images"] = [f"other{i}" for i in range(16)]
    with pytest.raises(RecordError, match="fewer than two"):
        bootstrap.paired_difference(first, second)


def test_below_eight_scenes_there_is_a_mean_and_no_interval():
    few = {name: i // 3 for i, name in enumerate(NAMES)}  # six scenes
    record = _record(scenes=few)
    assert record["interval"] == "no intervals, which 6 scenes are too few for"
    summary = record["summary"]["psnr"]
    assert summary["mean"] == pytest.approx(np.mean(record["values"]["psnr"]))
    assert summary["low"] is summary["high"] is None
    assert f"| {summary['mean']:.2f} |" in tables.table([record], ["psnr"])
    found = bootstrap.paired_difference(record, _record("input", scenes=few))
    assert found["low"] is found["high"] is None
    assert tables.difference_text(record, _record("input"), "psnr") == f"{found['mean']:+.2f}"
    assert tables.change_text([0.1] * 7, digits=1) == "+0.1"
    assert tables.change_text([0.1] * 8, digits=1) == "+0.1 [+0.1, +0.1]"
    assert tables.change_text([0.1] * 8, list("aabbccdd")) == "+0.10"


def test_table_prints_means_intervals_and_notes():
    record = _record(scenes=SCENES)
    lines = tables.table([record], ["psnr", "delta_e"]).splitlines()
    assert lines[0] == "| method | psnr (dB) ↑ | delta_e ↓ |"
    summary = record["summary"]["psnr"]
    cell = f"{summary['mean']:.2f} [{summary['low']:.2f}, {summary['high']:.2f}]"
    assert lines[2] == f"| gamma | {cell} | – |"
    assert "8 scenes" in lines[-1]
    page = tables.table([{**record, "method": "<b>"}], form="html")
    assert "&lt;b&gt;" in page
    assert page.count("<tr>") == 2
    with pytest.raises(ValueError, match="latex"):
        tables.table([record], form="latex")


def _summed(method, **values):
    """Return a record of a method with the values of sixteen photos, two of each scene."""
    summary = {m: {"mean": float(np.mean(v)), "low": None, "high": None} for m, v in values.items()}
    common = {"images": NAMES, "scenes": [*SCENES.values()], "interval": "none", "data": "d"}
    return {"method": method, "values": values, "summary": summary, **common}


def test_the_ranking_asks_for_structure_then_brightness_then_both():
    means = {  # ssim, psnr_gtmean, mean_error, psnr
        "blurred": (0.70, 30, 1, 30),
        "sharp_dark": (0.8002, 25, 50, 10),
        "sharp_clear": (0.8004, 26, 60, 9),  # one SSIM as printed: the next metric decides
        "sharp_near": (0.8001, 25.001, 40, 9),  # and then the error of the mean, lower is better
        "sharp_last": (0.8, 25, 50.04, 9.9),
    }
    records = [
        _summed(name, **{m: [v] * 16 for m, v in zip(tables.RANKED_BY, values, strict=True)})
        for name, values in means.items()
    ]
    expected = ["sharp_clear", "sharp_near", "sharp_dark", "sharp_last", "blurred"]
    assert tables.ranking(records) == expected
    assert tables.ranking({r["method"]: r for r in reversed(records)}) == expected
    unknown = _summed("unknown", psnr=[40.0] * 16)
    assert tables.ranking([unknown, *records]) == [*expected, "unknown"]


def test_the_leaderboard_compares_each_row_with_the_one_above():
    noise = np.random.default_rng(0).normal(0, 0.02, 16)
    best = _summed("best", ssim=list(0.8 + 0.05 * np.arange(16) % 0.2), psnr=[20.0] * 16)
    next_values = [
        value - 0.1 + step for value, step in zip(best["values"]["ssim"], noise, strict=True)
    ]
    second = _summed("second", ssim=next_values, psnr=[30.0] * 16)
    last = _summed("last", psnr=[10.0] * 16)
    lines = tables.leaderboard([last, second, best]).splitlines()
    assert lines[0] == "| method | ssim ↑ | psnr (dB) ↑ | ssim − row above |"
    found = bootstrap.paired_difference(second, best, "ssim")
    cell = f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
    assert found["high"] < 0
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| best", "| second", "| last"]
    assert lines[2].endswith("|  |")
    assert lines[3].endswith(f"| {cell} |")
    assert lines[4] == "| last | – | 10.00 | – |"
    assert lines[-1] == "d; none. Sorted by ssim, then psnr."
    assert "<td>second</td>" in tables.leaderboard([second, best], form="html")


def test_the_leaderboard_of_other_metrics_is_a_plain_table():
    records = [_summed("a", mae=[1.0] * 16), _summed("b", mae=[2.0] * 16)]
    assert tables.leaderboard(records, ["mae", "ssim"]) == tables.table(records, ["mae"])


def test_what_lle_evaluate_measures_is_what_the_leaderboard_shows():
    assert sorted([*measure.DEFAULT_METRICS, "flip", "lpips"]) == sorted(tables.LEADERBOARD)


def test_tables_in_a_text_are_filled_and_then_stay(tmp_path):
    results.save_records("trial", [_record()], tmp_path)
    text = "# A\n<!-- table:trial psnr loe -->\nold\n<!-- /table -->\nB\n"
    text += "<!-- table:trial -->\n<!-- /table -->\nC"
    filled = readme_tables.render_tables(text, tmp_path)
    assert "old" not in filled
    assert "| method | psnr (dB) ↑ | loe ↓ |" in filled
    assert "| method | psnr (dB) ↑ | mae (levels) ↓ | loe ↓ |" in filled
    assert filled.startswith("# A\n")
    assert filled.endswith("\nC")
    assert readme_tables.render_tables(filled, tmp_path) == filled
    board = "<!-- leaderboard:trial psnr -->\n<!-- /leaderboard -->"
    assert "| psnr − row above |" in readme_tables.render_tables(board, tmp_path)
    with pytest.raises(FileNotFoundError):
        readme_tables.render_tables(text.replace("trial", "nothing"), tmp_path)


def test_a_table_shows_the_runs_of_an_experiment_together(tmp_path):
    record = _record()
    one_run = record | {"method": f"{record['method']}, fold 1, seed 0", "fold": 1, "seed": 0}
    results.save_records("folds", [record, one_run], tmp_path)
    text = "<!-- table:folds psnr -->\n<!-- /table -->"
    filled = readme_tables.render_tables(text, tmp_path)
    assert f"| {record['method']} |" in filled
    assert "fold 1" not in filled


def test_committed_evaluations_can_be_read():
    from lle_utils.core.paths import data_dir

    for path in sorted((data_dir() / "results").glob("*.json")):
        if json.loads(path.read_text(encoding="utf-8")).get("kind") == "evaluation":
            for record in results.load_records(path.stem).values():
                assert tables.table([record])


def test_the_cross_table_says_what_was_trained_on_what_and_judged_where():
    here = {name: _record(name, metrics=("psnr", "ssim")) for name in ("input", "gamma")}
    there = {"gamma": _record(metrics=("psnr",), data="others")}
    said = tables.cross_table({"here": here, "there": there}, {"gamma": "lol"}, ["psnr", "ssim"])
    head, _, *rows = (line.strip("| ").split(" | ") for line in said.splitlines()[:4])
    assert head[1:3] == ["trained on", "here: psnr (dB) ↑"]
    by_method = {row[0]: row[1:] for row in rows}
    psnr, ssim = (here["gamma"]["summary"][metric]["mean"] for metric in ("psnr", "ssim"))
    assert by_method["gamma"] == ["lol", f"{psnr:.2f}", f"{ssim:.3f}", f"{psnr:.2f}", "–"]
    assert by_method["input"][0] == "–"
    assert by_method["input"][3:] == ["–", "–"]
    assert said.endswith("here: sixteen random images; there: others.")
