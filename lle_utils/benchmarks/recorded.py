"""What scripts measured that need more than this package: PyTorch, or a browser with a camera."""

from __future__ import annotations


def report_pytorch(record: dict) -> str:
    """Print the record of ``tests/benchmarks/measure_pytorch.py`` as Markdown."""
    theirs, ours, here = record["pytorch"], record["ours"], record["machine"]
    height, width = record["photo"]
    alone = theirs["median_alone"]
    cells = [
        ("network alone, float32", alone, theirs["peak_bytes"]),
        ("8 bits in and out", theirs["median"], theirs["peak_bytes"]),
    ]
    lines = ["| Zero-DCE++ | seconds | peak memory (GB) |", "|---|---:|---:|"]
    lines += [f"| PyTorch, {what} | {s:.2f} | {peak / 1e9:.2f} |" for what, s, peak in cells]
    lines += [
        f"| here, 8 bits in and out | {ours['median']:.2f} | {ours['peak_bytes'] / 1e9:.2f} |",
        "",
        f"A photo of {width}×{height} in memory, neither decoded nor encoded: "
        f"{theirs['median'] / ours['median']:.1f} times as fast as PyTorch {theirs['version']} "
        f"does the same, {alone / ours['median']:.1f} times as its network alone. "
        f"{here['processor']}, {here['cores']} cores.",
    ]
    return "\n".join(lines)


def report_camera(record: dict) -> str:
    """Print the record of ``tests/web/measure_camera.py`` as Markdown."""
    lines = ["| live camera, in the browser | frames per second |", "|---|---:|"]
    lines += [
        f"| {case['method']} | {case['frames_per_second']:.1f} |" for case in record["camera"]
    ]
    here = record["machine"]
    return "\n".join(
        [*lines, "", f"{record['protocol']} {here['processor']}, {here['cores']} cores."]
    )
