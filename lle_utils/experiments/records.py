"""Records of experiments: what runs reached, in the form that tables are printed from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from lle_utils.data.folds import split_fold
from lle_utils.evaluation.scoring import join_records
from lle_utils.experiments.planning import Experiment
from lle_utils.experiments.results import group_records, run_state
from lle_utils.experiments.running import read_plan, read_results
from lle_utils.experiments.values import ExperimentError


def experiment_records(folders: Sequence[str | os.PathLike]) -> list[dict]:
    """Return the records of experiments, for `lle_utils.evaluation.save_records`.

    Args:
        folders: Of experiments, all of whose runs have passed.

    Returns:
        For each enhancer the record of all its runs together, in which a photo has the mean of the
        runs that judged by it; then that of each run, with ``fold`` (None without folds) and
        ``seed`` beside the usual fields, and both in the name of the method. Of a search, that of
        each trial, by the enhancer that it was judged by.

    Raises:
        ExperimentError: If a run has not passed, or none saved an enhancer.
    """
    joined, single = [], []
    for folder in folders:
        plan, results = read_plan(folder), read_results(folder)
        _check_passed(folder, plan, results)
        runs = [record for result in results for record in _of_run(result)]
        if plan.search:  # every trial is a group of its own
            judged = plan.search["enhancer"]
            runs = [r for r in runs if judged in ("", r["method"].partition(",")[0])]
        else:
            for (group, method), records in group_records(results).items():
                name = method if group == "all" else f"{method}, {group}"
                joined.append(join_records(name, records))
        single += runs
    if not single:
        raise ExperimentError(f"{', '.join(map(str, folders))}: no run saved an enhancer.")
    return [*joined, *single]


def _check_passed(folder: str | os.PathLike, plan: Experiment, results: Sequence[Mapping]) -> None:
    passed = sum(run_state(result) == "passed" for result in results)
    if passed < plan.count:
        raise ExperimentError(
            f"{folder}: {passed} of {plan.count} runs passed; "
            f"`lle experiment run {folder}` goes on."
        )


def _of_run(result: Mapping) -> list[dict]:
    """Return the records of a run, with its fold and its seed."""
    fold = split_fold(result["parameters"].get("source", ""))[1]
    seed, words = result["parameters"]["seed"], []
    if result["group"] != "all":
        words.append(result["group"])
    if fold:
        words.append(f"fold {fold.number}")
    said = ", ".join([*words, f"seed {seed}"])
    place = {"fold": fold and fold.number, "seed": seed}
    return [r | place | {"method": f"{r['method']}, {said}"} for r in result["records"]]
