"""Searches: files, trials that are pruned, fail and are taken up again, and what is reported."""

import json
import random

import pytest
from plan_files import check_refused, read

from lle_utils.cli import main
from lle_utils.experiments import planned, planning, results, running, search, search_results
from lle_utils.experiments.search_space import LOGGED, LOGGED_BY
from lle_utils.notebook_tools.cells import list_notebooks, notebook_folder, parameters_of
from lle_utils.training.progress import TrainingStoppedError

pytest.importorskip("distributed", reason="needs the extra experiments")
optuna = pytest.importorskip("optuna", reason="needs the extra experiments")

SPACE = "parameters: {rate: {low: 0.3, high: 0.9}, style: [plain, bold]}"


def plan_of(inner=SPACE, outer=""):
    return f"notebook: 01_count\nsearch: {{{inner}}}\n{outer}\n"


def searched(project, inner=SPACE, outer=""):
    return read(project, plan_of(inner, outer))


# Files


def test_ranges_and_choices_get_the_types_of_the_notebook(project):
    space = "rate: {low: 1, high: 2, log: true}, steps: {low: 2, high: 9}, style: [plain, bold]"
    experiment = searched(project, f"parameters: {{{space}}}")
    found = experiment.search["parameters"]
    assert found["rate"] == {"low": 1.0, "high": 2.0, "log": True}
    assert type(found["rate"]["low"]) is float
    assert type(found["steps"]["low"]) is int
    assert experiment.search["sampler"] == "tpe"
    assert experiment.count == experiment.search["trials"] == 20
    run = experiment.trial("trial-0003", {"rate": 1.5, "steps": 3, "style": "bold"})
    assert run.split == "val"  # never test
    assert run.group == "rate=1.5,steps=3,style=bold"
    assert run.parameters["source"] == "synthetic"
    assert (run.metric, run.enhancer) == ("psnr", "")


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (SPACE + ", sampler: grid", "sampler is 'grid'; there are: tpe, random"),
        (SPACE + ", metric: test_psnr", "metric is 'test_psnr'; there are: psnr, ssim, val_psnr"),
        (
            SPACE + ", enhancer: 3",
            "enhancer is 3; expected the name of one that the notebook saves",
        ),
        (
            SPACE + ", enhancer: mine, metric: val_psnr",
            "enhancer is 'mine'; expected the name",
        ),
        (SPACE + ", trials: 0", "trials is 0; expected a whole number from 1 on"),
        (SPACE + ", trials: 2.5", "trials is 2.5; expected a whole number"),
        (SPACE + ", prune: maybe", "prune is 'maybe'; expected true or false"),
        (SPACE + ", storage: here.db", "storage is 'here.db'; expected the URL of a database"),
        (SPACE + ", trial: 3", "trial is no key of it; there are: parameters, trials"),
        ("trials: 3", "expected `parameters`, each with a range or with choices"),
        ("parameters: {}", "expected `parameters`"),
        ("parameters: {rat: [1.0]}", "rat is no parameter of 01_count; there are: output_dir"),
        ("parameters: {rate: []}", "rate: expected one choice or more"),
        ("parameters: {rate: {}}", "rate: expected a list of choices, or low, high"),
        ("parameters: {rate: {low: 0.5}}", "rate: expected a list of choices, or low, high"),
        ("parameters: {rate: {low: 1, high: 1}}", "low is 1, high 1; expected low < high"),
        ("parameters: {rate: {low: 2, high: 1}}", "low is 2, high 1; expected low < high"),
        ("parameters: {rate: {low: 0, high: 1, log: true}}", "with log it has to be above 0"),
        ("parameters: {rate: {low: 0, high: 1, log: 2}}", "log is 2; expected true or false"),
        ("parameters: {rate: {low: 1e-3, high: 1}}", "low is '1e-3'; expected a number (YAML"),
        ("parameters: {rate: {low: 0, high: .inf}}", "high is inf; expected a number"),
        ("parameters: {steps: {low: 0.5, high: 2}}", "low is 0.5; expected a whole number"),
        ("parameters: {style: {low: 0, high: 2}}", "style is str in 01_count, which has no range"),
        ("parameters: {steps: [1, 2.5]}", "steps=2.5 is float; expected int"),
        ("parameters: {steps: [1, 1]}", "steps: a choice is there twice"),
        ("parameters: {seed: [1]}", "seed: give it by the key seeds or source"),
    ],
)
def test_a_search_that_will_not_do_is_refused_by_name(project, inner, message):
    check_refused(project, plan_of(inner), message)


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        ("grid: {steps: [1]}", "there are grid and search"),
        ("folds: 3", "What is chosen by a fold must not be judged by it"),
        ("seeds: 2", "a search takes one seed, got 2"),
        ("set: {rate: 0.5}", "rate is in set and in search"),
    ],
)
def test_what_does_not_go_with_a_search_is_refused(project, outer, message):
    with pytest.raises(planning.ExperimentError, match=message):
        searched(project, outer=outer)


@pytest.mark.parametrize("inner", ["metric: val_psnr", "prune: true"])
def test_a_notebook_that_does_not_validate_is_refused_where_its_log_is_needed(project, inner):
    path = project / "notebooks" / "01_count.py"
    path.write_text(path.read_text().replace("validate_every = 1\n", ""))
    searched(project)
    with pytest.raises(planning.ExperimentError, match="logs no val_psnr; take the metric psnr"):
        searched(project, f"{SPACE}, {inner}")


def test_notebooks_that_log_what_a_search_needs_are_known_by_a_parameter():
    for name in list_notebooks():
        logs = f"history['{LOGGED}']" in (notebook_folder() / f"{name}.py").read_text("utf-8")
        assert not logs or LOGGED_BY in parameters_of(name), name


def test_a_database_that_is_not_there_is_named_without_its_password(project, tmp_path):
    for url, named in (
        ("sqlite:///no/such/folder/x.db", "sqlite:///no/such/folder/x.db"),
        ("nonsense://me:secret@host/x", "host/x"),
    ):
        experiment = searched(project, f"{SPACE}, storage: '{url}'")
        with pytest.raises(planning.ExperimentError, match=f"{named} cannot be opened") as caught:
            running.run_experiment(experiment, tmp_path / "out", root=project)
        assert "secret" not in str(caught.value)


# Trials


@pytest.mark.slow
def test_a_search_prunes_what_falls_behind_goes_on_and_reports(
    project, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(search, "POLL_SECONDS", 0.05)
    inner = f"{SPACE}, sampler: random, metric: val_psnr, prune: true, trials: "
    folder, fixed = tmp_path / "out", "set: {steps: 9, pause: 0.25}"
    found = running.run_experiment(searched(project, inner + "6", fixed), folder, 2, root=project)
    assert [result["name"] for result in found] == [f"trial-000{i}" for i in range(6)]
    states = [results.run_state(result) for result in found]
    assert "failed" not in states
    assert "pruned" in states
    assert "passed" in states
    for result, state in zip(found, states, strict=True):
        reached = len(result["history"]["val_psnr"])
        assert (reached < 9) == (state == "pruned")
        best = max(result["history"]["val_psnr"])
        assert result["value"] == (None if state == "pruned" else pytest.approx(best))
    assert "val_psnr was" in next(result["pruned"] for result in found if result["pruned"])

    before = {path: path.read_text() for path in folder.glob("*/result.json")}
    again = running.run_experiment(searched(project, inner + "7", fixed), folder, 2, root=project)
    assert len(again) == 7
    assert all(path.read_text() == text for path, text in before.items())
    assert len({result["parameters"]["rate"] for result in again}) == 7  # nothing is tried twice

    top = max((r for r in again if r["value"] is not None), key=lambda result: result["value"])
    assert main.main(["experiment", "status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"best val_psnr {top['value']:.4g}: {top['group']} ({top['name']})" in said
    assert "of 7 runs passed, " in said
    assert main.main(["experiment", "report", str(folder)]) == 0
    page = (folder / "index.html").read_text(encoding="utf-8")
    for heading in ("Best so far", "All trials", "Which parameters count", "Learning curves"):
        assert heading in page
    assert f"rate: {top['parameters']['rate']!r}" in page


@pytest.mark.slow
def test_a_trial_that_was_left_behind_is_taken_up_with_a_database(project, tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_FOLDER", str(tmp_path))
    inner = f"{SPACE}, metric: val_psnr, trials: 1, storage: 'sqlite:///$OUR_FOLDER/trials.db'"
    experiment = searched(project, inner)
    folder = tmp_path / "out"
    running._keep_plan(experiment, folder)
    study = search.open_study(experiment, folder)
    left = study.ask(search.distributions(experiment.search["parameters"]))
    kept = folder / "trial-0000" / "01_count" / "checkpoint.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("[0, 1000, 5]")  # no number that a run from the start would come to
    (result,) = running.run_experiment(experiment, folder, 1, root=project)
    assert result["name"] == "trial-0000"
    assert {name: result["parameters"][name] for name in left.params} == left.params
    assert json.loads(kept.read_text())[:3] == [0, 1000, 5]
    states = [trial.state.name for trial in search.open_study(experiment, folder).trials]
    assert states == ["FAIL", "COMPLETE"]


def test_what_failed_is_queued_once_and_what_is_done_is_not(project, tmp_path):
    experiment = searched(project, f"{SPACE}, metric: val_psnr, trials: 3")
    study = search.open_study(experiment, tmp_path)
    space = search.distributions(experiment.search["parameters"])
    trials = [study.ask(space) for _ in range(3)]
    for trial, error in zip(trials, (None, "it broke", None), strict=True):
        folder = tmp_path / search.run_name(trial)
        folder.mkdir()
        (folder / planned.RESULT).write_text(json.dumps({"error": error}))
    study.tell(trials[0], 1.0)
    study.tell(trials[1], state=optuna.trial.TrialState.FAIL)
    (folder / planned.RESULT).unlink()  # the last one was running when the command was killed
    assert search.trials_left(experiment, tmp_path) == 2
    for _ in range(2):
        search.take_up(study, tmp_path)
        again = [t for t in study.trials if t.state == optuna.trial.TrialState.WAITING]
        assert [search.run_name(trial) for trial in again] == ["trial-0001", "trial-0002"]
    asked = study.ask(space)
    assert search.run_name(asked) == "trial-0001"
    assert asked.params == trials[1].params


def test_a_run_is_judged_by_the_best_that_it_has_of_the_metric():
    records = [
        {"method": method, "summary": {"psnr": {"mean": value}}}
        for method, value in (("first", 12.0), ("second", 15.0))
    ]
    assert planned._value("psnr", "", records, {"val_psnr": [30.0]}) == 15.0
    assert planned._value("psnr", "first", records, {}) == 12.0
    assert planned._value("val_psnr", "", records, {"val_psnr": [30.0, 29.0]}) == 30.0
    assert planned._value("", "", records, {}) is None
    with pytest.raises(planning.ExperimentError, match="saved no third; it saved first, second"):
        planned._value("psnr", "third", records, {})
    with pytest.raises(planning.ExperimentError, match="gave no val_psnr: its training logged"):
        planned._value("val_psnr", "", records, {})
    with pytest.raises(planning.ExperimentError, match="gave no psnr: it saved no enhancer"):
        planned._value("psnr", "", [], {})


def test_a_notebook_that_was_told_to_stop_is_told_from_one_that_failed():
    name = TrainingStoppedError.__name__
    assert planned._why_stopped(f"cell 4 (In [3]): {name}: too slow\nmore") == "too slow"
    assert planned._why_stopped(f"cell 4 (In [3]): ValueError: no\n{name}: too slow") == ""
    assert planned._why_stopped(None) == ""


# What is reported


def result(number, value, **parameters):
    history = {"val_psnr": [value - 1, value]} if value else {}
    kept = {"name": f"trial-{number:04d}", "group": f"rate={parameters['rate']}", "seconds": 1}
    return kept | {"parameters": parameters, "value": value, "error": None, "history": history}


def test_the_parameter_that_decides_is_the_important_one(project):
    plan, rng = searched(project), random.Random(1)
    found = []
    for number in range(40):
        rate, style = rng.uniform(0.3, 0.9), rng.choice(["plain", "bold"])
        found.append(result(number, 20 - abs(rate - 0.5), rate=rate, style=style))
    shares = search_results.importances(plan, found)
    assert next(iter(shares)) == "rate"
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["rate"] > 3 * shares["style"]
    assert search_results.importances(plan, found[: search_results.FEWEST - 1]) == {}


def test_the_best_is_told_of_trials_that_have_a_value(project):
    plan = searched(project)
    assert search_results.best_text(plan, [result(0, None, rate=0.5, style="bold")]) == ""
    assert search_results.search_parts(plan, []) == []
    found = [
        result(0, None, rate=0.4, style="bold"),
        result(1, 17.5, rate=0.5, style="bold"),
        result(2, 17.25, rate=0.6, style="plain"),
    ]
    text = search_results.best_text(plan, found)
    assert text == "best psnr 17.5: rate=0.5 (trial-0001)"
    titles = [title for title, _ in search_results.search_parts(plan, found)]
    assert titles[0] == "Best so far"
    assert titles[-1] == "Learning curves"
