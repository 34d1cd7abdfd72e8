"""Every notebook, run as `make reproduce` runs it, but with another seed, and what it claims."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from lle_utils.core.paths import project_root
from lle_utils.notebook_tools import cells, run

CLAIMS = yaml.safe_load(Path(__file__).with_name("claims.yml").read_text("utf-8"))
SEED = 1  # not that of `make reproduce`, which whoever wrote the prose has looked at

# A progress bar of tqdm, whichever its unit; all else that a notebook says on stderr is noise.
BAR = re.compile(r"\d+%\|.*\||\d+\w* \[\d+:\d+")

pytestmark = [pytest.mark.notebook, pytest.mark.slow]


def lines_of(outputs: list, stream: str) -> list[str]:
    text = "\n".join(output.text for output in outputs if output.get("name") == stream)
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


def complaints(outputs: list) -> list[str]:
    """List the lines on stderr that are no progress bar, and warnings of loggers on stdout."""
    errors = [line for line in lines_of(outputs, "stderr") if not BAR.search(line)]
    return errors + [line for line in lines_of(outputs, "stdout") if line.startswith("WARNING")]


def outputs_of(path: Path) -> list:
    notebook = nbformat.read(path, as_version=4)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def with_claims_at_the_end(name: str, root: Path) -> Path:
    """Copy the notebooks; the one with this name ends on a cell that checks what it claims."""
    shutil.copytree(project_root() / "notebooks", root / "notebooks")
    checks = [f"assert {code}, {text!r}" for text, code in CLAIMS.get(name, {}).items()]
    with (root / "notebooks" / f"{name}.py").open("a", encoding="utf-8") as source:
        source.write("\n".join(["", "# %%", *checks, ""]))
    return root


@pytest.mark.parametrize("name", cells.list_notebooks())
def test_with_another_seed_a_notebook_runs_quietly_and_what_it_claims_holds(name, tmp_path):
    root = with_claims_at_the_end(name, tmp_path / "project")
    settings = [f"seed={SEED}"] if "seed" in cells.parameters_of(name) else []
    (result,) = run.run_notebooks(
        [name], "quick", tmp_path, progress=False, root=root, settings=settings
    )
    assert result.error is None, result.error
    outputs = outputs_of(result.path)
    assert not (noise := complaints(outputs)), "\n".join(noise)
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert "image/png" in kinds, "no figure"
    if "output_dir" in cells.parameters_of(name):
        assert [path for path in (tmp_path / name).rglob("*") if path.is_file()], "nothing written"


def test_a_bar_is_no_complaint_and_a_warning_is_one():
    stream = {"output_type": "stream", "name": "stderr"}
    bars = "zero_dce:  40%|████      | 2/5 [00:00<00:01, 2.5it/s]\r7it [00:01, 5.2it/s]\n"
    outputs = [nbformat.from_dict(stream | {"text": text}) for text in (bars, "E: no memory\n")]
    assert complaints(outputs) == ["E: no memory"]
