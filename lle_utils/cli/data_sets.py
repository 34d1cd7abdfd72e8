"""Commands for data sets: list, download, prepare, scenes, audit, pack."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lle_utils.cli.command import SOURCE_HELP, command

if TYPE_CHECKING:
    from lle_utils.data.npz_dataset import Pack


def add_data_commands(commands) -> None:
    """Add ``lle data``, and ``lle pack``, which is one of its commands too."""
    description = "List, download, audit or pack data sets."
    data = commands.add_parser("data", help=description, description=description)
    data.epilog = "Example: lle data download lol_v1"
    _add_pack(commands)
    commands = data.add_subparsers(required=True, metavar="COMMAND")
    command(commands, "list", _data_list, "List the data sets of the registry.")
    download = command(commands, "download", _data_download, "Download a data set.")
    download.add_argument("name", metavar="NAME", help="as shown by `lle data list`")
    download.add_argument("--target", type=Path, help="folder to put it in (data/downloads)")
    download.add_argument("--archive", type=Path, help="a file fetched by hand in a browser")
    _add_prepare(commands)
    scenes = command(commands, "scenes", _data_scenes, "Find photos that show the same scene.")
    scenes.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    scenes.add_argument("-o", "--output", type=Path, help="the table to write (none)")
    audit = command(commands, "audit", _data_audit, "Measure how well pairs of photos agree.")
    audit.add_argument("folder", type=Path, help="holds low/ and normal/, or the like")
    _add_pack(commands)


def _add_prepare(commands) -> None:
    description = "Pack the photos of a source, split by scene, for all trainings."
    prepare = command(commands, "prepare", _data_prepare, description)
    prepare.epilog = "Example: lle data prepare mypairs/ --val 0.1 --test 0.1"
    prepare.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    where = "the .npz to write (in data/packs, where trainings with this source look)"
    prepare.add_argument("-o", "--output", type=Path, help=where)
    for split in ("val", "test"):
        share = f"share of the photos for {split}, whole scenes (0.1)"
        prepare.add_argument(f"--{split}", type=float, default=0.1, help=share)
    skip = "leave out, by name, what cannot be read or has a partner of another size"
    prepare.add_argument("--skip-bad", action="store_true", help=skip)


def _add_pack(commands) -> None:
    pack = command(commands, "pack", _data_pack, "Pack pairs of photos into one .npz.")
    pack.epilog = "Example: lle pack our485/ lol.npz --crop 256 256"
    pack.add_argument("folder", type=Path, help="holds low/ and normal/, or the like")
    pack.add_argument("target", type=Path, help="the .npz to write")
    fit = pack.add_mutually_exclusive_group()
    fit.add_argument("--crop", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    fit.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    pack.add_argument("--split", default="train", help="the split of all pairs (train)")


def _data_list(_options) -> None:
    from lle_utils.data.registry import load_registry

    for name, dataset in load_registry().items():
        size = f"{dataset.approximate_bytes / 1e6:,.0f} MB" if dataset.approximate_bytes else "?"
        print(f"{name:20}{size:>12}  {dataset.title} ({dataset.licence})")


def _data_download(options) -> None:
    from lle_utils.data.download import download_dataset

    print(download_dataset(options.name, target=options.target, archive=options.archive))


def _data_prepare(options) -> None:
    from lle_utils.data.packing import prepare
    from lle_utils.data.sources import origin_of

    shares = {"val": options.val, "test": options.test}
    pack = prepare(origin_of(options.source), options.output, shares, options.skip_bad)
    sizes = Counter(f"{photo.shape[1]}x{photo.shape[0]}" for photo in pack.low)
    splits = Counter(pack.splits)
    print(f"{len(pack)} {pack.meta['kind']}; {pack.meta['licence']}")
    print(f"sizes: {_counted(sizes)}")
    print(f"{len(set(pack.scenes))} scenes; {_counted(splits)}")
    for name, reason in pack.meta["left_out"].items():
        print(f"left out: {name}: {reason}")
    if pack.normal is not None:
        _say_flags(pack)
    print(f"Pack: {pack.path}")


def _counted(counts: Counter) -> str:
    shown = ", ".join(f"{count} {name}" for name, count in counts.most_common(5))
    return shown + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")


def _say_flags(pack: Pack) -> None:
    from tqdm import tqdm

    from lle_utils.data.pairs import Pair
    from lle_utils.data.quality_checks import audit_pairs

    pairs = [
        Pair(name, partial(pack.low.__getitem__, i), partial(pack.normal.__getitem__, i))
        for i, name in enumerate(pack.names)
    ]
    rows = audit_pairs(tqdm(pairs, "audit", unit="pair"))
    flags = {row["name"]: " ".join(row["flags"]) for row in rows if row["flags"]}
    print(f"{len(flags)} of {len(rows)} pairs are flagged{'; look at them:' if flags else '.'}")
    for name, flag in flags.items():
        print(f"  {name}: {flag}")


def _data_scenes(options) -> None:
    from lle_utils.core.paths import data_dir, write_json
    from lle_utils.data.scene_finder import agreement, find_scenes, write_scenes
    from lle_utils.data.sources import origin_of

    collection = origin_of(options.source).collection()
    found = find_scenes(collection.pairs, progress=True)
    print(f"{len(found)} photos, {len(set(found.values()))} scenes by content")
    if collection.scenes is not None:
        measured = agreement(found, collection.scenes)
        print(", ".join(f"{name} {value:.4g}" for name, value in measured.items()))
        if options.source in ("lol", "lol_v1"):
            record = data_dir() / "results" / "scene_finder.json"
            print(f"Record: {write_json(record, {'data': 'LOL v1', **measured})}")
    if options.output:
        print(f"Scenes: {write_scenes(options.output, found)}")


def _data_audit(options) -> int:
    from lle_utils.data.pairs import find_pairs, paired_folders
    from lle_utils.data.quality_checks import audit_pairs

    rows = audit_pairs(find_pairs(*paired_folders(options.folder)))
    for row in rows:
        print(f"{row['name']:24}{row['shift']:8.2f} px{row['ssim']:8.3f}  {' '.join(row['flags'])}")
    flagged = sum(bool(row["flags"]) for row in rows)
    print(f"{len(rows)} pairs, {flagged} flagged")
    return int(bool(flagged))


def _data_pack(options) -> None:
    from lle_utils.data.npz_dataset import open_pack
    from lle_utils.data.pack_writer import pack_pairs
    from lle_utils.data.pairs import find_pairs, paired_folders
    from lle_utils.data.scene_finder import find_scenes

    pairs = find_pairs(*paired_folders(options.folder))
    scenes = find_scenes(pairs)
    path = pack_pairs(pairs, options.target, options.crop, options.size, options.split, scenes)
    for name, reason in open_pack(path).meta["left_out"].items():
        print(f"left out: {name}: {reason}")
    print(path)
