"""Developers of camera raw: networks of 10_raw whose results are known, and the shipped one."""

import numpy as np
import pytest

from lle_utils.core.exposure import linear_to_srgb
from lle_utils.core.images import as_float, to_float
from lle_utils.core.paths import photo_dir
from lle_utils.data.raw import RawFrame, develop, write_dng
from lle_utils.data.raw_camera import MATRIX, RawCamera
from lle_utils.data.synthetic import sample_scenes
from lle_utils.enhancers import (
    EnhancerError,
    MemoryLimitError,
    RawEnhancer,
    list_enhancers,
    load_enhancer,
    load_method,
    save_enhancer,
)
from lle_utils.enhancers.raw_enhancer import chosen_ratio, glance
from lle_utils.metrics import psnr, ssim
from lle_utils.notebook_tools import definitions
from lle_utils.training import clipped


@pytest.fixture(scope="module")
def notebook():
    return definitions("10_raw")


@pytest.fixture(scope="module")
def enhancer(notebook, tmp_path_factory):
    """A network whose change is not 0, saved and loaded."""
    import keras

    keras.utils.set_random_seed(1)
    network = notebook.raw_unet([4, 8, 8])
    *_, change = (layer for layer in network.layers if getattr(layer, "filters", 0) == 3)
    kernel = change.kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.05, kernel.shape))
    network.get_layer("gate").bias.assign([3.0])
    card = {**notebook.about([4, 8, 8]), "training": {}, "licence": "made up"}
    return load_enhancer(save_enhancer(clipped(network), tmp_path_factory.mktemp("raw"), card))


@pytest.fixture(scope="module")
def photo():
    return to_float(sample_scenes()["chelsea"])[:200, :300]


def test_an_untrained_network_develops_simply(notebook, photo):
    network = notebook.raw_unet([4, 8])
    network.get_layer("gate").bias.assign([20.0])  # all of the simple development is kept
    card = {**notebook.about([4, 8]), "training": {}, "licence": ""}
    frame = RawCamera(electrons=1e8, read_noise=0, row_noise=0).shoot(photo, 10)
    result = as_float(RawEnhancer(clipped(network), card).enhance(frame, ratio=10))
    assert result.shape == photo.shape
    assert psnr(result, photo) > 27
    assert np.abs(result.mean((0, 1)) - photo.mean((0, 1))).max() < 0.01


def test_tiles_agree_with_the_whole(enhancer):
    rng = np.random.default_rng(0)
    planes = rng.random((264, 700, 4), np.float32) * 0.02
    frame = RawFrame(planes, (2.0, 1.0, 1.5), np.array(MATRIX))
    whole = enhancer.enhance(frame, ratio=30)
    limit = 960_000_000
    assert enhancer._tile_side(frame, limit) < 264
    tiled = enhancer.enhance(frame, ratio=30, memory=limit)
    assert np.abs(whole.astype(int) - tiled).max() <= 8  # of 65535: sums in another order


@pytest.mark.parametrize("level", [0.2, 0.45, 0.7])
def test_the_level_is_reached(enhancer, photo, level):
    result = enhancer.enhance(RawCamera().shoot(photo, 30), level)
    assert as_float(result).mean() == pytest.approx(level, abs=0.01)


def test_a_frame_that_is_bright_enough_is_not_darkened(enhancer, photo):
    frame = RawCamera().shoot(photo)
    usual = linear_to_srgb(np.clip(glance(frame), 0, 1)).mean()
    assert as_float(enhancer.enhance(frame)).mean() > usual - 0.02


def test_what_may_be_amplified(photo):
    frame = RawCamera(read_noise=0, row_noise=0, electrons=1e7).shoot(photo, 50)
    seen = glance(frame)
    assert chosen_ratio(seen, float(photo.mean())) == pytest.approx(50, rel=0.25)
    assert chosen_ratio(seen, 0.9) * np.quantile(seen.max(-1), 0.99) == pytest.approx(1, rel=0.05)
    assert chosen_ratio(np.ones((4, 4, 3)), 0.5) == 1
    assert chosen_ratio(np.zeros((4, 4, 3)), 0.5) == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize(("flip", "turns"), [(3, 2), (5, 1), (6, 3)])
def test_photos_are_turned_upright(enhancer, photo, flip, turns):
    frame = RawCamera().shoot(photo, 10)
    usual = enhancer.enhance(frame, ratio=10)
    turned = enhancer.enhance(RawFrame(frame.planes, frame.gains, frame.matrix, flip), ratio=10)
    np.testing.assert_array_equal(turned, np.rot90(usual, turns))


def test_bad_arguments(enhancer, photo):
    frame = RawCamera().shoot(photo, 10)
    for ratio in (0, -1, float("nan"), "much"):
        with pytest.raises(EnhancerError, match="expected an exposure ratio above 0"):
            enhancer.enhance(frame, ratio=ratio)
    with pytest.raises(EnhancerError, match="both set the brightness"):
        enhancer.enhance(frame, 0.5, ratio=10)
    with pytest.raises(EnhancerError, match=r"level is 1\.5"):
        enhancer.enhance(frame, 1.5)
    with pytest.raises(MemoryLimitError, match=r"300x200 pixels does not fit in 0\.1 GB"):
        enhancer.enhance(frame, memory=100_000_000)


def test_photos_are_no_raw(enhancer, tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg is no camera raw file"):
        enhancer.enhance(tmp_path / "a.jpg")


def test_a_method_for_photos_is_none_for_raw():
    assert "raw_unet" in list_enhancers(raw=True)
    assert "raw_unet" not in list_enhancers()
    with pytest.raises(EnhancerError, match="raw_unet develops camera raw, not photos"):
        load_method("raw_unet")


@pytest.mark.parametrize(("ratio", "more"), [(20, 0.2), (100, 0.2), (300, 0.05)])
def test_the_shipped_one_restores(photo, ratio, more):
    frame = RawCamera().shoot(photo, ratio, 5)
    result, plain = load_enhancer("raw_unet").enhance(frame, ratio=ratio), develop(frame, ratio)
    assert psnr(as_float(result), photo) > psnr(as_float(plain), photo) + 3
    assert ssim(as_float(result), photo) > ssim(as_float(plain), photo) + more


def test_the_shipped_one_on_a_file(tmp_path, photo):
    pytest.importorskip("tifffile", reason="writing DNG needs tifffile")
    path = write_dng(tmp_path / "a.dng", RawCamera().shoot(photo, 60))
    result = load_enhancer("raw_unet").enhance(path)
    assert result.dtype == np.uint16
    assert as_float(result).mean() == pytest.approx(0.45, abs=0.02)


def test_the_shipped_one_on_real_files():
    folder = photo_dir()
    files = sorted((folder / "raw").glob("*.dng")) if folder else []
    if not files:
        pytest.skip("no raw/*.dng in the folder that LLE_DATA_DIR names")
    for path in files:
        result = as_float(load_enhancer("raw_unet").enhance(path))
        assert 0.3 < result.mean() < 0.6
        assert (result >= 1).any(-1).mean() < 0.03


@pytest.mark.parametrize(("ratio", "most"), [(5, 4.0), (20, 6.0)])
def test_the_shipped_one_keeps_colors(notebook, ratio, most):
    """A network that knows photos of rooms alone turned green and magenta grey."""
    chart = notebook.hue_chart()
    frame = RawCamera().shoot(chart, ratio, 1)
    result = as_float(load_enhancer("raw_unet").enhance(frame, ratio=ratio))
    assert notebook.color_error(result, chart) < most
