"""Make the picture of the README: ``python -m lle_utils.pictures``."""

from __future__ import annotations

import numpy as np

from lle_utils import synthetic
from lle_utils.compare import contact_sheet
from lle_utils.files import data_dir
from lle_utils.images import save_image, to_float
from lle_utils.inference import load_enhancer

METHODS = ("zero_dce_pp", "mirnet")
SCENES, SIZE, SEED = ("coffee", "astronaut"), (280, 400), 3


def picture() -> np.ndarray:
    """Return dark photos of bundled scenes beside what two enhancers make of them.

    Returns:
        uint8 image: a row for each scene, first the dark photo, then the results.
    """
    enhancers = [load_enhancer(name) for name in METHODS]
    shown = {}
    for scene in SCENES:
        low = to_float(synthetic.synthetic_pairs(1, SIZE, SEED, (scene,)).low[0])
        shown[f"{scene}, as taken"] = low
        shown |= {f"{scene}, {e.name}": e.enhance(low) for e in enhancers}
    return contact_sheet(shown, columns=1 + len(enhancers), width=1200)


if __name__ == "__main__":
    print(save_image(data_dir() / "pictures" / "enhanced.jpg", picture(), quality=88))
