"""Cross-validation: a source dealt to folds by scene, each of which is tested on once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from lle_utils.data.photo_folders import SourceError


class Fold(NamedTuple):
    """One of ``count`` folds, from 1."""

    number: int
    count: int


def split_fold(source: str) -> tuple[str, Fold | None]:
    """Take ``@number/count`` from the end of a source.

    Args:
        source: As for `lle_utils.data.load`, such as ``lol@2/5``.

    Returns:
        The source without it, and the fold, or None where there is none.

    Raises:
        SourceError: If there are fewer than three folds, or there is no such one.

    >>> split_fold("lol@2/5")
    ('lol', Fold(number=2, count=5))
    >>> split_fold("lol")
    ('lol', None)
    """
    match = re.fullmatch(r"(.+)@(\d+)/(\d+)", source)
    if not match:
        return source, None
    fold = Fold(int(match[2]), int(match[3]))
    if fold.count < 3 or not 1 <= fold.number <= fold.count:
        raise SourceError(
            f"source is {source!r}; expected a fold from 1 to the number of folds, and three folds "
            "or more: one to test on, one to choose by, the others to train on."
        )
    return match[1], fold


def deal_folds(scenes: Mapping[str, object], count: int, whose: str) -> dict[str, int]:
    """Deal photos to folds, whole scenes at a time, as evenly as scenes allow.

    Args:
        scenes: Name of a photo -> its scene.
        count: Number of folds.
        whose: What to call the photos in an error.

    Returns:
        Name -> fold, from 1; the same every time. Large scenes are dealt first, each to the fold
        that has the fewest photos so far.

    Raises:
        SourceError: If there are fewer scenes than folds.
    """
    sizes = Counter(map(str, scenes.values()))
    if len(sizes) < count:
        raise SourceError(f"{whose} shows {len(sizes)} scenes; {count} folds need {count} or more.")
    held = [0] * count
    fold_of: dict[str, int] = {}
    for scene, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fewest = held.index(min(held))
        fold_of[scene], held[fewest] = fewest + 1, held[fewest] + size
    return {name: fold_of[str(scene)] for name, scene in scenes.items()}


def split_of(fold: int, tested: Fold) -> str:
    """Return the split that photos of a fold belong to, while another one is tested on.

    The fold after the tested one is for validation: it chooses the epoch.

    >>> [split_of(fold, Fold(5, 5)) for fold in (1, 2, 3, 4, 5)]
    ['val', 'train', 'train', 'train', 'test']
    """
    if fold == tested.number:
        return "test"
    return "val" if fold == tested.number % tested.count + 1 else "train"
