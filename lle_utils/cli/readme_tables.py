"""The tables of README and DEPLOY, filled from the records."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from lle_utils.benchmarks import (
    cli_throughput,
    growth,
    load_test,
    notebook_times,
    recorded,
    speed,
    video_speed,
)
from lle_utils.core.paths import data_dir
from lle_utils.evaluation.records import load_records
from lle_utils.evaluation.tables import leaderboard, table

_TABLES = {"table": table, "leaderboard": leaderboard}

_TABLE_BLOCK = re.compile(
    rf"(<!-- ({'|'.join(_TABLES)}):(\S+?)((?: \S+?)*) -->).*?(<!-- /\2 -->)", re.DOTALL
)

_REPORTS = {
    "bench": speed.report,
    "notebooks": notebook_times.report,
    "throughput": cli_throughput.report,
    "large": cli_throughput.report_large,
    "serve": load_test.report,
    "growth": growth.report,
    "start": cli_throughput.report_start,
    "video": video_speed.report,
    "pytorch": recorded.report_pytorch,
    "camera": recorded.report_camera,
}

_REPORT_BLOCK = re.compile(rf"(<!-- ({'|'.join(_REPORTS)}) -->).*?(<!-- /\2 -->)", re.DOTALL)


def render_tables(text: str, folder: str | os.PathLike | None = None) -> str:
    """Fill the tables of a Markdown text from records.

    A block is ``<!-- table:EVALUATION METRIC METRIC -->`` ... ``<!-- /table -->``; without
    metrics it shows all; of an experiment all runs of a method are one row. ``leaderboard`` in the
    place of ``table`` sorts the methods and compares neighbours, and knows its columns. Between
    ``<!-- bench -->`` and ``<!-- /bench -->`` that record is shown, and so are the others that
    have a report. A text is up to date when this function returns it unchanged.

    Args:
        text: Markdown with such blocks.
        folder: Folder of the records, ``data/results`` by default.

    Returns:
        The text with every block's content replaced.

    Raises:
        FileNotFoundError: If a block names an evaluation without a file.
    """

    def fill(block: re.Match) -> str:
        start, form, evaluation, metrics, end = block.groups()
        records = load_records(evaluation, folder).items()
        rows = {name: record for name, record in records if "fold" not in record}
        content = _TABLES[form](rows, metrics.split() or None)
        return f"{start}\n\n{content}\n\n{end}"

    def fill_report(block: re.Match) -> str:
        start, kind, end = block.groups()
        path = Path(folder or data_dir() / "results") / f"{kind}.json"
        content = _REPORTS[kind](json.loads(path.read_text(encoding="utf-8")))
        return f"{start}\n\n{content}\n\n{end}"

    return _REPORT_BLOCK.sub(fill_report, _TABLE_BLOCK.sub(fill, text))
