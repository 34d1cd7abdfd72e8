"""One planned run, in a worker: the notebook, then what it is judged by."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lle_utils.core.environment import versions
from lle_utils.core.paths import write_json
from lle_utils.experiments.search_space import LOGGED
from lle_utils.experiments.values import ExperimentError
from lle_utils.training.progress import TrainingStoppedError, read_history

RESULT = "result.json"
LOCK = "lock"


def run_planned(
    run: dict, notebook: str, profile: str, folder: str, root: str | None = None
) -> dict:
    """Run one planned run, in a worker: the notebook, then scores of the enhancers that it saved.

    Its folder is locked meanwhile. A worker that has lost its scheduler may still be at work on
    it, and is then waited for, however long that takes: two trainings would spoil each other.

    Args:
        run: A `lle_utils.experiments.PlannedRun` as a dictionary.
        notebook, profile: Of the experiment.
        folder: Of the experiment. A run that was interrupted goes on from its checkpoint there.
        root: The project's folder.

    Returns:
        What is written to its ``result.json``: the run, ``seconds``, ``error`` (None if it
        did not fail), ``pruned`` (why a search ended it early, else empty), ``records`` (one of
        `lle_utils.evaluation` for each enhancer), ``history`` (what training logged on photos of
        val), ``value`` (what a search judges it by, or None) and ``versions``.
    """
    from filelock import FileLock

    own = Path(folder) / run["name"]
    own.mkdir(parents=True, exist_ok=True)
    with FileLock(own / LOCK):
        if not is_done(own):
            write_json(own / RESULT, _run(run, notebook, profile, own, root))
    return json.loads((own / RESULT).read_text("utf-8"))


def _run(run: dict, notebook: str, profile: str, own: Path, root: str | None) -> dict:
    """Run the notebook in the run's own folder, and return what is to be known of it."""
    from lle_utils.notebook_tools.run import run_here

    began = time.time()
    result = run_here(notebook, run["parameters"], own, profile, root and Path(root))
    error, pruned = result.error, _why_stopped(result.error)
    history = {n: v for n, v in read_history(own / notebook).items() if n.startswith("val_")}
    records, value = [], None
    if pruned:
        error = None
    elif error is None:
        try:
            records = _scores(own / notebook, run)
            value = _value(run["metric"], run["enhancer"], records, history)
        except Exception as caught:  # kept beside its notebook; the other runs go on
            error = f"{type(caught).__name__}: {caught}"
    found = {**run, "seconds": round(time.time() - began, 3), "error": error, "pruned": pruned}
    return found | {
        "records": records,
        "history": history,
        "value": value,
        "versions": versions(),
    }


def _why_stopped(error: str | None) -> str:
    """Return the reason if a notebook failed because its training was told to stop."""
    first = (error or "").partition("\n")[0]
    return first.partition(f": {TrainingStoppedError.__name__}: ")[2]


def _value(
    metric: str,
    enhancer: str,
    records: Sequence[Mapping],
    history: Mapping[str, Sequence[float]],
) -> float | None:
    """Return what a search judges a run by: the best that it, or one of its enhancers, has."""
    if not metric:
        return None
    if enhancer:
        saved = ", ".join(record["method"] for record in records) or "none"
        records = [record for record in records if record["method"] == enhancer]
        if not records:
            raise ExperimentError(f"the run saved no {enhancer}; it saved {saved}.")
    means = [record["summary"][metric]["mean"] for record in records if metric != LOGGED]
    if values := means or history.get(metric):
        return float(max(values))
    raise ExperimentError(
        f"the run gave no {metric}: "
        + ("its training logged none." if metric == LOGGED else "it saved no enhancer.")
    )


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
            ("psnr", "ssim", "psnr_gtmean"),
            data=f"{source}, {run['split']}",
            scenes=pairs.scenes,
        )
        for card in cards
    ]


def is_done(folder: Path) -> bool:
    """Tell whether a run has passed, or was pruned."""
    path = folder / RESULT
    return path.is_file() and json.loads(path.read_text("utf-8"))["error"] is None
