"""Frames per second of `lle video`, against decoding and encoding alone."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lle_utils.benchmarks.speed import dark_photo, process_seconds
from lle_utils.core.environment import machine
from lle_utils.core.errors import require
from lle_utils.core.paths import data_dir, write_json

SIZE, FRAMES, RATE = (720, 1280), 300, 30
METHODS = ("zero_dce_pp", "lumen_tiny")
STEP = 4  # pixels by which the picture moves from frame to frame


def measure_video(
    methods: Sequence[str] = METHODS, size: tuple = SIZE, frames: int = FRAMES
) -> dict:
    """Brighten a dark video as whole processes, start-up included.

    Args:
        methods: Shipped enhancers and baselines.
        size: Height and width of the video.
        frames: Its length.

    Returns:
        The machine, and the ``seconds`` of decoding and encoding ``alone`` and of each method.

    Raises:
        BenchError: If a process fails.
        ImportError: If PyAV is not installed.
    """
    require("av", "video", "The bench of videos")
    here, cases = machine(), {}
    with tempfile.TemporaryDirectory() as name:
        clip, target = write_clip(Path(name) / "dark.mp4", size, frames), Path(name) / "out.mp4"
        cases["alone"] = process_seconds("-m", "lle_utils.benchmarks.video_speed", clip, target)
        words = ["-m", "lle_utils.cli.main", "video", clip, target, "--overwrite", "--method"]
        for method in methods:
            print(f"{method} ...", file=sys.stderr, flush=True)
            cases[method] = process_seconds(*words, method)
    return {"machine": here, "size": list(size), "frames": frames, "seconds": cases}


def write_clip(path: Path, size: tuple, frames: int) -> Path:
    """Write a video of a dark scene that moves sideways, in H.264."""
    import av

    height, width = size
    scene = dark_photo(height, 2 * width)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, width=width, height=height)
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            left = STEP * number % width
            picture = np.ascontiguousarray(scene[:, left : left + width])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode(None))
    return path


def recode(source: str, target: str) -> None:
    """Decode a video and encode its frames again, as finely as `lle video` does."""
    import av

    with av.open(source) as old, av.open(target, "w") as new:
        (video,) = old.streams.video
        written = new.add_stream("libx264", rate=video.guessed_rate, options={"crf": "18"})
        written.width, written.height, written.pix_fmt = video.width, video.height, "yuv420p"
        for frame in old.decode(video):
            new.mux(written.encode(frame))
        new.mux(written.encode(None))


def report(record: dict) -> str:
    """Print a record of `measure_video` as Markdown."""
    rate = {name: record["frames"] / seconds for name, seconds in record["seconds"].items()}
    height, width = record["size"]
    lines = ["| video | frames per second |", "|---|---:|"]
    lines += [
        f"| {'decoded and encoded' if n == 'alone' else n} | {r:.1f} |" for n, r in rate.items()
    ]
    here = record["machine"]
    lines += [
        "",
        f"{record['frames']} frames of {width}×{height} through `lle video`, whole process. "
        f"{here['processor']}, {here['cores']} cores.",
    ]
    return "\n".join(lines)


def time_video(target: str | Path | None = None) -> Path:
    """Measure, print and write the record, ``data/results/video.json`` by default."""
    record = {"kind": "video", "schema": 1, **measure_video()}
    print(report(record))
    return write_json(target or data_dir() / "results" / "video.json", record)


if __name__ == "__main__":  # a process of `measure_video`
    recode(*sys.argv[1:])
