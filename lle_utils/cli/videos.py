"""The command for videos: video."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lle_utils.cli.command import add_method_options, command, extra_installed


def add_video(commands) -> None:
    """Add ``lle video``."""
    video = command(commands, "video", _video, "Brighten a video; its sound stays as it is.")
    video.epilog = "Example: lle video night.mp4 night_bright.mp4 --method mirnet"
    video.add_argument("source", type=Path, metavar="IN", help="any video that FFmpeg reads")
    video.add_argument("target", type=Path, metavar="OUT", help=".mp4, .mov or .mkv to write")
    add_method_options(video, "video")
    video.add_argument(
        "--smoothing",
        type=float,
        default=0.5,
        help="how much each frame follows those before, 0 (not) to below 1 (0.5)",
    )
    video.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def _video(options) -> int | None:
    with extra_installed("video"):
        from lle_utils.enhancers.video import check_paths, enhance_video

    from lle_utils.core.paths import remove_partial
    from lle_utils.enhancers.enhancer import check_level
    from lle_utils.enhancers.factory import load_method
    from lle_utils.enhancers.tone_smoothing import level_per_shot

    level = check_level(options.level)
    check_paths(options.source, options.target)
    if options.target.exists() and not options.overwrite:
        print(f"{options.target} exists and was skipped; --overwrite replaces it.")
        return None
    remove_partial(options.target.parent)
    method = load_method(options.method)
    enhance = partial(method, level=level)
    if level is None and method.choose_level is not None:
        enhance = level_per_shot(method, method.choose_level)
    figures = enhance_video(options.source, options.target, enhance, options.smoothing)
    print(f"{options.target}: {figures['frames']} frames")
    print(
        "Flicker in 8-bit levels (0 is steady): input {input:.3f}, frame by frame "
        "{frame_by_frame:.3f}, smoothed {smoothed:.3f}".format(**figures)
    )
    if figures["smoothed"] > figures["frame_by_frame"]:
        print("Smoothing did not help here; --smoothing 0 turns it off.")
