"""Commands for notebooks: list, sync, check, run, train, report, book."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from lle_utils.cli.command import SOURCE_HELP, command


def add_notebook_commands(commands) -> None:
    """Add the commands that read, keep in sync, run, report on and publish notebooks."""
    command(commands, "list", _list, "List the notebooks.", aliases=["notebooks"])
    described = "Derive every .ipynb from its .py, and the tables of the README."
    _add_names(command(commands, "sync", _sync, described))
    _add_names(
        command(commands, "check", _check, "Check that notebooks and profiles are in order.")
    )
    run = command(commands, "run", _run, "Run notebooks and report on them.")
    run.epilog = "Example: lle run 02_metrics 04_mirnet --profile quick"
    _add_names(run)
    _add_profile(run)
    _add_set(run)
    run.add_argument("--jobs", type=int, help="notebooks at a time (one per core, two at most)")
    train = command(commands, "train", _train, "Train an enhancer: run the notebook that does it.")
    train.epilog = "Example: lle train mirnet --source mypairs/ --profile cpu --set seed=1"
    train.add_argument("name", metavar="NAME", help="such as mirnet, for 04_mirnet")
    train.add_argument("--source", help=f"{SOURCE_HELP} (that of the profile)")
    _add_profile(train)
    _add_set(train)
    train.add_argument(
        "--devices", type=int, metavar="N", help="share every batch between N devices, under JAX"
    )
    report = command(commands, "report", _report, "Write the report of notebooks that have run.")
    report.add_argument("folder", nargs="?", type=Path, help="folder of the run (runs/quick)")
    book = command(commands, "book", _book, "Build a site of notebooks that have run.")
    book.epilog = "Example: lle book runs/quick -o runs/book"
    book.add_argument("folder", nargs="?", type=Path, help="folder of the run (runs/quick)")
    book.add_argument("-o", "--output", type=Path, help="folder of the site (runs/book)")


def _add_names(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="all notebooks by default")


def _add_profile(parser: ArgumentParser) -> None:
    parser.add_argument("--profile", default="quick", help="parameters to run with (quick)")
    parser.add_argument("-o", "--output", type=Path, help="folder for results (runs/PROFILE)")


def _add_set(parser: ArgumentParser) -> None:
    said = "a parameter of the notebook, over the profile's; repeatable"
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", help=said
    )


def _list(_options) -> None:
    from lle_utils.notebook_tools.cells import list_notebooks, title_of

    for name in list_notebooks():
        print(f"{name:24}{title_of(name)}")


def _sync(options) -> None:
    from lle_utils.notebook_tools.sync import sync_notebooks

    written = [*sync_notebooks(options.names or None), *_render_tables()]
    print("\n".join(f"wrote {path}" for path in written) or "Everything was in sync.")


def _render_tables() -> list[Path]:
    """Fill the tables of README and DEPLOY from the records; return what was changed."""
    from lle_utils.cli.readme_tables import render_tables
    from lle_utils.core.paths import atomic_path, project_root

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
    from lle_utils.notebook_tools.cells import list_notebooks
    from lle_utils.notebook_tools.checks import check_notebooks, summary

    for name in options.names or list_notebooks():
        print(summary(name))
    problems = check_notebooks(options.names or None)
    for problem in problems:
        print(f"lle: {problem}", file=sys.stderr)
    print(f"{len(problems)} problems" if problems else "All in order.")
    return int(bool(problems))


def _run(options) -> int:
    from lle_utils.notebook_tools.run import run_notebooks

    start = time.perf_counter()
    results = run_notebooks(
        options.names or None,
        options.profile,
        options.output,
        jobs=options.jobs,
        settings=[_placed(setting) for setting in options.settings],
    )
    return _conclude(results, time.perf_counter() - start)


def _conclude(results: Sequence, seconds: float) -> int:
    """Say how notebooks ran, write the report, and return the exit status."""
    from lle_utils.notebook_tools.report import write_report

    failures = [result for result in results if result.error]
    for result in failures:
        print(f"\n{result.name} failed in {result.error}", file=sys.stderr)
    print(f"\n{len(results) - len(failures)} of {len(results)} notebooks passed in {seconds:.0f} s")
    if results:
        print(f"Report: {write_report(results[0].path.parent)}")
    return int(bool(failures))


def _train(options) -> int:
    from lle_utils.notebook_tools.cells import parameters_of, training_notebook
    from lle_utils.notebook_tools.run import read_settings, run_notebooks

    notebook = training_notebook(options.name)
    settings = [_placed(setting) for setting in options.settings]
    read_settings(settings, {notebook: parameters_of(notebook)})  # before photos are packed
    output = _take_devices(options)
    if options.source:
        settings.append(f"source={_found(options.source)}")
    results = run_notebooks([notebook], options.profile, output, settings=settings)
    failed = _conclude(results, results[0].seconds)
    for card in sorted(results[0].path.with_suffix("").glob("*/card.json")):
        print(f"Enhancer: {card.parent} (try: lle enhance PHOTO --method {card.parent})")
    return failed


def _take_devices(options) -> Path | None:
    """Tell the notebook's process of the devices; return the folder of results.

    Of several processes that train together each but the first gets a folder of its own in it.
    """
    from lle_utils.core.environment import DEVICES_VARIABLE, PROCESS_VARIABLE
    from lle_utils.core.errors import require
    from lle_utils.core.paths import project_root

    if options.devices is None:
        return options.output
    if options.devices < 1:
        from lle_utils.core.devices import DeviceError  # with it comes Keras

        raise DeviceError(f"--devices {options.devices}: expected 1 or more.")
    require("jax", "jax", "Training on several devices")
    os.environ.update({"KERAS_BACKEND": "jax", DEVICES_VARIABLE: str(options.devices)})
    folder = options.output or project_root() / "runs" / options.profile
    process = os.environ.get(PROCESS_VARIABLE, "0")
    return folder if process == "0" else folder / f"process_{process}"


def _placed(setting: str) -> str:
    """Make the paths of ``source=...`` absolute: notebooks run in a folder of their own."""
    from lle_utils.data.sources import absolute

    name, _, value = setting.partition("=")
    return f"{name}={absolute(value)}" if name == "source" else setting


def _found(source: str) -> str:
    """Find, fetch and pack the photos of a source, in sight; return it for another folder."""
    from lle_utils.data.sources import absolute, load

    source = absolute(source)
    count = len(load(source, "train", paired=False))
    print(f"{count} photos to train on")
    return source


def _report(options) -> None:
    from lle_utils.core.paths import project_root
    from lle_utils.notebook_tools.report import write_report

    folder = options.folder or project_root() / "runs" / "quick"
    print(f"Report: {write_report(folder)}")


def _book(options) -> None:
    from lle_utils.core.paths import project_root
    from lle_utils.notebook_tools.book import build_book

    runs = project_root() / "runs"
    print(f"Book: {build_book(options.folder or runs / 'quick', options.output or runs / 'book')}")
