"""Enhance videos frame by frame, without the flicker of deciding each frame anew.

The picture is decoded, enhanced and encoded frame by frame, whatever the length. While one frame is
encoded, the next is smoothed and the one after that is enhanced. Audio is copied as it is. Needs
PyAV: ``pip install 'lle-utils[video]'``.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation
from tqdm import tqdm

from lle_utils.core.images import (
    as_float,
    convert_like,
    pad_to_divisor,
    save_image,
    to_uint8,
)
from lle_utils.core.paths import atomic_path
from lle_utils.core.strips import on_all_cores
from lle_utils.enhancers.tone_smoothing import (
    DEFAULT_SMOOTHING,
    VideoError,
    flicker,
    gain_follower,
    mean_luminance,
    steadier,
    toned,
)

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")
PREVIEWED = (0.15, 0.5, 0.85)  # shares of the length, of the moments that a preview shows
MEASURED_PIXELS = 2**16  # of a frame, at most, that tone and flicker are measured on
AHEAD = 2  # frames that are changed while one is encoded
FADED_ROWS = 32  # of a frame, at a time
MISSING_SECONDS = 1.0  # that a file may be shorter than it says
RGB_COLORSPACE = 0  # colour space of streams that hold no Y'CbCr
# FFmpeg's defaults make both conversions faster and a dark frame about one level darker.
EXACT_CONVERSION = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


# Files


def enhance_video(
    source: str | os.PathLike,
    target: str | os.PathLike,
    method: Callable[[np.ndarray], np.ndarray],
    smoothing: float = DEFAULT_SMOOTHING,
) -> dict[str, float]:
    """Enhance the picture of a video and copy its sound.

    Size, timestamps, rotation, pixel aspect, colour tags and metadata stay. H.264 halves the
    resolution of colour, so an odd width or height gets one more column or row. Subtitles, data
    and further video streams are left out. The target appears whole or not at all.

    Args:
        source: Any video that FFmpeg reads.
        target: File to write, replaced if it exists, with one of `VIDEO_SUFFIXES`.
        method: Takes a frame ``(H, W, 3)``, uint8; returns its like, or floating point in [0, 1].
        smoothing: See `smoother`. Where it does harm, frames are left as they are, see `steadier`.

    Returns:
        ``frames``; the `flicker` of the ``input``, of the result ``frame_by_frame``, after it was
        ``smoothed``, and of what was ``kept``, all on some pixels of a large frame; ``share``, the
        mean share that the smoothed result has in that; and ``seconds``, which all took.

    Raises:
        FileNotFoundError: If there is no such source.
        VideoError: If the source is no video or damaged, or the target cannot be written.
    """
    source, target = check_paths(source, target)
    follow, weigh, first = gain_follower(smoothing), steadier(), _first_frame(source)
    step = max(math.ceil(math.sqrt(first.height * first.width / MEASURED_PIXELS)), 1)
    started, seen, cuts = time.perf_counter(), [], []

    def enhance(frame: av.VideoFrame) -> tuple[np.ndarray, np.ndarray]:
        low = _to_rgb(frame, first)
        return low, method(low)

    def smooth(frame: av.VideoFrame, enhanced: Future) -> av.VideoFrame:
        low, own = enhanced.result()
        few = [np.ascontiguousarray(as_float(image[::step, ::step])) for image in (low, own)]
        gains, is_cut = follow(*few)
        if is_cut:
            cuts.append(len(seen))
        few.append(few[1] if gains is None else toned(*few, gains))
        means = [mean_luminance(image) for image in few]
        share = weigh(*means[1:], is_cut) if smoothing else 0.0
        seen.append([*means, means[1] + share * (means[2] - means[1]), share])
        return _from_rgb(_faded(low, own, gains, share), frame, first)

    _rewrite(source, target, first, enhance, smooth)
    *columns, shares = np.transpose(seen)
    names = ("input", "frame_by_frame", "smoothed", "kept")
    found = {name: flicker(column, cuts) for name, column in zip(names, columns, strict=True)}
    seconds = time.perf_counter() - started
    return {"frames": len(seen), **found, "share": float(shares.mean()), "seconds": seconds}


def _faded(low: np.ndarray, own: np.ndarray, gains: np.ndarray | None, share: float) -> np.ndarray:
    """Return a frame as uint8, to a share with its tone smoothed."""
    if gains is None or not share:
        return own if own.dtype == np.uint8 else to_uint8(own)
    result = np.empty(low.shape, np.uint8)

    def fade(top: int) -> None:
        rows = slice(top, top + FADED_ROWS)
        parts = (as_float(image[rows]) for image in (low, own))
        result[rows] = to_uint8(toned(*parts, gains, share))

    on_all_cores(fade, range(0, len(low), FADED_ROWS))
    return result


def preview_video(
    source: str | os.PathLike,
    target: str | os.PathLike,
    method: Callable[[np.ndarray], np.ndarray],
) -> Path:
    """Write a picture that shows a few moments of a video before and after, side by side.

    Args:
        source: Any video that FFmpeg reads.
        target: Picture to write, replaced if it exists.
        method: As of `enhance_video`. Frames are not smoothed.

    Returns:
        The path of the picture.

    Raises:
        FileNotFoundError, VideoError: As `enhance_video`.
        ImageError: If the suffix of the target is none of a picture.
    """
    source = Path(source)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such video file.")
    first, rows = _first_frame(source), []
    for share in PREVIEWED:
        low = _to_rgb(_frame_near(source, share), first)
        rows.append(np.concatenate([low, convert_like(as_float(method(low)), np.uint8)], axis=1))
    return save_image(target, np.concatenate(rows))


def _frame_near(source: Path, share: float) -> av.VideoFrame:
    """Decode the frame from which a player would start at a share of the length."""
    with av.open(str(source)) as container:
        video = _picture(container, source)
        container.seek(int(share * (container.duration or 0)) + (container.start_time or 0))
        return next(container.decode(video))


def _rewrite(
    source: Path, target: Path, first: av.VideoFrame, enhance: Callable, smooth: Callable
) -> None:
    """Write a video with its frames changed by two functions in turn and its sound copied."""
    with (
        atomic_path(target) as temporary,
        av.open(str(source)) as old,
        av.open(str(temporary), "w") as new,
    ):
        video = _picture(old, source)
        written = _add_streams(old, new, video, first, target)
        picture, changing = written[video.index], deque()
        with (
            tqdm(total=video.frames or None, unit="frame", desc=source.name) as progress,
            ThreadPoolExecutor(1) as smoothing,
            ThreadPoolExecutor(1) as enhancing,
        ):

            def encode_first() -> None:
                new.mux(picture.encode(changing.popleft().result()))
                progress.update()

            for item in _read(old, video, source):
                if isinstance(item, av.Packet):
                    item.stream = written[item.stream.index]
                    new.mux(item)
                    continue
                changing.append(smoothing.submit(smooth, item, enhancing.submit(enhance, item)))
                if len(changing) > AHEAD:
                    encode_first()
            while changing:
                encode_first()
        new.mux(picture.encode(None))


def check_paths(source: str | os.PathLike, target: str | os.PathLike) -> tuple[Path, Path]:
    """Return the paths if a video can be read from one and written to the other.

    Raises:
        FileNotFoundError: If there is no such source.
        VideoError: If both are the same file, or the suffix of the target is unknown.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such video file.")
    if target.suffix.lower() not in VIDEO_SUFFIXES:
        raise VideoError(
            f"{target} has no known video suffix; use one of {', '.join(VIDEO_SUFFIXES)}."
        )
    if target.exists() and target.samefile(source):
        raise VideoError(f"{target} is the video itself; write to another file.")
    return source, target


def _first_frame(source: Path) -> av.VideoFrame:
    """Decode one frame, which knows what the header of the stream does not say."""
    try:
        with av.open(str(source)) as container:
            video = _picture(container, source)
            return next(_read(container, video, source, audio=False))
    except (av.error.InvalidDataError, StopIteration) as error:
        raise VideoError(f"{source} is not a video, or it is damaged at its start.") from error


def _picture(container: Any, source: Path) -> Any:
    """Return the video stream, which is not the cover of a song and not a photo."""
    kind = container.format.name
    found = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not found:
        raise VideoError(f"{source} has no video stream, or none but a cover picture.")
    if kind.endswith("_pipe") or kind in ("image2", "tty"):
        raise VideoError(f"{source} is not a video (its format is {kind}).")
    return found[0]


def _read(container: Any, video: Any, source: Path, audio: bool = True) -> Iterator:
    """Yield decoded frames, and packets of audio, in the order of the file."""
    shown, ended, last = 0.0, 0.0, None
    try:
        for packet in container.demux():
            if packet.size and packet.dts is not None:
                end = (packet.pts or packet.dts) + (packet.duration or 0)
                ended = max(ended, float(end * packet.time_base))
            if packet.stream is video:
                for frame in packet.decode():
                    last = frame.pts = _later_than(last, frame)
                    shown = frame.time
                    if frame.is_corrupt:
                        raise VideoError(f"{source} is damaged after {shown:.1f} s.")
                    yield frame
            elif audio and packet.stream.type == "audio" and packet.size:
                yield packet
    except av.error.InvalidDataError as error:
        raise VideoError(f"{source} is damaged after {shown:.1f} s.") from error
    start, length = container.start_time or 0, container.duration or 0
    if ended < (start + length) / av.time_base - MISSING_SECONDS:
        raise VideoError(
            f"{source} ends after {shown:.1f} s but should last {length / av.time_base:.1f} s: "
            "it is damaged or was not copied completely."
        )


def _later_than(last: int | None, frame: av.VideoFrame) -> int:
    """Return the time of a frame: its own if that is later than the last, else what follows."""
    if last is None:
        return frame.pts or 0
    if frame.pts is None:  # a bare H.264 stream has no times
        return last + max(frame.duration, 1)
    return max(frame.pts, last + 1)


def _add_streams(old: Any, new: Any, video: Any, first: av.VideoFrame, target: Path) -> dict:
    """Prepare what is written; return the new streams by the index of the old."""
    height, width = first.height + first.height % 2, first.width + first.width % 2
    picture = new.add_stream(
        "libx264", rate=video.guessed_rate, width=width, height=height, options={"crf": "18"}
    )
    context = picture.codec_context
    context.pix_fmt = "yuv420p"
    picture.time_base = context.time_base = video.time_base
    if video.sample_aspect_ratio:
        context.sample_aspect_ratio = video.sample_aspect_ratio
    if first.colorspace != RGB_COLORSPACE:
        for tag in ("colorspace", "color_range", "color_trc", "color_primaries"):
            setattr(context, tag, getattr(first, tag))
    matrix = first.side_data.get(Type.DISPLAYMATRIX)
    if matrix is not None:
        picture.set_display_matrix(np.frombuffer(bytes(matrix), np.int32))
    written = {video.index: picture}
    try:
        for stream in old.streams.audio:
            written[stream.index] = new.add_stream_from_template(stream)
        new.metadata.update(old.metadata)
        for index, stream in written.items():
            stream.metadata.update(old.streams[index].metadata)
        new.start_encoding()
    except (ValueError, av.error.FFmpegError) as error:
        kinds = ", ".join(sorted({stream.name for stream in old.streams.audio}))
        raise VideoError(
            f"{target} cannot be written: {error}. The sound ({kinds or 'none'}) is copied as it "
            f"is; of {', '.join(VIDEO_SUFFIXES)} another may hold it."
        ) from error
    return written


def _to_rgb(frame: av.VideoFrame, first: av.VideoFrame) -> np.ndarray:
    size = {"width": first.width, "height": first.height}  # of all, should a later frame differ
    return frame.to_ndarray(format="rgb24", interpolation=EXACT_CONVERSION, **size)


def _from_rgb(image: np.ndarray, old: av.VideoFrame, first: av.VideoFrame) -> av.VideoFrame:
    """Make a frame to encode, at the time of the old one."""
    frame = av.VideoFrame.from_ndarray(pad_to_divisor(image, 2), "rgb24")
    if first.colorspace != RGB_COLORSPACE:
        frame.colorspace, frame.color_range = first.colorspace, first.color_range
    frame = frame.reformat(format="yuv420p", interpolation=EXACT_CONVERSION)
    frame.pts, frame.time_base, frame.duration = old.pts, old.time_base, old.duration
    return frame
