"""The command line, ``lle``. Handlers import what they need, so that ``lle list`` is instant."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lle_utils.errors import is_expected

METHOD_HELP = "a shipped enhancer, the folder of one, or a classical baseline"
FORMAT_HELP = "of the files to write (that of the photo; TIFF for camera raw)"
RUNTIMES = ("keras", "openvino", "openvino-fast")  # of `lle_utils.methods`, slow to import
RUNTIME_HELP = "what runs the network (auto: whatever was measured to be quicker)"
METRICS = ("psnr", "ssim", "psnr_gtmean", "psnr_dark", "delta_e")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after ``lle``; those of the process when None.

    Returns:
        The exit status: 0, or 1 when something failed or a check found a problem.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up is not our news
    options = _parser().parse_args(arguments)
    try:
        return options.handler(options) or 0
    except KeyboardInterrupt:
        return _complain("interrupted")
    except Exception as error:
        if options.debug or not is_expected(error):
            raise
        return _complain(f"{error} (--debug shows where)")


def _complain(message: str) -> int:
    print(f"lle: {message}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lle", description="Low-light enhancement notebooks.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_notebook_commands, _add_data_commands, _add_photo_commands):
        add(commands)
    _add_video(commands)
    _add_serve(commands)
    _add_export(commands)
    return parser


def _command(
    commands, name: str, handler, description: str, aliases: Sequence[str] = ()
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=description, description=description, aliases=aliases)
    parser.set_defaults(handler=handler)
    return parser


# Notebooks


def _add_notebook_commands(commands) -> None:
    _command(commands, "list", _list, "List the notebooks.", aliases=["notebooks"])
    named = [
        _command(
            commands,
            "sync",
            _sync,
            "Derive every .ipynb from its .py, and the tables of the README.",
        ),
        _command(commands, "check", _check, "Check that notebooks and profiles are in order."),
        _command(commands, "run", _run, "Run notebooks and report on them."),
    ]
    for parser in named:
        parser.add_argument("names", nargs="*", metavar="NAME", help="all notebooks by default")
    named[-1].epilog = "Example: lle run 02_metrics 04_mirnet --profile quick"
    train = _command(commands, "train", _train, "Train an enhancer: run the notebook that does it.")
    train.epilog = "Example: lle train mirnet --profile cpu"
    train.add_argument("name", metavar="NAME", help="such as mirnet, for 04_mirnet")
    for parser in (named[-1], train):
        parser.add_argument("--profile", default="quick", help="parameters to run with (quick)")
        parser.add_argument("--output", type=Path, help="folder for results (runs/PROFILE)")
    report = _command(commands, "report", _report, "Write the report of notebooks that have run.")
    report.add_argument("folder", nargs="?", type=Path, help="folder of the run (runs/quick)")


def _list(_options) -> None:
    from lle_utils.sources import list_notebooks, title_of

    for name in list_notebooks():
        print(f"{name:24}{title_of(name)}")


def _sync(options) -> None:
    from lle_utils.notebooks import sync

    written = [*sync(options.names or None), *_render_tables()]
    print("\n".join(f"wrote {path}" for path in written) or "Everything was in sync.")


def _render_tables() -> list[Path]:
    """Fill the tables of README and DEPLOY from the records; return what was changed."""
    from lle_utils.files import atomic_path, project_root
    from lle_utils.results import render_tables

    changed = []
    for path in (project_root() / "README.md", project_root() / "DEPLOY.md"):
        old = path.read_text(encoding="utf-8")
        new = render_tables(old)
        if new != old:
            with atomic_path(path) as temporary:
                temporary.write_text(new, encoding="utf-8")
            changed.append(path)
    return changed


def _check(options) -> int:
    from lle_utils.notebooks import check, list_notebooks, summary

    for name in options.names or list_notebooks():
        print(summary(name))
    problems = check(options.names or None)
    for problem in problems:
        print(f"lle: {problem}", file=sys.stderr)
    print(f"{len(problems)} problems" if problems else "All in order.")
    return int(bool(problems))


def _run(options) -> int:
    from lle_utils.execution import run

    return _conclude(run(options.names or None, options.profile, options.output))


def _conclude(results: Sequence) -> int:
    """Say how notebooks ran, write the report, and return the exit status."""
    from lle_utils.report import write_report

    failures = [result for result in results if result.error]
    for result in failures:
        print(f"\n{result.name} failed in {result.error}", file=sys.stderr)
    total = sum(result.seconds for result in results)
    print(f"\n{len(results) - len(failures)} of {len(results)} notebooks passed in {total:.0f} s")
    if results:
        print(f"Report: {write_report(results[0].path.parent)}")
    return int(bool(failures))


def _train(options) -> int:
    from lle_utils.execution import run
    from lle_utils.sources import training_notebook

    results = run([training_notebook(options.name)], options.profile, options.output)
    failed = _conclude(results)
    for card in sorted(results[0].path.with_suffix("").glob("*/card.json")):
        print(f"Enhancer: {card.parent} (try: lle enhance PHOTO --method {card.parent})")
    return failed


def _report(options) -> None:
    from lle_utils.files import project_root
    from lle_utils.report import write_report

    folder = options.folder or project_root() / "runs" / "quick"
    print(f"Report: {write_report(folder)}")


# Data


def _add_data_commands(commands) -> None:
    description = "List, download, audit or pack data sets."
    data = commands.add_parser("data", help=description, description=description)
    data.epilog = "Example: lle data download lol_v1"
    _add_pack(commands)
    commands = data.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "list", _data_list, "List the data sets of the registry.")
    download = _command(commands, "download", _data_download, "Download a data set.")
    download.add_argument("name", metavar="NAME", help="as shown by `lle data list`")
    download.add_argument("--target", type=Path, help="folder to put it in (data/downloads)")
    download.add_argument("--archive", type=Path, help="a file fetched by hand in a browser")
    audit = _command(commands, "audit", _data_audit, "Measure how well pairs of photos agree.")
    audit.add_argument("folder", type=Path, help="holds low/ and normal/, or the like")
    _add_pack(commands)


def _add_pack(commands) -> None:
    pack = _command(commands, "pack", _data_pack, "Pack pairs of photos into one .npz.")
    pack.epilog = "Example: lle pack our485/ lol.npz --crop 256 256"
    pack.add_argument("folder", type=Path, help="holds low/ and normal/, or the like")
    pack.add_argument("target", type=Path, help="the .npz to write")
    fit = pack.add_mutually_exclusive_group()
    fit.add_argument("--crop", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    fit.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    pack.add_argument("--split", default="train", help="the split of all pairs (train)")


def _data_list(_options) -> None:
    from lle_utils.registry import load_registry

    for name, dataset in load_registry().items():
        size = f"{dataset.approximate_bytes / 1e6:,.0f} MB" if dataset.approximate_bytes else "?"
        print(f"{name:20}{size:>12}  {dataset.title} ({dataset.licence})")


def _data_download(options) -> None:
    from lle_utils.download import download

    print(download(options.name, target=options.target, archive=options.archive))


def _data_audit(options) -> int:
    from lle_utils.audit import audit_pairs
    from lle_utils.data import find_pairs, paired_folders

    rows = audit_pairs(find_pairs(*paired_folders(options.folder)))
    for row in rows:
        print(f"{row['name']:24}{row['shift']:8.2f} px{row['ssim']:8.3f}  {' '.join(row['flags'])}")
    flagged = sum(bool(row["flags"]) for row in rows)
    print(f"{len(rows)} pairs, {flagged} flagged")
    return int(bool(flagged))


def _data_pack(options) -> None:
    from lle_utils.data import find_pairs, paired_folders
    from lle_utils.packs import pack_pairs

    pairs = find_pairs(*paired_folders(options.folder))
    print(pack_pairs(pairs, options.target, options.crop, options.size, options.split))


# Photos


def _add_photo_commands(commands) -> None:
    enhance = _command(commands, "enhance", _enhance, "Brighten photos, or folders of them.")
    enhance.epilog = "Example: lle enhance holiday/ night*.jpg -o bright/ --method mirnet"
    enhance.add_argument("photos", nargs="+", metavar="PHOTO", help="file, folder or pattern")
    enhance.add_argument("-o", "--output", type=Path, help="folder to write to (beside each)")
    enhance.add_argument("--method", default="zero_dce_pp", help=f"{METHOD_HELP} (zero_dce_pp)")
    enhance.add_argument(
        "--level", type=float, default=1.0, help="0 keeps the photo, above 1 is brighter (1)"
    )
    enhance.add_argument(
        "--format", choices=("jpg", "png", "webp", "tif", "heic"), help=FORMAT_HELP
    )
    enhance.add_argument("--quality", type=int, default=95, help="of JPEG, WebP and HEIC (95)")
    enhance.add_argument("--memory", default="2GB", help="what the process may hold (2GB)")
    enhance.add_argument("--workers", type=int, help="photos in work at once (cores + 1)")
    enhance.add_argument("--overwrite", action="store_true", help="do again what is done")
    enhance.add_argument(
        "--runtime", default="auto", choices=("auto", *RUNTIMES), help=RUNTIME_HELP
    )
    evaluate = _command(commands, "evaluate", _evaluate, "Score methods on LOL and record it.")
    evaluate.epilog = "Example: lle evaluate --method mirnet --method auto_gamma"
    evaluate.add_argument("--method", action="append", help=f"{METHOD_HELP}; repeatable (all)")
    evaluate.add_argument("--split", default="val", help="train, val or test (val)")
    evaluate.add_argument("--metrics", nargs="+", default=METRICS, help=" ".join(METRICS))
    _command(commands, "bench", _bench, "Measure speed and memory and record them.")


def _enhance(options) -> int:
    from tqdm import tqdm

    from lle_utils.batch import Outcome, enhance_photos, pending, plan
    from lle_utils.inference import check_level
    from lle_utils.methods import load_method
    from lle_utils.tiles import parse_memory

    level, memory = check_level(options.level), parse_memory(options.memory)
    if not 1 <= options.quality <= 100:
        return _complain(f"--quality is {options.quality}; expected 1 to 100.")
    if options.workers is not None and options.workers < 1:
        return _complain(f"--workers is {options.workers}; expected 1 or more.")
    targets = plan(options.photos, options.output, options.format and f".{options.format}")
    wanted = targets if options.overwrite else pending(targets)
    outcome = Outcome()
    if wanted:
        method = load_method(options.method, options.runtime, len(wanted))
        outcome = enhance_photos(
            wanted,
            lambda photo, memory: method(photo, level, memory),
            memory=memory,
            quality=options.quality,
            workers=options.workers,
            show=lambda done: tqdm(done, total=len(wanted), unit="photo", disable=None),
        )
    for reason in outcome.failed.values():
        _complain(reason)
    folders = sorted({str(path.parent) for path in outcome.written})
    where = f", in {', '.join(folders[:3])}" if folders else ""
    said = [f"{len(outcome.written)} enhanced{where}"]
    if skipped := len(targets) - len(wanted):
        said.append(f"{skipped} done before (--overwrite does them again)")
    if outcome.failed:
        said.append(f"{len(outcome.failed)} failed")
    print("; ".join(said))
    return int(bool(outcome.failed))


def _evaluate(options) -> None:
    from tqdm import tqdm

    from lle_utils.baselines import BASELINES
    from lle_utils.data import lol_pairs, scene_of
    from lle_utils.files import data_dir
    from lle_utils.inference import list_enhancers, record_metrics
    from lle_utils.methods import load_method
    from lle_utils.results import evaluate, load_records, save_records, table

    pairs = lol_pairs(options.split)
    scenes = {pair.name: scene_of(pair.name) for pair in pairs}
    data, evaluation = f"LOL v1, {options.split} pairs", f"lol_{options.split}"
    try:
        records = load_records(evaluation)  # rows of other methods stay
    except FileNotFoundError:
        records = {}
    for name in options.method or [*BASELINES, *list_enhancers()]:
        shown = tqdm(pairs, desc=name, unit="photo")
        records[name] = evaluate(
            name, load_method(name, "keras"), shown, options.metrics, data=data, scenes=scenes
        )
    path = save_records(evaluation, records.values())
    if options.split == "val":
        for name in set(records) & set(list_enhancers()):
            record_metrics(data_dir() / "pretrained" / name, records[name])
    print(f"{table(records)}\n\nRecord: {path}")


def _bench(_options) -> None:
    from lle_utils.bench import run_bench

    print(f"Record: {run_bench()}")


# Video


def _add_video(commands) -> None:
    video = _command(commands, "video", _video, "Brighten a video; its sound stays as it is.")
    video.epilog = "Example: lle video night.mp4 night_bright.mp4 --method mirnet"
    video.add_argument("source", type=Path, metavar="IN", help="any video that FFmpeg reads")
    video.add_argument("target", type=Path, metavar="OUT", help=".mp4, .mov or .mkv to write")
    video.add_argument("--method", default="zero_dce_pp", help=f"{METHOD_HELP} (zero_dce_pp)")
    video.add_argument(
        "--level", type=float, default=1.0, help="0 keeps the video, above 1 is brighter (1)"
    )
    video.add_argument(
        "--smoothing",
        type=float,
        default=0.5,
        help="how much each frame follows those before, 0 (not) to below 1 (0.5)",
    )
    video.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def _video(options) -> int | None:
    try:
        from lle_utils.video import check_paths, enhance_video
    except ModuleNotFoundError as error:
        raise ImportError(
            f"`lle video` needs {error.name}: pip install 'lle-utils[video]'."
        ) from error

    from lle_utils.files import remove_partial
    from lle_utils.inference import check_level
    from lle_utils.methods import load_method

    level = check_level(options.level)
    check_paths(options.source, options.target)
    if options.target.exists() and not options.overwrite:
        print(f"{options.target} exists and was skipped; --overwrite replaces it.")
        return None
    remove_partial(options.target.parent)
    method = load_method(options.method)
    figures = enhance_video(
        options.source, options.target, lambda low: method(low, level), options.smoothing
    )
    print(f"{options.target}: {figures['frames']} frames")
    print(
        "Flicker in 8-bit levels (0 is steady): input {input:.3f}, frame by frame "
        "{frame_by_frame:.3f}, smoothed {smoothed:.3f}".format(**figures)
    )
    if figures["smoothed"] > figures["frame_by_frame"]:
        print("Smoothing did not help here; --smoothing 0 turns it off.")


# Web page


def _add_serve(commands) -> None:
    serve = _command(commands, "serve", _serve, "Serve a web page that brightens photos.")
    serve.epilog = "Example: lle serve --port 8000, then open http://127.0.0.1:8000"
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all networks (127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
    serve.add_argument("--megabytes", type=float, default=25, help="largest upload (25)")
    serve.add_argument("--megapixels", type=float, default=24, help="largest photo (24)")
    serve.add_argument("--seconds", type=float, default=60, help="longest time for a photo (60)")
    serve.add_argument("--waiting", type=int, default=8, help="photos that may wait (8)")


def _serve(options) -> None:
    try:
        from lle_utils.web import Limits, serve
    except ModuleNotFoundError as error:
        raise ImportError(
            f"`lle serve` needs {error.name}: pip install 'lle-utils[serve]'."
        ) from error

    limits = Limits(options.megabytes, options.megapixels, options.seconds, options.waiting)
    # The first process of a container ends by no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(f"http://{options.host}:{options.port}", flush=True)
    serve(options.host, options.port, limits)


# Export


def _add_export(commands) -> None:
    export = _command(commands, "export", _export, "Write an enhancer for another runtime.")
    export.epilog = "Example: lle export zero_dce --to onnx -o exported"
    export.add_argument("name", metavar="NAME", help="a shipped enhancer, or the folder of one")
    targets = ("onnx", "openvino", "litert", "int8", "saved_model")
    export.add_argument("--to", required=True, choices=targets, help="for which runtime")
    export.add_argument("-o", "--output", type=Path, default=Path(), help="folder to write to (.)")


def _export(options) -> None:
    from lle_utils.export import export
    from lle_utils.inference import load_enhancer

    try:
        enhancer = load_enhancer(options.name)
        path, measured = export(enhancer, options.to, options.output)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"`lle export` needs {error.name}: pip install 'lle-utils[export]'."
        ) from error
    multiple = enhancer.card["multiple"]
    print(
        f"{path}: {measured['bytes'] / 1e6:.2f} MB; input (1, H, W, 3) float32 in [0, 1], ", end=""
    )
    print(f"sides divisible by {multiple}" if multiple > 1 else "any size")
    print(
        f"Against Keras on {measured['data']}: largest difference {measured['difference']:.2g}, ",
        end="",
    )
    print(f"PSNR {measured['psnr']:.1f} dB; PSNR lost {measured['loss']:.3f} dB")


if __name__ == "__main__":
    sys.exit(main())
