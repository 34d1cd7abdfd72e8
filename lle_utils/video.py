"""Enhance videos frame by frame, without the flicker of deciding each frame anew.

The picture is decoded, enhanced and encoded one frame at a time, whatever the length; audio is
copied as it is. Needs PyAV: ``pip install 'lle-utils[video]'``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation
from tqdm import tqdm

from lle_utils.files import atomic_path
from lle_utils.images import pad_to_multiple, to_float, to_uint8
from lle_utils.psnr import luminance

SUFFIXES = (".mp4", ".mov", ".mkv")
SMOOTHING = 0.5  # share that the frames before have in the tone curve of a frame
CUT = 0.12  # `scene_distance` from which a frame begins a new scene
BINS = 64  # points of a tone curve
MISSING = 1.0  # seconds that a file may be shorter than it says
RGB = 0  # colour space of streams that hold no Y'CbCr
# FFmpeg's defaults make both conversions faster and a dark frame about one level darker.
EXACT = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


class VideoError(ValueError):
    """A file that holds no usable video, or one that cannot be written."""


# The tone curve and its flicker


def tone_sums(light: np.ndarray, enhanced: np.ndarray) -> np.ndarray:
    """Measure the global tone curve of a frame: output luminance by input luminance.

    Args:
        light: Luminance of the input, any shape, in [0, 1].
        enhanced: Luminance of the result, same shape.

    Returns:
        ``(3, BINS)``: the pixels in each bin of input luminance, the sum of their input and the
        sum of their output. The curve goes through the means, ``sums[1:] / sums[0]``; sums of
        several frames can be added or averaged. Bins are equally wide in the square root of
        luminance, because dark videos have most of their pixels in few levels.

    >>> sums = tone_sums(np.array([0.09, 0.09, 1.0]), np.array([0.2, 0.4, 0.9]))
    >>> sums[:, [19, 63]].round(3).tolist()  # 0.3 * 64 = 19.2
    [[2.0, 1.0], [0.18, 1.0], [0.6, 0.9]]
    """
    bins = np.minimum((np.sqrt(light) * BINS).astype(int), BINS - 1).ravel()
    weights = (None, light.ravel(), enhanced.ravel())
    return np.stack([np.bincount(bins, weight, BINS) for weight in weights])


def tone_gain(light: np.ndarray, own: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Compute the factor that takes each pixel from a frame's own tone curve to a smooth one.

    Args:
        light: Luminance of the frame before enhancement, any shape.
        own: `tone_sums` of the frame.
        smooth: Those of several frames, weighted.

    Returns:
        ``(s(l) + e) / (c(l) + e)`` for the curves s and c, read linearly between bins that the
        frame has pixels in; e is one 8-bit level, so that black divides too.

    >>> light = np.array([0.04, 0.25])
    >>> own, smooth = tone_sums(light, light), tone_sums(light, light * 2 + 1 / 255)
    >>> tone_gain(light, own, smooth).round(6).tolist()
    [2.0, 2.0]
    """
    seen = own[0] > 0
    one_level = 1 / 255
    curves = []
    for count, inputs, outputs in (smooth[:, seen], own[:, seen]):
        curves.append(np.interp(light, inputs / count, outputs / count) + one_level)
    return curves[0] / curves[1]


def scene_distance(before: np.ndarray, after: np.ndarray) -> float:
    """Compute how far the luminance of one frame is from that of the next.

    Args:
        before, after: Counts of pixels by 8-bit level, ``(256,)``, of the same total.

    Returns:
        Wasserstein distance of the histograms (how many levels a pixel must move on average)
        relative to the mean level of both, which makes dark scenes comparable with light ones.
        Levels start at 1, so that black counts.

    >>> dark, light = np.eye(256)[[9, 29]]
    >>> scene_distance(dark, light)  # 20 levels, mean 20
    1.0
    """
    shares = np.stack([before / before.sum(), after / after.sum()])
    moved = np.abs(np.cumsum(shares[0] - shares[1])).sum()
    return float(moved / (shares.mean(axis=0) @ np.arange(1, 257)))


def smoother(smoothing: float = SMOOTHING) -> Callable[[np.ndarray, np.ndarray], tuple]:
    """Return a function that keeps the tone of a video steady, to call frame after frame.

    An exponential moving average of `tone_sums` gives the smooth curve. Bins count by their
    pixels, so a level that few pixels have says little. At a cut the average starts again.

    This steadies the method, not the video: the flicker of a compressed dark input passes through
    the smooth curve enlarged. A method that happens to counteract it is better left alone.

    Args:
        smoothing: Share of the past in the average, from 0 (off) to below 1.

    Returns:
        A function from a frame and its enhanced version, float ``(H, W, 3)`` in [0, 1], to the
        enhanced version with the smooth tone, clipped, and whether it begins a new scene.

    Raises:
        VideoError: If the smoothing is not in that range.
    """
    if not 0 <= smoothing < 1:
        raise VideoError(f"smoothing is {smoothing:g}; expected 0 (off) to below 1.")
    histogram = average = None

    def smooth(low: np.ndarray, enhanced: np.ndarray) -> tuple[np.ndarray, bool]:
        nonlocal histogram, average
        light = np.clip(luminance(low), 0, 1)
        before, histogram = histogram, np.bincount(to_uint8(light).ravel(), minlength=256)
        is_cut = before is not None and scene_distance(before, histogram) > CUT
        if not smoothing:
            return enhanced, is_cut
        own = tone_sums(light, luminance(enhanced))
        if average is None or is_cut:
            average = own
            return enhanced, is_cut
        average = smoothing * average + (1 - smoothing) * own
        gain = tone_gain(light, own, average).astype(np.float32)
        return np.clip(enhanced * gain[..., None], 0, 1), is_cut

    return smooth


def flicker(means: Sequence[float], cuts: Sequence[int] = ()) -> float:
    """Compute the flicker of a video: mean absolute second difference of its brightness.

    Args:
        means: Mean luminance of each frame, in [0, 1].
        cuts: Indices of the frames that begin a new scene; no difference reaches across them.

    Returns:
        8-bit levels, lower is better. A steady fade scores zero, and so do fewer than three
        frames. Frames count as equally far apart.

    >>> flicker([0.2, 0.3, 0.4, 0.5]) < 1e-9
    True
    >>> round(flicker([0.4, 0.6, 0.4, 0.6]), 6)  # 0.2 up, 0.2 down: 0.4 of 255 levels
    102.0
    """
    differences = np.abs(np.diff(np.asarray(means, float), n=2))
    across = {index - back for index in cuts for back in (1, 2)}
    kept = [value for start, value in enumerate(differences) if start not in across]
    return float(255 * np.mean(kept)) if kept else 0.0


# Files


def enhance_video(
    source: str | os.PathLike,
    target: str | os.PathLike,
    method: Callable[[np.ndarray], np.ndarray],
    smoothing: float = SMOOTHING,
) -> dict[str, float]:
    """Enhance the picture of a video and copy its sound.

    Size, timestamps, rotation, pixel aspect, colour tags and metadata stay. H.264 halves the
    resolution of colour, so an odd width or height gets one more column or row. Subtitles, data
    and further video streams are left out. The target appears whole or not at all.

    Args:
        source: Any video that FFmpeg reads.
        target: File to write, replaced if it exists, with one of `SUFFIXES`.
        method: Takes and returns a float frame ``(H, W, 3)`` in [0, 1].
        smoothing: See `smoother`.

    Returns:
        ``frames``, and the `flicker` of the ``input``, of the result ``frame_by_frame`` and
        after it was ``smoothed``.

    Raises:
        FileNotFoundError: If there is no such source.
        VideoError: If the source is no video or damaged, or the target cannot be written.
    """
    source, target = check_paths(source, target)
    smooth, first = smoother(smoothing), _first_frame(source)
    means: list[list[float]] = []
    cuts: list[int] = []
    with (
        atomic_path(target) as temporary,
        av.open(str(source)) as old,
        av.open(str(temporary), "w") as new,
    ):
        video = _picture(old, source)
        written = _add_streams(old, new, video, first, target)
        with tqdm(total=video.frames or None, unit="frame", desc=source.name) as progress:
            for item in _read(old, video, source):
                if isinstance(item, av.Packet):
                    item.stream = written[item.stream.index]
                    new.mux(item)
                    continue
                low = to_float(_to_rgb(item, first))
                enhanced = method(low)
                result, is_cut = smooth(low, enhanced)
                cuts += [len(means)] if is_cut else []
                means.append([luminance(image).mean() for image in (low, enhanced, result)])
                frame = _from_rgb(to_uint8(result), item, first)
                new.mux(written[video.index].encode(frame))
                progress.update()
        new.mux(written[video.index].encode(None))
    names = ("input", "frame_by_frame", "smoothed")
    figures = {
        name: flicker(column, cuts) for name, column in zip(names, np.transpose(means), strict=True)
    }
    return {"frames": len(means), **figures}


def check_paths(source: str | os.PathLike, target: str | os.PathLike) -> tuple[Path, Path]:
    """Return the paths if a video can be read from one and written to the other.

    Raises:
        FileNotFoundError: If there is no such source.
        VideoError: If both are the same file, or the suffix of the target is unknown.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such video file.")
    if target.suffix.lower() not in SUFFIXES:
        raise VideoError(f"{target} has no known video suffix; use one of {', '.join(SUFFIXES)}.")
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
    if ended < (start + length) / av.time_base - MISSING:
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
    if first.colorspace != RGB:
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
            f"is; of {', '.join(SUFFIXES)} another may hold it."
        ) from error
    return written


def _to_rgb(frame: av.VideoFrame, first: av.VideoFrame) -> np.ndarray:
    size = {"width": first.width, "height": first.height}  # of all, should a later frame differ
    return frame.to_ndarray(format="rgb24", interpolation=EXACT, **size)


def _from_rgb(image: np.ndarray, old: av.VideoFrame, first: av.VideoFrame) -> av.VideoFrame:
    """Make a frame to encode, at the time of the old one."""
    frame = av.VideoFrame.from_ndarray(pad_to_multiple(image, 2), "rgb24")
    if first.colorspace != RGB:
        frame.colorspace, frame.color_range = first.colorspace, first.color_range
    frame = frame.reformat(format="yuv420p", interpolation=EXACT)
    frame.pts, frame.time_base, frame.duration = old.pts, old.time_base, old.duration
    return frame
