"""Camera raw: files of known frames are written, read, and developed by LibRaw."""

import numpy as np
import pytest

from lle_utils.core.exposure import linear_to_srgb
from lle_utils.core.images import ImageError, as_float, to_float
from lle_utils.core.paths import photo_dir
from lle_utils.core.photo_formats import read_photo
from lle_utils.data.raw import (
    SRGB_TO_XYZ,
    RawFrame,
    amplified,
    camera_to_srgb,
    develop,
    developed_file,
    matrix_from_xyz,
    read_raw,
    srgb_to_camera,
    write_dng,
)
from lle_utils.data.raw_camera import RawCamera
from lle_utils.data.synthetic import sample_scenes
from lle_utils.metrics import psnr

pytest.importorskip("rawpy", reason="camera raw needs rawpy")
tifffile = pytest.importorskip("tifffile", reason="writing DNG needs tifffile")

CLEAN = RawCamera(electrons=1e7, read_noise=0, row_noise=0)


@pytest.fixture(scope="module")
def photo():
    return to_float(sample_scenes()["coffee"])[:200, :300]


@pytest.mark.parametrize("flip", [0, 3, 5, 6])
def test_a_frame_is_written_and_read(tmp_path, photo, flip):
    taken = RawCamera().shoot(photo, 40)
    frame = RawFrame(taken.planes, taken.gains, taken.matrix, flip)
    back = read_raw(write_dng(tmp_path / "a.dng", frame))
    np.testing.assert_array_equal(back.planes, frame.planes)
    assert back.planes.min() < 0  # noise below black is kept
    assert back.gains == pytest.approx(frame.gains, abs=1e-5)
    np.testing.assert_allclose(back.matrix, frame.matrix, atol=1e-3)
    assert back.flip == flip
    upright = (300, 200) if flip in (5, 6) else (200, 300)
    assert read_photo(tmp_path / "a.dng").pixels.shape == (*upright, 3)


def test_a_developed_frame_is_the_photo_but_for_demosaicing(photo):
    result = as_float(develop(CLEAN.shoot(photo)))
    assert result.mean((0, 1)) == pytest.approx(photo.mean((0, 1)), abs=0.005)
    assert psnr(result, photo) > 27


def test_a_flat_patch_is_developed_with_the_curve_of_srgb():
    for value in (0.03, 0.2, 0.6):
        flat = np.full((64, 64, 3), value, np.float32)
        middle = as_float(develop(CLEAN.shoot(flat)))[16:-16, 16:-16]
        np.testing.assert_allclose(middle.mean((0, 1)), value, atol=0.002)


def test_brightness_is_that_of_the_light():
    flat = np.full((64, 64, 3), 0.5, np.float32)
    middle = as_float(develop(CLEAN.shoot(flat, 20), 20))[16:-16, 16:-16]
    np.testing.assert_allclose(middle.mean((0, 1)), 0.5, atol=0.004)


def test_colors_of_a_camera_and_back(photo):
    frame = CLEAN.shoot(photo)
    there = srgb_to_camera(photo, frame)
    assert np.abs(there - photo).max() > 0.05
    np.testing.assert_allclose(camera_to_srgb(there, frame), photo, atol=1e-4)


def test_the_matrix_of_a_camera_that_is_listed(photo):
    frame = CLEAN.shoot(photo)
    listed = np.linalg.inv(SRGB_TO_XYZ @ frame.matrix @ np.diag(frame.gains))
    np.testing.assert_allclose(matrix_from_xyz(0.7 * listed), frame.matrix, atol=1e-9)
    np.testing.assert_array_equal(matrix_from_xyz(np.zeros((3, 3))), np.eye(3))


def test_gray_stays_gray(photo):
    frame = CLEAN.shoot(photo)
    gray = np.repeat(np.linspace(0, 1, 50, dtype=np.float32)[:, None, None], 3, -1)
    np.testing.assert_allclose(camera_to_srgb(gray, frame), gray, atol=2e-3)


def test_amplified_planes_are_balanced():
    gray = CLEAN.shoot(np.full((40, 60, 3), 0.5, np.float32), ratio=10)
    light = amplified(gray, 10)
    np.testing.assert_allclose(linear_to_srgb(light), 0.5, atol=0.01)


@pytest.mark.parametrize(("top", "left"), [(0, 1), (1, 0), (1, 1)])
def test_a_pattern_that_begins_elsewhere(tmp_path, photo, top, left):
    """The first row or column is left out, so that red comes first."""
    whole = write_dng(tmp_path / "whole.dng", CLEAN.shoot(photo))
    with tifffile.TiffFile(whole) as file:
        mosaic = file.asarray()[top:, left:]
        tags = [(t.code, t.dtype, t.count, t.value) for t in file.pages[0].tags if t.code > 33000]
    rows = np.roll(np.array([[0, 1], [1, 2]]), (-top, -left), (0, 1))
    tags = [(c, d, n, tuple(rows.ravel()) if c == 33422 else v, True) for c, d, n, v in tags]
    tifffile.imwrite(
        tmp_path / "part.dng", mosaic, photometric="cfa", metadata=None, extratags=tags
    )
    expected = read_raw(whole).planes[top:, left:]
    part = read_raw(tmp_path / "part.dng").planes
    assert abs(part.shape[0] - expected.shape[0]) <= 1
    np.testing.assert_array_equal(part, expected[: len(part), : part.shape[1]])


def x_trans(path):
    """Write a DNG whose pattern repeats after six pixels."""
    green, red, blue = 1, 0, 2
    row = [green, red, green, green, blue, green]
    pattern = [row, [blue, green, blue, red, green, red], row] * 2
    tags = [
        (33421, "H", 2, (6, 6), True),
        (33422, "B", 36, tuple(np.ravel(pattern)), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "six by six", True),
    ]
    mosaic = np.full((120, 180), 3000, np.uint16)
    tifffile.imwrite(path, mosaic, photometric="cfa", metadata=None, extratags=tags)
    return path


def test_other_patterns_are_refused_by_name(tmp_path):
    with pytest.raises(ImageError, match=r"x\.dng has no Bayer pattern"):
        read_raw(x_trans(tmp_path / "x.dng"))


def test_what_is_no_raw_file(tmp_path):
    with pytest.raises(ImageError, match=r"a\.jpg is no camera raw file"):
        read_raw(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError):
        read_raw(tmp_path / "a.dng")
    (tmp_path / "b.dng").write_bytes(b"junk" * 30)
    with pytest.raises(ImageError, match=r"b\.dng is no readable"):
        read_raw(tmp_path / "b.dng")


def test_a_truncated_file_is_refused(tmp_path, photo):
    path = write_dng(tmp_path / "a.dng", CLEAN.shoot(photo))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ImageError, match=r"a\.dng is no readable"):
        read_raw(path)


def test_a_developed_file_may_be_reduced(tmp_path, photo):
    path = write_dng(tmp_path / "a.dng", CLEAN.shoot(photo))
    whole, quarter = developed_file(path), developed_file(path, 4)
    assert whole.dtype == quarter.dtype == np.uint8
    assert (whole.shape, quarter.shape) == ((200, 300, 3), (50, 75, 3))
    assert quarter.mean() == pytest.approx(whole.mean(), abs=0.5)


def test_real_files_go_through():
    folder = photo_dir()
    files = sorted((folder / "raw").glob("*.dng")) if folder else []
    if not files:
        pytest.skip("no raw/*.dng in the folder that LLE_DATA_DIR names")
    for path in files:
        frame = read_raw(path)
        assert frame.planes.dtype == np.float32
        assert -0.1 < frame.planes.min() < frame.planes.mean() < frame.planes.max() < 1.2
        assert frame.gains[1] == 1
        np.testing.assert_allclose(frame.matrix.sum(1), 1, atol=0.01)
