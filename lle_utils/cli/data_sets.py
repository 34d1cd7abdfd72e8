"""Commands for data sets: list, download, audit, pack."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import command


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
    audit = command(commands, "audit", _data_audit, "Measure how well pairs of photos agree.")
    audit.add_argument("folder", type=Path, help="holds low/ and normal/, or the like")
    _add_pack(commands)


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
    from lle_utils.data.npz_dataset import pack_pairs
    from lle_utils.data.pairs import find_pairs, paired_folders

    pairs = find_pairs(*paired_folders(options.folder))
    print(pack_pairs(pairs, options.target, options.crop, options.size, options.split))
