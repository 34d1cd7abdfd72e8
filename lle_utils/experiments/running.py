"""Run the planned runs over workers of Dask; what is done is not done again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lle_utils.core.errors import require
from lle_utils.core.paths import write_json
from lle_utils.experiments.cluster import connected
from lle_utils.experiments.planned import RESULT, is_done, run_planned
from lle_utils.experiments.planning import Experiment, PlannedRun, check_folds
from lle_utils.experiments.result_store import (
    PLAN,
    pull_results,
    push_plan,
    push_run,
    read_plan,
)
from lle_utils.experiments.search import ended_trials, open_study, trials_left
from lle_utils.experiments.values import ExperimentError


def run_experiment(
    experiment: Experiment,
    folder: str | os.PathLike,
    workers: int | None = None,
    scheduler: str = "",
    show: Callable[[Iterable, int], Iterable] = lambda done, total: done,
    say: Callable[[str], None] = lambda text: None,
    root: Path | None = None,
    store: str = "",
) -> list[dict]:
    """Run all runs of an experiment that are not done yet.

    Args:
        experiment: What to run.
        folder: Of the experiment; each run gets a folder of its own in there, which all workers
            have to reach by the same path.
        workers: Processes on this machine, each with a share of its cores; when None one for
            each graphics card, or without one for each core.
        scheduler: Address of a Dask scheduler, such as ``tcp://host:8786``, in their place.
        show: Wraps the runs as they are finished, and is told how many there are, as tqdm.
        say: Told the address of Dask's dashboard.
        root: The project's folder, where the notebooks are.
        store: Address such as ``s3://bucket/name``; results that are there count as done, and each
            is pushed there when its run has ended.

    Returns:
        The results of all runs, see `run_planned`, in the order of the plan.

    Raises:
        ExperimentError: If the folder or the store is of another experiment, or the scheduler
            cannot be reached.
        SourceError: If there are fewer scenes than folds.
        ImportError: If Dask is not installed.
    """
    require("distributed", "experiments", "An experiment")
    folder = Path(folder).resolve()
    check_folds(experiment)
    _keep_plan(experiment, folder)
    if store:
        pull_results(experiment, folder, store)
        push_plan(folder, store)
    study = open_study(experiment, folder) if experiment.search else None
    waiting = [run for run in experiment.runs() if not is_done(folder / run.name)]
    left = trials_left(experiment, folder) if study else len(waiting)
    if left:
        with connected(workers, scheduler, left) as client:
            say(client.dashboard_link)
            submit = partial(_submit, client, experiment, folder, root)
            if study:
                ended = ended_trials(experiment, folder, study, client, submit)
            else:
                ended = _ended_runs([submit(run) for run in waiting])
            for result in show(ended, left):
                if store:
                    push_run(folder, result["name"], store)
    return read_results(folder)


def _submit(
    client: Any, experiment: Experiment, folder: Path, root: Path | None, run: PlannedRun
) -> Any:
    """Hand a run to a worker."""
    task = (experiment.notebook, experiment.profile, str(folder), root and str(root))
    return client.submit(run_planned, asdict(run), *task, pure=False)


def _ended_runs(futures: list) -> Iterator[dict]:
    from distributed import as_completed

    for future in as_completed(futures):
        yield future.result()  # a run that failed is a result; this raises if a worker cannot run


def read_results(folder: str | os.PathLike) -> list[dict]:
    """Return the results of the runs that have ended, in the order of the plan or of the search.

    Raises:
        ExperimentError: If no experiment was run there.
    """
    folder, plan = Path(folder), read_plan(folder)
    paths = sorted(folder.glob(f"*/{RESULT}"))
    if not plan.search:
        paths = [folder / run.name / RESULT for run in plan.runs()]
    return [json.loads(path.read_text("utf-8")) for path in paths if path.is_file()]


def _keep_plan(experiment: Experiment, folder: Path) -> None:
    """Write the experiment into its folder, unless another one is there."""
    if (folder / PLAN).is_file():
        here = Experiment(**json.loads(json.dumps(asdict(experiment))))
        if read_plan(folder).as_compared() != here.as_compared():
            raise ExperimentError(
                f"{folder} holds another experiment; choose another folder (-o), or remove it."
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, asdict(experiment))
