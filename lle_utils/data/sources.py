"""Where the photos of a notebook or a command come from: one word or path, one function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from lle_utils.core.addresses import cached, is_address
from lle_utils.core.paths import PHOTO_DIR_VARIABLE, pack_dir
from lle_utils.data import adapters, synthetic
from lle_utils.data.download import download_dataset
from lle_utils.data.folds import Fold, deal_folds, split_fold, split_of
from lle_utils.data.npz_dataset import Pack, open_pack
from lle_utils.data.packing import SHARES, Origin, cached_pack, deal
from lle_utils.data.pairs import enumerate_names
from lle_utils.data.photo_folders import SourceError, collect
from lle_utils.data.registry import load_registry
from lle_utils.data.scene_finder import candidates, same_scene
from lle_utils.data.splits import LeakError

SYNTHETIC = "synthetic"
SYNTHETIC_LICENCE = "photos of scikit-image's wheel, each free to use"
SPLITS = ("train", "val", "test")


class NoSplitError(SourceError):
    """A source that has no photos of the split that is asked for."""


@dataclass(frozen=True)
class PairSet:
    """Photos of one split: a sequence of ``(name, low, normal)``, uint8 ``(H, W, 3)`` each.

    Attributes:
        names: Of the pairs, each once.
        low: The dark photos; those of a pack are read when they are used.
        normal: The well-lit ones; all None where there are dark photos alone.
        scenes: The scene of each name, for intervals over scenes.
        licence: Of the photos; of several sources each.
        source: Where they come from.
        hashes: Perceptual hashes, uint8 ``(N, 8)``; of the synthetic sample none.
    """

    names: list[str]
    low: Sequence[np.ndarray]
    normal: Sequence[np.ndarray | None]
    scenes: dict[str, str]
    licence: str
    source: str
    hashes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index):
        """Return one pair; for a slice a list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.names[index], self.low[index], self.normal[index]

    def __iter__(self) -> Iterator[tuple]:
        return (self[i] for i in range(len(self)))


def load(source: str, split: str, seed: int = 0, crop: int = 1, paired: bool = True) -> PairSet:
    """Load the photos that a notebook trains on or judges by.

    Args:
        source: One of

            - ``synthetic``: the bundled scenes and the synthetic camera, 24 pairs of 192x192
              pixels for training and 4 of 160x240, of other scenes, for validation;
            - a name of ``data/registry.toml``, such as ``lol_v1``; what is not on the disk is
              downloaded. ``lol`` is short for ``lol_v1``;
            - a folder, see `lle_utils.data.photo_folders.collect`;
            - a pack, a file ending in ``.npz``, or its address (``s3://…``), copied once;
            - several of them, joined with ``+``.

            Whatever it is, ``@2/5`` at its end deals all of it to five folds by scene: the second
            is for testing, the third for validation, the others for training.

            Folders and data sets are packed once (see `lle_utils.data.cached_pack`), and the pack
            is used from then on. Where nothing is for validation, some scenes of the training
            photos are.
        split: ``train``, ``val`` or ``test``. They share no scene.
        seed: Of the ``synthetic`` pairs alone: who trains with another seed must not train on
            photos that are validated on with this one.
        crop: Side of the largest square crops that will be cut; photos too small for them are left
            out, by name.
        paired: Whether well-lit photos are needed.

    Returns:
        The photos. Names of several sources begin with their source.

    Raises:
        SourceError: If the source is not known, has no such split, or has dark photos alone
            where pairs are needed, or if all photos are too small.
        LeakError: If sources that are joined share a scene between splits.
        DownloadError, PairError, PackError, SceneError: As their functions say.
    """
    if split not in SPLITS:
        raise SourceError(f"split is {split!r}; expected {', '.join(SPLITS)}.")
    whole, fold = split_fold(source)
    if fold:
        return _large_enough(_folded(whole, fold, split, seed, paired), crop)
    parts = {part: _splits_of(part, seed) for part in _parts(source)}
    if not any("val" in splits for splits in parts.values()):
        parts = {part: _with_val(splits) for part, splits in parts.items()}
    chosen = {part: splits[split] for part, splits in parts.items() if split in splits}
    if not chosen:
        known = [name for name in SPLITS if any(name in splits for splits in parts.values())]
        raise NoSplitError(f"{source} has no photos for {split}, only for {', '.join(known)}.")
    if paired and (dark := [part for part, found in chosen.items() if found.normal[0] is None]):
        raise SourceError(
            f"{dark[0]} holds dark photos alone, and pairs are needed. Notebook 03_zero_dce "
            "trains without well-lit photos; the others need a folder `normal` beside `low`."
        )
    if len(parts) > 1:
        _check_apart(parts)
        return _large_enough(_joined(source, chosen), crop)
    return _large_enough(next(iter(chosen.values())), crop)


def _folded(source: str, fold: Fold, split: str, seed: int, paired: bool) -> PairSet:
    """Return the photos of a split when all of a source is dealt to folds."""
    if len(_parts(source)) > 1:
        raise SourceError(
            f"{source} joins sources, which might share scenes; folds are dealt of a single one. "
            "Put the photos into one folder."
        )
    sets = []
    for own in SPLITS:
        with suppress(NoSplitError):
            sets.append(load(source, own, seed, paired=paired))
    whole = PairSet(
        [name for found in sets for name in found.names],
        [photo for found in sets for photo in found.low],
        [photo for found in sets for photo in found.normal],
        {name: scene for found in sets for name, scene in found.scenes.items()},
        sets[0].licence,
        f"{source}@{fold.number}/{fold.count}",
    )
    if len(set(whole.names)) < len(whole):
        raise SourceError(f"{source} has photos of one name in two of its splits; rename them.")
    folds = deal_folds(whole.scenes, fold.count, source)
    places = [i for i, name in enumerate(whole.names) if split_of(folds[name], fold) == split]
    return _chosen(whole, places)


def known_sources() -> list[str]:
    """Return the words that `load` knows."""
    return [SYNTHETIC, *adapters.SHORT_NAMES, *adapters.ADAPTERS]


def _parts(source: str) -> list[str]:
    """Take apart what is joined with ``+``, unless there is a file or folder of that name."""
    whole = source and Path(source).expanduser().exists()
    parts = [source] if whole else [part.strip() for part in source.split("+")]
    if len(set(parts)) < len(parts) or not all(parts):
        raise SourceError(f"source is {source!r}; expected different sources, joined with +.")
    return parts


def origin_of(source: str) -> Origin:
    """Find where the photos of a source lie; a data set that is not there is downloaded.

    Args:
        source: A name or a folder, as for `load`.

    Raises:
        SourceError: If it is neither.
        DownloadError: If a data set could not be fetched.
    """
    name = adapters.SHORT_NAMES.get(source, source)
    if name in adapters.ADAPTERS:
        archives, collect_these = adapters.ADAPTERS[name]
        folders = [adapters.folder_of(archive) or _downloaded(archive) for archive in archives]
        return Origin(name, tuple(folder.resolve() for folder in folders), collect_these, True)
    path = Path(source).expanduser()
    if source and path.is_dir():
        return Origin(path.resolve().name, (path.resolve(),), collect)
    raise SourceError(
        f"No source is called {source!r}; known are {', '.join(known_sources())}, a folder of "
        "photos, a pack (.npz), and several joined with +."
    )


def absolute(source: str) -> str:
    """Return a source with its paths made absolute, for a process in another folder."""
    known = known_sources()  # which come first in `load` too, whatever folders there are
    whole, fold = split_fold(source)
    paths = [(part, Path(part).expanduser()) for part in _parts(whole)]
    found = "+".join(
        str(path.resolve()) if part not in known and path.exists() else part for part, path in paths
    )
    return f"{found}@{fold.number}/{fold.count}" if fold else found


def have_common_part(one: str, other: str) -> bool:
    """Tell whether two sources name the same photos, if only among others."""
    return bool(_resolved(one) & _resolved(other))


def _resolved(source: str) -> set[str]:
    """Return the parts of a source, those that are paths as absolute ones."""
    parts = _parts(split_fold(source)[0])
    return {adapters.SHORT_NAMES.get(part, absolute(part)) for part in parts}


def _splits_of(source: str, seed: int) -> dict[str, PairSet]:
    """Return the photos of one source by split."""
    if source == SYNTHETIC:
        return {"train": _synthetic("train", seed), "val": _synthetic("val", seed)}
    kept = _kept_pack(source)
    if kept is not None:
        return _of_pack(open_pack(kept), source)
    return _of_pack(cached_pack(origin_of(source)), source)


def _kept_pack(source: str) -> Path | None:
    """Return the pack that a source is, or that is all there is of a data set of the registry."""
    if source.endswith(".npz"):
        return cached(source, pack_dir()) if is_address(source) else Path(source).expanduser()
    name = adapters.SHORT_NAMES.get(source, source)
    if name not in adapters.ADAPTERS or all(map(adapters.folder_of, adapters.ADAPTERS[name][0])):
        return None
    path = pack_dir() / f"{name}.npz"
    return path if path.is_file() else None


def _downloaded(archive: str) -> Path:
    if archive not in load_registry():
        raise FileNotFoundError(
            f"{archive} was not found. Set {PHOTO_DIR_VARIABLE} to a folder that holds it."
        )
    found = download_dataset(archive)
    if not found.is_dir():
        raise SourceError(
            f"{found} is here, but it is no zip: unpack it into a folder {found.parent / archive}, "
            "with a program that can."
        )
    return found


def _of_pack(pack: Pack, source: str) -> dict[str, PairSet]:
    scenes = dict(zip(pack.names, pack.scenes, strict=True))
    normal = pack.normal if pack.normal is not None else [None] * len(pack)
    licence = pack.meta.get("licence", "")
    whole = PairSet(pack.names, pack.low, normal, scenes, licence, source, pack.hashes)
    return {split: _chosen(whole, pack.members(split)) for split in SPLITS if split in pack.splits}


def _with_val(splits: dict[str, PairSet]) -> dict[str, PairSet]:
    """Keep some of the training photos, whole scenes, for the splits that are missing."""
    if "train" not in splits:
        return splits
    pairs = splits["train"]
    shares = {split: share for split, share in SHARES.items() if split not in splits}
    split_of = deal(pairs.names, pairs.scenes, shares, pairs.source)
    dealt = {
        split: _chosen(pairs, [i for i, name in enumerate(pairs.names) if split_of[name] == split])
        for split in dict.fromkeys(split_of.values())
    }
    return splits | dealt


def _chosen(pairs: PairSet, places: list[int]) -> PairSet:
    names = [pairs.names[i] for i in places]
    return PairSet(
        names,
        [pairs.low[i] for i in places],
        [pairs.normal[i] for i in places],
        {name: pairs.scenes[name] for name in names},
        pairs.licence,
        pairs.source,
        None if pairs.hashes is None else pairs.hashes[places],
    )


def _large_enough(pairs: PairSet, crop: int) -> PairSet:
    """Leave out, by name, the photos that crops do not fit into."""
    small = {name for name, low, _ in pairs if min(low.shape[:2]) < crop}
    if not small:
        return pairs
    if len(small) == len(pairs):
        raise SourceError(
            f"All photos of {pairs.source} are smaller than crops of {crop}x{crop}; choose smaller "
            "crops."
        )
    print(f"Left out, smaller than crops of {crop}x{crop}: {', '.join(sorted(small))}")
    return _chosen(pairs, [i for i, name in enumerate(pairs.names) if name not in small])


def _synthetic(split: str, seed: int) -> PairSet:
    train = split == "train"
    scenes = synthetic.TRAIN_SCENES if train else synthetic.VAL_SCENES
    count, side = (24, (192, 192)) if train else (4, (160, 240))
    made = synthetic.synthetic_pairs(count, side, seed if train else seed + 1, scenes)
    scene_of = dict(zip(made.names, made.scenes, strict=True))
    return PairSet(
        made.names, list(made.low), list(made.normal), scene_of, SYNTHETIC_LICENCE, SYNTHETIC
    )


def _check_apart(parts: dict[str, dict[str, PairSet]]) -> None:
    """Refuse sources of which one trains on a scene that another judges by."""
    for (one, splits), (other, others) in combinations(parts.items(), 2):
        for split, found in splits.items():
            for another, theirs in others.items():
                if split != another and (shared := _shared(found, theirs)):
                    raise LeakError(
                        f"{split} of {one} and {another} of {other} show the same scenes: "
                        f"{enumerate_names(shared)}. Leave one of the sources out."
                    )


def _shared(first: PairSet, second: PairSet) -> list[str]:
    """Name the photos of the first that show a scene of the second."""
    if first.hashes is None or second.hashes is None:
        return []
    close = candidates(first.hashes, second.hashes)
    seen = [(first.names[i], _looked_at(first, i), _looked_at(second, j)) for i, j in close]
    return list(dict.fromkeys(name for name, one, other in seen if same_scene(one, other)))


def _looked_at(pairs: PairSet, place: int) -> np.ndarray:
    return pairs.low[place] if pairs.normal[place] is None else pairs.normal[place]


def _joined(source: str, parts: dict[str, PairSet]) -> PairSet:
    places = [(part, i) for part, found in parts.items() for i in range(len(found))]
    names = [f"{Path(part).name}/{parts[part].names[i]}" for part, i in places]
    scenes = [f"{Path(part).name}/{parts[part].scenes[parts[part].names[i]]}" for part, i in places]
    if len(set(names)) < len(names):
        raise SourceError(f"{source}: two sources have one name; rename a folder.")
    return PairSet(
        names,
        [parts[part].low[i] for part, i in places],
        [parts[part].normal[i] for part, i in places],
        dict(zip(names, scenes, strict=True)),
        "; ".join(f"{Path(part).name}: {found.licence}" for part, found in parts.items()),
        source,
    )
