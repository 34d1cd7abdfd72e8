"""Measure speed and memory: enhancers against a classical method, packs against PNG files.

Every case runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lle_utils.core.environment import machine, watch_memory
from lle_utils.core.paths import data_dir, write_json

METHODS = {  # height and width of a photo of LOL -> methods; and of 12 megapixels
    (400, 600): (
        "lumen",
        "lumen_tiny",
        "zero_dce_pp",
        "zero_dce",
        "mirnet",
        "pix2pix",
        "resnet_gan",
        "shed_light",
        "clahe",
    ),
    # mirnet keeps too many maps of this size
    (3000, 4000): ("lumen", "lumen_tiny", "zero_dce_pp", "zero_dce", "clahe"),
}
MINIMUM, MAXIMUM = 3, 5  # measured runs after the warm-up
PATIENCE = 20.0  # seconds, after which the minimum is enough
BATCHES, BATCH_SIZE, CROP = 16, 8, 128  # 128 pairs of crops
TRAINING = ("mirnet", "keras_io", "keras_io_uncompiled")  # see `training_case`
TRAINING_BATCH, TRAINING_STEPS = 4, 6
STEP_METHOD = "mirnet"  # whose training step the reading of a batch is compared with


class BenchError(RuntimeError):
    """A case that could not be measured."""


def run_bench(target: str | os.PathLike | None = None) -> Path:
    """Measure everything, print it, and write the record.

    Args:
        target: The file to write, ``data/results/bench.json`` by default.

    Returns:
        The path written.

    Raises:
        BenchError: If the process of a case fails, such as for a missing enhancer.
    """
    # Here, so that the processes of the cases do without Jupyter.
    from lle_utils.notebook_tools.kernel import TRAINING_ENVIRONMENT

    here = machine()  # first, before the load is our own
    cases = []
    for (height, width), methods in METHODS.items():
        for method in methods:
            print(f"{method}, {width}x{height} ...", file=sys.stderr, flush=True)
            cases.append(_in_own_process("enhance", method, height, width))
    steps = []
    for network in TRAINING:
        print(f"training {network} ...", file=sys.stderr, flush=True)
        own = TRAINING_ENVIRONMENT if network == "mirnet" else {}
        steps.append(_in_own_process("training", network, environment=own))
    print("reading batches ...", file=sys.stderr, flush=True)
    record = {
        "kind": "bench",
        "schema": 1,
        "machine": here,
        "enhance": cases,
        "training": steps,
        "batches": _in_own_process("batches"),
    }
    print(report(record))
    return write_json(target or data_dir() / "results" / "bench.json", record)


def report(record: dict) -> str:
    """Print a record of `run_bench` as Markdown.

    Args:
        record: The content of its file.

    Returns:
        A table of the photos, one of training, and a line each on batches and machine.
    """
    lines = ["| method | photo | seconds | peak memory (GB) |", "|---|---|---:|---:|"]
    for case in record["enhance"]:
        size = f"{case['width']}×{case['height']}"
        memory = case["peak_bytes"] / 1e9
        lines.append(f"| {case['method']} | {size} | {case['median']:.3f} | {memory:.2f} |")
    lines += [
        "",
        f"| training step of {TRAINING_BATCH} crops of {CROP}×{CROP} | parameters | seconds "
        "| peak memory (GB) |",
        "|---|---:|---:|---:|",
    ]
    for case in record["training"]:
        numbers = f"{case['median']:.2f} | {case['peak_bytes'] / 1e9:.2f}"
        lines.append(f"| {case['network']} | {case['parameters']:,} | {numbers} |")
    batches, here = record["batches"], record["machine"]
    lines += [
        "",
        f"{batches['crops']} pairs of {CROP}×{CROP} crops: {batches['pack']['median']:.3f} s from "
        f"the pack, {batches['png']['median']:.2f} s from PNG files, {batches['times_faster']:.0f} "
        f"times as long. A batch of {BATCH_SIZE} pairs takes {batches['share_of_step']:.1%} of a "
        f"training step of {STEP_METHOD}.",
        f"{here['processor']}, {here['cores']} cores; medians; "
        + ", ".join(f"{name} {number}" for name, number in here["versions"].items())
        + ".",
    ]
    return "\n".join(lines)


def timed(work: Callable[[], object]) -> dict:
    """Time a function: one warm-up, then three to five runs.

    Args:
        work: Called without arguments; its result is dropped.

    Returns:
        ``first`` (the warm-up), ``runs`` and their ``median``, in seconds.
    """
    first = _seconds(work)
    runs: list[float] = []
    while len(runs) < MINIMUM or (len(runs) < MAXIMUM and sum(runs) < PATIENCE):
        runs.append(_seconds(work))
    return {"first": first, "runs": runs, "median": statistics.median(runs)}


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# Cases, each in its own process


def _in_own_process(*words: object, environment: dict[str, str] | None = None) -> dict:
    line, peak = run_python("-m", "lle_utils.benchmarks.speed", *words, environment=environment)
    return {**json.loads(line), "peak_bytes": peak}


def run_python(*words: object, environment: dict[str, str] | None = None) -> tuple[str, int]:
    """Run Python in a process of its own.

    Args:
        *words: What follows ``python`` on the command line.
        environment: Variables to set beside those of this process.

    Returns:
        The last line that it printed, or nothing; and the most main memory that it held, in
        bytes.

    Raises:
        BenchError: If it fails; the message ends with its last line.
    """
    command = [sys.executable, *map(str, words)]
    variables = os.environ | (environment or {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        subprocess.Popen(command, text=True, env=variables, **pipes) as process,
        watch_memory(process.pid) as seen,
    ):
        printed, complaints = process.communicate()
    if process.returncode:
        last = complaints.strip().splitlines()[-1:] or ["no message"]
        raise BenchError(f"The case {' '.join(command[3:])} failed: {last[0]}")
    return "".join(printed.splitlines()[-1:]), max(seen)


def process_seconds(*words: object, environment: dict[str, str] | None = None) -> float:
    """Return how long `run_python` takes, start-up included."""
    start = time.perf_counter()
    run_python(*words, environment=environment)
    return time.perf_counter() - start


def enhance_case(method: str, height: int, width: int) -> dict:
    """Time one method on one photo of 8 bits in memory, in the runtime that `lle enhance` takes.

    The photo is a bundled scene taken dark by the synthetic camera; files are neither read nor
    written.

    Args:
        method: A baseline or an enhancer.
        height, width: Size of the photo in pixels.

    Returns:
        The case: method, size, and times as of `timed`.
    """
    from lle_utils.enhancers.factory import load_method

    photo, work = dark_photo(height, width), load_method(method)
    times = timed(lambda: work(photo))
    case = {"method": method, "height": height, "width": width}
    return {**case, **times}


def dark_photo(height: int, width: int) -> np.ndarray:
    """Return a dark photo ``(height, width, 3)``, uint8: a small one, repeated.

    Memory and time do not depend on what is to be seen.
    """
    from lle_utils.data import synthetic

    tile = synthetic.synthetic_pairs(1, (200, 200)).low[0]
    return np.tile(tile, (-(-height // 200), -(-width // 200), 1))[:height, :width]


def training_case(network: str) -> dict:
    """Time training steps of MIRNet or of its copy, notebooks 04 and 14, at the size ``base``.

    Args:
        network: ``"mirnet"``, trained as the notebook does; ``"keras_io"``, the copy of the
            Keras site with plain ``compile`` and ``fit``; ``"keras_io_uncompiled"``, the same
            without XLA, which is slow on processors.

    Returns:
        Network, parameters, ``runs`` (seconds from one step to the next) and their ``median``.
    """
    from lle_utils.nn.reconstruction_losses import charbonnier_loss
    from lle_utils.notebook_tools.importer import definitions
    from lle_utils.training.cost import step_seconds
    from lle_utils.training.run import Run

    code = definitions("04_mirnet")
    if network == "mirnet":
        model = code.mirnet(*code.SIZES["base"])
        stages = [[1, CROP, TRAINING_BATCH]]
        run = Run(Path(), stages, TRAINING_STEPS, learning_rate=1e-3, warmup=1, ema=0.999)
        code.prepare(model, run, charbonnier_loss)
    else:
        model = definitions("14_copies").keras_io(*code.SIZES["base"])
        options = {"jit_compile": False} if network == "keras_io_uncompiled" else {}
        model.compile("adam", charbonnier_loss, **options)
    runs = step_seconds(model, CROP, TRAINING_BATCH, TRAINING_STEPS)
    case = {"network": network, "parameters": model.count_params(), "runs": runs}
    return {**case, "median": statistics.median(runs)}


def batches_case() -> dict:
    """Time the same batches of random paired crops, from a pack and from PNG files.

    Returns:
        Times of `timed` for ``pack``, ``png`` and one training ``step``; how many
        ``times_faster`` the pack is, and the ``share_of_step`` that reading its batch takes.
    """
    from lle_utils.data import batches as streams
    from lle_utils.data.npz_dataset import open_pack
    from lle_utils.data.pack_writer import pack_pairs
    from lle_utils.data.pairs import find_pairs

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_pairs(folder, BATCHES * BATCH_SIZE)
        pairs = find_pairs(folder / "low", folder / "normal")
        pack = open_pack(pack_pairs(pairs, folder / "pairs.npz"))
        options = {"crop": CROP, "batch_size": BATCH_SIZE, "steps": BATCHES}
        packed = streams.PairStream(pack.low, pack.normal, **options)
        from_pack = timed(lambda: [packed[i] for i in range(BATCHES)])
        from_png = timed(lambda: _decode_batches(pairs))
        step = timed(_training_step(packed[0]))
    return {
        "crops": BATCHES * BATCH_SIZE,
        "photo": [400, 600],
        "pack": from_pack,
        "png": from_png,
        "step": step,
        "times_faster": from_png["median"] / from_pack["median"],
        "share_of_step": from_pack["median"] / BATCHES / step["median"],
    }


def _training_step(batch: tuple) -> Callable[[], object]:
    """Return one step of training `STEP_METHOD`, with a loss that costs next to nothing.

    The losses of the notebooks only make a step longer, and the share of reading smaller.
    """
    from lle_utils.core.backend import compile_options
    from lle_utils.enhancers.storage import load_enhancer

    model = load_enhancer(STEP_METHOD).model
    model.compile("adam", "mse", **compile_options())
    return lambda: model.train_on_batch(*batch)


def _write_pairs(folder: Path, count: int) -> None:
    """Write pairs of 600x400 PNG files: a few different ones, each several times."""
    from lle_utils.core import images
    from lle_utils.data import synthetic

    different = synthetic.synthetic_pairs(8, (400, 600))
    for i in range(count):
        images.save_image(folder / "low" / f"{i}.png", different.low[i % 8])
        images.save_image(folder / "normal" / f"{i}.png", different.normal[i % 8])


def _decode_batches(pairs: list) -> None:
    """Read what `PairStream` reads, the plain way: decode both files, crop, turn, convert."""
    from lle_utils.core.images import read_uint8, to_float
    from lle_utils.data.batches import transform

    rng = np.random.default_rng(0)
    for start in range(0, len(pairs), BATCH_SIZE):
        batch = []
        for pair in pairs[start : start + BATCH_SIZE]:
            low, normal = read_uint8(pair.low), read_uint8(pair.normal)
            top, left = (rng.integers(side - CROP + 1) for side in low.shape[:2])
            window, symmetry = np.s_[top : top + CROP, left : left + CROP], int(rng.integers(8))
            batch.append([transform(photo[window], symmetry) for photo in (low, normal)])
        to_float(np.array(batch))


def _main(words: list[str]) -> None:
    kind, *rest = words
    if kind == "enhance":
        method, height, width = rest
        result = enhance_case(method, int(height), int(width))
    elif kind == "training":
        result = training_case(*rest)
    else:
        result = batches_case()
    print(json.dumps(result))


if __name__ == "__main__":
    _main(sys.argv[1:])
