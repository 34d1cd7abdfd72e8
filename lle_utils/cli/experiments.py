"""Commands for experiments: run, status, report."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import command, complain


def add_experiment_commands(commands) -> None:
    """Add ``lle experiment``."""
    described = "Run a notebook many times: a grid, a search, seeds and folds."
    experiment = command(commands, "experiment", _help, described)
    inner = experiment.add_subparsers(required=True, metavar="WHAT")
    run = command(inner, "run", _run, "Run what is not done yet of an experiment.", ["resume"])
    run.epilog = "Example: lle experiment run exposure.yml --workers 2"
    run.add_argument(
        "file", type=Path, help="the experiment (YAML), or its folder to go on with it"
    )
    run.add_argument("-o", "--output", type=Path, help="its folder (runs/experiments/NAME)")
    run.add_argument("--workers", type=int, help="processes here (one per graphics card or core)")
    scheduler_help = "address of a Dask scheduler in their place, such as tcp://host:8786"
    run.add_argument("--scheduler", default="", help=scheduler_help)
    store_help = "address to push results to, such as s3://bucket/name; what is there is done"
    run.add_argument("--store", default="", help=store_help)
    for name, handler, what in (
        ("status", _status, "Say which runs of an experiment are done."),
        ("report", _report, "Write the page of an experiment."),
    ):
        command(inner, name, handler, what).add_argument("folder", type=Path, help="its folder")
    record = command(inner, "record", _record, "Keep what experiments found in data/results.")
    record.epilog = "Example: lle experiment record runs/experiments/lol_folds_* --name lol_folds"
    record.add_argument("folders", type=Path, nargs="+", metavar="folder", help="of an experiment")
    record.add_argument("--name", required=True, help="of the record")


def _help(_options) -> None:
    """Stand in for a handler: the words after `experiment` have their own."""


def _run(options) -> int:
    from tqdm import tqdm

    from lle_utils.core.paths import project_root
    from lle_utils.experiments.planning import read_experiment
    from lle_utils.experiments.result_store import push_plan, read_plan
    from lle_utils.experiments.results import counts_text, experiment_page
    from lle_utils.experiments.running import run_experiment

    if options.workers is not None and options.workers < 1:
        return complain(f"--workers is {options.workers}; expected 1 or more.")
    if options.file.is_dir():
        experiment, folder = read_plan(options.file), options.output or options.file
    else:
        experiment = read_experiment(options.file)
        folder = options.output or project_root() / "runs" / "experiments" / options.file.stem
    results = run_experiment(
        experiment,
        folder,
        options.workers,
        options.scheduler,
        show=lambda done, total: tqdm(done, total=total, unit="run", disable=None),
        say=lambda address: print(f"Dask's dashboard: {address}"),
        store=options.store,
    )
    failed = [result for result in results if result["error"] is not None]
    for result in failed:
        complain(f"{result['name']}: {result['error'].splitlines()[0]}")
    print(f"{counts_text(experiment.count, results)}; {experiment_page(folder)}")
    if options.store:
        push_plan(folder, options.store)
    return int(bool(failed))


def _status(options) -> None:
    from lle_utils.experiments.result_store import read_plan
    from lle_utils.experiments.results import counts_text, run_state
    from lle_utils.experiments.running import read_results
    from lle_utils.experiments.search_results import best_text

    plan, results = read_plan(options.folder), read_results(options.folder)
    ended = {result["name"]: result for result in results}
    for name in ended if plan.search else [run.name for run in plan.runs()]:
        state, seconds = "waiting", ""
        if name in ended:
            state, seconds = run_state(ended[name]), f"{ended[name]['seconds']:8.0f} s"
        label = f"{name} {ended[name]['group']}" if plan.search else name
        print(f"{label:50} {state:8}{seconds}")
    print(counts_text(plan.count, results))
    if plan.search and (best := best_text(plan, results)):
        print(best)


def _report(options) -> None:
    from lle_utils.experiments.results import experiment_page

    print(experiment_page(options.folder))


def _record(options) -> None:
    from lle_utils.evaluation.records import save_records
    from lle_utils.experiments.records import experiment_records

    print(save_records(options.name, experiment_records(options.folders)))
