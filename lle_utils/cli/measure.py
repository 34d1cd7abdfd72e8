"""Commands that measure: evaluate, behavior, bench."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lle_utils.cli.command import METHOD_HELP, SOURCE_HELP, command, complain
from lle_utils.core.errors import require

BENCHES = ("methods", "folder", "large", "start", "notebooks", "packs", "experiments", "video")
SETS = (  # `lle_utils.data.EVALUATION_SETS`, which help need not import
    *("lol_val", "lol_train", "lol_test", "lol_v2_real", "lol_v2_synthetic"),
    *("sequences", "synthetic", "unpaired"),
)
SPLITS = ("train", "val", "test", "all")
ENLARGEMENTS = (2, 4, 8)
DEFAULT_METRICS = (
    *("psnr", "ssim", "psnr_gtmean", "psnr_dark", "delta_e"),
    *("mean_error", "psnr_level", "psnr_constant"),
)
WITHOUT_REFERENCE = ("niqe", "loe", "noise_gain", "darkened", "newly_clipped")


def add_measure_commands(commands) -> None:
    """Add ``lle evaluate``, ``lle behavior`` and ``lle bench``."""
    evaluate = command(commands, "evaluate", _evaluate, "Score methods on pairs and record it.")
    evaluate.epilog = "Example: lle evaluate --method mirnet --method auto_gamma"
    evaluate.add_argument("--method", action="append", help=f"{METHOD_HELP}; repeatable (all)")
    data_help = f"the pairs: {', '.join(SETS)} (lol_val)"
    evaluate.add_argument("--data", default="lol_val", choices=SETS, metavar="SET", help=data_help)
    source_help = f"pairs of your own, in the place of --data: {SOURCE_HELP}"
    evaluate.add_argument("--source", help=source_help)
    split_help = "which photos of --source: train, val, test or all (all)"
    evaluate.add_argument(
        "--split", default="all", choices=SPLITS, metavar="SPLIT", help=split_help
    )
    photos_help = "score photos of your own without references, in the place of --data"
    evaluate.add_argument("--photos", metavar="FOLDER", help=photos_help)
    told_help = "tell methods the mean of each reference; a record of its own"
    evaluate.add_argument("--level-told", action="store_true", help=told_help)
    names = (
        f"{' '.join(DEFAULT_METRICS)}, and flip and lpips where installed; without references "
        f"{' '.join(WITHOUT_REFERENCE)}"
    )
    evaluate.add_argument("--metrics", nargs="+", help=names)
    chooses = (
        "choose the curve of the baseline fixed_curve again, on the training photos; only that"
    )
    evaluate.add_argument("--choose-curve", action="store_true", help=chooses)
    description = "Measure what methods do to ordinary photos, against limits, and record it."
    behavior = command(commands, "behavior", _behavior, description)
    behavior.epilog = "Example: lle behavior --method mirnet --photos 4"
    behavior.add_argument("--method", action="append", help=f"{METHOD_HELP}; repeatable (all)")
    behavior.add_argument("--photos", type=int, help="how many low-light photos at most (all)")
    behavior.add_argument(
        "--factors",
        nargs="+",
        type=int,
        choices=ENLARGEMENTS,
        default=ENLARGEMENTS[:2],
        help="by how much photos are enlarged (2 4)",
    )
    bench = command(commands, "bench", _bench, "Measure speed and memory and record them.")
    bench.epilog = "Example: lle bench notebooks"
    bench.add_argument(
        "parts", nargs="*", metavar="PART", default=BENCHES, help=f"{', '.join(BENCHES)} (all)"
    )


def _choose_curve() -> None:
    from lle_utils.data.lol import lol_pairs
    from lle_utils.evaluation.curve_choice import choose_fixed_curve

    print(f"Record: {choose_fixed_curve(lol_pairs('train'), 'LOL v1, train pairs')}")


def _evaluate(options) -> int | None:
    from tqdm import tqdm

    require("skimage", "metrics", "`lle evaluate`")

    if options.choose_curve:
        return _choose_curve()
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.factory import load_method
    from lle_utils.enhancers.storage import list_enhancers
    from lle_utils.evaluation.records import load_records, save_records
    from lle_utils.evaluation.scoring import evaluate
    from lle_utils.evaluation.tables import LEADERBOARD, leaderboard
    from lle_utils.metrics import perceptual

    judged_on, record, folder = _judged_on(options)
    has_reference = judged_on.pairs[0][2] is not None
    usual = [*DEFAULT_METRICS, *perceptual.available()] if has_reference else WITHOUT_REFERENCE
    metrics = options.metrics or usual
    if unfit := _unfit(metrics, has_reference, options.level_told):
        return complain(unfit)
    try:
        records = load_records(record, folder)  # rows of other methods stay
    except FileNotFoundError:
        records = {}
    if options.source:
        records = {}  # each source is another table
    for name in options.method or [*BASELINES, *list_enhancers()]:
        data = judged_on.data
        if name not in BASELINES and _was_trained_on(options, name):
            print(f"{name} was trained on some of these photos; --split test takes others.")
            data += "; the method was trained on some of them"
        records[name] = evaluate(
            name,
            load_method(name),
            tqdm(judged_on.pairs, desc=name, unit="photo"),
            metrics,
            data=data,
            scenes=judged_on.scenes,
            level_told=options.level_told,
        )
    path = save_records(record, records.values(), folder)
    if record == "lol_val" and folder is None:
        _record_in_cards(records)
    columns = dict.fromkeys([*LEADERBOARD, *metrics])
    print(f"{leaderboard(records, list(columns))}\n\nRecord: {path}")
    return None


def _judged_on(options) -> tuple:
    """Return the set to judge on, the name of its record and the folder for that."""
    from lle_utils.core.paths import run_folder
    from lle_utils.data.evaluation_sets import load_evaluation_set, photo_set, source_set

    told = "_told" if options.level_told else ""
    if options.source:
        record = (
            f"{'+'.join(Path(part).name for part in options.source.split('+'))}_{options.split}"
        )
        return source_set(options.source, options.split), record + told, run_folder("evaluate")
    if options.photos:
        return photo_set(options.photos), Path(options.photos).name, run_folder("evaluate")
    return load_evaluation_set(options.data), options.data + told, None


def _was_trained_on(options, name: str) -> bool:
    """Tell whether the photos of ``--source`` hold some that an enhancer was trained on."""
    from lle_utils.data.sources import have_common_part
    from lle_utils.enhancers.storage import load_enhancer_card

    if not options.source or options.split not in ("train", "all"):
        return False
    trained = load_enhancer_card(name)["training"].get("data", "")
    return bool(trained) and have_common_part(trained, options.source)


def _unfit(metrics: Sequence[str], has_reference: bool, level_told: bool) -> str | None:
    """Say what cannot be measured, before any photo is enhanced."""
    from lle_utils.metrics.catalog import METRICS

    if unknown := [name for name in metrics if name not in METRICS]:
        return f"No metric is called {unknown[0]}; known are {', '.join(METRICS)}."
    if has_reference:
        return None
    if level_told:
        return "--level-told takes levels from references, and these photos have none."
    needy = [name for name in metrics if METRICS[name].needs == "reference"]
    return f"{needy[0]} compares with references, and these photos have none." if needy else None


def _record_in_cards(records: dict) -> None:
    from lle_utils.core.paths import data_dir
    from lle_utils.enhancers.storage import list_enhancers, record_metrics

    for name in set(records) & set(list_enhancers()):
        record_metrics(data_dir() / "pretrained" / name, records[name])


def _behavior(options) -> None:
    from tqdm import tqdm

    require("skimage", "metrics", "`lle behavior`")

    from lle_utils.core.paths import data_dir
    from lle_utils.data.samples import low_light_photos
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.factory import load_method
    from lle_utils.enhancers.storage import list_enhancers, record_behavior
    from lle_utils.evaluation import behavior

    data, photos = low_light_photos(options.photos)
    try:
        records = behavior.load_behavior()  # columns of other methods stay
    except FileNotFoundError:
        records = {}
    for name in options.method or [*BASELINES, *list_enhancers()]:
        shown, enhance = tqdm(photos, desc=name, unit="photo"), load_method(name)
        records[name] = behavior.measure_behavior(
            name, enhance, shown, data=data, factors=options.factors
        )
        path = behavior.save_behavior(records)
        if name in list_enhancers():
            folder = data_dir() / "pretrained" / name
            record_behavior(folder, data, behavior.misses(records[name]))
    print(f"{behavior.behavior_table(records)}\n\nRecord: {path}")


def _bench(options) -> int | None:
    from lle_utils.benchmarks.cli_throughput import RECORDS, write_record
    from lle_utils.benchmarks.growth import measure_growth
    from lle_utils.benchmarks.notebook_times import time_notebooks
    from lle_utils.benchmarks.packs import time_packs
    from lle_utils.benchmarks.speed import run_bench
    from lle_utils.benchmarks.video_speed import time_video

    if unknown := set(options.parts) - set(BENCHES):
        return complain(f"No part of the bench is called {min(unknown)}: {', '.join(BENCHES)}.")
    measure = {
        "methods": run_bench,
        **{kind: lambda kind=kind: write_record(kind) for kind in RECORDS},
        "notebooks": time_notebooks,
        "packs": time_packs,
        "experiments": measure_growth,
        "video": time_video,
    }
    for part in options.parts:
        print(f"Record: {measure[part]()}")
    return None
