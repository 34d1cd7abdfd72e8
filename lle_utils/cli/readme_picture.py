"""Make the picture of the README: ``python -m lle_utils.cli.readme_picture``."""

from __future__ import annotations

import numpy as np

from lle_utils.core.images import save_image, to_float
from lle_utils.core.paths import data_dir
from lle_utils.data import synthetic
from lle_utils.display.contact_sheet import draw_contact_sheet
from lle_utils.enhancers.storage import load_enhancer

METHODS = ("lumen", "mirnet")
SCENES = ("coffee", "astronaut")
SCENE_SIZE = (280, 400)  # height and width in pixels
SEED = 3


def picture() -> np.ndarray:
    """Return dark photos of bundled scenes beside what two enhancers make of them.

    Returns:
        uint8 image: a row for each scene, first the dark photo, then the results.
    """
    enhancers = [load_enhancer(name) for name in METHODS]
    shown = {}
    for scene in SCENES:
        low = to_float(synthetic.synthetic_pairs(1, SCENE_SIZE, SEED, (scene,)).low[0])
        shown[f"{scene}, as taken"] = low
        shown |= {f"{scene}, {e.name}": e.enhance(low) for e in enhancers}
    return draw_contact_sheet(shown, columns=1 + len(enhancers), width=1200)


if __name__ == "__main__":
    print(save_image(data_dir() / "pictures" / "enhanced.jpg", picture(), quality=88))
