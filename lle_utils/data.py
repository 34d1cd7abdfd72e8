"""Which photos belong together: pairs by file stem, scenes, and splits that share none."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lle_utils.audit import audit_pairs as audit_pairs
from lle_utils.audit import similar_photos as similar_photos
from lle_utils.files import PHOTO_DIR_VARIABLE, data_dir, photo_dir
from lle_utils.images import SUFFIXES

LOW_FOLDERS = ("low", "input", "dark")
NORMAL_FOLDERS = ("high", "normal", "ground_truth", "gt", "target", "reference")


class PairError(ValueError):
    """Photos that cannot be matched one to one."""


class LeakError(ValueError):
    """Training and evaluation photos that show the same scene."""


class Pair(NamedTuple):
    """One scene photographed twice; `name` is the common file stem."""

    name: str
    low: Path
    normal: Path


def natural_key(name: str) -> tuple:
    """Return a sort key under which ``9`` comes before ``10``.

    >>> sorted(["10", "9", "a2", "a10"], key=natural_key)
    ['9', '10', 'a2', 'a10']
    """
    parts = re.split(r"(\d+)", name)
    # Split alternates text and digits, so equal positions always compare equal types.
    return [int(p) if i % 2 else p.lower() for i, p in enumerate(parts)], name


def list_photos(folder: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """List the image files of one folder in natural order; hidden files are left out.

    Args:
        folder: Looked at without its subfolders.
        suffixes: Endings of the names, in small letters.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of photos.")
    photos = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(photos, key=lambda path: natural_key(path.name))


def find_pairs(low_dir: str | os.PathLike, normal_dir: str | os.PathLike) -> list[Pair]:
    """Match the photos of two folders by file stem, never by position.

    Suffixes may differ: ``low/22.png`` belongs to ``high/22.jpg``.

    Args:
        low_dir: Folder of dark photos.
        normal_dir: Folder of well-lit photos.

    Returns:
        Pairs in natural order of their names.

    Raises:
        FileNotFoundError: If a folder does not exist.
        PairError: If a stem occurs twice in a folder, lacks its partner, or none is found.
    """
    low, normal = _by_stem(low_dir), _by_stem(normal_dir)
    if not low and not normal:
        raise PairError(f"No image files in {low_dir} or {normal_dir}.")
    complaints = []
    for one, other, folder in ((low, normal, normal_dir), (normal, low, low_dir)):
        missing = sorted(one.keys() - other.keys(), key=natural_key)
        if missing:
            complaints.append(f"no partner in {folder} for {_enumerate(missing)}")
    if complaints:
        raise PairError("; ".join(complaints) + ". Remove or complete these files.")
    return [Pair(stem, low[stem], normal[stem]) for stem in sorted(low, key=natural_key)]


def _by_stem(folder: str | os.PathLike) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_photos(folder):
        if path.stem in found:
            raise PairError(
                f"{folder} has both {found[path.stem].name} and {path.name}; "
                "keep one file per stem."
            )
        found[path.stem] = path
    return found


def _enumerate(names: list[str], limit: int = 10) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def paired_folders(root: str | os.PathLike) -> tuple[Path, Path]:
    """Find the two folders of a paired data set.

    Args:
        root: A folder with ``low``, ``input`` or ``dark`` beside ``high``, ``normal``,
            ``ground_truth``, ``gt``, ``target`` or ``reference``, in any letter case.

    Returns:
        The folders of dark and of well-lit photos.

    Raises:
        FileNotFoundError: If either side is missing.
        PairError: If several folders could be a side.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder.")
    inside = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    sides = []
    for names in (LOW_FOLDERS, NORMAL_FOLDERS):
        found = [inside[name] for name in names if name in inside]
        if not found:
            raise FileNotFoundError(
                f"{root} has none of the folders {', '.join(names)}; it has "
                f"{', '.join(inside) or 'no folders'}."
            )
        if len(found) > 1:
            raise PairError(f"{root} has {found[0].name} and {found[1].name}; keep one of them.")
        sides.append(found[0])
    return sides[0], sides[1]


def lol_pairs(split: str) -> list[Pair]:
    """List the pairs of LOL v1.

    Looks in the folder named by ``LLE_DATA_DIR``, first for ``lol/<split>``, then for the
    official layout ``lol_v1/our485`` and ``eval15``; then for that layout in
    ``data/downloads/lol_v1``.

    Args:
        split: ``train`` or ``val``, which are parts of our485 and share no scene, or
            ``test`` for the official eval15.

    Raises:
        FileNotFoundError: If the photos are not there; the message says how to get them.
        PairError: If files do not match, or official photos of the split are missing.
        ValueError: If ``split`` is none of the three.
    """
    if split not in ("train", "val", "test"):
        raise ValueError(f"split is {split!r}; expected 'train', 'val' or 'test'.")
    photos = photo_dir()
    if photos is not None and (photos / "lol" / split).is_dir():
        return find_pairs(*paired_folders(photos / "lol" / split))
    bases = [photos / "lol_v1"] if photos is not None else []
    for base in (*bases, data_dir() / "downloads" / "lol_v1"):
        folder = _official_folder(base, "eval15" if split == "test" else "our485")
        if folder is not None:
            return _select(find_pairs(*paired_folders(folder)), split, folder)
    raise FileNotFoundError(
        f"LOL v1 ({split}) was not found. Run `lle data download lol_v1`, or set "
        f"{PHOTO_DIR_VARIABLE} to a folder that holds lol/{split}/low and lol/{split}/high."
    )


def _official_folder(base: Path, name: str) -> Path | None:
    """Find ``our485`` or ``eval15`` in a download, whose archive may add a top folder or two."""
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        for folder in sorted(base.glob(pattern)):
            if folder.is_dir():
                return folder
    return None


def _select(pairs: list[Pair], split: str, folder: Path) -> list[Pair]:
    wanted = {str(i) for i in load_scenes()["eval15" if split == "test" else split]}
    missing = sorted(wanted - {pair.name for pair in pairs}, key=natural_key)
    if missing:
        raise PairError(f"{folder} lacks {_enumerate(missing)}; download it again.")
    return [pair for pair in pairs if pair.name in wanted]


def load_scenes(path: str | os.PathLike | None = None) -> dict:
    """Read which LOL photos show the same scene.

    Args:
        path: A file like ``data/lol_scenes.json``, which is the default.

    Returns:
        ``scenes`` (lists of image numbers), ``train``, ``val``, ``eval15`` (image numbers),
        ``method`` (how the scenes were found).
    """
    path = Path(path) if path is not None else data_dir() / "lol_scenes.json"
    return json.loads(path.read_text(encoding="utf-8"))


def scene_map(scenes: Mapping | None = None) -> dict[str, int]:
    """Turn LOL's scene lists into a map from file stem to scene.

    Args:
        scenes: What `load_scenes` returns; None loads it.

    Returns:
        File stem -> the lowest image number of its scene.
    """
    groups = (load_scenes() if scenes is None else scenes)["scenes"]
    return {str(image): min(group) for group in groups for image in group}


def scene_of(name: str, scenes: Mapping | None = None) -> int:
    """Return the scene of a LOL photo, numbered by its lowest image.

    Args:
        name: File stem, such as ``22``.
        scenes: What `load_scenes` returns; None loads it.

    Raises:
        KeyError: If the photo is in no known scene.
    """
    table = scene_map(scenes)
    if name not in table:
        raise KeyError(f"LOL photo {name!r} is in no scene of the list.")
    return table[name]


def split_by_scene(
    names: Iterable[str],
    scenes: Mapping,
    fractions: Mapping[str, float],
    seed: int = 0,
) -> dict[str, list[str]]:
    """Deal whole scenes to splits, so that no scene is in two of them.

    Args:
        names: Photos to split.
        scenes: Photo name -> scene, or what `load_scenes` returns.
        fractions: Split name -> share of the photos, adding up to 1. Scenes are of
            unequal size, so shares are met only nearly.
        seed: Decides the order in which scenes are dealt.

    Returns:
        Split name -> photos in natural order; no split is empty.

    Raises:
        ValueError: If a scene is unknown, the fractions do not add up to 1, or there are
            fewer scenes than splits.
    """
    if abs(sum(fractions.values()) - 1) > 1e-6 or min(fractions.values()) <= 0:
        raise ValueError(f"fractions {dict(fractions)} must be positive and add up to 1.")
    groups: dict[Hashable, list[str]] = {}
    for name, scene in _lookup(sorted(set(names), key=natural_key), scenes).items():
        groups.setdefault(scene, []).append(name)
    if len(groups) < len(fractions):
        raise ValueError(f"{len(groups)} scenes cannot fill {len(fractions)} splits.")
    members = list(groups.values())
    splits: dict[str, list[str]] = {split: [] for split in fractions}
    for i in np.random.default_rng(seed).permutation(len(members)):
        # The split that is filled least, relative to its share, takes the next scene.
        neediest = min(splits, key=lambda split: len(splits[split]) / fractions[split])
        splits[neediest] += members[i]
    return {split: sorted(part, key=natural_key) for split, part in splits.items()}


def _lookup(names: Iterable[str], scenes: Mapping) -> dict[str, Hashable]:
    table = scene_map(scenes) if "scenes" in scenes else scenes
    names = list(names)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ValueError(f"No scene is known for {_enumerate(unknown)}.")
    return {name: table[name] for name in names}


def check_no_leak(
    train_names: Iterable[str],
    eval_names: Iterable[str],
    scenes: Mapping,
    allow_official_overlap: bool = False,
) -> list[str]:
    """Refuse an evaluation on scenes that the model was trained on.

    Args:
        train_names: Photos used for training or for choosing anything.
        eval_names: Photos that scores are reported on.
        scenes: Photo name -> scene, or what `load_scenes` returns.
        allow_official_overlap: Accept that photos of LOL's eval15 share scenes with our485,
            as in every published score. Nothing else is accepted by it.

    Returns:
        The evaluation photos whose scene is in training: empty without the override, and
        to be reported with the score otherwise.

    Raises:
        LeakError: If a scene is shared, or a photo is in both, or a scene is unknown.
    """
    train_names, eval_names = set(train_names), sorted(set(eval_names), key=natural_key)
    both = [name for name in eval_names if name in train_names]
    if both:
        raise LeakError(f"Photos both trained and evaluated on: {_enumerate(both)}.")
    try:
        trained = set(_lookup(train_names, scenes).values())
        shared = [name for name, scene in _lookup(eval_names, scenes).items() if scene in trained]
    except ValueError as error:
        raise LeakError(f"A leak cannot be ruled out: {error}") from error
    official = {str(i) for i in load_scenes()["eval15"]} if allow_official_overlap else set()
    refused = [name for name in shared if name not in official]
    if refused:
        raise LeakError(
            f"Evaluation photos whose scene is in training: {_enumerate(refused)}. "
            "Split with split_by_scene."
        )
    return shared
