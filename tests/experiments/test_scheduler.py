"""A scheduler of Dask that is killed while its workers train: real processes, on this machine."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import filelock
import pytest

from lle_utils.experiments import cluster, planned, planning, running

pytest.importorskip("distributed", reason="needs the extra experiments")

PLAN = "notebook: 01_count\nseeds: 2\nset: {steps: 30, pause: 0.2}\n"
PATIENCE = 200  # seconds until a test gives up; it waits for what happens, not for a time


@pytest.fixture
def dask():
    """Start a scheduler with a worker, as often as it is called; all end with the test."""
    started = []

    def start(words):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", *words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    def scheduler_with_worker():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        address, quiet = f"tcp://127.0.0.1:{port}", "--no-dashboard"
        listens = ["--host", "127.0.0.1", "--port", port]
        scheduler = start(["distributed.cli.dask_scheduler", *listens, quiet])
        start(["distributed.cli.dask_worker", address, "--nthreads", "1", quiet])
        return scheduler, address

    yield scheduler_with_worker
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def counted(seed, steps, rate=0.5):
    """Return what the notebook comes to."""
    done = [seed]
    for _ in range(steps):
        done.append(done[-1] * 31 % 1009 + int(1000 * rate))
    return done


@pytest.mark.slow
def test_a_killed_scheduler_is_named_and_the_next_run_does_the_rest(project, tmp_path, dask):
    (project / "plan.yml").write_text(PLAN)
    experiment, folder = planning.read_experiment(project / "plan.yml", project), tmp_path / "out"
    scheduler, address = dask()
    second = folder / "all,seed=1" / "01_count"

    def strike():
        until = time.time() + PATIENCE
        while not (second / "checkpoint.json").is_file() and time.time() < until:
            time.sleep(0.1)
        scheduler.kill()

    striker = threading.Thread(target=strike)
    striker.start()
    with pytest.raises(planning.ExperimentError) as caught:
        running.run_experiment(experiment, folder, scheduler=address, root=project)
    striker.join()
    assert f"The scheduler {address} was lost" in str(caught.value)
    assert "give the same command; it does the rest" in str(caught.value)
    first = (folder / "all,seed=0" / planned.RESULT).read_text()
    assert not (second / "ended.txt").exists()

    # The worker of the first scheduler is still at work: it may end its run, or be ended.
    _, address = dask()
    found = running.run_experiment(experiment, folder, scheduler=address, root=project)
    assert [result["error"] for result in found] == [None, None]
    assert (folder / "all,seed=0" / planned.RESULT).read_text() == first
    for seed, result in enumerate(found):
        own = folder / result["name"] / "01_count"
        assert (own / "ended.txt").read_text() == "ended\n"
        assert json.loads((own / "checkpoint.json").read_text()) == counted(seed, 30)


def test_a_run_that_another_worker_has_is_waited_for_and_not_done_twice(tmp_path):
    own, kept = tmp_path / "all,seed=0", {"error": None, "name": "all,seed=0"}
    own.mkdir()
    lock, found = filelock.FileLock(own / planned.LOCK), []
    with lock:
        task = ({"name": "all,seed=0"}, "02_none", "quick", str(tmp_path), str(tmp_path))
        waits = threading.Thread(target=lambda: found.append(planned.run_planned(*task)))
        waits.start()
        waits.join(0.5)
        assert waits.is_alive()
        (own / planned.RESULT).write_text(json.dumps(kept))
    waits.join(PATIENCE)
    assert found == [kept]


@pytest.mark.parametrize(
    ("workers", "cards"), [(3, ["3", "3", "7"]), (1, ["3"]), (None, ["3", "7"])]
)
def test_there_are_as_many_workers_as_asked_for_and_each_sees_one_graphics_card(
    monkeypatch, workers, cards
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,7")
    with cluster.connected(workers, "", 5) as client:
        told = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(told.values()) == cards
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,7"
