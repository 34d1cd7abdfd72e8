"""The command for videos: video."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lle_utils.cli.command import add_method_options, command, complain, extra_installed


def add_video(commands) -> None:
    """Add ``lle video``."""
    video = command(commands, "video", _video, "Brighten a video; its sound stays as it is.")
    video.epilog = "Example: lle video night.mp4 night_bright.mp4 --method mirnet"
    video.add_argument("source", type=Path, metavar="IN", help="any video that FFmpeg reads")
    video.add_argument(
        "target", type=Path, metavar="OUT", nargs="?", help=".mp4, .mov or .mkv to write"
    )
    add_method_options(video, "video")
    video.add_argument(
        "--smoothing",
        type=float,
        default=0.5,
        help="how much each frame follows those before, 0 (not) to below 1 (0.5)",
    )
    preview_help = "write three moments before and after to a picture, such as look.png; no video"
    video.add_argument("--preview", type=Path, metavar="PICTURE", help=preview_help)
    video.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def _video(options) -> int | None:
    with extra_installed("video"):
        from lle_utils.enhancers.video import check_paths, enhance_video, preview_video

    from lle_utils.core.paths import remove_partial
    from lle_utils.enhancers.enhancer import check_level
    from lle_utils.enhancers.factory import load_method
    from lle_utils.enhancers.tone_smoothing import level_per_shot

    level = check_level(options.level)
    if (options.target is None) == (options.preview is None):
        return complain("name either OUT, the video to write, or --preview PICTURE.")
    if options.preview is None:
        check_paths(options.source, options.target)
    written = options.preview or options.target
    if written.exists() and not options.overwrite:
        print(f"{written} exists and was skipped; --overwrite replaces it.")
        return None
    remove_partial(written.parent)
    method = load_method(options.method)
    enhance = partial(method, level=level)
    if level is None and method.choose_level is not None:
        enhance = level_per_shot(method, method.choose_level)
    if options.preview:
        print(preview_video(options.source, options.preview, enhance))
        return None
    _tell(enhance_video(options.source, options.target, enhance, options.smoothing), options.target)
    return None


def _tell(figures: dict, target: Path) -> None:
    frames, seconds = figures["frames"], figures["seconds"]
    print(f"{target}: {frames} frames in {seconds:.0f} s, {frames / seconds:.1f} a second")
    print(
        "Flicker in 8-bit levels (0 is steady): input {input:.3f}, frame by frame "
        "{frame_by_frame:.3f}, smoothed {smoothed:.3f}, kept {kept:.3f}".format(**figures)
    )
    if figures["share"]:
        print(f"Kept is the smoothed result in {figures['share']:.0%} of the frames.")
    else:
        print("Kept is the result frame by frame.")
