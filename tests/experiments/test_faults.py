"""Workers and a scheduler that are killed while they are at an experiment."""

import pytest

pytest.importorskip("distributed", reason="needs the extra experiments")

from faults import killed_experiment


@pytest.mark.slow
def test_killed_workers_and_a_killed_scheduler_lose_nothing_and_change_nothing(tmp_path):
    found = killed_experiment(tmp_path, runs=4, workers=2, kills=2)
    assert "The scheduler " in found["lost"]
    assert found["kills"].count("scheduler") == 1
    assert found["kills"].count("worker") >= 1
    assert (found["finished"], found["twice"], found["equal"]) == (4, 0, 4)
