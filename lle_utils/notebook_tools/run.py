"""Running notebooks: profiles, and papermill in a kernel of this very interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from lle_utils.core.environment import usable_cores
from lle_utils.core.paths import project_root
from lle_utils.notebook_tools.cells import (
    NotebookError,
    chosen_sources,
    list_notebooks,
    notebook_folder,
    parameters_of,
)

KERNEL_STARTS = 3  # one dies at once when another process took a port between choice and use


class ParameterError(NotebookError):
    """A profile or parameter that no notebook knows."""


class Run(NamedTuple):
    """What became of one notebook: its executed copy, its seconds, and its error or None."""

    name: str
    path: Path
    seconds: float
    error: str | None


def load_profile(name: str, root: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read a profile and resolve it to parameters for each notebook.

    A profile is a YAML mapping from notebook names to parameters. Those under ``all`` go to
    every notebook that knows them; a notebook's own entry wins.

    Args:
        name: ``quick``, ``colab``, ``full`` or another file stem of ``notebooks/profiles``.
        root: The project's folder.

    Returns:
        Parameters that differ from the defaults, for every notebook.

    Raises:
        ParameterError: If there is no such profile, or it names a notebook or parameter that
            does not exist.
    """
    import yaml

    folder = notebook_folder(root) / "profiles"
    path = folder / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yml")))
        raise ParameterError(f"No profile is called {name!r}; there are: {known}.")
    profile = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    known = {notebook: parameters_of(notebook, root) for notebook in list_notebooks(root)}
    _check_keys(path, profile, known)
    shared = profile.get("all") or {}
    return {
        notebook: {k: v for k, v in shared.items() if k in names} | (profile.get(notebook) or {})
        for notebook, names in known.items()
    }


def _check_keys(path: Path, profile: Any, known: dict[str, dict[str, Any]]) -> None:
    if not isinstance(profile, dict):
        raise ParameterError(f"{path}: expected a mapping from notebook names to parameters.")
    for notebook, values in profile.items():
        if notebook != "all" and notebook not in known:
            raise ParameterError(
                f"{path}: {notebook!r} is neither a notebook nor `all`; "
                f"there are: {', '.join(known)}."
            )
        if not isinstance(values or {}, dict):
            raise ParameterError(f"{path}: under {notebook!r} expected `parameter: value` lines.")
        names = set().union(*known.values()) if notebook == "all" else set(known[notebook])
        if unknown := set(values or {}) - names:
            whose = "any notebook" if notebook == "all" else notebook
            raise ParameterError(
                f"{path}: {', '.join(sorted(unknown))} is no parameter of {whose}; "
                f"there are: {', '.join(sorted(names))}."
            )


def read_settings(
    settings: Sequence[str], defaults: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Read parameters from the command line, and check them.

    Args:
        settings: ``NAME=VALUE`` each; values as in a profile, in YAML: ``seed=1``,
            ``stages=[[2, 64, 4]]``.
        defaults: Notebook -> its parameters and their defaults, whose kinds values must have.

    Returns:
        Notebook -> the values of those that it has.

    Raises:
        ParameterError: If one has no ``=``, names a parameter that no notebook has, or is of
            another kind than the default.
    """
    found: dict[str, dict[str, Any]] = {notebook: {} for notebook in defaults}
    for setting in settings:
        name, equals, text = setting.partition("=")
        owners = [notebook for notebook, known in defaults.items() if name in known]
        if not equals:
            raise ParameterError(f"{setting!r} is no setting; expected NAME=VALUE, such as seed=1.")
        if not owners:
            known = sorted(set().union(*defaults.values()))
            raise ParameterError(
                f"{name} is no parameter of {', '.join(defaults)}; there are: {', '.join(known)}."
            )
        for notebook in owners:
            found[notebook][name] = _read_value(name, text, defaults[notebook][name])
    return found


def _read_value(name: str, text: str, default: Any) -> Any:
    import yaml

    if isinstance(default, str):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    wanted = (int, float) if isinstance(default, float) else type(default)
    if default is not None and (
        not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool)
    ):
        raise ParameterError(
            f"{name}={text} is {type(value).__name__}; expected {type(default).__name__}, such as "
            f"{default!r}."
        )
    return float(value) if isinstance(default, float) else value


def default_jobs() -> int:
    """Return how many notebooks run at a time: one per core, two at most for their memory."""
    return min(2, usable_cores())


def run_notebooks(
    names: Sequence[str] | None = None,
    profile: str = "quick",
    output_dir: Path | None = None,
    progress: bool = True,
    root: Path | None = None,
    jobs: int | None = None,
    settings: Sequence[str] = (),
) -> list[Run]:
    """Run notebooks with the parameters of a profile, in kernels of this very interpreter.

    A notebook that fails does not keep the others from running. An interrupt ends them all.

    Args:
        names: Notebooks to run; all when None.
        profile: See `load_profile`.
        output_dir: Where executed copies go, ``runs/<profile>`` when None. A notebook with a
            parameter ``output_dir`` gets a folder of its own name in there.
        progress: Show a bar of cells, or with several jobs a line as each notebook ends.
        root: The project's folder.
        jobs: How many run at a time; see `default_jobs`.
        settings: ``NAME=VALUE`` each, see `read_settings`; over those of the profile.

    Returns:
        One result for each notebook, in the order of the names.

    Raises:
        ParameterError: If profile or settings do not fit the notebooks, or ``jobs`` is less than
            one; nothing has run then.
    """
    root = root or project_root()
    jobs = default_jobs() if jobs is None else jobs
    if jobs < 1:
        raise ParameterError(f"jobs is {jobs}; expected 1 or more.")
    sources = chosen_sources(names, root)
    parameters = load_profile(profile, root)
    chosen = read_settings(settings, {p.stem: parameters_of(p.stem, root) for p in sources})
    output_dir = Path(output_dir or root / "runs" / profile).resolve()
    jobs = min(jobs, len(sources)) or 1
    tasks = []
    for path in sources:
        values = parameters[path.stem] | chosen[path.stem]
        if "output_dir" in parameters_of(path.stem, root):
            values["output_dir"] = str(output_dir / path.stem)
        tasks.append((path, values, output_dir, profile, progress and jobs == 1))
    if jobs > 1:
        tasks = _longest_first(tasks, root)
    found = _run_in_processes(tasks, jobs, _say if progress and jobs > 1 else lambda _: None)
    return [found[path.stem] for path in sources]


def run_here(
    name: str,
    parameters: dict[str, Any],
    output_dir: Path,
    profile: str,
    root: Path | None = None,
) -> Run:
    """Run one notebook in a kernel of this very process, which must do nothing else meanwhile.

    The kernel ends by itself when the process is killed; the notebook then goes on from its
    checkpoint when it is run again with the same folder.

    Args:
        name: Of the notebook.
        parameters: Over those of the profile.
        output_dir: Where the executed copy goes; results go to a folder of its own name in there.
        profile: See `load_profile`.
        root: The project's folder.
    """
    (path,) = chosen_sources([name], root or project_root())
    values = load_profile(profile, root)[path.stem] | parameters
    if "output_dir" in parameters_of(path.stem, root):
        values["output_dir"] = str(output_dir / path.stem)
    folder = Path.cwd()
    try:
        return _run_one(path, values, output_dir, profile, progress=False)
    finally:
        os.chdir(folder)


def _longest_first(tasks: list[tuple], root: Path) -> list[tuple]:
    """Sort by the seconds on record, unknown ones first: a long one should not end alone."""
    record = root / "data" / "results" / "notebooks.json"
    known = json.loads(record.read_text(encoding="utf-8"))["seconds"] if record.is_file() else {}
    return sorted(tasks, key=lambda task: -known.get(task[0].stem, float("inf")))


def _say(result: Run) -> None:
    print(f"{result.name:20}{'failed' if result.error else 'passed'}{result.seconds:7.1f} s")


def _run_in_processes(tasks: list[tuple], jobs: int, say: Callable[[Run], None]) -> dict[str, Run]:
    """Run each task in a process of its own, ``jobs`` at a time; papermill changes its folder."""
    found: dict[str, Run] = {}
    running: list[subprocess.Popen] = []
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run_apart, task, running) for task in tasks]
        try:
            for future in as_completed(futures):
                result = future.result()
                found[result.name] = result
                say(result)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            # Killed, not asked to end: papermill would take the request for a failing cell.
            # Kernels end by themselves when their parent is gone.
            for process in running:
                process.kill()
            raise
    return found


def _run_apart(task: tuple, running: list[subprocess.Popen]) -> Run:
    path, _, output_dir, *_ = task
    process = subprocess.Popen(
        [sys.executable, "-m", "lle_utils.notebook_tools.run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    running.append(process)
    answer, _ = process.communicate(json.dumps(task, default=str))
    if process.returncode:
        error = f"its process, which ended with status {process.returncode}"
        return Run(path.stem, output_dir / f"{path.stem}.ipynb", 0.0, error)
    name, target, seconds, error = json.loads(answer.splitlines()[-1])
    return Run(name, Path(target), seconds, error)


def _main() -> None:
    """Run the task that `_run_apart` hands in, and print what became of it."""
    path, parameters, output_dir, profile, progress = json.load(sys.stdin)
    result = _run_one(Path(path), parameters, Path(output_dir), profile, progress)
    print(json.dumps(result, default=str))


def _run_one(
    path: Path, parameters: dict[str, Any], output_dir: Path, profile: str, progress: bool
) -> Run:
    import nbformat

    target = output_dir / f"{path.stem}.ipynb"
    output_dir.mkdir(parents=True, exist_ok=True)
    for _ in range(KERNEL_STARTS):
        error = _execute(path, target, parameters, progress)
        notebook = nbformat.read(target, as_version=4)
        if error is None or any(cell.get("execution_count") for cell in notebook.cells):
            break
    seconds = notebook.metadata.get("papermill", {}).get("duration") or 0.0
    notebook.metadata["lle"] = {"profile": profile, "seconds": seconds, "error": error}
    nbformat.write(notebook, target)
    return Run(path.stem, target, seconds, error)


def _execute(path: Path, target: Path, parameters: dict[str, Any], progress: bool) -> str | None:
    """Run a source and write the executed notebook; return what went wrong."""
    import jupytext
    import nbformat
    import papermill

    from lle_utils.notebook_tools.kernel import logging_to

    # From the source, not from the derived half: what is edited is what runs.
    nbformat.write(jupytext.read(path), target)
    try:
        papermill.execute_notebook(
            str(target),
            str(target),
            parameters,
            kernel_name="python3",
            kernel_manager_class=logging_to(target.with_suffix(".log")),
            progress_bar={"desc": path.stem, "unit": "cell"} if progress else False,
            cwd=str(path.parent),
        )
    except Exception as caught:  # a dead kernel or a failing cell: the next notebook still runs
        return explain(caught)
    return None


def explain(error: Exception, lines: int = 12) -> str:
    """Say where a notebook failed: cell, exception, and the end of its traceback.

    Args:
        error: What papermill raised.
        lines: How much of the traceback to keep.
    """
    from papermill.exceptions import PapermillExecutionError, strip_color

    if not isinstance(error, PapermillExecutionError):
        return f"{type(error).__name__}: {error}"
    trace = strip_color("\n".join(error.traceback)).splitlines()[-lines:]
    where = f"cell {error.cell_index + 1} (In [{error.exec_count}])"
    return "\n".join([f"{where}: {error.ename}: {error.evalue}", *trace])


if __name__ == "__main__":
    _main()
