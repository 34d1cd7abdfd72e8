"""Experiments: files, plans, and runs over workers that die, with a notebook that takes seconds."""

import json
import random
import threading
import time

import psutil
import pytest
from plan_files import check_refused, read

from lle_utils.cli import main
from lle_utils.experiments import cluster, planning, results, running

distributed = pytest.importorskip("distributed", reason="needs the extra experiments")

PLAN = """\
notebook: 01_count
seeds: 3
grid:
  rate: [0.5, 0.75]
"""


def ended(folder):
    return sorted(path.parent.parent.name for path in folder.glob("*/01_count/ended.txt"))


# Files and plans


def test_every_combination_of_grid_fold_and_seed_is_planned_once(project):
    experiment = read(project, PLAN + "folds: 3\nset: {steps: 2}\nsource: synthetic\n")
    runs = experiment.runs()
    assert len({run.name for run in runs}) == len(runs) == 2 * 3 * 3
    first = runs[0]
    assert first.name == "rate=0.5,seed=0,fold=1of3"
    assert first.group == "rate=0.5"
    wanted = {"steps": 2, "rate": 0.5, "seed": 0, "source": "synthetic@1/3"}
    assert first.parameters == wanted
    assert first.split == "test"


def test_without_folds_photos_of_val_judge_and_the_source_is_the_notebooks_own(project):
    (run,) = read(project, "notebook: 01_count\n").runs()
    assert run.split == "val"
    assert run.parameters == {"seed": 0, "source": "synthetic"}
    assert run.name == "all,seed=0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("notebook: 02_none", "no notebook is called '02_none'; there are: 01_count"),
        ("steps: 3", "expected at least `notebook: NAME`"),
        ("notebook: 01_count\nsed: 1", "sed is no key of an experiment; there are: notebook"),
        ("notebook: 01_count\ngrid: {rat: [1.0]}", "rat is no parameter of 01_count"),
        ("notebook: 01_count\ngrid: {rate: []}", "each with a list of one value or more"),
        ("notebook: 01_count\ngrid: {rate: [fast]}", "rate=fast is str; expected float"),
        ("notebook: 01_count\nset: {steps: 1.5}", "steps=1.5 is float; expected int"),
        ("notebook: 01_count\nset: {rate: 1}\ngrid: {rate: [1]}", "rate is in set and in grid"),
        ("notebook: 01_count\nset: {seed: 1}", "seed: give it by the key seeds"),
        ("notebook: 01_count\nseeds: [1, 1]", "expected different whole numbers"),
        ("notebook: 01_count\nseeds: 0", "expected different whole numbers"),
        ("notebook: 01_count\nfolds: 2", "folds is 2; expected 0 for none, or 3 or more"),
        ("notebook: 01_count\nprofile: fast", "'fast'; there are: quick"),
        ("notebook: !!python/object/apply:os.system [ls]", "is no plain YAML"),
        ("notebook: [", "is no plain YAML"),
    ],
)
def test_a_file_that_will_not_do_is_refused_by_name(project, text, message):
    check_refused(project, text, message)


def test_more_folds_than_scenes_are_refused_before_anything_runs(project, tmp_path):
    experiment = read(project, "notebook: 01_count\nfolds: 9\n")
    with pytest.raises(ValueError, match="9 folds need 9 or more"):
        running.run_experiment(experiment, tmp_path / "out", root=project)
    assert not (tmp_path / "out").exists()


# Running


def test_runs_pass_fail_and_are_not_done_twice(project, tmp_path, capsys):
    folder = tmp_path / "out"
    experiment = read(project, "notebook: 01_count\ngrid: {rate: [0.5, 0.25]}\nset: {steps: 1}\n")
    found = running.run_experiment(experiment, folder, workers=2, root=project)
    errors = {result["name"]: result["error"] for result in found}
    assert errors["rate=0.5,seed=0"] is None
    assert "a quarter will not do" in errors["rate=0.25,seed=0"]
    assert (folder / "rate=0.25,seed=0" / "01_count.ipynb").is_file()
    running.run_experiment(experiment, folder, workers=1, root=project)
    lines = (folder / "rate=0.5,seed=0" / "01_count" / "ended.txt").read_text()
    assert lines == "ended\n"
    assert main.main(["experiment", "status", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "passed" in said
    assert "failed" in said
    page = results.experiment_page(folder).read_text(encoding="utf-8")
    assert "1 of 2 runs passed" in page
    assert "a quarter will not do" in page


def test_a_folder_of_another_experiment_and_one_of_none_are_refused(project, tmp_path):
    folder = tmp_path / "out"
    running._keep_plan(read(project, PLAN), folder)
    running._keep_plan(read(project, PLAN), folder)
    with pytest.raises(planning.ExperimentError, match="holds another experiment"):
        running._keep_plan(read(project, PLAN.replace("3", "2")), folder)
    with pytest.raises(planning.ExperimentError, match="is not the folder of an experiment"):
        running.read_results(tmp_path)
    with pytest.raises(planning.ExperimentError, match="no run has ended yet"):
        results.experiment_page(folder)


def test_a_scheduler_that_is_not_there_is_named(project, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(planning.ExperimentError, match=r"tcp://127\.0\.0\.1:9 cannot be reached"):
        running.run_experiment(
            read(project, PLAN), tmp_path / "out", scheduler="tcp://127.0.0.1:9", root=project
        )


def kill_a_worker(rng):
    """Kill a process that has a kernel, if there is one, as `kill -9` does."""
    parents = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "ipykernel_launcher" in " ".join(process.cmdline()):
                parents.append(process.parent())
        except psutil.Error:
            continue
    if parents:
        rng.choice(parents).kill()
    return bool(parents)


@pytest.mark.slow
def test_workers_that_are_killed_lose_nothing_and_change_nothing(project, tmp_path):
    experiment = read(project, PLAN + "set: {steps: 8}\n")
    calm, hit = tmp_path / "calm", tmp_path / "hit"
    running.run_experiment(experiment, calm, workers=2, root=project)
    over, killed, rng = threading.Event(), [], random.Random(0)

    def strike():
        while not over.is_set() and len(killed) < 4:
            time.sleep(rng.uniform(1.5, 4))
            if not over.is_set() and kill_a_worker(rng):
                killed.append(time.time())

    striker = threading.Thread(target=strike)
    striker.start()
    found = running.run_experiment(experiment, hit, workers=2, root=project)
    over.set()
    striker.join()
    assert killed, "no worker was killed"
    assert [result["error"] for result in found] == [None] * 6
    assert len(ended(hit)) == 6
    for path in calm.glob("*/01_count/checkpoint.json"):
        twin = hit / path.relative_to(calm)
        assert json.loads(twin.read_text()) == json.loads(path.read_text())


def test_scores_of_seeds_and_folds_are_pooled_by_photo_and_spread_over_runs():
    def result(seed, fold, values):
        names = [f"{fold}-{i}" for i in range(len(values))]
        record = {"method": "m", "images": names, "scenes": names}
        record["values"] = {"psnr": values, "ssim": [0.5] * len(values)}
        record["summary"] = {
            "psnr": {"mean": sum(values) / len(values)},
            "ssim": {"mean": 0.5},
        }
        return {"group": "all", "records": [record], "error": None, "name": f"{seed}{fold}"}

    found = [result(0, 1, [10.0, 12.0]), result(1, 1, [14.0, 16.0]), result(0, 2, [20.0, 22.0])]
    records = results.group_records(found)["all", "m"]
    values, scenes = results.pooled(records, "psnr")
    assert sorted(values) == [12.0, 14.0, 20.0, 22.0]
    assert len(set(scenes)) == 4
    row = results.results_table(found).splitlines()[-1]
    assert row.startswith("| all | m | 3 | 17.00 | ± 5.03 |")
