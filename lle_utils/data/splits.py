"""Splits that share no scene, and the guard that refuses those that do."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import numpy as np

from lle_utils.data.pairs import enumerate_names, natural_key
from lle_utils.data.scenes import load_scenes, scene_map


class LeakError(ValueError):
    """Training and evaluation photos that show the same scene."""


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
        raise ValueError(f"No scene is known for {enumerate_names(unknown)}.")
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
        raise LeakError(f"Photos both trained and evaluated on: {enumerate_names(both)}.")
    try:
        trained = set(_lookup(train_names, scenes).values())
        shared = [name for name, scene in _lookup(eval_names, scenes).items() if scene in trained]
    except ValueError as error:
        raise LeakError(f"A leak cannot be ruled out: {error}") from error
    official = {str(i) for i in load_scenes()["eval15"]} if allow_official_overlap else set()
    refused = [name for name in shared if name not in official]
    if refused:
        raise LeakError(
            f"Evaluation photos whose scene is in training: {enumerate_names(refused)}. "
            "Split with split_by_scene."
        )
    return shared
