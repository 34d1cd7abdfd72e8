"""What more workers are worth to an experiment: measured with one and two, simulated with more."""

from __future__ import annotations

import heapq
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lle_utils.benchmarks.speed import process_seconds
from lle_utils.core.environment import machine
from lle_utils.core.errors import require
from lle_utils.core.paths import data_dir, write_json

RUNS, WORKERS = 8, (1, 2)
NOTEBOOK = "03_zero_dce"
SETTINGS = {"epochs": 2, "epochs_pp": 2, "steps": 12}
ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
}
EMPTY_TASKS, WRITES = 2000, 200
SIMULATED, RUNS_EACH = (1, 2, 10, 100, 1000, 10000), 8


def measure_growth(target: str | os.PathLike | None = None) -> Path:
    """Run equal short trainings with one worker and with two, simulate more; write the record.

    Each worker has one thread, whatever their number, so that two have twice as much.

    Args:
        target: The file to write, ``data/results/growth.json`` by default.

    Returns:
        The path written.

    Raises:
        BenchError: If an experiment fails.
        ImportError: If Dask is not installed.
    """
    require("distributed", "experiments", "The bench of experiments")
    record = {"kind": "growth", "schema": 1, "machine": machine(), "notebook": NOTEBOOK}
    record |= {"settings": SETTINGS, "runs": RUNS}
    with tempfile.TemporaryDirectory() as folder:
        record["store"] = store_seconds(Path(folder))
        record["measured"] = [_experiment(Path(folder), workers) for workers in WORKERS]
    record["scheduler"] = scheduler_seconds()
    seconds = [s for case in record["measured"] for s in case["seconds"]]
    waits = record["scheduler"], record["store"]
    record["simulated"] = [simulate(seconds, workers, *waits) for workers in SIMULATED]
    print(report(record))
    return write_json(target or data_dir() / "results" / "growth.json", record)


def _experiment(folder: Path, workers: int) -> dict:
    """Run the trainings with so many workers: seconds of all, of each, and what is no cell's."""
    plan, out = folder / "plan.yml", folder / f"workers{workers}"
    plan.write_text(f"notebook: {NOTEBOOK}\nseeds: {RUNS}\nset: {json.dumps(SETTINGS)}\n")
    words = ["-m", "lle_utils.cli.main", "experiment", "run", plan, "-o", out]
    print(f"{RUNS} runs, workers: {workers} ...", file=sys.stderr, flush=True)
    wall = process_seconds(*words, "--workers", workers, environment=ONE_THREAD)
    paths = sorted(out.glob("*/result.json"))
    seconds = [json.loads(path.read_text("utf-8"))["seconds"] for path in paths]
    cells = [_in_cells(path.parent / f"{NOTEBOOK}.ipynb") for path in paths]
    return {
        "workers": workers,
        "wall": wall,
        "seconds": seconds,
        "around_cells": [whole - inside for whole, inside in zip(seconds, cells, strict=True)],
        "around_runs": wall - sum(seconds) / workers,
    }


def _in_cells(path: Path) -> float:
    """Return the seconds that the cells of an executed notebook took."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return sum(cell["metadata"].get("papermill", {}).get("duration") or 0 for cell in cells)


def scheduler_seconds(tasks: int = EMPTY_TASKS) -> float:
    """Return the seconds that Dask's scheduler takes for a task, with one that does nothing."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        client.submit(os.getpid).result()
        start = time.perf_counter()
        client.gather([client.submit(os.getpid, pure=False) for _ in range(tasks)])
        return (time.perf_counter() - start) / tasks


def store_seconds(folder: Path, writes: int = WRITES) -> float:
    """Return the seconds that a folder takes for a small file, whole and on the disk."""
    start = time.perf_counter()
    for number in range(writes):
        write_json(folder / "writes" / f"{number}.json", {"value": number})
    return (time.perf_counter() - start) / writes


def simulate(seconds: Sequence[float], workers: int, scheduler: float, store: float) -> dict:
    """Simulate an experiment whose runs take as long as those that were measured.

    The scheduler hands out one run after the other, and the store takes one result after the
    other; a worker waits for both.

    Args:
        seconds: Of runs, to draw from.
        workers: How many.
        scheduler, store: Seconds that they take for a run.

    Returns:
        ``workers``, ``runs`` (8 for each), ``wall`` in seconds, the share of it that workers are
        ``busy`` with runs, and the shares that ``scheduler`` and ``store`` are.
    """
    runs = RUNS_EACH * workers
    drawn = np.random.default_rng(0).choice(seconds, runs)
    free, scheduled, stored = [0.0] * workers, 0.0, 0.0
    ending: list[tuple[float, int]] = []
    # Results are stored in the order in which runs end, not in that in which they began.
    for number in range(runs):
        while ending and not free:
            stored = max(stored, heapq.heappop(ending)[0]) + store
            heapq.heappush(free, stored)
        scheduled = max(scheduled, heapq.heappop(free)) + scheduler
        heapq.heappush(ending, (scheduled + drawn[number], number))
    while ending:
        stored = max(stored, heapq.heappop(ending)[0]) + store
    return {
        "workers": workers,
        "runs": runs,
        "wall": stored,
        "busy": float(drawn.sum() / (workers * stored)),
        "scheduler": runs * scheduler / stored,
        "store": runs * store / stored,
    }


def report(record: dict) -> str:
    """Print a record of `measure_growth` as Markdown."""
    one, *_, most = record["measured"]
    mean = float(np.mean([s for case in record["measured"] for s in case["seconds"]]))
    around = float(np.mean(one["around_cells"]))
    here, limit = record["machine"], {w: mean / record[w] for w in ("scheduler", "store")}
    lines = [
        f"{record['runs']} runs of {record['notebook']}, one thread each: {one['wall']:.0f} s with "
        f"{one['workers']} worker, {most['wall']:.0f} s with {most['workers']}, "
        f"{one['wall'] / most['wall']:.2f} times the throughput. Of a run of {mean:.0f} s "
        f"{around:.1f} s are outside of the cells (start of the kernel, papermill, scores); the "
        f"command and its worker take {one['around_runs']:.1f} s more, once. "
        f"{here['processor']}, {here['cores']} cores.",
        "",
        f"Simulated with {record['scheduler'] * 1000:.2f} ms of the scheduler and "
        f"{record['store'] * 1000:.2f} ms of the store for each run, {RUNS_EACH} runs for each "
        "worker:",
        "",
        "| workers | workers busy | scheduler busy | store busy |",
        "|---:|---:|---:|---:|",
    ]
    for case in record["simulated"]:
        shares = " | ".join(f"{case[name]:.1%}" for name in ("busy", "scheduler", "store"))
        lines.append(f"| {case['workers']:,} | {shares} |")
    lines += [
        "",
        f"The scheduler is the limit from {limit['scheduler']:,.0f} workers on, the store from "
        f"{limit['store']:,.0f}.",
    ]
    return "\n".join(lines)
