"""The measuring itself: own processes, honest peaks, a readable report."""

import json

import numpy as np
import pytest

from lle_utils.benchmarks import speed
from lle_utils.core.environment import resident_memory
from lle_utils.enhancers.tiling import KERAS_BYTES


def test_a_case_is_measured_in_a_process_of_its_own():
    case = speed._in_own_process("enhance", "gamma", 60, 80)
    assert (case["method"], case["height"], case["width"]) == ("gamma", 60, 80)
    assert len(case["runs"]) == speed.MAXIMUM
    assert min(case["runs"]) <= case["median"] <= max(case["runs"])
    case = speed._in_own_process("enhance", "equalize", 60, 80)
    larger = speed._in_own_process("enhance", "equalize", 1500, 2000)
    image = 1500 * 2000 * 3 * 4  # bytes of one such float32 image
    assert larger["peak_bytes"] - case["peak_bytes"] > 1.5 * image


def test_the_peak_is_not_that_of_the_parent():
    ballast = np.ones(100_000_000, np.float32)
    case = speed._in_own_process("enhance", "gamma", 60, 80)
    assert resident_memory() > ballast.nbytes
    assert case["peak_bytes"] < resident_memory() / 2


def test_enhancers_are_measured_as_the_command_runs_them():
    """Keras and its backend alone would hold more than this."""
    case = speed._in_own_process("enhance", "zero_dce_pp", 60, 80)
    assert case["peak_bytes"] < KERAS_BYTES / 2


def test_a_case_that_fails_is_named_with_its_reason():
    with pytest.raises(speed.BenchError, match=r"enhance no_such 8 8 failed: .*no_such"):
        speed._in_own_process("enhance", "no_such", 8, 8)


def test_the_warm_up_does_not_count():
    calls = []
    times = speed.timed(lambda: calls.append(0))
    assert len(calls) == len(times["runs"]) + 1


def test_slow_work_is_measured_three_times(monkeypatch):
    monkeypatch.setattr(speed, "PATIENCE", 0.0)
    assert len(speed.timed(lambda: None)["runs"]) == speed.MINIMUM


def test_the_report_shows_what_the_record_holds():
    case = {"method": "clahe", "width": 600, "height": 400, "median": 0.0914, "peak_bytes": 2.5e9}
    batches = {"crops": 128, "times_faster": 27.4, "share_of_step": 0.031}
    batches |= {"pack": {"median": 0.15}, "png": {"median": 4.11}}
    step = {"network": "keras_io", "parameters": 1_234_567, "median": 1.234, "peak_bytes": 3.5e9}
    record = {"machine": speed.machine(), "enhance": [case], "training": [step]}
    text = speed.report(record | {"batches": batches})
    assert "| clahe | 600×400 | 0.091 | 2.50 |" in text
    assert "| keras_io | 1,234,567 | 1.23 | 3.50 |" in text
    assert "0.150 s from the pack, 4.11 s from PNG files, 27 times as long" in text
    assert "3.1% of a training step" in text


def test_the_machine_can_be_stored():
    here = json.loads(json.dumps(speed.machine()))
    assert here["cores"] >= 1
    assert here["versions"]["python"].startswith("3.")


def test_what_is_timed_in_training_takes_its_steps(monkeypatch):
    for name, smaller in {"CROP": 32, "TRAINING_BATCH": 1, "TRAINING_STEPS": 2}.items():
        monkeypatch.setattr(speed, name, smaller)
    case = speed.training_case("mirnet")
    assert case["parameters"] > 500_000
    assert case["median"] > 0
    low, normal = np.random.default_rng(0).random((2, 1, 128, 128, 3), np.float32)
    assert np.isfinite(speed._training_step((low, normal))())
