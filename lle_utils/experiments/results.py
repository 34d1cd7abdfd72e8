"""What an experiment found: tables and charts over seeds and folds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lle_utils.display.charts import interval_plot
from lle_utils.display.html_page import Part, write_page
from lle_utils.evaluation.bootstrap import interval_if_enough
from lle_utils.evaluation.scoring import pooled
from lle_utils.experiments.result_store import read_plan
from lle_utils.experiments.running import read_results
from lle_utils.experiments.search_results import search_parts
from lle_utils.experiments.values import ExperimentError
from lle_utils.metrics.catalog import METRICS

JUDGED_BY = ("psnr", "ssim")


def group_records(results: Sequence[Mapping]) -> dict[tuple[str, str], list[dict]]:
    """Gather the records of runs that differ in seed and fold alone.

    Args:
        results: As of `read_results`.

    Returns:
        (group, enhancer) -> the records of its runs.
    """
    found: dict[tuple[str, str], list[dict]] = {}
    for result in results:
        for record in result["records"]:
            found.setdefault((result["group"], record["method"]), []).append(record)
    return found


def run_state(result: Mapping) -> str:
    """Return ``passed``, ``pruned`` or ``failed``."""
    if result["error"] is not None:
        return "failed"
    return "pruned" if result.get("pruned") else "passed"


def counts_text(total: int, results: Sequence[Mapping]) -> str:
    """Say how many runs have passed, and were pruned or failed if any."""
    states = [run_state(result) for result in results]
    more = [f"{states.count(s)} {s}" for s in ("pruned", "failed") if s in states]
    return ", ".join([f"{states.count('passed')} of {total} runs passed", *more])


def results_table(results: Sequence[Mapping]) -> str:
    """Return a table: for each group and enhancer the mean, its interval, and what is chance.

    The interval is that of photos, over scenes; the deviation is that of whole runs, and shows what
    seeds and folds do.

    Args:
        results: As of `read_results`.
    """
    heads = [f"{m} ({METRICS[m].unit})" if METRICS[m].unit else m for m in JUDGED_BY]
    cells = [cell for head in heads for cell in (head, "over runs")]
    lines = ["| group | enhancer | runs | " + " | ".join(cells) + " |"]
    lines.append("|---|---|---:|" + "---:|" * len(cells))
    for (group, method), records in group_records(results).items():
        row = [group, method, str(len(records))]
        for metric in JUDGED_BY:
            row += [_mean_text(records, metric), _spread_text(records, metric)]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _mean_text(records: Sequence[Mapping], metric: str) -> str:
    values, scenes = pooled(records, metric)
    digits, ends = METRICS[metric].digits, interval_if_enough(values, scenes)
    text = f"{np.mean(values):.{digits}f}"
    if ends is None or ends[0] is None:
        return text
    return f"{text} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _spread_text(records: Sequence[Mapping], metric: str) -> str:
    means = [record["summary"][metric]["mean"] for record in records]
    return f"± {np.std(means, ddof=1):.{METRICS[metric].digits}f}" if len(means) > 1 else "–"


def experiment_page(folder: str | os.PathLike) -> Path:
    """Write the page of an experiment: what was run, tables, a chart, and what failed.

    Args:
        folder: Of the experiment.

    Returns:
        ``index.html`` in it.

    Raises:
        ExperimentError: If no run has ended yet.
    """
    folder, results = Path(folder), read_results(folder)
    if not results:
        raise ExperimentError(f"{folder}: no run has ended yet; `lle experiment run` goes on.")
    plan = read_plan(folder)
    passed = [result for result in results if run_state(result) == "passed"]
    failed = [result for result in results if run_state(result) == "failed"]
    parts: list[tuple[str, Part]] = search_parts(plan, results) if plan.search else []
    parts.append((counts_text(plan.count, results), _runs_table(results)))
    if passed and group_records(passed):
        parts.append(("Scores", results_table(passed)))
        parts += _charts(passed)
    parts += [(f"Failed: {r['name']}", f"```\n{r['error']}\n```") for r in failed]
    said = f"Profile `{plan.profile}`; each run in a folder of its own, with its executed notebook."
    return write_page(folder / "index.html", f"Experiment with {plan.notebook}", parts, said)


def _charts(results: Sequence[Mapping]) -> list[tuple[str, Part]]:
    """Draw the mean of each group with its interval, where there are scenes enough for one."""
    parts = []
    for metric in JUDGED_BY:
        rows = []
        for (group, method), records in group_records(results).items():
            values, scenes = pooled(records, metric)
            ends = interval_if_enough(values, scenes)
            if ends is not None and ends[0] is not None:
                rows.append((f"{method}, {group}", float(np.mean(values)), *ends))
        if rows:
            parts.append((metric, interval_plot(rows, metric)))
    return parts


def _runs_table(results: Sequence[Mapping]) -> str:
    lines = ["| run | of | seconds | |", "|---|---|---:|---|"]
    for result in results:
        state = result.get("pruned") or run_state(result)
        lines.append(
            f"| {result['name']} | {result['group']} | {result['seconds']:.0f} | {state} |"
        )
    return "\n".join(lines)
