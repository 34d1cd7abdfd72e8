"""FLIP and LPIPS: libraries of their authors, wired to photos in [0, 1]."""

import sys

import numpy as np
import pytest

from lle_utils.core.images import to_float
from lle_utils.data.synthetic import synthetic_pairs
from lle_utils.metrics import perceptual


@pytest.fixture(scope="module")
def pair():
    """A dark and a well-lit photo."""
    pairs = synthetic_pairs(1, (96, 128), 4)
    return to_float(pairs.low[0]), to_float(pairs.normal[0])


def test_flip_is_nothing_for_equals_and_nearly_one_for_black_and_white(pair):
    pytest.importorskip("flip_evaluator", reason="pip install 'lle-utils[flip]'")
    assert perceptual.flip(pair[1], pair[1]) == 0
    black = np.zeros((48, 48, 3))
    assert 0.95 < perceptual.flip(black, black + 1) <= 1


def test_flip_grows_with_a_shift_and_sees_fine_grain_less_than_a_shift_as_large(pair):
    """An eye at that distance averages over neighbours: the contrast sensitivity of the paper."""
    pytest.importorskip("flip_evaluator", reason="pip install 'lle-utils[flip]'")
    gray = np.full((96, 96, 3), 0.5)
    shifted = [perceptual.flip(gray + shift, gray) for shift in (0.02, 0.05, 0.1, 0.2)]
    assert (np.diff(shifted) > 0).all()
    checkers = 0.1 * (np.indices((96, 96)).sum(0) % 2 * 2 - 1)[..., None]
    assert perceptual.flip(gray + checkers, gray) < 0.5 * shifted[2]


@pytest.mark.parametrize(("name", "package"), [("flip", "flip_evaluator"), ("lpips", "lpips")])
def test_a_missing_library_tells_how_to_install_it(pair, monkeypatch, name, package):
    perceptual._lpips_model.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install lle-utils\[{name}\]"):
        getattr(perceptual, name)(*pair)


@pytest.fixture
def alexnet(tmp_path, monkeypatch):
    """AlexNet with random weights, in the file that ``LLE_ALEXNET`` names."""
    pytest.importorskip("lpips", reason="pip install 'lle-utils[lpips]'")
    torch = pytest.importorskip("torch", reason="pip install 'lle-utils[lpips]'")
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.alexnet(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "alexnet.pth")
    monkeypatch.setenv(perceptual.ALEXNET_VARIABLE, str(tmp_path / "alexnet.pth"))
    perceptual._lpips_model.cache_clear()
    yield network
    perceptual._lpips_model.cache_clear()


def test_lpips_follows_its_paper_with_the_weights_of_the_file(pair, alexnet):
    """Equation 1: unit-length features, squared differences, learnt weights, summed over layers."""
    import torch

    model, _ = perceptual._lpips_model()
    shift, scale = np.array([-0.03, -0.088, -0.188]), np.array([0.458, 0.448, 0.45])
    layers = [((2 * np.rint(255 * image) / 255 - 1) - shift) / scale for image in pair]
    layers = [torch.tensor(x.transpose(2, 0, 1)[None], dtype=torch.float32) for x in layers]
    expected, weights = 0.0, iter(model.lins)
    with torch.no_grad():
        for i, layer in enumerate(alexnet.features):
            layers = [layer(x) for x in layers]
            if i in (1, 4, 7, 9, 11):
                first, second = (x / x.norm(dim=1, keepdim=True) for x in layers)
                weight = next(weights).model[-1].weight
                expected += float(((first - second) ** 2 * weight).sum(1).mean())
    assert perceptual.lpips(*pair) == pytest.approx(expected, rel=1e-4)


def test_a_file_that_is_no_alexnet_is_refused(pair, alexnet, tmp_path, monkeypatch):
    import torch

    for name, content in {"text": b"hello", "part": None, "none": ...}.items():
        path = tmp_path / name
        if content is None:
            torch.save({"features.0.weight": torch.zeros(1)}, path)
        elif content is not ...:
            path.write_bytes(content)
        monkeypatch.setenv(perceptual.ALEXNET_VARIABLE, str(path))
        perceptual._lpips_model.cache_clear()
        with pytest.raises((ValueError, FileNotFoundError), match=str(path)):
            perceptual.lpips(*pair)
