"""What a result depends on, read on any system."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lle_utils.core import environment

PACKAGE = Path(environment.__file__).resolve().parents[1]

# Files of /proc may be opened by libraries, which know other systems too; not by the package.
WITHOUT_PROC = """
import os, sys, traceback

def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith("/proc"):
        callers = [frame.filename for frame in traceback.extract_stack()[:-1]]
        library = max((i for i, f in enumerate(callers) if "site-packages" in f), default=-1)
        own = max((i for i, f in enumerate(callers) if "lle_utils" in f), default=-1)
        if own > library:
            raise OSError(f"{arguments[0]} is out of reach")

sys.addaudithook(refuse)
import keras
from lle_utils import core, training
model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 3, padding="same")])
model.compile("adam", "mse", **core.compile_options())
plan = training.estimate_training(model, 16, 2, 10)
assert plan["gigabytes"] > 0 and plan["minutes"] > 0
here = core.machine()
assert here["processor"] and here["cores"] >= 1 and "keras" in here["versions"]
try:
    exec(compile('open("/proc/meminfo")', "lle_utils/reader.py", "exec"))
except OSError as error:
    print(error)
"""


def test_a_training_is_estimated_with_proc_out_of_reach():
    command = [sys.executable, "-c", WITHOUT_PROC]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "/proc/meminfo is out of reach"  # the guard is live


def test_nothing_in_the_package_names_proc():
    sources = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "notebooks").glob("*.py")]
    assert [p for p in sources if "/proc/" in p.read_text(encoding="utf-8")] == []


def test_versions_are_those_installed_and_import_nothing():
    code = "import sys; from lle_utils.core import versions; found = versions()\n"
    code += "print(found['python'], found['numpy'], 'backend' in found, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    python = ".".join(map(str, sys.version_info[:3]))
    assert done.stdout.split() == [python, np.__version__, "False", "False"]


def test_the_memory_of_this_process_and_of_another_is_watched():
    with environment.watch_memory() as own:
        ballast = np.ones(50_000_000, np.float32)
    assert own[-1] - own[0] > 0.9 * ballast.nbytes
    code = "x = b'1' * 200_000_000; import time; time.sleep(0.3)"
    with (
        subprocess.Popen([sys.executable, "-c", code]) as process,
        environment.watch_memory(process.pid) as other,
    ):
        process.wait()
    assert max(other) > 200_000_000
    assert environment.resident_memory() > ballast.nbytes
    assert environment.available_memory() > 0


@pytest.mark.parametrize(
    ("named", "cards"), [("", []), ("-1", []), ("0", ["0"]), ("2, GPU-8932", ["2", "GPU-8932"])]
)
def test_graphics_cards_are_those_that_the_variable_names(monkeypatch, named, cards):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert environment.graphics_cards() == cards


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nvidia-smi is a shell script")
def test_graphics_cards_are_asked_for_where_no_variable_names_them(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.graphics_cards() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\n[ "$1" = --query-gpu=index ] && echo 0 && echo 1\n')
    tool.chmod(0o755)
    assert environment.graphics_cards() == ["0", "1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert environment.graphics_cards() == []
