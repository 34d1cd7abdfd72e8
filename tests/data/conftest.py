import numpy as np
import pytest

from lle_utils.core.images import save_image
from lle_utils.data.synthetic import synthetic_pairs


@pytest.fixture
def pack_folder(tmp_path, monkeypatch):
    """A folder of packs that nothing else uses."""
    folder = tmp_path / "packs"
    monkeypatch.setenv("LLE_PACK_DIR", str(folder))
    return folder


@pytest.fixture
def write_pairs():
    """A function that writes pairs of the synthetic camera, or of plain noise."""

    def write(root, count=6, low="low", normal="normal", size=(40, 60)):
        made = synthetic_pairs(count, size, 3)
        for name, dark, lit in zip(made.names, made.low, made.normal, strict=True):
            save_image(root / low / f"{name}.png", dark)
            save_image(root / normal / f"{name}.png", lit)
        return made

    return write


@pytest.fixture
def write_noise():
    """A function that writes photos of noise around a mean: each a scene of its own."""

    def write(folder, means, size=(32, 48), seed=0):
        for i, mean in enumerate(means):
            rng = np.random.default_rng([seed, i])
            coarse = rng.uniform(0, 2 * mean, (4, 6, 3)).repeat(size[0] // 4, 0)
            photo = np.clip(coarse.repeat(size[1] // 6, 1), 0, 255).astype(np.uint8)
            save_image(folder / f"{i}.png", photo)

    return write
