"""An S3 server on this machine, and `lle enhance` over workers that are killed meanwhile."""

import os
import random
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from PIL import Image

from lle_utils.core.addresses import push, storage

s3fs = pytest.importorskip("s3fs", reason="needs the extra remote")
PATIENCE = 600  # seconds until a test gives up; it waits for what happens, not for a time
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server(log, buckets=("photos", "bright")):
    """Start moto's server; this process and those that it starts then find it.

    Args:
        log: File for its log, a line for each request.
        buckets: To make.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    before = dict(os.environ)
    with open(log, "w") as file, subprocess.Popen(words, stdout=file, stderr=file) as server:
        try:
            os.environ.update(KEYS, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
            s3fs.S3FileSystem.clear_instance_cache()  # they know the last server
            wait_for(lambda: "Running on" in log.read_text() or server.poll() is not None)
            for bucket in buckets:
                with storage(f"s3://{bucket}") as (files, path):
                    files.mkdir(path)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            server.terminate()


def wait_for(happened):
    until = time.time() + PATIENCE
    while not happened():
        assert time.time() < until, "waited in vain"
        time.sleep(0.05)


def write_photos(folder, count):
    """Write dark photos of 24x32, no two alike."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        photo = rng.integers(0, 40, (24, 32, 3), np.uint8)
        Image.fromarray(photo).save(folder / f"{index:03}.png")


def put_all(folder, address):
    for path in sorted(folder.iterdir()):
        push(path, f"{address}/{path.name}")


def contents(address):
    """Return name -> content of all files at an address."""
    with storage(address) as (files, path):
        return {name.rpartition("/")[2]: files.cat_file(name) for name in files.find(path)}


def completed(log):
    """Return the names of the files that were written to the bucket, from the server's log."""
    return re.findall(r"POST /bright/(\S+)\?uploadId=\S+ HTTP/1\.1.{0,6}\" 200", log.read_text())


def workers_of(process):
    """Return the worker processes that a command has started."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def killed_archive(folder, photos, kills, method):
    """Enhance an archive from and to S3 with two workers, of which some are killed.

    Returns:
        What came of it: counts of photos, of results that are equal to those of one machine, and
        of those that were written more than once; the kills and the seconds.
    """
    write_photos(folder / "photos", photos)
    lle = [sys.executable, "-m", "lle_utils.cli.main", "enhance"]
    words = [*lle, folder / "photos", "-o", folder / "plain", "--method", method]
    subprocess.run(words, check=True, capture_output=True)
    plain = {path.name: path.read_bytes() for path in (folder / "plain").iterdir()}
    log, rng = folder / "s3.log", random.Random(0)
    with s3_server(log):
        put_all(folder / "photos", "s3://photos")
        began, left = time.time(), sorted(rng.randrange(1, int(0.9 * photos)) for _ in range(kills))
        words = [*lle, "s3://photos/", "-o", "s3://bright/", "--method", method, "--processes", "2"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as command:
            for reached in left:
                wait_for(lambda n=reached: len(completed(log)) >= n or command.poll() is not None)
                wait_for(lambda: workers_of(command) or command.poll() is not None)
                rng.choice(workers_of(command)).kill()
            said = command.communicate()[0].decode()
        seconds, made, written = time.time() - began, contents("s3://bright"), completed(log)
    assert command.returncode == 0, said
    return {
        "photos": photos,
        "method": method,
        "kills": len(left),
        "whole": sum(made.get(name) == content for name, content in plain.items()),
        "others": len(set(made) - set(plain)),
        "twice": len(written) - len(set(written)),
        "seconds": round(seconds, 1),
        "said": [line for line in said.splitlines() if " enhanced" in line][-1],
    }
