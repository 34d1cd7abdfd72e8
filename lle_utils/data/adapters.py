"""How the photos of each known data set become pairs: where they lie, which belong together.

Each adapter takes the folders of its archives, as `lle_utils.data.download_dataset` leaves them,
and returns a `Collection`. ``ADAPTERS`` holds them by the name of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lle_utils.core.paths import data_dir, photo_dir
from lle_utils.data.exposure_sequences import FOLDER as SEQUENCE_FOLDER
from lle_utils.data.exposure_sequences import sequence_members
from lle_utils.data.lol import lol_pairs
from lle_utils.data.pairs import (
    LOW_FOLDERS,
    NORMAL_FOLDERS,
    Pair,
    PairError,
    by_stem,
    enumerate_names,
    find_pairs,
    list_photos,
    natural_key,
    paired_folders,
)
from lle_utils.data.photo_folders import Collection, SourceError, join_splits
from lle_utils.data.raw import developed_file
from lle_utils.data.registry import load_registry
from lle_utils.data.scenes import scene_map
from lle_utils.data.sid import SPLIT_OF_DIGIT, RawPair, raw_pairs

SID_SPLITS = tuple(SPLIT_OF_DIGIT.values())
DEPTH = 3  # how far below the top of an archive its photos may lie


class Adapter(NamedTuple):
    """A source made of one or several data sets of the registry.

    Attributes:
        archives: Their names there.
        collect: Takes their folders and returns the photos.
    """

    archives: tuple[str, ...]
    collect: Callable[..., Collection]


def folder_of(archive: str) -> Path | None:
    """Return the folder of an unpacked data set in ``LLE_DATA_DIR`` or ``data/downloads``.

    LOL v1 may also lie sorted by scene in ``lol``, see `lol_pairs`.
    """
    bases = [base for base in (photo_dir(), data_dir() / "downloads") if base]
    names = ("lol", archive) if archive == "lol_v1" else (archive,)
    found = (base / name for base in bases for name in names)
    return next((folder for folder in found if folder.is_dir()), None)


def _licence(archive: str) -> str:
    item = load_registry()[archive]
    return f"{item.title}: licence {item.licence}"


def lol_v1(folder: Path) -> Collection:
    """Take the pairs of our485 whose scenes are known, split by scene as `lol_scenes.json` says.

    eval15 is no part of it: 14 of its 15 photos show scenes of our485.
    """
    pairs, splits = join_splits({split: lol_pairs(split) for split in ("train", "val")}, folder)
    scenes = {name: scene for name, scene in scene_map().items() if name in splits}
    return Collection("pairs of photos", pairs, _licence("lol_v1"), splits, scenes)


def lol_synthetic(folder: Path) -> Collection:
    """Take the pairs made from RAISE: for training only, each photo a scene of its own."""
    pairs = find_pairs(*paired_folders(_paired_below(folder)))
    names = [pair.name for pair in pairs]
    return Collection(
        "synthetic pairs of RAISE",
        pairs,
        _licence("lol_synthetic"),
        dict.fromkeys(names, "train"),
        {name: name for name in names},
        folder,
    )


def lol_pair(low_folder: Path, high_folder: Path) -> Collection:
    """Join the two halves that are published apart, by name."""
    low, high = (by_stem(_photos_below(folder)) for folder in (low_folder, high_folder))
    pairs = [
        Pair(stem, low[stem], high[stem])
        for stem in sorted(low.keys() & high.keys(), key=natural_key)
    ]
    if alone := sorted(low.keys() ^ high.keys(), key=natural_key):
        raise PairError(
            f"{low_folder} and {high_folder} do not have the same photos: no partner for "
            f"{enumerate_names(alone)}."
        )
    return Collection("pairs of photos", pairs, _licence("lol_pair_low"), folder=low_folder)


def lol_v2(folder: Path, part: str) -> Collection:
    """Take a part of LOL v2, ``Real_captured`` or ``Synthetic``, with its official test photos."""
    parts = {split: lol_v2_pairs(folder, part, split.title()) for split in ("train", "test")}
    pairs, splits = join_splits(parts, folder)
    return Collection("pairs of photos", pairs, _licence("lol_v2"), splits, folder=folder)


def lol_v2_pairs(folder: Path, part: str, split: str) -> list[Pair]:
    """List the pairs of a part of LOL v2, matched by number.

    Args:
        folder: Of the archive, whose photos may lie some folders below.
        part: ``Real_captured`` or ``Synthetic``.
        split: ``Train`` or ``Test``.

    Raises:
        SourceError: If there are no such folders.
        PairError: If photos lack their partner.
    """
    found = sorted(folder.glob(f"**/{part}/{split}"))
    if not found:
        raise SourceError(f"{folder} has no folder {part}/{split}; unpack the archive again.")
    low, normal = (_by_number(found[0] / side) for side in ("Low", "Normal"))
    if not low or low.keys() != normal.keys():
        raise PairError(
            f"{found[0]} has {len(low)} dark photos and {len(normal)} others, of which "
            f"{len(low.keys() & normal.keys())} match by number; unpack the archive again."
        )
    return [Pair(stem, low[stem], normal[stem]) for stem in sorted(low, key=natural_key)]


def _by_number(folder: Path) -> dict[str, Path]:
    """Map ``low00690.png`` and ``normal00690.png`` to their number, as LOL v2 names its photos."""
    side = folder.name.lower()
    return {stem.removeprefix(side): path for stem, path in by_stem(folder).items()}


def sice(folder: Path) -> Collection:
    """Pair the darker half of each exposure sequence with its reference; a scene per sequence.

    Of 7 exposures the first 3, of 9 the first 4, as in the Zero-DCE paper; of n, n // 2.
    """
    pairs, scenes = [], {}
    for name, members, label in _sequences(folder):
        for path in members[: len(members) // 2]:
            pair = Pair(f"{name}-{path.stem}", path, label)
            pairs.append(pair)
            scenes[pair.name] = name
    kind = "dark exposures and their references"
    return Collection(kind, pairs, _licence("sice_part1"), scenes=scenes, folder=folder)


def sice_exposures(folder: Path) -> Collection:
    """Take all exposures of all sequences, without references, as Zero-DCE is trained."""
    found = [(name, path) for name, members, _ in _sequences(folder) for path in members]
    pairs = [Pair(f"{name}-{path.stem}", path, None) for name, path in found]
    scenes = {f"{name}-{path.stem}": name for name, path in found}
    return Collection(
        "photos of all exposures", pairs, _licence("sice_part1"), scenes=scenes, folder=folder
    )


def _sequences(folder: Path) -> list[tuple[str, list[Path], Path]]:
    """Return name, exposures from dark to bright, and reference of each sequence of SICE."""
    labels = next((p for p in _below(folder) if p.name.lower() == "label"), None)
    if labels is None:
        raise SourceError(f"{folder} has no folder Label with the references of SICE.")
    reference = by_stem(labels)
    found = [
        (part.name, list_photos(part), reference.get(part.name))
        for part in sorted(labels.parent.iterdir(), key=lambda path: natural_key(path.name))
        if part.is_dir() and part != labels
    ]
    if lost := [name for name, members, label in found if not members or label is None]:
        raise PairError(f"{labels.parent}: no photos or no reference for {enumerate_names(lost)}.")
    if not found:
        raise SourceError(f"{labels.parent} has no exposure sequences beside Label.")
    return found


def kaggle_synthetic(folder: Path) -> Collection:
    """Take the pairs of the Kaggle notebook; scenes are found by content."""
    pairs = find_pairs(*paired_folders(_paired_below(folder)))
    return Collection("pairs of photos", pairs, _licence("kaggle_synthetic"), folder=folder)


def mixed_exposures(folder: Path) -> Collection:
    """Take the unpaired photos of mixed exposure that Zero-DCE is trained with."""
    photos = by_stem(_photos_below(folder))
    pairs = [Pair(stem, photos[stem], None) for stem in sorted(photos, key=natural_key)]
    return Collection("photos of all exposures", pairs, _licence("mixed_exposures"), folder=folder)


def sequences(folder: Path) -> Collection:
    """Take every photo of the exposure sequences by itself, split as `load_sequences` does."""
    files = {path.stem: path for path in list_photos(folder)}
    pairs, splits, scenes = [], {}, {}
    for name, split, members in sequence_members(folder):
        for member in members:
            pairs.append(Pair(member, files[member], None))
            splits[member], scenes[member] = split, name
    licence = "exposure sequences: CC BY-NC 4.0"
    return Collection("photos of all exposures", pairs, licence, splits, scenes, folder)


def sid(folder: Path, archive: str) -> Collection:
    """Take short and long exposures of See-in-the-Dark, developed and reduced to a quarter.

    Nothing is brightened, so the short ones are nearly black; notebook 10_raw trains on the raw
    frames themselves.
    """
    parts = {split: raw_pairs(folder, split) for split in SID_SPLITS}
    found = {split: [_developed_pair(pair) for pair in part] for split, part in parts.items()}
    scenes = {pair.name: pair.scene for part in parts.values() for pair in part}
    pairs, splits = join_splits(found, folder)
    return Collection("developed raw pairs", pairs, _licence(archive), splits, scenes, folder)


def _developed_pair(pair: RawPair) -> Pair:
    return Pair(pair.name, partial(_quarter, pair.short), partial(_quarter, pair.long))


@lru_cache(2)  # one long exposure belongs to several short ones, which are read in turn with it
def _quarter(path: Path) -> np.ndarray:
    return developed_file(path, 4)


def _below(folder: Path) -> Iterable[Path]:
    """Return a folder and those in it, from the top down."""
    level = [folder]
    for _ in range(DEPTH + 1):
        yield from level
        level = [path for parent in level for path in sorted(parent.iterdir()) if path.is_dir()]


def _paired_below(folder: Path) -> Path:
    for path in _below(folder):
        inside = {child.name.lower() for child in path.iterdir() if child.is_dir()}
        if inside & set(LOW_FOLDERS) and inside & set(NORMAL_FOLDERS):
            return path
    raise SourceError(f"{folder} has no two folders such as low and high in it.")


def _photos_below(folder: Path) -> Path:
    for path in _below(folder):
        if list_photos(path):
            return path
    raise SourceError(f"{folder} holds no photos.")


ADAPTERS = {
    "lol_v1": Adapter(("lol_v1",), lol_v1),
    "lol_synthetic": Adapter(("lol_synthetic",), lol_synthetic),
    "lol_pair": Adapter(("lol_pair_low", "lol_pair_high"), lol_pair),
    "lol_v2_real": Adapter(("lol_v2",), lambda folder: lol_v2(folder, "Real_captured")),
    "lol_v2_synthetic": Adapter(("lol_v2",), lambda folder: lol_v2(folder, "Synthetic")),
    "sice_part1": Adapter(("sice_part1",), sice),
    "sice_part2": Adapter(("sice_part2",), sice),
    "sice_part1_exposures": Adapter(("sice_part1",), sice_exposures),
    "sice_part2_exposures": Adapter(("sice_part2",), sice_exposures),
    "sid_sony": Adapter(("sid_sony",), lambda folder: sid(folder, "sid_sony")),
    "sid_fuji": Adapter(("sid_fuji",), lambda folder: sid(folder, "sid_fuji")),
    "kaggle_synthetic": Adapter(("kaggle_synthetic",), kaggle_synthetic),
    "mixed_exposures": Adapter(("mixed_exposures",), mixed_exposures),
    "sequences": Adapter((SEQUENCE_FOLDER,), sequences),
}
SHORT_NAMES = {"lol": "lol_v1"}
