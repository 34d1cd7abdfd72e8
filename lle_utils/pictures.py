"""Make the picture of the README: ``python -m lle_utils.pictures``."""

from __future__ import annotations

import numpy as np

from lle_utils import synthetic
from lle_utils.files import data_dir
from lle_utils.images import save_image
from lle_utils.inference import load_enhancer

METHODS = ("zero_dce_pp", "mirnet")
SCENES, SIZE, SEED = ("coffee", "astronaut"), (280, 400), 3
GAP = 6  # white pixels between the photos


def picture() -> np.ndarray:
    """Return dark photos of bundled scenes beside what two enhancers make of them.

    Returns:
        uint8 image: a row for each scene, first the dark photo, then the results.
    """
    enhancers = [load_enhancer(name) for name in METHODS]
    rows = []
    for scene in SCENES:
        low = synthetic.synthetic_pairs(1, SIZE, SEED, (scene,)).low[0]
        row = [low, *(enhancer.enhance(low) for enhancer in enhancers)]
        rows.append(np.concatenate([_framed(photo) for photo in row], axis=1))
    return np.concatenate(rows)[GAP:, GAP:]


def _framed(photo: np.ndarray) -> np.ndarray:
    return np.pad(photo, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255)


if __name__ == "__main__":
    print(save_image(data_dir() / "pictures" / "enhanced.jpg", picture(), quality=88))
