"""The measurement of `lle enhance` against a plain loop."""

import json

import numpy as np
import pytest

from lle_utils import throughput
from lle_utils.files import data_dir
from lle_utils.inference import list_enhancers
from lle_utils.methods import quickest


@pytest.mark.slow
def test_a_small_folder_is_measured_and_results_agree():
    record = throughput.measure(3, ["zero_dce_pp"])
    (case,) = record["cases"]
    assert case["differences"]["keras"] <= 1
    assert all(seconds > 0 for seconds in case["seconds"].values() if seconds is not None)
    assert "| zero_dce_pp | " in throughput.report(record)


def test_the_record_shows_twice_the_speed_of_a_plain_loop_at_the_same_output():
    record = json.loads((data_dir() / "results" / "throughput.json").read_text(encoding="utf-8"))
    cases = {case["method"]: case for case in record["cases"]}
    assert all(case["photos"] >= 100 for case in cases.values())
    assert set(cases) == {"zero_dce_pp", "zero_dce", "mirnet"}
    for method, case in cases.items():
        assert case["seconds"]["plain"] >= 2 * case["seconds"][quickest(case)], method


def test_a_large_photo_stays_within_the_limit():
    record = throughput.measure_large(["gamma", "zero_dce_pp"], (1200, 1500))
    assert all(1e8 < case["peak_bytes"] < record["limit"] for case in record["cases"])


def test_the_record_has_every_method_at_24_megapixels_within_2_gb():
    record = json.loads((data_dir() / "results" / "large.json").read_text(encoding="utf-8"))
    assert np.prod(record["photo"]) >= 24e6
    assert {case["method"] for case in record["cases"]} >= {*list_enhancers(), "lime", "clahe"}
    for case in record["cases"]:
        assert case["peak_bytes"] <= 2e9, case["method"]
