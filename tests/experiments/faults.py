"""An experiment over workers and a scheduler that are killed.

Its notebook is the one of `projects`, which counts, or `12_lumen`, which trains a small network.
"""

import json
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
from archives import wait_for
from projects import make_project

from lle_utils.core.paths import project_root
from lle_utils.experiments import planning, running

COUNTING = ("01_count", {"steps": 20, "pause": 0.2}, "checkpoint.json", (0.5, 3))
TRAINING = (
    "12_lumen",
    {"stages": [[6, 32, 2]], "steps": 8, "warmup": 8, "deterministic": True},
    "lumen_checkpoint.npz",
    (4, 20),
)


@contextmanager
def dask(workers):
    """Start a scheduler with workers, each with a nanny that replaces one that is killed.

    Yields:
        The process of the scheduler, its address, and the process of the nannies.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address, quiet = f"tcp://127.0.0.1:{port}", {"stderr": subprocess.DEVNULL}
    listens = ["--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    runs = ["--nworkers", str(workers), "--nthreads", "1", "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", *listens]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, *runs]
    with subprocess.Popen(scheduler, **quiet) as first, subprocess.Popen(worker, **quiet) as second:
        try:
            yield first, address, second
        finally:
            end_all([first, second])


def end_all(processes):
    """End processes with all that they have started."""
    for process in processes:
        try:
            every = [psutil.Process(process.pid), *descendants(process)]
        except psutil.Error:
            continue
        for one in every:
            try:
                one.kill()
            except psutil.Error:
                continue


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def busy_workers(nannies):
    """Return the workers that have a kernel at work."""
    found = []
    for process in descendants(nannies):
        try:
            if "ipykernel_launcher" in " ".join(process.cmdline()):
                found.append(process.parent())
        except psutil.Error:
            continue
    return found


def strike(scheduler, nannies, moments, over, killed):
    """Kill one busy worker at each moment, in seconds after the last; None kills the scheduler."""
    rng = random.Random(1)
    for moment in moments:
        if over.wait(moment or 0):
            return
        if moment is None:
            scheduler.kill()
            killed.append("scheduler")
            return
        wait_for(lambda: over.is_set() or busy_workers(nannies))
        for worker in rng.sample(busy_workers(nannies), 1) if busy_workers(nannies) else []:
            worker.kill()
            killed.append("worker")


def struck(experiment, folder, project, workers, moments):
    """Run an experiment once while it is struck; return what was killed, and the complaint."""
    over, killed, said = threading.Event(), [], ""
    with dask(workers) as (scheduler, address, nannies):
        striking = (scheduler, nannies, moments, over, killed)
        striker = threading.Thread(target=strike, args=striking)
        striker.start()
        try:
            running.run_experiment(experiment, folder, scheduler=address, root=project)
        except planning.ExperimentError as error:
            said = str(error)
        finally:
            over.set()
            striker.join()
    return killed, said


def killed_experiment(folder, runs, workers, kills, work=COUNTING):
    """Run an experiment in peace, and again while workers and once the scheduler are killed.

    Args:
        folder: To work in.
        runs: How many, with the seeds that differ.
        workers: Of the scheduler.
        kills: Of workers, about half of them before the scheduler.
        work: The notebook, its parameters, the file by which results are compared, and how many
            seconds lie between two kills, at least and at most.

    Returns:
        What came of it: how many runs finished, how many are equal to those in peace to the bit,
        and, where they count, how many came to the end more than once; what was killed, and the
        seconds.
    """
    notebook, settings, kept, pause = work
    project = make_project(folder / "project") if work is COUNTING else project_root()
    plan, rng = folder / "plan.yml", random.Random(0)
    plan.write_text(json.dumps({"notebook": notebook, "seeds": runs, "set": settings}))
    experiment = planning.read_experiment(plan, project)
    began = time.time()
    running.run_experiment(experiment, folder / "calm", workers=workers, root=project)
    calm_seconds, hit = time.time() - began, folder / "hit"
    moments = [rng.uniform(*pause) for _ in range(kills)]
    before = [*moments[: kills // 2], None]
    killed, said = struck(experiment, hit, project, workers, before)
    more, said_again = struck(experiment, hit, project, workers, moments[kills // 2 :])
    assert said_again == "", said_again
    found = running.read_results(hit)
    results = sorted((folder / "calm").glob(f"*/{notebook}/{kept}"))
    twins = [(path, hit / path.relative_to(folder / "calm")) for path in results]
    ends = [path.read_text().count("ended") for path in hit.glob(f"*/{notebook}/ended.txt")]
    twice = {"twice": sum(count > 1 for count in ends)} if ends else {}
    return {
        "notebook": notebook,
        "runs": runs,
        "workers": workers,
        "kills": [*killed, *more],
        "finished": sum(result["error"] is None for result in found),
        **twice,
        "equal": sum(own.read_bytes() == twin.read_bytes() for own, twin in twins),
        "lost": said,
        "seconds_calm": round(calm_seconds, 1),
        "seconds": round(time.time() - began - calm_seconds, 1),
    }
