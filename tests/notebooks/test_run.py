"""Every notebook, run as `make reproduce` runs it: quick profile, offline sample."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from lle_utils import notebooks

# Seconds on two quiet cores. A slower machine may ask for more, the default is the promise.
LIMIT = 90 * float(os.environ.get("LLE_TIME_FACTOR", "1"))
ALARM = re.compile(r"^\s*\w*(Error|Exception)\b|Traceback", flags=re.MULTILINE)

pytestmark = [pytest.mark.notebook, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


def outputs_of(path: Path) -> list:
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("name", notebooks.list_notebooks())
def test_notebook_runs_in_time_and_shows_its_results(name, folder):
    (result,) = notebooks.run([name], profile="quick", output_dir=folder, progress=False)
    assert result.error is None, result.error
    outputs = outputs_of(result.path)
    complaints = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert not ALARM.search(complaints), complaints
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert "image/png" in kinds, "no figure"
    if "output_dir" in notebooks.parameters_of(name):
        assert [path for path in (folder / name).rglob("*") if path.is_file()], "nothing written"
    assert result.seconds <= LIMIT, f"{result.seconds:.0f} s, LLE_TIME_FACTOR widens the limit"
