"""Results of an experiment at an address such as ``s3://bucket/exposure``, beside its folder."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from lle_utils.core.addresses import fetch, joined, push, storage
from lle_utils.core.paths import atomic_path
from lle_utils.experiments.planned import RESULT
from lle_utils.experiments.planning import Experiment
from lle_utils.experiments.values import ExperimentError

PLAN = "experiment.json"
PAGE = "index.html"


def pull_results(experiment: Experiment, folder: Path, address: str) -> None:
    """Fetch results that another machine has pushed, so that these runs are not done again.

    Those of a search are left there: its trials are in its ``storage``.

    Args:
        experiment: That is to be run.
        folder: Of the experiment, on this machine.
        address: Where `push_run` puts results.

    Raises:
        ExperimentError: If the results there are of another experiment.
        AddressError, ImportError: As `lle_utils.core.addresses.storage`.
    """
    with storage(address) as (files, path):
        if not files.exists(joined(path, PLAN)):
            return
    _check_same(experiment, joined(address, PLAN))
    for run in experiment.runs():
        place = f"{run.name}/{RESULT}"
        with storage(address) as (files, path):
            there = files.exists(joined(path, place))
        if there and not (folder / place).is_file():
            with atomic_path(folder / place) as temporary:
                fetch(joined(address, place), temporary)


def _check_same(experiment: Experiment, address: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fetch(address, Path(folder) / PLAN)
        here = Experiment(**json.loads(json.dumps(asdict(experiment))))
        if read_plan(folder).as_compared() != here.as_compared():
            raise ExperimentError(f"{address} is of another experiment; choose another address.")


def read_plan(folder: str | os.PathLike) -> Experiment:
    """Return the experiment that a folder is of.

    Raises:
        ExperimentError: If it is of none.
    """
    path = Path(folder) / PLAN
    if not path.is_file():
        raise ExperimentError(f"{folder} is not the folder of an experiment: it has no {PLAN}.")
    return Experiment(**json.loads(path.read_text("utf-8")))


def push_run(folder: Path, name: str, address: str) -> None:
    """Push the executed notebook of a run, and its result last.

    Args:
        folder: Of the experiment.
        name: Of the run.
        address: To push to.

    Raises:
        AddressError, ImportError: As `lle_utils.core.addresses.storage`.
    """
    for path in [*sorted((folder / name).glob("*.ipynb")), folder / name / RESULT]:
        push(path, joined(address, f"{name}/{path.name}"))


def push_plan(folder: Path, address: str) -> None:
    """Push what the experiment is, and its page if there is one."""
    for path in (folder / PLAN, folder / PAGE):
        if path.is_file():
            push(path, joined(address, path.name))
