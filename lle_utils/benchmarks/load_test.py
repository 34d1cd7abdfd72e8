"""Measure the web page under load.

``python -m lle_utils.benchmarks.load_test`` writes the record ``serve``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import requests

from lle_utils.core.paths import data_dir, write_json

CLIENTS, SECONDS = 50, 60
PHOTO = (400, 600)


class ServerError(RuntimeError):
    """The server did not start."""


@contextmanager
def running_server(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run ``lle serve`` on a free port and yield its address and process once it has answered.

    Args:
        *options: More words for the command line.

    Raises:
        ServerError: If it ends or does not answer within a minute; the message holds its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "lle_utils.cli.main", "serve", "--port", str(port), *options]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(server, address, log)
            yield address, psutil.Process(server.pid)
        finally:
            if server.poll() is None:
                for child in psutil.Process(server.pid).children(recursive=True):
                    child.kill()
                server.kill()
                server.wait()


def _wait(server: subprocess.Popen, address: str, log) -> None:
    end = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < end:
        try:
            if requests.get(f"{address}/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    log.seek(0)
    raise ServerError(f"lle serve did not answer: {log.read().decode()[-1000:]}")


def load(address: str, server: psutil.Process, clients: int, seconds: float) -> dict:
    """Let many clients send photos again and again; one told "busy" waits as long as it is told.

    Args:
        address: Where the page is.
        server: Its process, whose memory is read every half second, children included.
        clients: How many at once.
        seconds: For how long.

    Returns:
        Answers by status, failures (neither a photo nor "busy" with Retry-After), the median
        and 95th percentile in seconds of the answers, by kind, photos per second, and memory
        in bytes: after a fifth of the time, at the end, and the peak.
    """
    photo, taken, memory = _photo(), {"photo": [], "busy": []}, []
    answers: Counter = Counter()
    failures: list[str] = []
    end = time.monotonic() + seconds

    def client() -> None:
        with requests.Session() as session:
            while time.monotonic() < end:
                kind, wait = _send(session, address, photo, taken, answers, failures)
                if kind == "busy":
                    time.sleep(min(wait, max(0.0, end - time.monotonic())))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        memory.append(_memory(server))
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "seconds": seconds,
        "photo": "x".join(map(str, PHOTO[::-1])),
        "answers": dict(answers),
        "failures": failures,
        "photos_per_second": len(taken["photo"]) / seconds,
        "latency": {kind: _percentiles(times) for kind, times in taken.items()},
        "memory": {
            "early": memory[len(memory) // 5],
            "end": memory[-1],
            "peak": max(memory),
        },
    }


def report(record: dict) -> str:
    """Print a record of `load` in a few sentences of Markdown."""
    photo, busy = record["latency"]["photo"], record["latency"]["busy"]
    answers, memory, here = record["answers"], record["memory"], record["machine"]
    sentences = [
        f"{record['clients']} clients at once for {record['seconds']} s, photos of "
        f"{record['photo'].replace('x', '×')}: {answers.get('200', 0):,} photos "
        f'({record["photos_per_second"]:.0f} a second), {answers.get("503", 0):,} times "busy", '
        f"{len(record['failures'])} failures.",
        f"A photo took {photo['median']:.2f} s (median; 95 % below {photo['p95']:.2f} s), "
        f'"busy" {1000 * busy["median"]:.0f} ms.',
        f"Memory: {memory['early'] / 1e9:.2f} GB after a fifth of the time, "
        f"{memory['end'] / 1e9:.2f} GB at the end, {memory['peak'] / 1e9:.2f} GB at most.",
        f"{here['processor']}, {here['cores']} cores, which the clients shared.",
    ]
    return "\n".join(sentences)


def _send(session, address, photo, taken, answers, failures) -> tuple[str, float]:
    started = time.monotonic()
    headers = {"Content-Type": "image/png"}
    try:
        answer = session.post(f"{address}/api/enhance", data=photo, headers=headers, timeout=120)
    except requests.RequestException as error:
        failures.append(type(error).__name__)
        return "failure", 0
    answers[str(answer.status_code)] += 1
    wait = float(answer.headers.get("Retry-After", 0))
    kind = "photo" if answer.ok else "busy" if answer.status_code == 503 and wait else "failure"
    if kind == "failure":
        failures.append(f"{answer.status_code} {answer.text[:100]}")
    else:
        taken[kind].append(time.monotonic() - started)
    return kind, wait


def _photo() -> bytes:
    from lle_utils.data import synthetic
    from lle_utils.display.widgets import encode_png

    return encode_png(synthetic.synthetic_pairs(1, PHOTO, 0).low[0])


def _percentiles(times: list[float]) -> dict:
    if not times:
        return {"median": None, "p95": None}
    return {"median": float(np.median(times)), "p95": float(np.percentile(times, 95))}


def _memory(server: psutil.Process) -> int:
    """Return the resident bytes of a process and its children."""
    total = 0
    for process in (server, *server.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Load a server of the default settings and write the record."""
    from lle_utils.core.environment import machine

    here = machine()
    with running_server() as (address, server):
        record = load(address, server, CLIENTS, SECONDS)
    record = {"kind": "serve", "schema": 1, "machine": here, **record}
    target = write_json(data_dir() / "results" / "serve.json", record)
    print(json.dumps({key: record[key] for key in record if key != "machine"}, indent=1))
    print(f"Record: {target}")


if __name__ == "__main__":
    main()
