"""The command for photos: enhance."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import add_method_options, command, complain
from lle_utils.enhancers.runtimes import RUNTIMES

FORMATS_TO_WRITE = ("jpg", "png", "webp", "tif", "heic")


def add_photo_commands(commands) -> None:
    """Add ``lle enhance``."""
    enhance = command(commands, "enhance", _enhance, "Brighten photos, or folders of them.")
    enhance.epilog = "Example: lle enhance holiday/ night*.jpg -o bright/ --method mirnet"
    enhance.add_argument("photos", nargs="+", metavar="PHOTO", help="file, folder or pattern")
    enhance.add_argument("-o", "--output", type=Path, help="folder to write to (beside each)")
    add_method_options(enhance, "photo")
    format_help = "of the files to write (that of the photo; TIFF for camera raw)"
    enhance.add_argument("--format", choices=FORMATS_TO_WRITE, help=format_help)
    enhance.add_argument("--quality", type=int, default=95, help="of JPEG, WebP and HEIC (95)")
    enhance.add_argument("--memory", default="2GB", help="what the process may hold (2GB)")
    enhance.add_argument("--workers", type=int, help="photos in work at once (cores + 1)")
    enhance.add_argument("--overwrite", action="store_true", help="do again what is done")
    runtimes = ("auto", *RUNTIMES)
    runtime_help = "what runs the network (auto: whatever was measured to be quicker)"
    enhance.add_argument("--runtime", default="auto", choices=runtimes, help=runtime_help)


def _enhance(options) -> int:
    from tqdm import tqdm

    from lle_utils.core.photo_formats import RAW_SUFFIXES, READABLE
    from lle_utils.enhancers.batch import Outcome, enhance_photos, pending, plan
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.enhancer import check_level
    from lle_utils.enhancers.storage import is_raw
    from lle_utils.enhancers.tiling import parse_memory

    check_level(options.level)
    memory = parse_memory(options.memory)
    if wrong := _wrong_option(options):
        return complain(wrong)
    raw = options.method not in BASELINES and is_raw(options.method)
    suffix = options.format and f".{options.format}"
    targets = plan(options.photos, options.output, suffix, RAW_SUFFIXES if raw else READABLE)
    settings = _settings(options)
    wanted = targets if options.overwrite else pending(targets, settings)
    outcome = Outcome()
    if wanted:
        load = _load_developer if raw else _load_method
        outcome = enhance_photos(
            wanted,
            **load(options, memory, len(wanted)),
            memory=memory,
            quality=options.quality,
            settings=settings,
            workers=options.workers,
            show=lambda done: tqdm(done, total=len(wanted), unit="photo", disable=None),
        )
    for reason in outcome.failed.values():
        complain(reason)
    print(_conclusion(outcome, skipped=len(targets) - len(wanted)))
    if outcome.written and (warning := _caution(options.method)):
        print(warning)
    return int(bool(outcome.failed))


def _settings(options) -> str:
    """Name all that a result depends on but the photo; of a network, its weights too.

    Raises:
        FileNotFoundError: If there is no such method.
    """
    from lle_utils.core.paths import sha256
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.storage import model_path

    method = options.method
    if method not in BASELINES:
        path = model_path(method)
        method = f"{path.parent.name} {sha256(path)[:8]}"
    level = "its own" if options.level is None else f"{options.level:g}"
    return f"{method}; level {level}; quality {options.quality}"


def _load_method(options, memory: int, photos: int) -> dict:
    """Return how photos are enhanced."""
    from lle_utils.enhancers.factory import load_method

    method = load_method(options.method, options.runtime, photos)
    return {"enhance": lambda photo, memory: method(photo, options.level, memory)}


def _load_developer(options, memory: int, photos: int) -> dict:
    """Return how camera raw is developed, which leaves nothing to enhance."""
    from lle_utils.enhancers.enhancer import EnhancerError
    from lle_utils.enhancers.factory import load_developer

    if options.runtime not in ("auto", "keras"):
        raise EnhancerError(f"{options.method} runs in Keras alone, not in {options.runtime}.")
    read = load_developer(options.method, options.level, memory)
    return {"enhance": lambda photo, memory: photo, "read": read}


def _wrong_option(options) -> str | None:
    """Say which number is out of range, before any work is done."""
    if not 1 <= options.quality <= 100:
        return f"--quality is {options.quality}; expected 1 to 100."
    if options.workers is not None and options.workers < 1:
        return f"--workers is {options.workers}; expected 1 or more."
    return None


def _caution(method: str) -> str:
    """Say what a shipped enhancer may do to a photo; nothing if it is safe or a formula."""
    from lle_utils.core.paths import data_dir
    from lle_utils.enhancers.storage import caution, list_enhancers, load_card

    if method not in list_enhancers():
        return ""
    return caution(load_card(data_dir() / "pretrained" / method))


def _conclusion(outcome, skipped: int) -> str:
    folders = sorted({str(path.parent) for path in outcome.written})
    where = f", in {', '.join(folders[:3])}" if folders else ""
    said = [f"{len(outcome.written)} enhanced{where}"]
    if skipped:
        said.append(f"{skipped} done before (--overwrite does them again)")
    if outcome.failed:
        said.append(f"{len(outcome.failed)} failed")
    return "; ".join(said)
