"""The command for photos: enhance."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.archives import enhance_archived, is_archive
from lle_utils.cli.command import add_method_options, command, complain
from lle_utils.cli.conclusions import caution_of, conclusion, mark_of, progress
from lle_utils.cli.streams import standard_streams
from lle_utils.enhancers.runtimes import RUNTIMES

FORMATS_TO_WRITE = ("jpg", "png", "webp", "tif", "heic")


def add_photo_commands(commands) -> None:
    """Add ``lle enhance``."""
    enhance = command(commands, "enhance", _enhance, "Brighten photos, or folders of them.")
    enhance.epilog = "Example: lle enhance holiday/ night*.jpg -o bright/ --method mirnet"
    photo_help = "file, folder, pattern, or address such as s3://in/; - for standard input"
    enhance.add_argument("photos", nargs="+", metavar="PHOTO", help=photo_help)
    output_help = (
        "folder or address to write to, or for one photo the file; - for standard output "
        "(beside each)"
    )
    enhance.add_argument("-o", "--output", type=_place, help=output_help)
    suffix_help = "added to each name; {method} stands for the method (_enhanced)"
    enhance.add_argument("--suffix", help=suffix_help)
    recursive_help = "take folders with their subfolders, and make these again in the output"
    enhance.add_argument("-r", "--recursive", action="store_true", help=recursive_help)
    add_method_options(enhance, "photo")
    format_help = "of the files to write (that of the photo; TIFF for camera raw)"
    enhance.add_argument("--format", choices=FORMATS_TO_WRITE, help=format_help)
    enhance.add_argument("--quality", type=int, default=95, help="of JPEG, WebP and HEIC (95)")
    enhance.add_argument("--memory", default="2GB", help="what the process may hold (2GB)")
    workers_help = "photos in work at once in a process (cores + 1; 2 of --processes)"
    enhance.add_argument("--workers", type=int, help=workers_help)
    processes_help = "processes of Dask to share the photos among (1; for addresses one per core)"
    enhance.add_argument("--processes", type=int, help=processes_help)
    scheduler_help = "address of a Dask scheduler in their place, such as tcp://host:8786"
    enhance.add_argument("--scheduler", default="", help=scheduler_help)
    enhance.add_argument("--overwrite", action="store_true", help="do again what is done")
    dry_help = "say what would be written, and write nothing"
    enhance.add_argument("--dry-run", action="store_true", help=dry_help)
    runtimes = ("auto", *RUNTIMES)
    runtime_help = "what runs the network (auto: ONNX Runtime, or what was measured to be quicker)"
    enhance.add_argument("--runtime", default="auto", choices=runtimes, help=runtime_help)


def _place(text: str) -> Path | str:
    from lle_utils.core.addresses import is_address

    return text if is_address(text) else Path(text)


def _enhance(options) -> int:
    from lle_utils.core.photo_formats import RAW_SUFFIXES, READABLE
    from lle_utils.enhancers.batch import settings_text
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.enhancer import check_level
    from lle_utils.enhancers.storage import is_raw
    from lle_utils.enhancers.tiling import parse_memory

    check_level(options.level)
    memory = parse_memory(options.memory)
    if wrong := _wrong_option(options):
        return complain(wrong)
    raw = options.method not in BASELINES and is_raw(options.method)
    settings = settings_text(options.method, options.level, options.quality)
    kinds = RAW_SUFFIXES if raw else READABLE
    if is_archive(options):
        return enhance_archived(options, memory, kinds, settings)
    with standard_streams(options) as options:
        return _enhance_files(options, memory, kinds, settings)


def _enhance_files(options, memory: int, kinds, settings: str) -> int:
    from lle_utils.enhancers.batch import Outcome, enhance_photos, pending
    from lle_utils.enhancers.factory import load_for_files
    from lle_utils.enhancers.targets import left_out

    targets = _targets(options, kinds)
    wanted = targets if options.overwrite else pending(targets, settings)
    skipped = len(targets) - len(wanted)
    passed_over = left_out(options.photos, kinds, options.recursive)
    if options.dry_run:
        for target, photo in wanted.items():
            print(f"{photo} -> {target}")
        print(conclusion(len(wanted), "would be enhanced", [], skipped, 0, passed_over))
        return 0
    outcome = Outcome()
    if wanted:
        how = options.method, options.runtime, len(wanted), options.level, memory
        outcome = enhance_photos(
            wanted,
            **load_for_files(*how),
            memory=memory,
            quality=options.quality,
            settings=settings,
            workers=options.workers,
            show=progress(len(wanted)),
        )
    for reason in outcome.failed.values():
        complain(reason)
    done, failed = outcome.written, len(outcome.failed)
    shown = [] if getattr(options, "streams", False) else done
    print(conclusion(len(done), "enhanced", shown, skipped, failed, passed_over))
    if done and (warning := caution_of(options.method)):
        print(warning)
    return int(bool(failed))


def _targets(options, kinds) -> dict[Path, Path]:
    """Map each file to write to its photo.

    Raises:
        ImageError, FileNotFoundError: As `lle_utils.enhancers.plan`; or a single file is to be
            written and there is not a single photo, or it is that photo.
    """
    from lle_utils.core.images import ImageError
    from lle_utils.core.photo_formats import WRITABLE
    from lle_utils.enhancers.targets import Naming, plan

    output, suffix = options.output, options.format and f".{options.format}"
    one_file = output and output.suffix.lower() in WRITABLE and not output.is_dir()
    naming = Naming(output and (output.parent if one_file else output), mark_of(options), suffix)
    targets = plan(options.photos, naming, kinds, options.recursive)
    if not one_file:
        return targets
    if len(targets) > 1:
        raise ImageError(
            f"{output} is one file, but there are {len(targets)} photos; name a folder."
        )
    (photo,) = targets.values()
    if output.exists() and photo.exists() and output.samefile(photo):
        raise ImageError(f"{photo} would be overwritten; photos never are. Choose another -o.")
    return {output: photo}


def _wrong_option(options) -> str | None:
    """Say which number is out of range, before any work is done."""
    if not 1 <= options.quality <= 100:
        return f"--quality is {options.quality}; expected 1 to 100."
    for name in ("workers", "processes"):
        if (number := getattr(options, name)) is not None and number < 1:
            return f"--{name} is {number}; expected 1 or more."
    if options.suffix and Path(options.suffix).name != options.suffix:
        return f"--suffix is {options.suffix!r}; expected part of a file name."
    return None
