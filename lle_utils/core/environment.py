"""What a result depends on: versions, the machine, its memory. On Linux, macOS and Windows."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "lle-utils",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "onnxruntime",
    "numpy",
    "scipy",
    "scikit-image",
    "pillow",
    "matplotlib",
    "ipywidgets",
    "papermill",
)
CARDS_VARIABLE = "CUDA_VISIBLE_DEVICES"
DEVICES_VARIABLE = "LLE_DEVICES"  # how many share the batches of a training, see `core.devices`
PROCESS_VARIABLE = "KERAS_DISTRIBUTION_PROCESS_ID"  # as Keras calls it
SAMPLING = 0.005  # seconds between two looks at the memory of a process


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for cards, records and reports.

    Returns:
        ``python``, those of `PACKAGES` that are installed, and ``backend``, the name of Keras'
        backend, if Keras is at work. Nothing is imported to find out.
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # tensorflow or tensorflow-cpu, never both
    if "keras" in sys.modules:
        found["backend"] = sys.modules["keras"].backend.backend()
    return found


def machine() -> dict:
    """Describe this machine: processor, usable cores, load, system and versions."""
    import psutil

    return {
        "processor": processor(),
        "cores": usable_cores(),
        "load_before": psutil.getloadavg()[0],
        "system": platform.platform(),
        "versions": versions(),
    }


def processor() -> str:
    """Name the processor; family and model tell virtual machines of one name apart."""
    from cpuinfo import get_cpu_info

    facts = get_cpu_info()
    name = facts.get("brand_raw") or platform.processor() or platform.machine()
    if "family" not in facts:
        return name
    vectors = "AVX-512" if "avx512f" in facts.get("flags", ()) else "no AVX-512"
    return f"{name} (family {facts['family']} model {facts.get('model', '?')}, {vectors})"


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    import psutil

    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # macOS has none
        return len(process.cpu_affinity())
    return psutil.cpu_count() or 1


def graphics_cards() -> list[str]:
    """Return the NVIDIA cards that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    That variable decides if it is set; ``nvidia-smi`` is asked otherwise. No framework is loaded.
    """
    if CARDS_VARIABLE in os.environ:
        named = [name.strip() for name in os.environ[CARDS_VARIABLE].split(",")]
        return [name for name in named if name not in ("", "-1")]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):  # no card, or no driver
        return []
    return told.stdout.split()


def resident_memory() -> int:
    """Return the main memory that this process holds, in bytes."""
    import psutil

    return psutil.Process().memory_info().rss


def available_memory() -> int:
    """Return the main memory that could still be had, in bytes."""
    import psutil

    return psutil.virtual_memory().available


@contextmanager
def watch_memory(pid: int | None = None) -> Iterator[list[int]]:
    """Watch the main memory of a process during a ``with`` block.

    Args:
        pid: Number of the process; this one when None.

    Yields:
        A list of bytes, one number every few milliseconds; its largest is the peak.
    """
    import psutil

    process, done = psutil.Process(pid), threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(SAMPLING):
            try:
                seen.append(process.memory_info().rss)
            except psutil.NoSuchProcess:
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
        if pid is None:
            seen.append(process.memory_info().rss)
    finally:
        done.set()
        watcher.join()
