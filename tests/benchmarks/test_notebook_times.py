"""The times of the notebooks: one record, written only if all of them ran."""

import json

import pytest

from lle_utils.benchmarks import notebook_times
from lle_utils.benchmarks.speed import BenchError
from lle_utils.notebook_tools.run import Run


@pytest.fixture
def ran(monkeypatch):
    """Let notebooks be taken to have run; return the list of what became of them, to be filled."""
    results = []
    monkeypatch.setattr(notebook_times, "run_notebooks", lambda *_, **__: results)
    return results


def test_the_record_holds_the_seconds_of_each_notebook_and_of_all(ran, tmp_path, capsys):
    ran += [Run("01_a", tmp_path, 61.4, None), Run("02_b", tmp_path, 3.0, None)]
    path = notebook_times.time_notebooks(tmp_path / "notebooks.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["seconds"] == {"01_a": 61.4, "02_b": 3.0}
    assert record["wall"] > 0
    assert record["jobs"] >= 1
    assert record["machine"]["cores"] >= 1
    assert "| 01_a | 61 |" in capsys.readouterr().out
    assert "All in 2 min 5 s" in notebook_times.report(record | {"wall": 125.2})


def test_a_notebook_that_fails_leaves_no_record(ran, tmp_path):
    ran += [Run("01_a", tmp_path, 1.0, "cell 3: ValueError: no")]
    with pytest.raises(BenchError, match="01_a failed in cell 3: ValueError: no"):
        notebook_times.time_notebooks(tmp_path / "notebooks.json")
    assert not (tmp_path / "notebooks.json").exists()
