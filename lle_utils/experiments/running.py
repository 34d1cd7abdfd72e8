"""Run the planned runs over workers of Dask; what is done is not done again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lle_utils.core.environment import usable_cores, versions
from lle_utils.core.errors import require
from lle_utils.core.paths import write_json
from lle_utils.experiments.planning import Experiment, ExperimentError, check_folds

RESULT = "result.json"
PLAN = "experiment.json"
CONNECT_SECONDS = 10  # to wait for a scheduler
DEATHS = 100  # of workers that a run may outlive; Dask gives up after three


def run_experiment(
    experiment: Experiment,
    folder: str | os.PathLike,
    workers: int | None = None,
    scheduler: str = "",
    show: Callable[[Iterable, int], Iterable] = lambda done, total: done,
    say: Callable[[str], None] = lambda text: None,
    root: Path | None = None,
) -> list[dict]:
    """Run all runs of an experiment that are not done yet.

    Args:
        experiment: What to run.
        folder: Of the experiment; each run gets a folder of its own in there, which all workers
            have to reach by the same path.
        workers: Processes on this machine, each with a share of its cores; one per core when None.
        scheduler: Address of a Dask scheduler, such as ``tcp://host:8786``, in their place.
        show: Wraps the runs as they are finished, and is told how many there are, as tqdm.
        say: Told the address of Dask's dashboard.
        root: The project's folder, where the notebooks are.

    Returns:
        The results of all runs, see `run_planned`, in the order of the plan.

    Raises:
        ExperimentError: If the folder is of another experiment, or the scheduler cannot be reached.
        SourceError: If there are fewer scenes than folds.
        ImportError: If Dask is not installed.
    """
    require("distributed", "experiments", "An experiment")
    folder = Path(folder).resolve()
    check_folds(experiment)
    _keep_plan(experiment, folder)
    waiting = [run for run in experiment.runs() if not is_done(folder / run.name)]
    if waiting:
        with _client(workers, scheduler, len(waiting)) as client:
            say(client.dashboard_link)
            from distributed import as_completed

            tasks = (experiment.notebook, experiment.profile, str(folder), root and str(root))
            futures = [
                client.submit(run_planned, asdict(run), *tasks, pure=False) for run in waiting
            ]
            for future in show(as_completed(futures), len(futures)):
                future.result()  # a run that failed is a result; this raises if a worker cannot run
    return read_results(folder)


def run_planned(
    run: dict, notebook: str, profile: str, folder: str, root: str | None = None
) -> dict:
    """Run one planned run, in a worker: the notebook, then scores of the enhancers that it saved.

    Args:
        run: A `lle_utils.experiments.PlannedRun` as a dictionary.
        notebook, profile: Of the experiment.
        folder: Of the experiment. A run that was interrupted goes on from its checkpoint there.
        root: The project's folder.

    Returns:
        What is written to its ``result.json``: the run, ``seconds``, ``error`` (None if it
        passed), ``records`` (one of `lle_utils.evaluation` for each enhancer) and ``versions``.
    """
    from lle_utils.notebook_tools.run import run_here

    own, began = Path(folder) / run["name"], time.time()
    result = run_here(notebook, run["parameters"], own, profile, root and Path(root))
    error, records = result.error, []
    if error is None:
        try:
            records = _scores(own / notebook, run)
        except Exception as caught:  # kept beside its notebook; the other runs go on
            error = f"{type(caught).__name__}: {caught}"
    seconds = round(time.time() - began, 3)
    found = {**run, "seconds": seconds, "error": error, "records": records, "versions": versions()}
    write_json(own / RESULT, found)
    return found


def _scores(folder: Path, run: dict) -> list[dict]:
    """Judge the enhancers that a run saved by photos that it has not seen."""
    from lle_utils.data.sources import load
    from lle_utils.enhancers.storage import CARD_FILE, load_enhancer
    from lle_utils.evaluation.scoring import evaluate

    source = run["parameters"].get("source")
    cards = sorted(folder.glob(f"*/{CARD_FILE}"))
    if not source or not cards:
        return []
    pairs = load(source, run["split"], run["parameters"]["seed"])
    return [
        evaluate(
            card.parent.name,
            load_enhancer(card.parent).enhance,
            pairs,
            data=f"{source}, {run['split']}",
            scenes=pairs.scenes,
        )
        for card in cards
    ]


def is_done(folder: Path) -> bool:
    """Tell whether a run has passed."""
    path = folder / RESULT
    return path.is_file() and json.loads(path.read_text("utf-8"))["error"] is None


def read_results(folder: str | os.PathLike) -> list[dict]:
    """Return the results of the runs that have ended, in the order of the plan.

    Raises:
        ExperimentError: If no experiment was run there.
    """
    found = []
    for run in read_plan(folder).runs():
        path = Path(folder) / run.name / RESULT
        if path.is_file():
            found.append(json.loads(path.read_text("utf-8")))
    return found


def read_plan(folder: str | os.PathLike) -> Experiment:
    """Return the experiment that a folder is of.

    Raises:
        ExperimentError: If it is of none.
    """
    path = Path(folder) / PLAN
    if not path.is_file():
        raise ExperimentError(f"{folder} is not the folder of an experiment: it has no {PLAN}.")
    return Experiment(**json.loads(path.read_text("utf-8")))


def _keep_plan(experiment: Experiment, folder: Path) -> None:
    """Write the experiment into its folder, unless another one is there."""
    if (folder / PLAN).is_file() and read_plan(folder) != _as_read(experiment):
        raise ExperimentError(
            f"{folder} holds another experiment; choose another folder (-o), or remove it."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, asdict(experiment))


def _as_read(experiment: Experiment) -> Experiment:
    return Experiment(**json.loads(json.dumps(asdict(experiment))))


@contextmanager
def _client(workers: int | None, scheduler: str, count: int) -> Iterator[Any]:
    """Connect to a scheduler, or start workers on this machine."""
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}):
        if scheduler:
            try:
                client = Client(scheduler, timeout=CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                raise ExperimentError(
                    f"The scheduler {scheduler} cannot be reached: {error}. Is "
                    "`dask scheduler` running there, and the port open?"
                ) from error
            with client:
                _check_versions(client)
                yield client
            return
        workers = min(workers or usable_cores(), count)
        threads = str(max(1, usable_cores() // workers))
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment = dict.fromkeys(names, threads)
        with (
            dask.config.set({"distributed.nanny.pre-spawn-environ": environment}),
            LocalCluster(workers, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            yield client


def _check_versions(client: Any) -> None:
    """Refuse workers with other versions of what decides a result, by name."""
    own = versions()
    own.pop("backend", None)  # known only where Keras is at work
    for worker, theirs in client.run(versions).items():
        other = [
            f"{n} {theirs.get(n)} there, {own[n]} here" for n in own if theirs.get(n) != own[n]
        ]
        if other:
            raise ExperimentError(f"The worker {worker} has other versions: {'; '.join(other)}.")
