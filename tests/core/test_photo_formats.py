"""Photo files with 16 bits, metadata, HEIC and camera raw."""

import numpy as np
import pytest
from PIL import Image

from lle_utils.core import photo_formats
from lle_utils.core.images import ImageError
from lle_utils.core.paths import photo_dir
from lle_utils.core.photo_formats import Photo, read_photo, write_photo
from lle_utils.core.photo_metadata import Metadata

PROFILE = bytes(range(200))


@pytest.fixture
def deep():
    """A 16-bit photo of 37x50 pixels with values that 8 bits cannot hold, EXIF and a profile."""
    pixels = np.random.default_rng(0).integers(0, 65536, (37, 50, 3)).astype(np.uint16)
    exif = Image.Exif()
    exif[271], exif[306] = "Maker", "2024:01:02 03:04:05"
    exif[0x8769] = {0x8827: 6400}
    return Photo(pixels, Metadata(exif.tobytes()), PROFILE)


def test_16_bit_png_keeps_every_bit_exif_and_profile(deep, tmp_path):
    pytest.importorskip("av", reason="reading 16-bit PNG needs PyAV")
    back = read_photo(write_photo(tmp_path / "a.png", deep))
    assert back.pixels.dtype == np.uint16
    np.testing.assert_array_equal(back.pixels, deep.pixels)
    assert back.icc == PROFILE
    exif = Image.Exif()
    exif.load(back.metadata.exif)
    assert (exif[271], exif.get_ifd(0x8769)[0x8827]) == ("Maker", 6400)


def test_16_bit_tiff_keeps_every_bit_and_the_profile(deep, tmp_path):
    pytest.importorskip("tifffile", reason="16-bit TIFF needs tifffile")
    back = read_photo(write_photo(tmp_path / "a.tif", deep))
    np.testing.assert_array_equal(back.pixels, deep.pixels)
    assert back.icc == PROFILE


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
def test_8_bit_files_keep_exif_and_profile_and_are_turned(tmp_path, suffix):
    exif = Image.Exif()
    exif[271], exif[0x0112] = "Maker", 6
    picture = Image.new("RGB", (40, 20), (200, 0, 0))
    picture.save(tmp_path / f"a{suffix}", exif=exif, icc_profile=PROFILE)
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.pixels.shape == (40, 20, 3)
    back = read_photo(write_photo(tmp_path / f"b{suffix}", photo))
    assert back.pixels.shape == (40, 20, 3)  # not turned a second time
    assert back.icc == PROFILE
    kept = Image.Exif()
    kept.load(back.metadata.exif)
    assert kept[271] == "Maker"
    assert 0x0112 not in kept


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bits_are_turned_as_8_bits_are(orientation, tmp_path):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    expected = read_photo(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(photo_formats._upright(pixels, orientation), expected)


def test_heic_is_read_and_written(tmp_path):
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif")
    pixels = np.full((64, 48, 3), (180, 90, 30), np.uint8)
    back = read_photo(write_photo(tmp_path / "a.heic", Photo(pixels)))
    assert back.pixels.shape == pixels.shape
    np.testing.assert_allclose(back.pixels.astype(int), pixels, atol=4)


def test_camera_raw_is_developed_in_16_bits(tmp_path):
    pytest.importorskip("rawpy", reason="camera raw needs rawpy")
    folder = photo_dir()
    files = sorted((folder / "raw").glob("*.dng")) if folder else []
    if not files:
        pytest.skip("no raw/*.dng in the folder that LLE_DATA_DIR names")
    for path in files:
        photo = read_photo(path)
        assert photo.pixels.dtype == np.uint16
        assert photo.pixels.std() > 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow, before it gives up
@pytest.mark.parametrize("name", ["a.dng", "a.tif", "a.png", "a.heic"])
def test_a_damaged_file_is_named(name, tmp_path):
    start = {"a.tif": b"II*\0", "a.heic": b"\0\0\0\x18ftypheic"}
    (tmp_path / name).write_bytes(start.get(name, b"junk") + b"junk" * 20)
    with pytest.raises(ImageError, match=name.replace(".", r"\.")):
        read_photo(tmp_path / name)


def test_a_suffix_that_cannot_be_written_is_refused(tmp_path, deep):
    with pytest.raises(ImageError, match=r"a\.cr2 has a suffix that cannot be written"):
        write_photo(tmp_path / "a.cr2", deep)


def see_through(kind):
    """A photo of which a part is hidden and a part half visible."""
    top = np.iinfo(kind).max
    pixels = np.random.default_rng(0).integers(0, top, (40, 60, 3)).astype(kind)
    alpha = np.full((40, 60), top, kind)
    alpha[:10], alpha[10:20] = 0, top // 2
    return np.dstack([pixels, alpha])


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_kept(suffix, tmp_path):
    values = see_through(np.uint8)
    lossless = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(values).save(tmp_path / f"a{suffix}", **lossless)
    photo = read_photo(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(photo.alpha, values[..., 3])
    np.testing.assert_array_equal(photo.pixels[10:], values[10:, :, :3])
    assert np.ptp(photo.pixels[:10], axis=(0, 1)).max() == 0  # what nobody sees has one colour
    back = read_photo(write_photo(tmp_path / f"b{suffix}", photo))
    np.testing.assert_array_equal(back.alpha, values[..., 3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_of_16_bits_is_kept(suffix, tmp_path):
    for package in ("av", "tifffile"):
        pytest.importorskip(package)
    values = see_through(np.uint16)
    photo = Photo(values[..., :3].copy(), alpha=values[..., 3])
    back = read_photo(write_photo(tmp_path / f"a{suffix}", photo))
    np.testing.assert_array_equal(back.alpha, values[..., 3])
    np.testing.assert_array_equal(back.pixels[10:], values[10:, :, :3])


def test_where_there_is_no_alpha_the_photo_lies_on_white(tmp_path):
    values = see_through(np.uint8)
    values[..., :3] = 40
    photo = Photo(values[..., :3].copy(), alpha=values[..., 3])
    back = read_photo(write_photo(tmp_path / "a.bmp", photo))
    assert back.alpha is None
    assert [int(back.pixels[row].mean()) for row in (5, 15, 30)] == [255, 148, 40]


def test_an_alpha_that_is_opaque_everywhere_is_none(tmp_path):
    values = see_through(np.uint8)
    values[..., 3] = 255
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").alpha is None


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_grey_of_16_bits_stays_so(white_is_zero, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5001
    kind = "miniswhite" if white_is_zero else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric=kind)
    expected = 65535 - grey if white_is_zero else grey
    pixels = read_photo(tmp_path / "a.tif").pixels
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, axis=-1))


def test_floating_point_is_read_and_light_beyond_white_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    values = np.linspace(0, 1, 36, dtype=np.float32).reshape(3, 4, 3)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    pixels = read_photo(tmp_path / "a.tif").pixels
    np.testing.assert_array_equal(pixels, np.rint(values * 65535.0))
    tifffile.imwrite(tmp_path / "hdr.tif", 4 * values, photometric="rgb")
    with pytest.raises(ImageError, match=r"hdr\.tif holds float32 values from 0 to 4.*tone-mapped"):
        read_photo(tmp_path / "hdr.tif")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_films_and_documents_are_refused(suffix, tmp_path):
    frames = [Image.new("RGB", (20, 10), (shade, 0, 0)) for shade in (10, 90, 200)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"a\..* holds 3 (frames|pages); expected one photo"):
        read_photo(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_reduced_copy_is_no_page(kind, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    photo = np.full((40, 60, 3), 90, kind)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(photo, photometric="rgb")
        file.write(photo[::4, ::4], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, photo)
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(photo, photometric="rgb")
        file.write(photo, photometric="rgb")
    with pytest.raises(ImageError, match=r"b\.tif holds 2 pages"):
        read_photo(tmp_path / "b.tif")


def test_the_second_picture_of_a_phone_is_no_film(tmp_path):
    frames = [Image.new("RGB", (40, 20), (shade, 0, 0)) for shade in (10, 90)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert read_photo(tmp_path / "a.jpg").pixels.shape == (20, 40, 3)


def test_avif_is_read_and_written(tmp_path):
    if not photo_formats.AVIF_SUFFIXES:
        pytest.skip("this Pillow was built without AVIF")
    pixels = np.full((64, 48, 3), (180, 90, 30), np.uint8)
    back = read_photo(write_photo(tmp_path / "a.avif", Photo(pixels)))
    np.testing.assert_allclose(back.pixels.astype(int), pixels, atol=6)
