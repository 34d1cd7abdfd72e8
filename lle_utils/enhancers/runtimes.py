"""What can run a network, by name, and which was measured to be quickest; quick to import."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lle_utils.core.paths import data_dir

# "openvino" computes in float32 as Keras does, "openvino-fast" as the processor is quickest.
RUNTIMES = ("keras", "onnx", "openvino", "openvino-fast")

EXPORT_SUFFIXES = {
    "onnx": ".onnx",
    "openvino": "_openvino",
    "litert": ".tflite",
    "int8": "_int8",
    "saved_model": "_saved_model",
}
EXPORT_TARGETS = tuple(EXPORT_SUFFIXES)

ROUNDING_LEVELS = 1  # of 255: what rounding may turn a difference of 1e-6 into


def quickest_runtimes() -> dict[str, str]:
    """Return the quickest of `RUNTIMES` for each enhancer of the record ``throughput``.

    One whose results differ by more than `ROUNDING_LEVELS` does not count, nor does a case in which
    ``onnx`` was not measured.
    """
    try:
        text = (data_dir() / "results" / "throughput.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    cases = json.loads(text)["cases"]
    return {case["method"]: quickest(case) for case in cases if case["seconds"].get("onnx")}


def quickest(case: Mapping) -> str:
    """Return the quickest runtime of a case of the record ``throughput`` that keeps results."""
    seconds, differences = case["seconds"], case["differences"]
    kept = [name for name in RUNTIMES if seconds.get(name) and differences[name] <= ROUNDING_LEVELS]
    return min(kept, key=seconds.__getitem__)
