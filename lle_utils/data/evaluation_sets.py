"""The sets of pairs that methods are judged on, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lle_utils.core.paths import PHOTO_DIR_VARIABLE
from lle_utils.data.adapters import folder_of, lol_v2_pairs
from lle_utils.data.exposure_sequences import load_sequences, sequence_pairs
from lle_utils.data.lol import lol_pairs
from lle_utils.data.pairs import list_photos
from lle_utils.data.samples import low_light_photos
from lle_utils.data.scenes import load_scenes, scene_map
from lle_utils.data.sources import SPLITS, NoSplitError, load
from lle_utils.data.synthetic import synthetic_pairs

SYNTHETIC_COUNT, SYNTHETIC_SIZE = 40, (240, 320)


class EvaluationSet(NamedTuple):
    """Pairs to judge methods on.

    Attributes:
        data: What they are, in words, with what is known to be wrong about them.
        pairs: ``(name, low, reference)`` each; images as paths, or uint8 or float arrays. The
            references of photos that have none are None.
        scenes: The scene of each name, for intervals over scenes.
    """

    data: str
    pairs: list[tuple]
    scenes: dict[str, object]


def load_evaluation_set(name: str) -> EvaluationSet:
    """Load a set of pairs to judge methods on.

    Args:
        name: One of `EVALUATION_SETS`. ``lol_train``, ``lol_val`` and ``lol_test`` (eval15) are
            LOL v1; ``lol_v2_real`` and ``lol_v2_synthetic`` the test photos of LOL v2, in
            ``lol_v2`` below ``LLE_DATA_DIR`` or ``data/downloads``; ``sequences`` the exposures
            near 0.10 and 0.45 of the validation scenes of SICE; ``synthetic`` photos of bundled
            scenes that no shipped method was trained on, with the synthetic camera; ``unpaired``
            the photos of `low_light_photos`, without references.

    Returns:
        The set.

    Raises:
        ValueError: If the name is none of them.
        FileNotFoundError: If the photos are not there; the message says how to get them.
        PairError: If photos lack their partner.
    """
    if name not in EVALUATION_SETS:
        raise ValueError(f"No set is called {name!r}; known are {', '.join(EVALUATION_SETS)}.")
    return EVALUATION_SETS[name]()


def photo_set(folder: str | os.PathLike) -> EvaluationSet:
    """Take the photos of a folder, without references, as a set to judge methods on.

    Raises:
        FileNotFoundError: If there is no such folder, or no photo in it.
    """
    paths = list_photos(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no photos.")
    scenes = {path.name: path.name for path in paths}
    name = f"{len(paths)} photos of {Path(folder).name}, without reference"
    return EvaluationSet(name, [(path.name, path, None) for path in paths], scenes)


def source_set(source: str, split: str) -> EvaluationSet:
    """Take the pairs of any source as a set to judge methods on.

    Args:
        source: See `lle_utils.data.load`.
        split: ``train``, ``val``, ``test``, or ``all`` for all that there are.

    Raises:
        SourceError: If the source is not known, or has no such split.
    """
    parts = []
    for part in SPLITS if split == "all" else (split,):
        try:
            parts.append(load(source, part))
        except NoSplitError:
            if split != "all":
                raise
    pairs = [pair for part in parts for pair in part]
    scenes = {name: scene for part in parts for name, scene in part.scenes.items()}
    name = Path(source).name
    return EvaluationSet(f"{name}, {split}: {len(pairs)} pairs", pairs, scenes)


def _lol(split: str) -> EvaluationSet:
    scene_of = scene_map()
    pairs = lol_pairs(split)
    if split != "test":
        scenes = {pair.name: scene_of[pair.name] for pair in pairs}
        return EvaluationSet(f"LOL v1, {split} pairs", pairs, scenes)
    trained = {scene_of[str(image)] for image in load_scenes()["train"]}
    scenes = {pair.name: scene_of.get(pair.name, pair.name) for pair in pairs}
    leaked = sum(scene in trained for scene in scenes.values())
    data = f"LOL v1, eval15; {leaked} of {len(pairs)} photos show scenes of its training pairs"
    return EvaluationSet(data, pairs, scenes)


def _lol_v2(part: str, note: str) -> EvaluationSet:
    folder = folder_of("lol_v2")
    if folder is None:
        raise FileNotFoundError(
            f"LOL v2 was not found. Set {PHOTO_DIR_VARIABLE} to a folder that holds "
            f"lol_v2/{part}/Test with Low and Normal in it, as its archive does."
        )
    pairs = lol_v2_pairs(folder, part, "Test")
    scenes = {pair.name: pair.name for pair in pairs}
    return EvaluationSet(f"LOL v2, {part}, test pairs{note}", pairs, scenes)


def _sequences() -> EvaluationSet:
    pairs = sequence_pairs(load_sequences("val"))
    data = "exposure sequences of SICE, val scenes: the exposure near 0.10 to the one near 0.45"
    return EvaluationSet(data, pairs, {name: name for name, *_ in pairs})


def _synthetic() -> EvaluationSet:
    made = synthetic_pairs(SYNTHETIC_COUNT, SYNTHETIC_SIZE)
    height, width = SYNTHETIC_SIZE
    data = f"{SYNTHETIC_COUNT} shots of {len(set(made.scenes))} bundled scenes, {width}x{height}"
    pairs = list(zip(made.names, made.low, made.normal, strict=True))
    return EvaluationSet(data, pairs, dict(zip(made.names, made.scenes, strict=True)))


def _unpaired() -> EvaluationSet:
    data, photos = low_light_photos()
    pairs = [(name, photo, None) for name, photo in photos]
    return EvaluationSet(data, pairs, {name: name for name, _ in photos})


EVALUATION_SETS: dict[str, Callable[[], EvaluationSet]] = {
    "lol_val": lambda: _lol("val"),
    "lol_train": lambda: _lol("train"),
    "lol_test": lambda: _lol("test"),
    "lol_v2_real": lambda: _lol_v2(
        "Real_captured", "; 91 of the 100 are said to be training photos of LOL v1"
    ),
    "lol_v2_synthetic": lambda: _lol_v2("Synthetic", ""),
    "sequences": _sequences,
    "synthetic": _synthetic,
    "unpaired": _unpaired,
}
