"""Finding out which photos show the same scene, and the file in which a person corrects it.

A perceptual hash, which is quick, proposes photos that may show one scene; the rank correlation of
thumbnails decides. How well that finds the known scenes of LOL is measured by
``lle data scenes lol``; the record is ``data/results/scene_finder.json``.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from lle_utils.core.images import ImageError
from lle_utils.core.paths import atomic_path
from lle_utils.data.pairs import Pair, enumerate_names, natural_key, read_side
from lle_utils.data.quality_checks import thumbnail_ranks

MAX_HASH_DISTANCE = 12  # of 64 bits
MIN_RANK_CORRELATION = 0.9
SUFFIX = ".scenes.csv"
BLOCK = 1024  # photos compared with all others at a time


class SceneError(ValueError):
    """A file of scenes with a mistake in it; the message names the file and the remedy."""


def find_scenes(pairs: Sequence[Pair], progress: bool = False) -> dict[str, str]:
    """Group photos that show the same scene, whatever their brightness.

    The well-lit photo of a pair is looked at, the dark one where there is no other.

    Args:
        pairs: Of any sizes; a photo that cannot be read is a scene of its own.
        progress: Show a bar.

    Returns:
        Name -> scene, named by its first photo in natural order.
    """
    pairs = sorted(pairs, key=lambda pair: natural_key(pair.name))
    names, hashes, ranks = [], [], []
    for pair in tqdm(pairs, "scenes", unit="photo") if progress else pairs:
        try:
            photo = read_side(pair.low if pair.normal is None else pair.normal)
        except (ImageError, OSError):
            continue
        names.append(pair.name)
        hashes.append(photo_hash(photo))
        ranks.append(_ranks(photo))
    alone = {pair.name: pair.name for pair in pairs}
    if not names:
        return alone
    rows, columns = candidates(np.array(hashes), np.array(hashes)).T
    ranks = np.array(ranks, np.float32)
    close = np.einsum("ij,ij->i", ranks[rows], ranks[columns]) >= MIN_RANK_CORRELATION
    links = np.ones(close.sum()), (rows[close], columns[close])
    graph = coo_array(links, shape=(len(names), len(names)))
    _, group_of = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    groups = zip(names, map(int, group_of), strict=True)
    return alone | {name: first.setdefault(group, name) for name, group in groups}


def photo_hash(photo: np.ndarray) -> np.ndarray:
    """Return the perceptual hash of a photo.

    Args:
        photo: uint8 of shape ``(H, W, 3)``.

    Returns:
        64 bits, as uint8 of shape ``(8,)``.

    Reference:
        Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010.
    """
    return np.packbits(imagehash.phash(Image.fromarray(photo)).hash)


def candidates(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the places ``(K, 2)`` of photos with close hashes, ``(N, 8)`` and ``(M, 8)``."""
    signs, others = (2.0 * np.unpackbits(side, axis=1) - 1 for side in (first, second))
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(signs), BLOCK):
        distance = (64 - signs[start : start + BLOCK] @ others.T) / 2
        rows, columns = np.nonzero(distance <= MAX_HASH_DISTANCE)
        found.append(np.stack([rows + start, columns], 1))
    return np.concatenate(found)


def same_scene(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two photos, uint8, show one view, whatever their brightness."""
    return float(_ranks(first) @ _ranks(second)) >= MIN_RANK_CORRELATION


def _ranks(photo: np.ndarray) -> np.ndarray:
    return thumbnail_ranks(photo.astype(np.float32).mean(axis=-1) / 255)


def agreement(found: Mapping[str, Hashable], known: Mapping[str, Hashable]) -> dict[str, float]:
    """Compare scenes with known ones, by the pairs of photos that are put together.

    Args:
        found, known: Name -> scene; names that only one has are left out.

    Returns:
        ``precision`` (of the pairs put together, those that belong together), ``recall`` (of the
        pairs that belong together, those put together; both 1 where there are none), ``photos``,
        ``scenes`` (found) and ``known_scenes``.
    """
    names = sorted(found.keys() & known.keys())
    together, right = _together(names, found), _together(names, known)
    both = len(together & right)
    return {
        "precision": both / len(together) if together else 1.0,
        "recall": both / len(right) if right else 1.0,
        "photos": len(names),
        "scenes": len({found[name] for name in names}),
        "known_scenes": len({known[name] for name in names}),
    }


def _together(names: Iterable[str], scene_of: Mapping[str, Hashable]) -> set[tuple[str, str]]:
    groups: dict[Hashable, list[str]] = {}
    for name in names:
        groups.setdefault(scene_of[name], []).append(name)
    return {pair for members in groups.values() for pair in combinations(members, 2)}


def write_scenes(path: str | os.PathLike, scenes: Mapping[str, object]) -> Path:
    """Write scenes as a table that a spreadsheet opens: ``name,scene``, one line per photo."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("name", "scene"))
    rows.writerows((name, scenes[name]) for name in sorted(scenes, key=natural_key))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return Path(path)


def read_scenes(path: str | os.PathLike, names: Iterable[str]) -> dict[str, str]:
    """Read what `write_scenes` wrote, and a person may have corrected.

    Args:
        path: The table.
        names: Photos whose scenes are needed; more may stand in the table.

    Raises:
        SceneError: If it is not such a table, names a photo twice, or lacks one.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "scene"} <= rows[0].keys():
        raise SceneError(f"{path}: expected a first line `name,scene` and one line per photo.")
    scenes: dict[str, str] = {}
    for row in rows:
        if row["name"] in scenes:
            raise SceneError(f"{path} names {row['name']} twice; keep one line.")
        if not row["scene"]:
            raise SceneError(f"{path} gives no scene for {row['name']}.")
        scenes[row["name"]] = row["scene"]
    if missing := [name for name in names if name not in scenes]:
        raise SceneError(
            f"{path} lacks {enumerate_names(missing)}; add a line for each, or remove the file to "
            "have scenes found again."
        )
    return scenes
