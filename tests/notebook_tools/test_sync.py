"""The notebook machinery, on small projects made for the purpose."""

import inspect
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from lle_utils.core.paths import write_json
from lle_utils.notebook_tools import cells, checks, importer, run, sync
from lle_utils.notebook_tools.cells import NotebookError
from lle_utils.notebook_tools.run import ParameterError

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""

SOURCE = f"""{HEADER}
# %% [markdown]
# # A small notebook
#
# You will learn nothing.

# %% [markdown] tags=["badges"]
# to be generated

# %% tags=["setup"]
# to be generated

# %%
import math
from dataclasses import dataclass

# %% tags=["parameters"]
profile = ""
steps = 3
rate = -0.5
output_dir = "runs/small"

# %% tags=["profile"]
# to be generated

# %%
LIMIT = 2.0
computed = math.sqrt(LIMIT)


# %%
@dataclass
class Point:
    x: float


def halve(value):
    return value / LIMIT


# %%
from pathlib import Path

Path("trace.txt").write_text(f"{{steps}} {{output_dir}}")
halve(rate)

# %% tags=["solution"]
def solved():
    return 42
"""


@pytest.fixture
def project(tmp_path):
    """A project with one synced notebook and one profile."""
    (tmp_path / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/some-project"\n'
    )
    (tmp_path / "notebooks" / "profiles").mkdir(parents=True)
    write_profile(tmp_path, "01_small:\n  steps: 7\n")
    source(tmp_path).write_text(SOURCE)
    sync.sync_notebooks(root=tmp_path)
    return tmp_path


def source(project: Path, name: str = "01_small") -> Path:
    return project / "notebooks" / f"{name}.py"


def write_profile(project: Path, text: str, name: str = "quick") -> None:
    (project / "notebooks" / "profiles" / f"{name}.yml").write_text(text)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def only_problem(project: Path) -> str:
    (problem,) = checks.check_notebooks(root=project)
    return problem


def test_notebooks_are_listed_in_reading_order(project):
    for name in ("10_late", "02_early", "helper"):
        source(project, name).write_text("")
    assert cells.list_notebooks(project) == ["01_small", "02_early", "10_late"]


def test_synced_notebook_has_no_problems(project):
    assert checks.check_notebooks(root=project) == []


def test_sync_generates_badge_and_setup_from_the_public_address(project):
    text = source(project).read_text()
    link = "/github/someone/some-project/blob/main/notebooks/01_small.ipynb)"
    assert link in text
    assert '"https://github.com/someone/some-project"' in text
    assert "to be generated" not in text


def test_sync_twice_writes_nothing(project):
    assert sync.sync_notebooks(root=project) == []


def test_jupytext_update_agrees_with_sync(project):
    derived = source(project).with_suffix(".ipynb")
    before = derived.read_bytes()
    command = [sys.executable, "-m", "jupytext", "--to", "ipynb", "--update", source(project)]
    subprocess.run(command, check=True, capture_output=True)
    assert derived.read_bytes() == before


def test_derived_notebook_is_deterministic(project):
    derived = source(project).with_suffix(".ipynb")
    before = derived.read_bytes()
    derived.unlink()
    sync.sync_notebooks(root=project)
    assert derived.read_bytes() == before


def test_an_edit_keeps_the_ids_of_all_cells(project):
    derived = source(project).with_suffix(".ipynb")
    before = [cell.id for cell in nbformat.read(derived, 4).cells]
    edit(source(project), "return value / LIMIT", "return value / 2")
    sync.sync_notebooks(root=project)
    assert [cell.id for cell in nbformat.read(derived, 4).cells] == before


def test_repeated_cells_get_distinct_ids(project):
    with source(project).open("a") as file:
        file.write("\n# %%\n1 + 1\n\n# %%\n1 + 1\n")
    sync.sync_notebooks(root=project)
    ids = [cell.id for cell in nbformat.read(source(project).with_suffix(".ipynb"), 4).cells]
    assert len(set(ids)) == len(ids) == 12


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_check_catches_an_edit_to_either_half(project, suffix):
    edit(source(project).with_suffix(suffix), "value / LIMIT", "value * LIMIT")
    assert "differs from 01_small.py" in only_problem(project)
    assert "lle sync" in only_problem(project)


def test_check_catches_and_sync_removes_outputs(project):
    derived = source(project).with_suffix(".ipynb")
    notebook = nbformat.read(derived, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[-1].execution_count = 5
    code[0].outputs = [nbformat.v4.new_output("stream", text="hello")]
    nbformat.write(notebook, derived)
    assert "outputs or execution counts" in only_problem(project)
    assert sync.sync_notebooks(root=project) == [derived]
    assert checks.check_notebooks(root=project) == []


def test_check_catches_a_changed_badge_though_both_halves_agree(project):
    for suffix in (".py", ".ipynb"):
        edit(source(project).with_suffix(suffix), "01_small.ipynb)", "02_other.ipynb)")
    assert "badges cell is not the generated one" in only_problem(project)


def test_check_catches_a_changed_public_address(project):
    edit(project / "pyproject.toml", "someone/", "another/")
    assert len(checks.check_notebooks(root=project)) == 2  # badge and setup
    sync.sync_notebooks(root=project)
    assert checks.check_notebooks(root=project) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# # A small notebook", "# ## A small notebook", "0 first-level headings"),
        ("# You will learn nothing.", "# # Another title", "2 first-level headings"),
        ('tags=["parameters"]', 'tags=["other"]', '0 cells are tagged "parameters"'),
        ("steps = 3", "steps = 1 + 2", "`steps = 1 + 2` is not a plain"),
        ("steps = 3", "print(3)", "`print(3)` is not a plain"),
    ],
)
def test_check_names_what_is_wrong_in_a_source(project, old, new, message):
    edit(source(project), old, new)
    sync.sync_notebooks(root=project)
    problems = checks.check_notebooks(root=project)
    assert any(message in problem and "01_small.py" in problem for problem in problems)


def test_a_hash_in_a_fenced_block_is_no_heading(project):
    edit(source(project), "# You will", "# ```\n# # a comment\n# ```\n#\n# You will")
    sync.sync_notebooks(root=project)
    assert checks.check_notebooks(root=project) == []


def test_cells_have_kind_tags_text_and_place(project):
    text = source(project).read_text()
    read = cells.read_cells(source(project), text)
    assert [cell.kind for cell in read] == ["markdown"] * 2 + ["code"] * 8
    tags = [("badges",), ("setup",), (), ("parameters",), ("profile",)]
    assert [cell.tags for cell in read][1:6] == tags
    assert read[0].source == "# A small notebook\n\nYou will learn nothing."
    parameters = read[4]
    lines = text.splitlines()
    assert lines[parameters.start] == '# %% tags=["parameters"]'
    place = lines[parameters.start + 1 : parameters.stop]
    assert "\n".join(place).rstrip() == parameters.source


def test_a_cell_magic_begins_no_cell(project):
    edit(source(project), "halve(rate)\n", "halve(rate)\n\n# %%\n# %%time\nhalve(2)\n")
    read = cells.read_cells(source(project), source(project).read_text())
    assert read[-2].source == "%%time\nhalve(2)"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 42", "return '''\n# %% in a string\n'''"),
        ("# %% [markdown]\n# # A", "import os\n\n# %% [markdown]\n# # A"),
    ],
)
def test_cells_that_do_not_fit_their_markers_are_refused(project, old, new):
    edit(source(project), old, new)
    with pytest.raises(NotebookError, match=r"01_small\.py: jupytext reads \d+ cells, but \d+"):
        cells.parameters_of("01_small", project)


def test_a_parameter_that_is_no_literal_is_named_with_its_line(project):
    edit(source(project), "steps = 3", "steps = 1 + 2")
    number = source(project).read_text().splitlines().index("steps = 1 + 2") + 1
    with pytest.raises(NotebookError, match=rf"01_small\.py, line {number}: `steps = 1 \+ 2`"):
        cells.parameters_of("01_small", project)


def test_check_names_a_missing_and_a_stray_derived_file(project):
    derived = source(project).with_suffix(".ipynb")
    derived.rename(derived.with_stem("09_stray"))
    missing, stray = checks.check_notebooks(root=project)
    assert "01_small.ipynb is missing" in missing
    assert "09_stray.ipynb has no .py source" in stray


@pytest.mark.parametrize("tag", ["badges", "setup", "profile"])
def test_sync_says_how_to_add_a_missing_generated_cell(project, tag):
    edit(source(project), f'tags=["{tag}"]', "")
    with pytest.raises(NotebookError, match=rf'Mark it with the line .*tags=\["{tag}"\]'):
        sync.sync_notebooks(root=project)


def test_sync_asks_for_a_missing_kernelspec(project):
    edit(source(project), "name: python3", "name: other")
    with pytest.raises(NotebookError, match="names no Python 3 kernel"):
        sync.sync_notebooks(root=project)


def test_address_elsewhere_than_on_github_is_refused(project):
    edit(project / "pyproject.toml", "https://github.com/", "https://example.org/")
    with pytest.raises(NotebookError, match=r"pyproject\.toml.*expected https://github\.com"):
        sync.sync_notebooks(root=project)


def test_setup_cell_does_nothing_outside_colab(project, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("it ran a command"))
    text = source(project).read_text()
    cell = text.split('# %% tags=["setup"]')[1].split("# %%")[0]
    exec(cell, {})


def setup_cell(project):
    return source(project).read_text().split('# %% tags=["setup"]')[1].split("# %%")[0]


def test_setup_cell_clones_installs_and_enters_on_colab(project, monkeypatch):
    commands, folders = [], []

    def run(command, check=False):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("os.chdir", folders.append)
    exec(setup_cell(project), {})
    clone, install = commands
    assert clone[:2] == ["git", "clone"]
    assert clone[-2:] == ["https://github.com/someone/some-project", "/content/some-project"]
    assert install[1:] == [
        "-m",
        "pip",
        "install",
        "--quiet",
        "/content/some-project[notebooks,photos]",
    ]
    assert folders == ["/content/some-project/notebooks"]


def test_setup_cell_says_what_to_do_where_it_cannot_clone(project, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setenv("LLE_REPOSITORY", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match=r"nothing cannot be cloned. Unpack the project's zip"):
        exec(setup_cell(project), {})


# Profiles


def test_parameters_are_read_without_running(project):
    expected = {"profile": "", "steps": 3, "rate": -0.5, "output_dir": "runs/small"}
    assert cells.parameters_of("01_small", project) == expected


def test_shared_parameters_reach_only_those_who_know_them_and_own_ones_win(project):
    source(project, "02_other").write_text(SOURCE.replace("steps = 3", "size = 8"))
    write_profile(project, "all:\n  steps: 1\n  rate: 0.1\n01_small:\n  rate: 0.2\n")
    assert run.load_profile("quick", project) == {
        "01_small": {"steps": 1, "rate": 0.2},
        "02_other": {"rate": 0.1},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "01_small:\n  stepps: 1\n",
            "stepps is no parameter of 01_small.*output_dir, profile, rate, steps",
        ),
        ("all:\n  stepps: 1\n", "stepps is no parameter of any notebook"),
        ("02_none:\n  steps: 1\n", "'02_none' is neither a notebook nor `all`.*01_small"),
        ("- 01_small\n", "expected a mapping"),
        ("01_small: 5\n", "expected `parameter: value` lines"),
    ],
)
def test_a_profile_that_fits_no_notebook_is_an_error_before_anything_runs(project, text, message):
    write_profile(project, text)
    with pytest.raises(ParameterError, match=message):
        run.run_notebooks(root=project, progress=False)
    assert message.split(".*")[0] in only_problem(project)
    assert not (project / "runs").exists()


def test_unknown_profile_lists_those_there_are(project):
    with pytest.raises(ParameterError, match=r"'fast'; there are: quick\."):
        run.load_profile("fast", project)


# Running


def test_run_applies_the_profile_and_keeps_the_executed_copy(project):
    (result,) = run.run_notebooks(root=project, progress=False)
    assert result.error is None
    assert result.seconds > 0
    assert result.path == project / "runs" / "quick" / "01_small.ipynb"
    trace = (project / "notebooks" / "trace.txt").read_text()
    assert trace == f"7 {project / 'runs' / 'quick' / '01_small'}"
    assert checks.check_notebooks(root=project) == []  # the originals are untouched


def test_run_uses_the_running_interpreter_in_a_foreign_jupyter_setting(project, monkeypatch):
    kernel = project / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["false"], "display_name": "x"}')
    monkeypatch.setenv("JUPYTER_PATH", str(project))
    monkeypatch.setenv("MPLBACKEND", "agg")
    edit(source(project), "halve(rate)", "import os, sys\nprint(sys.executable)")
    (result,) = run.run_notebooks(root=project, progress=False)
    outputs = [o for cell in nbformat.read(result.path, 4).cells for o in cell.get("outputs", [])]
    assert [o.text.strip() for o in outputs] == [sys.executable]


def test_a_failing_notebook_is_reported_and_the_others_still_run(project):
    source(project, "02_after").write_text(SOURCE)
    edit(source(project), "halve(rate)", 'raise RuntimeError("no such luck")')
    failed, passed = run.run_notebooks(root=project, progress=False)
    assert failed.error.startswith("cell ")
    assert "RuntimeError: no such luck" in failed.error
    assert "---> " in failed.error or "raise RuntimeError" in failed.error
    assert passed.error is None


def test_a_kernel_that_dies_is_a_failure(project):
    edit(source(project), "halve(rate)", "import os\nos._exit(3)")
    (result,) = run.run_notebooks(root=project, progress=False)
    assert "Kernel died" in result.error


def test_a_kernel_that_dies_before_any_cell_is_started_again(project, tmp_path, monkeypatch):
    """As it does when another process takes one of its ports between choice and use."""
    marks = tmp_path / "starts"
    marks.mkdir()
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, pathlib, tempfile\n"
        "if 'ipykernel_launcher' in sys.orig_argv:\n"
        f"    marks = pathlib.Path({str(marks)!r})\n"
        "    tempfile.mkstemp(dir=marks)\n"
        "    if len(list(marks.iterdir())) <= int(os.environ['DYING_KERNELS']):\n"
        "        os._exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DYING_KERNELS", "1")
    (result,) = run.run_notebooks(root=project, progress=False)
    assert result.error is None
    assert len(list(marks.iterdir())) == 2

    monkeypatch.setenv("DYING_KERNELS", "99")
    (result,) = run.run_notebooks(root=project, progress=False)
    assert "Kernel died" in result.error
    assert len(list(marks.iterdir())) == 2 + run.KERNEL_STARTS


def test_two_notebooks_run_at_a_time_and_one_that_fails_does_not_stop_the_other(project):
    meet = (
        "import time\nPath('{0}').touch()\n"
        "while not Path('{1}').exists():\n    time.sleep(0.01)\n"  # alone it would wait forever
    )
    source(project, "02_other").write_text(
        SOURCE.replace("halve(rate)", meet.format("b", "a") + 'raise RuntimeError("no luck")')
    )
    edit(source(project), "halve(rate)", meet.format("a", "b") + "halve(rate)")
    first, second = run.run_notebooks(root=project, progress=False, jobs=2)
    assert (first.name, first.error) == ("01_small", None)
    assert "RuntimeError: no luck" in second.error


def test_with_several_jobs_each_notebook_gets_a_line(project, capsys):
    source(project, "02_other").write_text(SOURCE)
    run.run_notebooks(root=project, jobs=2)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[:2] for line in lines) == [
        ["01_small", "passed"],
        ["02_other", "passed"],
    ]


def test_less_than_one_job_is_refused(project):
    with pytest.raises(ParameterError, match="jobs is 0"):
        run.run_notebooks(root=project, jobs=0)


def test_the_longest_on_record_comes_first_after_those_without_a_record(tmp_path):
    tasks = [(Path(f"{name}.py"),) for name in ("short", "new", "long")]
    assert run._longest_first(tasks, tmp_path) == tasks
    write_json(tmp_path / "data/results/notebooks.json", {"seconds": {"short": 1.0, "long": 9.0}})
    names = [path.stem for (path,) in run._longest_first(tasks, tmp_path)]
    assert names == ["new", "long", "short"]


def test_what_libraries_print_past_python_goes_to_the_log_and_not_into_the_notebook(project):
    edit(source(project), "halve(rate)", "import os\nos.write(2, b'chatter')\nprint('said')")
    (result,) = run.run_notebooks(root=project, progress=False)
    outputs = [o for cell in nbformat.read(result.path, 4).cells for o in cell.get("outputs", [])]
    assert [o.text for o in outputs] == ["said\n"]
    assert "chatter" in result.path.with_suffix(".log").read_text()


def test_an_interrupt_ends_every_kernel(project):
    wait = "import os, time\nPath(f'{__name__}{os.getpid()}.pid').touch()\ntime.sleep(600)"
    edit(source(project), "halve(rate)", wait)
    source(project, "02_other").write_text(source(project).read_text())
    code = "import signal, sys; from pathlib import Path\n"
    # A shell that runs the tests in the background has interrupts ignored.
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from lle_utils.notebook_tools.run import run_notebooks\n"
    code += "run_notebooks(root=Path(sys.argv[1]), jobs=2)"
    words = [sys.executable, "-c", code, str(project)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while len(found := list((project / "notebooks").glob("*.pid"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    while any(psutil.pid_exists(int(path.stem.removeprefix("__main__"))) for path in found):
        time.sleep(0.05)


# Definitions


def test_definitions_execute_nothing_else(project, monkeypatch):
    monkeypatch.chdir(project)
    module = importer.definitions("01_small", project)
    assert module.halve(3.0) == 1.5
    assert module.Point(2.0).x == 2.0
    assert module.math.pi > 3
    assert not {"computed", "steps", "solved"} & set(vars(module))
    assert not (project / "trace.txt").exists()


def test_definitions_can_be_inspected_and_pickled(project):
    module = importer.definitions("01_small", project)
    assert inspect.getsource(module.halve) == "def halve(value):\n    return value / LIMIT\n"
    point = pickle.loads(pickle.dumps(module.Point(4.0)))
    assert point == module.Point(4.0)
    assert pickle.loads(pickle.dumps(module.halve)) is module.halve


def test_definitions_are_the_same_module_until_the_source_changes(project):
    module = importer.definitions("01_small", project)
    assert importer.definitions("01_small", project) is module
    edit(source(project), "value / LIMIT", "value / LIMIT / 5")
    changed = importer.definitions("01_small", project)
    assert changed.halve(10.0) == 1.0
    assert "/ 5" in inspect.getsource(changed.halve)


def test_definitions_of_an_unknown_notebook_list_the_known(project):
    with pytest.raises(NotebookError, match=r"'03_none'; there are: 01_small\."):
        importer.definitions("03_none", project)


def test_a_definition_that_needs_a_running_notebook_says_so(project):
    edit(source(project), "def halve(value):", "def halve(value=computed):")
    with pytest.raises(NotebookError, match="needs 'computed'"):
        importer.definitions("01_small", project)
    assert "lle_notebook_01_small" not in sys.modules


def test_code_lengths_count_non_blank_lines(project):
    assert checks.code_lengths("01_small", project)[:3] == [2, 4, 2]
    assert "longest 5" in checks.summary("01_small", project)
