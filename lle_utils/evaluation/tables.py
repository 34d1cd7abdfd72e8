"""Tables of records as text, Markdown and HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lle_utils.core.markdown import markdown_table
from lle_utils.evaluation.bootstrap import interval_if_enough, paired_difference
from lle_utils.evaluation.records import RecordError
from lle_utils.metrics.catalog import METRICS

RANKED_BY = ("ssim", "psnr_gtmean", "mean_error", "psnr")  # structure, then brightness, then both
LEADERBOARD = (*RANKED_BY, "psnr_level", "psnr_constant", "psnr_dark", "delta_e", "flip", "lpips")


def table(
    records: Mapping[str, Mapping] | Iterable[Mapping],
    metrics: Sequence[str] | None = None,
    form: str = "markdown",
) -> str:
    """Print records as a table with intervals, one row per method.

    Args:
        records: From `load_records`, or a list of records.
        metrics: Columns; those of the first record by default. A metric that a record lacks
            is shown as a dash.
        form: "markdown" or "html".

    Returns:
        The table, followed by a line on data and intervals.
    """
    records = _listed(records)
    metrics = list(metrics or records[0]["values"])
    head = ["method", *(_heading(metric) for metric in metrics)]
    rows = [[r["method"], *(_cell(r["summary"].get(m), m) for m in metrics)] for r in records]
    return _rendered(head, rows, _notes(records), form)


def _listed(records: Mapping[str, Mapping] | Iterable[Mapping]) -> list[Mapping]:
    return list(records.values() if isinstance(records, Mapping) else records)


def ranking(records: Mapping[str, Mapping] | Iterable[Mapping]) -> list[str]:
    """Rank methods: by structure first, then by brightness, then by both together.

    Means are compared as they are printed, so that what nobody would call a difference leaves
    the decision to the next metric of `RANKED_BY`.

    Args:
        records: From `load_records`, or a list of records. A record that lacks a metric comes
            after those that have it.

    Returns:
        Names of the methods, best first.
    """
    records = _listed(records)
    return [record["method"] for record in sorted(records, key=_rank_key)]


def _rank_key(record: Mapping) -> list[float]:
    key = []
    for metric in RANKED_BY:
        mean = record["summary"].get(metric, {"mean": math.inf})["mean"]
        sign = -1 if METRICS[metric].direction == "higher" and mean < math.inf else 1
        key.append(sign * round(mean, METRICS[metric].digits))
    return key


def leaderboard(
    records: Mapping[str, Mapping] | Iterable[Mapping],
    metrics: Sequence[str] | None = None,
    form: str = "markdown",
) -> str:
    """Print records as a table in the order of `ranking`, each compared with the row above.

    Args:
        records: From `load_records`, or a list of records.
        metrics: Columns, `LEADERBOARD` by default; those that no record holds are left out.
        form: "markdown" or "html".

    Returns:
        The table. Its last column is the paired difference to the next better method in the
        first metric of `RANKED_BY` that there is, with a bootstrap interval over scenes; a dash
        where the two share fewer than two scenes. Below it stand data, intervals and order.
    """
    records = _listed(records)
    held = {metric for record in records for metric in record["values"]}
    metrics = [metric for metric in metrics or LEADERBOARD if metric in held]
    order = [metric for metric in RANKED_BY if metric in held]
    head = ["method", *map(_heading, metrics)]
    by_name = {record["method"]: record for record in records}
    ranked = [by_name[name] for name in ranking(records)]
    rows = [[r["method"], *(_cell(r["summary"].get(m), m) for m in metrics)] for r in ranked]
    notes = _notes(records)
    if order:
        head.append(f"{order[0]} − row above")
        for row, record, better in zip(rows, ranked, [None, *ranked], strict=False):
            row.append("" if better is None else difference_text(record, better, order[0]))
        notes += f" Sorted by {', then '.join(order)}."
    return _rendered(head, rows, notes, form)


def cross_table(
    judged: Mapping[str, Mapping[str, Mapping]],
    trained_on: Mapping[str, str],
    metrics: Sequence[str] = ("ssim", "psnr_gtmean"),
) -> str:
    """Print what methods reach on several sets: trained on, by judged on.

    Args:
        judged: Name of each set -> its records, from `load_records`.
        trained_on: Method -> what it was trained on, in a word; others get a dash.
        metrics: Of each set, one column each; a method that was not measured there has a dash.

    Returns:
        A Markdown table, by method in the `ranking` of the first set, and what the sets are.
    """
    head = ["method", "trained on"]
    head += [f"{name}: {_heading(metric)}" for name in judged for metric in metrics]
    first = next(iter(judged.values()))
    methods = dict.fromkeys([*ranking(first), *(m for records in judged.values() for m in records)])
    rows = []
    for method in methods:
        cells = [
            _mean(records.get(method, {"summary": {}})["summary"].get(metric), metric)
            for records in judged.values()
            for metric in metrics
        ]
        rows.append([method, trained_on.get(method, "–"), *cells])
    sets = (f"{name}: {next(iter(records.values()))['data']}" for name, records in judged.items())
    return _rendered(head, rows, "; ".join(sets) + ".", "markdown")


def difference_text(record: Mapping, other: Mapping, metric: str) -> str:
    """Return what `paired_difference` finds, as text; a dash where two scenes are not shared.

    The interval is left out where there are too few scenes for one.
    """
    try:
        found = paired_difference(record, other, metric)
    except RecordError:
        return "–"
    digits = METRICS[metric].digits
    return _with_interval(found["mean"], (found["low"], found["high"]), digits)


def change_text(values: Sequence[float], scenes: Sequence | None = None, digits: int = 2) -> str:
    """Return the mean of changes with its sign, and its interval where scenes are enough.

    Args:
        values: One number per image.
        scenes: The scene of each image.
        digits: After the decimal point.

    >>> change_text([0.5, 1.0])
    '+0.75'
    """
    return _with_interval(float(np.mean(values)), interval_if_enough(values, scenes), digits)


def _with_interval(mean: float, ends: tuple | None, digits: int) -> str:
    if ends is None or ends[0] is None:
        return f"{mean:+.{digits}f}"
    low, high = (f"{end:+.{digits}f}" for end in ends)
    return f"{mean:+.{digits}f} [{low}, {high}]"


def _notes(records: Sequence[Mapping]) -> str:
    return "; ".join(dict.fromkeys(f"{r['data']}; {r['interval']}" for r in records)) + "."


def _rendered(head: Sequence[str], rows: Sequence[Sequence[str]], notes: str, form: str) -> str:
    if form == "html":
        return _html(head, rows, notes)
    if form != "markdown":
        raise ValueError(f"form is {form!r}; expected 'markdown' or 'html'.")
    return f"{markdown_table(head, rows)}\n\n{notes}"


def _heading(metric: str) -> str:
    known = METRICS[metric]
    arrow = {"higher": " ↑", "lower": " ↓", None: ""}[known.direction]
    return metric + (f" ({known.unit})" if known.unit else "") + arrow


def _mean(summary: Mapping | None, metric: str) -> str:
    return "–" if summary is None else f"{summary['mean']:.{METRICS[metric].digits}f}"


def _cell(summary: Mapping | None, metric: str) -> str:
    text, digits = _mean(summary, metric), METRICS[metric].digits
    if summary is None or summary["low"] is None:
        return text
    return f"{text} [{summary['low']:.{digits}f}, {summary['high']:.{digits}f}]"


def _html(head: Sequence[str], rows: Sequence[Sequence[str]], notes: str) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return (
        f"<table>\n<thead>{line(head, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
        f"<p>{html.escape(notes)}</p>"
    )
