"""The measurement of `lle enhance` against a plain loop."""

import pytest

from lle_utils import throughput


@pytest.mark.slow
def test_a_small_folder_is_measured_and_results_agree():
    record = throughput.measure(3, ["zero_dce_pp"])
    (case,) = record["cases"]
    assert case["difference"] <= throughput.TOLERANCE
    assert all(seconds > 0 for seconds in case["seconds"].values() if seconds is not None)


def test_a_large_photo_stays_within_the_limit():
    record = throughput.measure_large(["gamma", "zero_dce_pp"], (1200, 1500))
    assert all(1e8 < case["peak_bytes"] < record["limit"] for case in record["cases"])
