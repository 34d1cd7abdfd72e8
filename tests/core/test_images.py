"""Reading every kind of file, the image contract, rounding, atomic saving and padding."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lle_utils.core import images
from lle_utils.core.images import ImageError


def colours(height=5, width=7):
    """Return a non-square, non-constant uint8 image whose pixels all differ."""
    values = np.arange(height * width * 3, dtype=np.uint8) * 2
    return values.reshape(height, width, 3)


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


def png16_rgb(values):
    """Return a 16-bit RGB PNG, which Pillow reads but cannot write.

    Args:
        values: uint16 array of shape ``(H, W, 3)``.
    """

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_rgb_is_read_as_it_is(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(colours()))
    assert images.read_uint8(path).dtype == np.uint8
    np.testing.assert_array_equal(images.read_uint8(path), colours())
    loaded = images.load_image(str(path))
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, colours() / 255, atol=1e-7)


def test_the_result_may_be_written_to(tmp_path):
    image = images.read_uint8(saved(tmp_path / "a.png", Image.fromarray(colours())))
    image[0, 0] = 9
    assert image[0, 0].tolist() == [9, 9, 9]


def test_grey_gets_three_equal_channels(tmp_path):
    grey = colours()[..., 0]
    image = images.read_uint8(saved(tmp_path / "a.png", Image.fromarray(grey)))
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, axis=-1))


def test_black_and_white_files_become_0_and_255(tmp_path):
    bits = np.array([[True, False, True], [False, False, True]])
    image = images.read_uint8(saved(tmp_path / "a.png", Image.fromarray(bits)))
    np.testing.assert_array_equal(image[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_transparency_is_laid_on_white(tmp_path, mode, pixel, expected):
    path = saved(tmp_path / "a.png", Image.new(mode, (3, 2), pixel))
    image = images.read_uint8(path)
    assert image.shape == (2, 3, 3)
    assert image[1, 2].tolist() == list(expected)


def palette_picture():
    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 200, 100, 0, 0, 0, 255])
    picture.putdata([2, 0, 1])
    return picture


def test_a_palette_is_looked_up(tmp_path):
    image = images.read_uint8(saved(tmp_path / "a.png", palette_picture()))
    assert image[0].tolist() == [[0, 0, 255], [10, 20, 30], [200, 100, 0]]


def test_a_transparent_palette_entry_is_white(tmp_path):
    image = images.read_uint8(saved(tmp_path / "a.png", palette_picture(), transparency=0))
    assert image[0].tolist() == [[0, 0, 255], [255, 255, 255], [200, 100, 0]]


def test_16_bit_grey_is_scaled_and_rounded(tmp_path):
    values = np.array([[0, 257, 32768], [65535, 257 * 100 + 127, 257 * 100 + 130]], np.uint16)
    image = images.read_uint8(saved(tmp_path / "a.png", Image.fromarray(values)))
    assert image[..., 0].tolist() == [[0, 1, 128], [255, 100, 101]]
    assert (image == image[..., :1]).all()


def test_16_bit_rgb_is_scaled(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png16_rgb(colours().astype(np.uint16) * 257))
    np.testing.assert_array_equal(images.read_uint8(path), colours())


def test_floating_point_beyond_1_is_refused(tmp_path):
    good = saved(tmp_path / "a.tif", Image.fromarray(np.array([[0, 0.5, 1]], np.float32)))
    assert images.read_uint8(good)[0, :, 0].tolist() == [0, 128, 255]
    bad = saved(tmp_path / "b.tif", Image.fromarray(np.array([[0, 0.5, 200]], np.float32)))
    with pytest.raises(ImageError, match=r"b\.tif holds F values from 0 to 200"):
        images.read_uint8(bad)


@pytest.mark.parametrize(
    ("ink", "expected"),
    [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 0, 0, 0), (255,) * 3)],
)
def test_cmyk_is_converted(tmp_path, ink, expected):
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (16, 8), ink), quality=95)
    image = images.read_uint8(path)
    assert image.shape == (8, 16, 3)
    np.testing.assert_allclose(image.reshape(-1, 3), np.tile(expected, (128, 1)), atol=3)


def test_a_phone_photo_is_turned_upright(tmp_path):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, :16] = (250, 0, 0)  # shown turned clockwise, the left half comes to the top
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.jpg", Image.fromarray(stored), quality=95, exif=exif)
    image = images.read_uint8(path)
    assert image.shape == (32, 16, 3)
    assert image[2, 8, 0] > 200
    assert image[29, 8, 0] < 50


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_every_orientation_is_undone(tmp_path, orientation, undo):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(colours()), exif=exif)
    np.testing.assert_array_equal(images.read_uint8(path), undo(colours()))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    path = saved(tmp_path / f"photo{suffix}", Image.fromarray(noise))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=rf"photo\{suffix}"):
        images.read_uint8(path)


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "photo.png"
    path.touch()
    with pytest.raises(ImageError, match=r"photo\.png is empty \(0 bytes\)"):
        images.read_uint8(path)


def test_text_is_no_image(tmp_path):
    path = tmp_path / "photo.png"
    path.write_text("<html>Too many requests</html>")
    with pytest.raises(ImageError, match=r"photo\.png cannot be opened .* unknown format"):
        images.read_uint8(path)


def test_a_folder_and_a_missing_file(tmp_path):
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(FileNotFoundError, match="no such image file"):
            images.read_uint8(path)


def test_one_pixel(tmp_path):
    path = images.save_image(tmp_path / "a.png", np.array([[[0.0, 0.5, 1.0]]], np.float32))
    assert images.read_uint8(path).tolist() == [[[0, 128, 255]]]


def test_uploaded_bytes_are_decoded_alike(tmp_path):
    path = saved(tmp_path / "a.png", palette_picture(), transparency=0)
    decoded = images.decode_uint8(path.read_bytes(), "upload")
    np.testing.assert_array_equal(decoded, images.read_uint8(path))
    with pytest.raises(ImageError, match="upload is empty"):
        images.decode_uint8(b"", "upload")


def test_check_image_returns_float32_without_a_copy():
    image = images.to_float(colours())
    assert images.check_image(image) is image
    wide = images.check_image(image.astype(np.float64))
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, image)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (colours(), r"dark has dtype uint8.*to_float"),
        (np.full((2, 3, 3), 1.2), r"dark spans 1\.2 to 1\.2"),
        (np.full((2, 3, 3), -0.1), r"dark spans -0\.1"),
        (colours() / 1.0, "divide 8-bit values by 255"),
        (np.full((2, 3, 3), np.nan), "NaN"),
        (np.where(colours() == 8, np.nan, 0.5), "NaN"),
        (np.where(colours() == 8, np.inf, 0.5), "infinite"),
        (np.zeros((2, 3)), r"shape \(2, 3\)"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.zeros((1, 2, 3, 3)), r"expected RGB of shape \(H, W, 3\)"),
        (np.zeros((0, 3, 3)), r"shape \(0, 3, 3\)"),
    ],
)
def test_check_image_says_what_is_wrong(image, message):
    with pytest.raises(ImageError, match=message):
        images.check_image(image, "dark")


def test_check_image_tells_images_from_batches():
    single, batch = np.zeros((2, 3, 3)), np.zeros((1, 2, 3, 3))
    assert images.check_image(batch, ndim=4).shape == batch.shape
    assert images.check_image(single, ndim=None).shape == single.shape
    assert images.check_image(batch, ndim=None).shape == batch.shape
    with pytest.raises(ImageError, match=r"\(N, H, W, 3\)"):
        images.check_image(single, ndim=4)


def test_rounding_noise_outside_the_range_is_accepted():
    images.check_image(np.array([[[-5e-4, 0.5, 1 + 5e-4]]]))
    with pytest.raises(ImageError):
        images.check_image(np.array([[[-5e-3, 0.5, 1]]]))


def test_every_level_survives_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_uint8(images.to_float(levels)), levels)


def test_values_are_rounded_not_cut_off():
    values = np.array([0.4, 0.6, 99.6, 100.4, 254.6]) / 255
    assert images.to_uint8(values).tolist() == [0, 1, 100, 100, 255]
    ramp = np.linspace(0, 1, 10001)
    error = images.to_uint8(ramp) / 255.0 - ramp
    assert abs(error).max() <= 0.5001 / 255  # a truncating cast reaches 1/255
    assert abs(error.mean()) < 1e-5  # and darkens by half a level


def test_to_uint8_clips_and_leaves_its_argument_alone():
    image = np.array([-0.5, 0.5, 1.5, np.inf], np.float32)
    assert images.to_uint8(image).tolist() == [0, 128, 255, 255]
    assert image.tolist() == [-0.5, 0.5, 1.5, np.inf]


def test_to_uint8_refuses_integers_and_nan():
    with pytest.raises(ImageError, match="uint8"):
        images.to_uint8(colours())
    with pytest.raises(ImageError, match="NaN"):
        images.to_uint8(np.array([0.5, np.nan]))


def test_to_float_knows_the_range_of_each_type():
    assert images.to_float(np.array([0, 51, 255], np.uint8)).tolist() == pytest.approx([0, 0.2, 1])
    assert images.to_float(np.array([0, 65535], np.uint16)).tolist() == [0, 1]
    for wrong in (np.zeros(3), np.zeros(3, np.int64), np.zeros(3, bool)):
        with pytest.raises(ImageError, match="expects uint8 or uint16"):
            images.to_float(wrong)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_lossless_files_hold_the_rounded_values(tmp_path, suffix):
    path = images.save_image(tmp_path / "new" / f"a{suffix}", colours() / 255 + 0.3 / 255)
    np.testing.assert_array_equal(images.read_uint8(path), colours())


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_files_come_close_and_quality_counts(tmp_path, suffix):
    ramp = np.linspace(0, 1, 64 * 48 * 3).reshape(48, 64, 3)
    fine = images.save_image(tmp_path / f"fine{suffix}", ramp)
    rough = images.save_image(tmp_path / f"rough{suffix}", ramp, quality=5)
    assert abs(images.load_image(fine) - ramp).mean() < 0.02
    assert rough.stat().st_size < fine.stat().st_size


def test_uint8_is_saved_as_it_is(tmp_path):
    path = images.save_image(tmp_path / "a.png", colours())
    np.testing.assert_array_equal(images.read_uint8(path), colours())


@pytest.mark.parametrize(
    "image", [np.full((2, 3, 3), 1.5), np.full((2, 3, 3), np.nan), colours()[..., 0]]
)
def test_a_broken_image_is_not_saved(tmp_path, image):
    with pytest.raises(ImageError):
        images.save_image(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


def test_an_unknown_suffix_is_refused(tmp_path):
    for name in ("a.gif", "a", "a.npz"):
        with pytest.raises(ImageError, match="no known image suffix"):
            images.save_image(tmp_path / name, colours())


def test_a_failing_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = images.save_image(tmp_path / "a.jpg", colours())
    before = path.read_bytes()
    too_wide = np.zeros((1, 66000, 3), np.uint8)  # the JPEG format ends at 65535
    with pytest.raises((OSError, ValueError)):
        images.save_image(path, too_wide)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_padding_reflects_at_the_bottom_and_right():
    image = colours(5, 7)
    padded = images.pad_to_divisor(image, 4)
    assert padded.shape == (8, 8, 3)
    np.testing.assert_array_equal(padded[:5, :7], image)
    np.testing.assert_array_equal(padded[5:, :7], image[[3, 2, 1]])  # the edge is not repeated
    np.testing.assert_array_equal(padded[:5, 7], image[:, 5])


def test_padding_leaves_what_fits_alone():
    image = colours(4, 8)
    assert images.pad_to_divisor(image, 4) is image
    assert images.pad_to_divisor(image, 1) is image


def test_padding_one_pixel_repeats_it():
    pixel = np.array([[[0.1, 0.5, 0.9]]], np.float32)
    padded = images.pad_to_divisor(pixel, 4)
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded, np.broadcast_to(pixel, (4, 4, 3)))


def test_padding_wider_than_the_image_reflects_again():
    padded = images.pad_to_divisor(colours(1, 3), 8)
    assert padded.shape == (8, 8, 3)
    np.testing.assert_array_equal(padded[5], colours(1, 3)[0, [0, 1, 2, 1, 0, 1, 2, 1]])


def test_padding_needs_a_positive_multiple():
    with pytest.raises(ValueError, match="size_divisor is 0"):
        images.pad_to_divisor(colours(), 0)
