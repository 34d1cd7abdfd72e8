"""Notebook 10: demosaicing against its definition, training data, and the record."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from lle_utils.core.images import to_float
from lle_utils.data.raw_camera import RawCamera, mosaic
from lle_utils.data.synthetic import sample_scenes
from lle_utils.evaluation import load_records
from lle_utils.notebook_tools import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("10_raw")


@pytest.fixture(scope="module")
def photo():
    return to_float(sample_scenes()["chelsea"])[:96, :144]


def test_tiles_undo_the_planes(notebook, photo):
    planes = mosaic(photo)
    whole = notebook.tiles_of(planes)
    assert whole.shape == (96, 144)
    np.testing.assert_array_equal(whole[0::2, 0::2], photo[0::2, 0::2, 0])
    np.testing.assert_array_equal(whole[0::2, 1::2], photo[0::2, 1::2, 1])
    np.testing.assert_array_equal(whole[1::2, 0::2], photo[1::2, 0::2, 1])
    np.testing.assert_array_equal(whole[1::2, 1::2], photo[1::2, 1::2, 2])


def test_the_transposed_convolution_is_bilinear_demosaicing(notebook, photo):
    """Each colour alone, 0 where it is not measured, convolved as textbooks do."""
    planes = mosaic(photo)
    result = np.asarray(notebook.demosaicing()(planes[None]))[0]
    whole = notebook.tiles_of(planes)
    rows, columns = np.indices(whole.shape) % 2
    where = [(rows == 0) & (columns == 0), rows != columns, (rows == 1) & (columns == 1)]
    sparse = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    dense = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    for color, spread in enumerate((sparse, dense, sparse)):
        expected = convolve(whole * where[color], spread, mode="constant")
        np.testing.assert_allclose(result[..., color], expected, atol=1e-6)


def test_a_flat_color_stays_flat(notebook):
    flat = np.broadcast_to(np.float32([0.2, 0.5, 0.5, 0.7]), (1, 8, 8, 4))
    inside = np.asarray(notebook.demosaicing()(flat))[0, 2:-2, 2:-2]
    np.testing.assert_allclose(inside, np.broadcast_to([0.2, 0.5, 0.7], inside.shape), atol=1e-6)


def test_a_file_of_8_bits_lightens_the_dark(notebook):
    """What is cut off at black has a mean, which averaging does not take away; raw has none."""
    dark = np.full((240, 240, 3), 0.1, np.float32)
    frame = RawCamera().shoot(dark, 150, 1)
    file = notebook.averaged(notebook.through_file(frame, 150), 120).mean()
    raw = notebook.raw_averaged(frame, 150, 120).mean()
    assert abs(raw - 0.1) < 0.05
    assert file > 0.2


def test_training_data_never_repeat_and_can_be_repeated(notebook, photo):
    photos = [(255 * photo).astype(np.uint8)] * 3
    stream = notebook.RawStream(photos, 32, 2, 1, 4)
    planes, wanted = stream[1]
    assert (planes.shape, wanted.shape) == ((2, 16, 16, 4), (2, 32, 32, 3))
    again = notebook.RawStream(photos, 32, 2, 1, 4)[1]
    np.testing.assert_array_equal(planes, again[0])
    np.testing.assert_array_equal(wanted, again[1])
    assert (stream[2][0] != planes).any()
    assert (stream.batch(1, 1)[0] != planes).any()


def test_planes_and_wanted_photo_belong_together(notebook, photo):
    rng = np.random.default_rng(2)
    for _ in range(20):
        planes, wanted = notebook.shoot_again(photo, rng)
        light = np.where(wanted <= 0.04045, wanted / 12.92, ((wanted + 0.055) / 1.055) ** 2.4)
        assert planes.mean((0, 1)) == pytest.approx(mosaic(light).mean((0, 1)), rel=0.3, abs=0.02)


def test_the_network_learns(notebook, photo):
    import keras

    keras.utils.set_random_seed(0)
    stream = notebook.RawStream([(255 * photo).astype(np.uint8)], 64, 4, 0, 60)
    network = notebook.raw_unet([8, 16])
    network.compile(
        keras.optimizers.Adam(3e-3),
        lambda y, p: notebook.restoration_loss(y, p, 0.1),
        jit_compile=False,
    )
    planes, wanted = stream.batch(9, 0)
    before = network.test_on_batch(planes, wanted)
    network.fit(stream, epochs=2, shuffle=False, verbose=0)
    assert network.test_on_batch(planes, wanted) < 0.85 * before


def test_the_record_holds_what_the_notebook_says(notebook):
    """The developer that is shipped beats the others at every ratio, by every metric."""
    records = load_records("raw")
    names = {name.rsplit(", ", 1)[0] for name in records}
    assert {"raw_unet", "LibRaw + mirnet", "LibRaw + auto_gamma"} <= names
    for metric in ("psnr", "psnr_gtmean", "ssim", "delta_e"):
        assert notebook.wins(records, names, metric) == list(notebook.RATIOS)
    assert all(len(set(record["scenes"])) > 20 for record in records.values())
