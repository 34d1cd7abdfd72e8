"""Measure `lle enhance` as a process: a folder against a plain loop, and one large photo.

``lle bench folder`` writes the record ``throughput``, from which the runtime ``auto`` is chosen;
``lle bench large`` and ``lle bench start`` write the records of these names.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lle_utils.benchmarks.speed import (
    BenchError,
    dark_photo,
    machine,
    process_seconds,
    run_python,
)
from lle_utils.core.paths import data_dir, write_json
from lle_utils.data.samples import default_source, sample_pairs
from lle_utils.enhancers.runtimes import ROUNDING_LEVELS, RUNTIMES, quickest
from lle_utils.enhancers.tiling import MEMORY_LIMIT

PHOTOS = 100
SIZE = (400, 600)  # height and width of the photos of LOL, in pixels
LARGE = (4000, 6000)
RECORDS = {"folder": "throughput", "large": "large", "start": "start"}
STARTS = 5  # measured after the warm-up, which finds the files of packages in the disk's cache
STARTED = ("lumen", "zero_dce_pp", "mirnet", "auto_gamma")
METHODS = ("zero_dce_pp", "zero_dce", "mirnet")


def plain_loop(photos: str | os.PathLike, target: str | os.PathLike, name: str) -> None:
    """Enhance a folder as one would without this package: one photo after the other, `predict`.

    Args:
        photos: Folder of PNG files.
        target: Folder to write PNG files of the same names to.
        name: A shipped enhancer with the one input ``low``.
    """
    from PIL import Image

    from lle_utils.core.images import pad_to_divisor
    from lle_utils.enhancers.storage import load_enhancer

    enhancer = load_enhancer(name)
    Path(target).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(photos).iterdir()):
        low = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        padded = pad_to_divisor(low, enhancer.size_divisor)
        enhanced = enhancer.model.predict(padded[None], verbose=0)[0]
        enhanced = np.clip(enhanced[: low.shape[0], : low.shape[1]], 0, 1)
        Image.fromarray(np.rint(enhanced * 255).astype(np.uint8)).save(Path(target) / path.name)


def measure(photos: int = PHOTOS, methods: Sequence[str] = METHODS) -> dict:
    """Time whole processes, with their start-up, on a folder of 600x400 PNG photos.

    Args:
        photos: How many dark photos, see `lle_utils.data.sample_pairs`.
        methods: Shipped enhancers.

    Returns:
        The machine, and for each method the ``seconds`` of the plain loop and of `lle enhance` in
        each of `RUNTIMES` (None where OpenVINO is not installed), and the largest
        ``differences`` of any value from the plain loop, of 255.

    Raises:
        BenchError: If a process fails, or results of float32 differ by more than `ROUNDING_LEVELS`.
    """
    here, cases = machine(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_photos(folder / "photos", photos)
        for method in methods:
            print(f"{method} ...", file=sys.stderr, flush=True)
            cases.append(_case(folder, method, photos))
    return {"machine": here, "cases": cases}


def _write_photos(folder: Path, count: int) -> None:
    from lle_utils.core.images import save_image

    for index, (low, _) in enumerate(sample_pairs("train", count, SIZE)):
        save_image(folder / f"{index:03}.png", low)


def _case(folder: Path, method: str, photos: int) -> dict:
    results = folder / method
    loop = "lle_utils.benchmarks.cli_throughput"
    words = ["-m", loop, folder / "photos", results / "plain", method]
    seconds, differences = {"plain": process_seconds(*words)}, {}
    words = ["-m", "lle_utils.cli.main", "enhance", folder / "photos", "--method", method]
    for runtime in RUNTIMES:
        seconds[runtime] = differences[runtime] = None
        if runtime.startswith("openvino") and not find_spec("openvino"):
            continue
        seconds[runtime] = process_seconds(*words, "-o", results / runtime, "--runtime", runtime)
        differences[runtime] = _difference(results / "plain", results / runtime)
        if runtime != "openvino-fast" and differences[runtime] > ROUNDING_LEVELS:
            raise BenchError(f"{method}, {runtime}: off by {differences[runtime]} of 255.")
    return {
        "method": method,
        "data": "LOL" if default_source() == "lol" else "synthetic",
        "photos": photos,
        "size": list(SIZE),
        "seconds": seconds,
        "differences": differences,
    }


def _difference(plain: Path, ours: Path) -> int:
    from lle_utils.core.images import read_uint8
    from lle_utils.enhancers.targets import ENHANCED_MARK

    pairs = [(path, ours / f"{path.stem}{ENHANCED_MARK}.png") for path in sorted(plain.iterdir())]
    return max(
        int(np.abs(read_uint8(a).astype(int) - read_uint8(b).astype(int)).max()) for a, b in pairs
    )


def measure_large(methods: Sequence[str] | None = None, size: tuple = LARGE) -> dict:
    """Enhance one large JPEG photo by each method, each in a process of its own.

    Args:
        methods: All shipped enhancers and baselines when None.
        size: Height and width of the photo.

    Returns:
        The machine, and for each method the ``peak_bytes`` that its process held, with the
        default memory limit. (How long it took says little on a machine with other work.)

    Raises:
        BenchError: If a process fails.
    """
    from lle_utils.core.images import save_image
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.storage import list_enhancers

    here, cases = machine(), []
    with tempfile.TemporaryDirectory() as name:
        photo = save_image(Path(name) / "large.jpg", dark_photo(*size))
        for method in methods or [*list_enhancers(), *(b for b in BASELINES if b != "input")]:
            print(f"{method} ...", file=sys.stderr, flush=True)
            words = ["enhance", photo, "-o", Path(name) / method, "--method", method]
            _, peak = run_python("-m", "lle_utils.cli.main", *words)
            cases.append({"method": method, "peak_bytes": peak})
    return {"machine": here, "photo": list(size), "limit": MEMORY_LIMIT, "cases": cases}


def measure_start(methods: Sequence[str] = STARTED, starts: int = STARTS) -> dict:
    """Time `lle enhance` of one photo of 600x400, as a whole process, start-up included.

    Args:
        methods: Shipped enhancers and baselines.
        starts: How many processes are measured for each.

    Returns:
        The machine, and for each method ``runs`` and their ``median`` in seconds, and the
        ``peak_bytes`` that a process held.

    Raises:
        BenchError: If a process fails.
    """
    from lle_utils.core.images import save_image

    here, cases = machine(), []
    with tempfile.TemporaryDirectory() as name:
        photo = save_image(Path(name) / "photo.png", dark_photo(*SIZE))
        words = ["-m", "lle_utils.cli.main", "enhance", photo, "--overwrite", "--method"]
        for method in methods:
            _, peak = run_python(*words, method)
            runs = [process_seconds(*words, method) for _ in range(starts)]
            median = statistics.median(runs)
            cases.append({"method": method, "runs": runs, "median": median, "peak_bytes": peak})
    return {"machine": here, "photo": list(SIZE), "cases": cases}


def report(record: dict) -> str:
    """Print a record of `measure` as a Markdown table."""
    runtimes = [r for r in RUNTIMES if any(case["seconds"].get(r) for case in record["cases"])]
    lines = [
        f"| method | plain loop | `lle enhance`: {' | '.join(runtimes)} | at best |",
        f"|---|{'---:|' * (len(runtimes) + 2)}",
    ]
    for case in record["cases"]:
        seconds, count, differences = case["seconds"], case["photos"], case["differences"]
        cells = [f"{count / seconds['plain']:.1f}"]
        for runtime in runtimes:
            shown = f"{count / seconds[runtime]:.1f}" if seconds[runtime] else "–"
            off = differences[runtime] or 0
            cells.append(f"{shown} (±{off})" if off > ROUNDING_LEVELS else shown)
        best = seconds["plain"] / seconds[quickest(case)]
        lines.append(f"| {case['method']} | {' | '.join(cells)} | {best:.1f} times as fast |")
    case, here = record["cases"][0], record["machine"]
    height, width = case["size"]
    lines += [
        "",
        f"Photos per second, {case['photos']} PNG files of {width}×{height} ({case['data']}), "
        "start-up included. Results are those of the plain loop but for rounding (1 of 255), where "
        "nothing else is said. "
        f"{here['processor']}, {here['cores']} cores.",
    ]
    return "\n".join(lines)


def report_large(record: dict) -> str:
    """Print a record of `measure_large` as a Markdown table."""
    lines = ["| method | peak memory (GB) |", "|---|---:|"]
    for case in record["cases"]:
        lines.append(f"| {case['method']} | {case['peak_bytes'] / 1e9:.2f} |")
    height, width = record["photo"]
    limit = record["limit"]
    above = [case["method"] for case in record["cases"] if case["peak_bytes"] > limit]
    lines += [
        "",
        f"One JPEG of {width}×{height} through `lle enhance`, whole process; the limit of "
        f"{limit / 1e9:g} GB is {'exceeded by ' + ', '.join(above) if above else 'kept by all'}.",
    ]
    return "\n".join(lines)


def report_start(record: dict) -> str:
    """Print a record of `measure_start` as a Markdown table."""
    lines = ["| method | seconds | peak memory (MB) |", "|---|---:|---:|"]
    for case in record["cases"]:
        memory = case["peak_bytes"] / 1e6
        lines.append(f"| {case['method']} | {case['median']:.2f} | {memory:.0f} |")
    height, width = record["photo"]
    here = record["machine"]
    told = f"One PNG of {width}×{height}. {here['processor']}, {here['cores']} cores."
    return "\n".join([*lines, "", told])


def write_record(kind: str) -> Path:
    """Measure and write a record.

    Args:
        kind: One of `RECORDS`.

    Returns:
        The path of the record.

    Raises:
        BenchError: As `measure`.
    """
    measured = {"folder": measure, "large": measure_large, "start": measure_start}
    reported = {"folder": report, "large": report_large, "start": report_start}
    record = measured[kind]()
    print(reported[kind](record))
    return write_json(data_dir() / "results" / f"{RECORDS[kind]}.json", record)


if __name__ == "__main__":  # a process of `measure`
    plain_loop(*sys.argv[1:])
