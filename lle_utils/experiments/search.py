"""A search: Optuna says what to try next, workers try it, what falls behind is ended early.

Only the command that runs the search talks to Optuna's storage. Workers know nothing of it: a
trial is a run like any other, and is followed by the history that its training writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lle_utils.core.errors import require
from lle_utils.experiments.planned import RESULT, is_done
from lle_utils.experiments.planning import Experiment, PlannedRun
from lle_utils.experiments.search_space import LOGGED
from lle_utils.experiments.values import ExperimentError
from lle_utils.training.progress import order_stop, read_history

if TYPE_CHECKING:
    import optuna

JOURNAL = "optuna_journal.log"
RUN = "run"  # attribute of a trial that takes up an earlier one: the name of its run
POLL_SECONDS = 0.5  # between two looks at what trainings have told


@dataclass
class Running:
    """A trial on a worker."""

    trial: optuna.Trial
    run: PlannedRun
    told: int = 0  # epochs that Optuna knows
    reason: str = ""  # why it is to end early


def open_study(experiment: Experiment, folder: Path) -> optuna.Study:
    """Open the study of a search, or begin it.

    Args:
        experiment: With a search.
        folder: Of the experiment. Without a database, Optuna's journal is a file in there.

    Raises:
        ExperimentError: If the database cannot be opened.
        ImportError: If Optuna is not installed.
    """
    optuna = require("optuna", "experiments", "A search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search, plan = experiment.search, asdict(experiment.as_compared())
    mark = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:8]
    study = optuna.create_study(
        storage=_storage(search["storage"], folder),
        study_name=f"{folder.name}-{mark}",
        pruner=optuna.pruners.HyperbandPruner() if search["prune"] else optuna.pruners.NopPruner(),
        direction="maximize",
        load_if_exists=True,
    )
    # A seed that knows how far the search is: one that went on would try the same again.
    seed = experiment.seeds[0] + len(study.trials)
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study.sampler = samplers[search["sampler"]](seed=seed)
    return study


def _storage(url: str, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if not url:
        path = str(folder / JOURNAL)  # the usual lock, a symbolic link, needs rights on Windows
        return JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path)))
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return RDBStorage(os.path.expandvars(url))
    except (SQLAlchemyError, ImportError, ValueError) as error:
        shown = url.rpartition("@")[2]  # without name and password
        raise ExperimentError(
            f"search: the storage {shown} cannot be opened: {str(error).splitlines()[0]}. Is the "
            "database there, and its driver for Python installed?"
        ) from error


def ended_trials(
    experiment: Experiment,
    folder: Path,
    study: optuna.Study,
    client: Any,
    submit: Callable[[PlannedRun], Any],
) -> Iterator[dict]:
    """Run the trials that are not done, as many at a time as there are workers.

    Args:
        experiment: With a search.
        folder: Of the experiment.
        study: See `open_study`.
        client: Of Dask.
        submit: Hands a run to a worker, and returns Dask's future of its result.

    Yields:
        The results, see `lle_utils.experiments.run_planned`, as trials end.
    """
    take_up(study, folder)
    left = trials_left(experiment, folder)
    space = distributions(experiment.search["parameters"])
    running: dict[Any, Running] = {}
    while left or running:
        while left and len(running) < sum(client.nthreads().values()):
            trial = study.ask(space)
            run = experiment.trial(run_name(trial), trial.params)
            running[submit(run)] = Running(trial, run)
            left -= 1
        for future in _ended(running):
            done = running.pop(future)
            yield _tell(study, done, future.result())
        for trial in running.values():
            _follow(trial, folder / trial.run.name / experiment.notebook)


def _ended(futures: Mapping[Any, Any]) -> list:
    """Wait a moment for one of the futures, and return those that have ended."""
    from distributed import wait

    if not futures:
        time.sleep(POLL_SECONDS)
        return []
    try:
        return list(wait(list(futures), POLL_SECONDS, "FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def trials_left(experiment: Experiment, folder: Path) -> int:
    """Return how many trials of a search are to be run yet, those that failed included."""
    done = sum(is_done(path.parent) for path in folder.glob(f"*/{RESULT}"))
    return max(0, experiment.search["trials"] - done)


def run_name(trial: optuna.Trial | optuna.trial.FrozenTrial) -> str:
    """Return the name of the run of a trial, such as ``trial-0007``."""
    return trial.user_attrs.get(RUN, f"trial-{trial.number:04d}")


def distributions(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return ranges and choices, see `read_search`, as Optuna has them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def one(found: Any) -> Any:
        if isinstance(found, Mapping):
            return (IntDistribution if type(found["low"]) is int else FloatDistribution)(**found)
        return CategoricalDistribution(found)

    return {name: one(found) for name, found in parameters.items()}


def take_up(study: optuna.Study, folder: Path) -> None:
    """Queue trials that an earlier command left behind, and those that failed.

    Each is tried again with the same values, in the same folder, from its checkpoint.

    Args:
        study: See `open_study`.
        folder: Of the experiment.
    """
    from optuna.trial import TrialState

    queued = {run_name(t) for t in study.trials if t.state == TrialState.WAITING}
    for trial in study.trials:
        name = run_name(trial)
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if name not in queued and not is_done(folder / name):
            study.enqueue_trial(trial.params, {RUN: name})
            queued.add(name)


def _follow(running: Running, folder: Path) -> None:
    """Tell Optuna what a training has logged since, and end it if it has fallen behind."""
    _report(running, read_history(folder))
    if running.reason:
        order_stop(folder, running.reason)


def _report(running: Running, history: Mapping[str, list[float]]) -> None:
    for value in history.get(LOGGED, [])[running.told :]:
        running.trial.report(value, running.told)
        running.told += 1
        if not running.reason and running.trial.should_prune():
            running.reason = f"pruned after epoch {running.told}: {LOGGED} was {value:.2f}"


def _tell(study: optuna.Study, running: Running, result: dict) -> dict:
    """Tell Optuna how a trial has ended, and return its result."""
    from optuna.trial import TrialState

    _report(running, result["history"])
    if result["error"] is not None:
        study.tell(running.trial, state=TrialState.FAIL)
    elif result["pruned"]:
        study.tell(running.trial, state=TrialState.PRUNED)
    else:
        study.tell(running.trial, result["value"])
    return result
