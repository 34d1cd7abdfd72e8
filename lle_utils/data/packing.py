"""From a collection of photos to a pack: scenes are found, dealt to splits, written down."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lle_utils.core.paths import pack_dir
from lle_utils.data.npz_dataset import VERSION, Pack, PackError, open_pack
from lle_utils.data.pack_writer import pack_pairs
from lle_utils.data.photo_folders import Collection, SourceError
from lle_utils.data.scene_finder import SUFFIX, find_scenes, read_scenes, write_scenes
from lle_utils.data.splits import check_no_leak, split_by_scene

SHARES = {"val": 0.1, "test": 0.1}  # of the photos; the rest is for training
SPLIT_SEED = 0  # of every run, so that a training never judges on what another trained on


def scenes_file(collection_folder: Path | None, target: Path) -> Path:
    """Return the file of scenes that counts for a pack; it need not exist."""
    own = collection_folder and collection_folder / "scenes.csv"
    return own if own and own.is_file() else target.with_suffix(SUFFIX)


def _scenes(collection: Collection, target: Path, progress: bool) -> Mapping[str, object]:
    if collection.scenes is not None:
        return collection.scenes
    path = scenes_file(collection.folder, target)
    if path.is_file():
        return read_scenes(path, [pair.name for pair in collection.pairs])
    scenes = find_scenes(collection.pairs, progress)
    write_scenes(path, scenes)
    print(f"{len(set(scenes.values()))} scenes, by content; to correct them: {path}")
    return scenes


def deal(
    names: Sequence[str], scenes: Mapping[str, object], shares: Mapping[str, float], whose: str
) -> dict[str, str]:
    """Deal photos to ``train`` and other splits, whole scenes at a time.

    Args:
        names: The photos.
        scenes: Name -> scene.
        shares: Split -> share of the photos; the rest is ``train``. Where there are fewer scenes
            than splits, none is for ``test``.
        whose: What to call the photos in an error.

    Returns:
        Name -> split; the same every time.

    Raises:
        SourceError: If all photos show one scene.
    """
    count = len({scenes[name] for name in names})
    if count < 2:
        raise SourceError(
            f"{whose}: {len(names)} photos that show one scene; expected two scenes or more, one "
            "to train on and another to judge by."
        )
    chosen = {split: share for split, share in shares.items() if share > 0}
    if count < 1 + len(chosen):
        chosen.pop("test", None)
    parts = split_by_scene(names, scenes, {"train": 1 - sum(chosen.values()), **chosen}, SPLIT_SEED)
    return {name: split for split, members in parts.items() for name in members}


def _check_splits(splits: Mapping[str, str], scenes: Mapping[str, object]) -> None:
    parts = {split: [n for n, s in splits.items() if s == split] for split in set(splits.values())}
    for split in sorted(parts):
        others = [name for name, other in splits.items() if other != split]
        check_no_leak(others, parts[split], scenes)


class Origin(NamedTuple):
    """Where the photos of a source lie.

    Attributes:
        name: What to call it, in the name of its pack.
        folders: Their files, with sizes and times, decide whether a pack still holds. A
            ``scenes.csv`` is looked for in the first.
        collect: Takes the folders and finds out what they hold.
        registered: Whether this is a data set of the registry, of which there is one.
    """

    name: str
    folders: tuple[Path, ...]
    collect: Callable[..., Collection]
    registered: bool = False

    def collection(self) -> Collection:
        """Find out what the folders hold."""
        return self.collect(*self.folders)

    def pack_path(self) -> Path:
        """Return the file of its pack, in the folder `lle_utils.core.paths.pack_dir`."""
        if self.registered:
            return pack_dir() / f"{self.name}.npz"
        place = hashlib.sha256("\n".join(map(str, self.folders)).encode()).hexdigest()[:8]
        return pack_dir() / f"{self.name}-{place}.npz"


def cached_pack(origin: Origin, progress: bool = True) -> Pack:
    """Return the pack of a source, made anew where its folders or its scenes have changed.

    Args:
        origin: The source.
        progress: Show bars.
    """
    target = origin.pack_path()
    try:
        pack = open_pack(target)
        if pack.meta.get("fingerprint") == _fingerprint(
            origin, target, pack.meta.get("shares", {})
        ):
            return pack
    except (FileNotFoundError, PackError):
        pass
    if progress:
        print(f"{origin.name} is packed, once: {target}")
    return prepare(origin, progress=progress)


def prepare(
    origin: Origin,
    target: Path | None = None,
    shares: Mapping[str, float] = SHARES,
    skip_bad: bool = False,
    progress: bool = True,
) -> Pack:
    """Find the scenes of a source, deal them to splits, and write the pack, even if there is one.

    The scenes are those that the source knows; else those of ``scenes.csv`` in its folder, or of
    the file beside the pack, ``<pack>.scenes.csv``; else they are found by content and written to
    that file, for a person to correct.

    Args:
        origin: The source.
        target: The ``.npz`` to write; None for the one that `cached_pack` looks for.
        shares: Split -> share of the photos, for ``val``, ``test`` or both; the rest is
            ``train``. Not used where the source says which photo is in which split.
        skip_bad, progress: See `lle_utils.data.pack_pairs`.

    Returns:
        The pack, open.

    Raises:
        SourceError: If there are fewer scenes than two.
        LeakError: If the source has a scene in two splits.
        PackError: See `lle_utils.data.pack_pairs`.
        SceneError: If the file of scenes has a mistake in it.
    """
    target, shares = target or origin.pack_path(), dict(shares)
    collection = origin.collection()
    scenes = _scenes(collection, target, progress)  # in their file when the fingerprint is taken
    names = [pair.name for pair in collection.pairs]
    splits = collection.splits or deal(names, scenes, shares, origin.name)
    _check_splits(splits, scenes)
    facts = {"kind": collection.kind, "shares": shares}
    facts |= {"fingerprint": _fingerprint(origin, target, shares)}
    pack_pairs(
        collection.pairs,
        target,
        split=splits,
        scenes=scenes,
        source=origin.name,
        licence=collection.licence,
        facts=facts,
        skip_bad=skip_bad,
        progress=progress,
    )
    return open_pack(target)


def _fingerprint(origin: Origin, target: Path, shares: Mapping[str, float]) -> str:
    """Return a hash that changes when a file of a folder, or the list of scenes, does."""
    state: list = [VERSION, SPLIT_SEED, dict(shares)]
    for folder in origin.folders:
        for parent, inside, files in os.walk(folder):
            inside.sort()
            for name in sorted(files):
                stat = os.stat(os.path.join(parent, name))
                place = os.path.relpath(os.path.join(parent, name), folder)
                state.append([place, stat.st_size, stat.st_mtime_ns])
    scenes = scenes_file(origin.folders[0], target)
    state.append(scenes.read_text(encoding="utf-8") if scenes.is_file() else None)
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
