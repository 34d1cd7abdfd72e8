"""What runs reached, kept as records: each photo once, with the scores of its own fold."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from plan_files import read

from lle_utils.cli import main
from lle_utils.data.sources import load
from lle_utils.enhancers.classical import BASELINES
from lle_utils.evaluation import records as record_files
from lle_utils.evaluation.scoring import evaluate, join_records
from lle_utils.experiments import planning, running
from lle_utils.experiments.planned import RESULT
from lle_utils.experiments.records import experiment_records
from lle_utils.notebook_tools.cells import list_notebooks, notebook_folder

PLAN = "notebook: 01_count\nfolds: 3\nseeds: [0, 1]\n"


photos_judged = functools.cache(load)


def scored(run, method, error=None):
    """Return a result as a run has it, with real scores of a classical method."""
    source = run.parameters["source"]
    pairs = photos_judged(source, run.split)
    enhance = BASELINES[method] if run.parameters["seed"] else BASELINES["input"]
    data = f"{source}, {run.split}"
    record = evaluate("net", enhance, pairs, ("psnr",), data=data, scenes=pairs.scenes)
    parameters = {"group": run.group, "parameters": run.parameters, "split": run.split}
    return {"name": run.name, **parameters, "error": error, "pruned": "", "records": [record]}


def ended(project, folder, error=None):
    """Write an experiment of which all runs have ended."""
    experiment = read(project, PLAN)
    running._keep_plan(experiment, folder)
    for run in experiment.runs():
        (folder / run.name).mkdir()
        (folder / run.name / RESULT).write_text(json.dumps(scored(run, "gamma", error)))
    return folder


def test_folds_and_seeds_are_joined_to_one_record_and_kept_singly(project, tmp_path):
    joined, *single = experiment_records([ended(project, tmp_path / "out")])
    assert joined["method"] == "net"
    assert len(joined["images"]) == len(set(joined["images"])) == 28  # all of the sample
    assert [(r["fold"], r["seed"]) for r in single] == [(f, s) for f in (1, 2, 3) for s in (0, 1)]
    assert single[1]["method"] == "net, fold 1, seed 1"
    place = joined["images"].index(single[0]["images"][0])
    both = [record["values"]["psnr"][0] for record in single[:2]]
    assert both[0] != both[1]
    assert joined["values"]["psnr"][place] == pytest.approx(np.mean(both))
    assert joined["summary"]["psnr"]["mean"] == pytest.approx(np.mean(joined["values"]["psnr"]))
    assert joined["scenes"][place] == single[0]["scenes"][0]


def test_the_command_writes_a_record_that_is_read_again(project, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record_files, "data_dir", lambda: tmp_path)
    folder = ended(project, tmp_path / "out")
    assert main.main(["experiment", "record", str(folder), "--name", "folds"]) == 0
    assert Path(capsys.readouterr().out.strip()) == tmp_path / "results" / "folds.json"
    assert "net, fold 3, seed 1" in record_files.load_records("folds")


def test_a_search_is_kept_as_its_trials_by_the_enhancer_that_they_were_judged_by(project, tmp_path):
    space = "{parameters: {rate: {low: 0.3, high: 0.9}}, trials: 2, enhancer: net}"
    experiment = read(project, f"notebook: 01_count\nsource: synthetic\nsearch: {space}\n")
    running._keep_plan(experiment, tmp_path)
    for number, rate in enumerate((0.5, 0.75)):
        run = experiment.trial(f"trial-{number:04d}", {"rate": rate})
        found = scored(run, "gamma")
        found["records"].append(found["records"][0] | {"method": "network"})
        (tmp_path / run.name).mkdir()
        (tmp_path / run.name / RESULT).write_text(json.dumps(found))
    names = [record["method"] for record in experiment_records([tmp_path])]
    assert names == ["net, rate=0.5, seed 0", "net, rate=0.75, seed 0"]


def test_an_experiment_that_is_not_done_is_not_recorded(project, tmp_path):
    folder = ended(project, tmp_path / "out", error="it broke")
    with pytest.raises(planning.ExperimentError, match=r"out: 0 of 6 runs passed; `lle experiment"):
        experiment_records([folder])


def test_joining_what_has_no_scenes_keeps_images_apart():
    photos = np.random.default_rng(0).random((2, 16, 24, 3), "float32")
    one, other = (
        evaluate(name, np.square, [(name, photo, photo)], ("psnr",), data="d")
        for name, photo in zip("ab", photos, strict=True)
    )
    joined = join_records("both", [one, other])
    assert (joined["images"], joined["scenes"], joined["data"]) == (["a", "b"], None, "d")
    assert joined["values"]["psnr"] == one["values"]["psnr"] + other["values"]["psnr"]


def test_every_shipped_experiment_file_is_planned():
    files = sorted((notebook_folder() / "experiments").glob("*.yml"))
    assert len(files) > 3
    for file in files:
        experiment = planning.read_experiment(file)
        assert experiment.notebook in list_notebooks()
        assert experiment.count > 3
