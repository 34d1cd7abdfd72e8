"""Curves that share one map: the table against the operations it stands for."""

import shutil

import numpy as np
import pytest

from lle_utils.core.images import as_float, to_float
from lle_utils.core.paths import data_dir
from lle_utils.data.samples import sample_pairs
from lle_utils.enhancers.onnx_export import write_onnx
from lle_utils.enhancers.onnx_form import is_current, load_onnx
from lle_utils.enhancers.shared_curves import ITERATIONS, SharedCurves
from lle_utils.enhancers.storage import MAPS_FILE, load_card, load_enhancer, save_enhancer
from lle_utils.nn.layers import UpsampleBilinear

NAME = "zero_dce_pp"
LEVEL = 1 / 255


def photos():
    """Yield dark photos, and noise of all values, of sides that do not divide by anything."""
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (131, 205, 3), np.uint8)
    for low, _ in sample_pairs("val", 4, (301, 437)):
        yield low


def farthest(one, other) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def curved(low, maps):
    """Apply the curves as the notebook does, in double precision."""
    low, maps = np.float64(low), np.float64(maps)
    for _ in range(ITERATIONS):
        low = low + maps * (low * low - low)
    return low


@pytest.mark.parametrize("size", [(24, 24), (1, 1), (50, 97), (101, 30)])
@pytest.mark.parametrize("scale", [1, 3, 8, 24])
def test_the_table_is_within_a_quarter_of_a_level_of_the_operations(size, scale):
    rng = np.random.default_rng(scale)
    photo, drawn = rng.integers(0, 256, (*size, 3), np.uint8), []

    def draw(reduced):
        drawn.append((reduced, np.float32(rng.uniform(-1, 1, reduced.shape))))
        return drawn[0][1]

    result = to_float(SharedCurves(draw, scale).enhance(photo))
    ((reduced, maps),) = drawn
    padded = np.pad(photo, [(0, -side % scale) for side in size] + [(0, 0)], mode="reflect")
    blocks = padded.reshape(len(padded) // scale, scale, -1, scale, 3)
    np.testing.assert_allclose(reduced, blocks.mean(axis=(1, 3)) / 255, atol=1e-6)
    enlarged = np.asarray(UpsampleBilinear(scale)(maps[None]))[0, : size[0], : size[1]]
    expected = curved(photo / 255, enlarged)
    assert np.abs(result - expected).max() < LEVEL / 4 + 1e-4


@pytest.mark.parametrize("level", [None, 0.3, 0.8])
@pytest.mark.parametrize("working_side", [640, 90])
def test_photos_come_out_as_from_the_whole_network(level, working_side, monkeypatch):
    monkeypatch.setattr("lle_utils.enhancers.enhancer.WORKING_SIDE", working_side)
    enhancer, network = load_onnx(NAME), load_onnx(NAME)
    network.curves = None
    for photo in photos():
        result = enhancer.enhance(photo, level)
        assert result.dtype == np.uint8
        assert farthest(result, network.enhance(photo, level)) <= 1
        assert farthest(result, photo) > 30


def test_other_kinds_of_photos_are_left_to_the_network():
    enhancer, network = load_onnx(NAME), load_onnx(NAME)
    network.curves = None
    photo = next(photos())
    grey = np.repeat(photo[..., :1], 3, -1)
    for other in (grey, np.uint16(photo) * 257, as_float(photo)):
        np.testing.assert_array_equal(enhancer.enhance(other), network.enhance(other))


def copy_of(name, tmp_path):
    source = data_dir() / "pretrained" / name
    return shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("*.onnx"))


def test_export_writes_what_draws_the_map_and_a_new_network_removes_it(tmp_path):
    folder = copy_of(NAME, tmp_path)
    write_onnx(folder)
    assert (folder / MAPS_FILE).is_file()
    assert is_current(folder)
    photo = next(photos())
    assert farthest(load_onnx(folder).enhance(photo), load_enhancer(folder).enhance(photo)) <= 1
    other = data_dir() / "pretrained" / "zero_dce" / "model.keras"
    stale = shutil.copytree(folder, tmp_path / "stale")
    (stale / "model.onnx").unlink()
    shutil.copy(other, stale / "model.keras")
    assert not is_current(stale)
    save_enhancer(load_enhancer(folder).model, folder, load_card(folder))
    assert not (folder / MAPS_FILE).exists()


def test_of_curves_of_another_kind_no_map_is_kept(tmp_path, monkeypatch):
    zero_dce = copy_of("zero_dce", tmp_path)
    write_onnx(zero_dce)
    assert not (zero_dce / MAPS_FILE).exists()
    monkeypatch.setattr("lle_utils.enhancers.shared_curves.ITERATIONS", ITERATIONS - 1)
    from lle_utils.enhancers import shared_curves

    shared_curves._table.cache_clear()
    try:
        folder = copy_of(NAME, tmp_path)
        write_onnx(folder)
        assert not (folder / MAPS_FILE).exists()
    finally:
        shared_curves._table.cache_clear()
