"""Time the notebooks, run together as `make reproduce` runs them."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from lle_utils.benchmarks.speed import BenchError
from lle_utils.core.environment import machine
from lle_utils.core.paths import data_dir, write_json
from lle_utils.notebook_tools.run import default_jobs, run_notebooks


def time_notebooks(target: str | os.PathLike | None = None) -> Path:
    """Run the profile ``quick`` in a temporary folder, print its times, and write the record.

    Args:
        target: The file to write, ``data/results/notebooks.json`` by default.

    Returns:
        The path written.

    Raises:
        BenchError: If a notebook fails; nothing is written then.
    """
    record = {"kind": "notebooks", "schema": 1, "machine": machine()}
    record |= {"profile": "quick", "jobs": default_jobs()}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        results = run_notebooks(None, record["profile"], Path(folder), jobs=record["jobs"])
        wall = time.perf_counter() - start
    if failed := [result for result in results if result.error]:
        raise BenchError(f"{failed[0].name} failed in {failed[0].error}")
    record |= {"seconds": {result.name: result.seconds for result in results}, "wall": wall}
    print(report(record))
    return write_json(target or data_dir() / "results" / "notebooks.json", record)


def report(record: dict) -> str:
    """Print a record of `time_notebooks` as Markdown: a table, and a line on the whole."""
    lines = ["| notebook | seconds |", "|---|---:|"]
    lines += [f"| {name} | {seconds:.0f} |" for name, seconds in record["seconds"].items()]
    here = record["machine"]
    minutes, seconds = divmod(round(record["wall"]), 60)
    lines += [
        "",
        f"All in {minutes} min {seconds} s, {record['jobs']} at a time, profile "
        f"{record['profile']}. {here['processor']}, {here['cores']} cores.",
    ]
    return "\n".join(lines)
