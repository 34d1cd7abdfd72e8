"""Workers and a scheduler that are killed while they are at an experiment."""

import json

import pytest

from lle_utils.core.paths import data_dir

pytest.importorskip("distributed", reason="needs the extra experiments")

from faults import killed_experiment


@pytest.mark.slow
def test_killed_workers_and_a_killed_scheduler_lose_nothing_and_change_nothing(tmp_path):
    found = killed_experiment(tmp_path, runs=4, workers=2, kills=2)
    assert "The scheduler " in found["lost"]
    assert found["kills"].count("scheduler") == 1
    assert found["kills"].count("worker") >= 1
    assert (found["finished"], found["twice"], found["equal"]) == (4, 0, 4)


def test_the_record_of_real_trainings_is_of_twelve_that_all_came_to_the_same():
    record = json.loads((data_dir() / "results" / "faults_training.json").read_text("utf-8"))
    assert (record["notebook"], record["runs"], record["workers"]) == ("12_lumen", 12, 3)
    assert (record["kills"].count("worker"), record["kills"].count("scheduler")) == (10, 1)
    assert (record["finished"], record["equal"]) == (12, 12)


def test_the_record_is_of_twelve_runs_that_all_came_to_the_same():
    record = json.loads((data_dir() / "results" / "faults_experiment.json").read_text("utf-8"))
    assert (record["runs"], record["workers"]) == (12, 3)
    assert (record["kills"].count("worker"), record["kills"].count("scheduler")) == (10, 1)
    assert (record["finished"], record["twice"], record["equal"]) == (12, 0, 12)
