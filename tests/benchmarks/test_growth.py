"""The bench of experiments: its simulation against closed forms, and the record it writes."""

import json

import pytest

from lle_utils.benchmarks import growth


def test_a_simulation_without_waits_keeps_all_workers_busy():
    found = growth.simulate([3.0], 5, 0.0, 0.0)
    assert (found["runs"], found["wall"], found["busy"]) == (40, 24.0, 1.0)


def test_one_worker_waits_for_scheduler_and_store_in_each_run():
    found = growth.simulate([2.0], 1, 0.5, 0.25)
    assert found["wall"] == pytest.approx(8 * 2.75)
    assert found["busy"] == pytest.approx(2 / 2.75)


@pytest.mark.parametrize(("scheduler", "store"), [(0.1, 0.0), (0.0, 0.1)])
def test_with_more_workers_than_they_serve_scheduler_or_store_is_the_limit(scheduler, store):
    found = growth.simulate([1.0], 100, scheduler, store)
    assert found["wall"] == pytest.approx(800 * 0.1 + 1)  # they serve ten workers
    assert found["scheduler" if scheduler else "store"] == pytest.approx(80 / 81)
    assert found["busy"] == pytest.approx(800 / 81 / 100)


def test_runs_of_different_length_are_stored_as_they_end():
    even = growth.simulate([1.0, 9.0], 50, 0.0, 1e-9)
    assert even["wall"] < 60  # a worker with a short run does not wait for those with long ones
    assert even["busy"] > 0.8


@pytest.mark.slow
def test_both_cases_are_measured_and_told(tmp_path, monkeypatch, capsys):
    pytest.importorskip("distributed", reason="needs the extra experiments")
    monkeypatch.setattr(growth, "RUNS", 2)
    monkeypatch.setattr(growth, "EMPTY_TASKS", 20)
    monkeypatch.setattr(growth, "SIMULATED", (1, 10))
    monkeypatch.setattr(growth, "NOTEBOOK", "02_metrics")  # which trains nothing
    monkeypatch.setattr(growth, "SETTINGS", {})
    record = json.loads(growth.measure_growth(tmp_path / "growth.json").read_text("utf-8"))
    assert [case["workers"] for case in record["measured"]] == [1, 2]
    for case in record["measured"]:
        assert len(case["seconds"]) == 2
        assert case["wall"] > sum(case["seconds"]) / case["workers"]
        assert all(0 < a < s for a, s in zip(case["around_cells"], case["seconds"], strict=True))
    assert "times the throughput" in capsys.readouterr().out
