"""Every kind of file and array that a user may hand over: read rightly, or refused by name."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lle_utils.files import atomic_path, photo_dir, project_root, sha256
from lle_utils.images import (
    ImageError,
    check_image,
    decode_uint8,
    load_image,
    pad_to_multiple,
    read_uint8,
    save_image,
    to_float,
    to_uint8,
)

H, W = 5, 7


@pytest.fixture
def photo():
    """An image without symmetry: no flip, transpose or channel swap leaves it unchanged."""
    return np.random.default_rng(3).integers(0, 256, (H, W, 3), np.uint8)


def ramp16(channels):
    """16-bit values of shape (H, W, channels) from 0 to 65535."""
    return np.linspace(0, 65535, H * W * channels).round().astype(np.uint16).reshape(H, W, channels)


def write_png16(path, values):
    """Write a 16-bit PNG by hand; Pillow writes none with three or four channels."""
    color = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[-1]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


# Reading


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_rgb_is_read_unchanged(tmp_path, photo, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(photo).save(path)
    np.testing.assert_array_equal(read_uint8(path), photo)
    loaded = load_image(path)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, photo.astype(np.float32) / np.float32(255))


def test_lossless_webp_is_read_unchanged(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_uint8(tmp_path / "a.webp"), photo)


def test_grey_becomes_three_equal_channels(tmp_path, photo):
    Image.fromarray(photo[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(
        read_uint8(tmp_path / "grey.png"), np.repeat(photo[..., :1], 3, -1)
    )


def test_one_bit_images_become_black_and_white(tmp_path, photo):
    bits = photo[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_uint8(tmp_path / "bits.png")[..., 1], bits * 255)


def test_transparency_is_laid_on_white(tmp_path, photo):
    alpha = np.full((H, W, 1), 255, np.uint8)
    alpha[0, 0], alpha[1, 2] = 0, 128
    Image.fromarray(np.concatenate([photo, alpha], -1)).save(tmp_path / "a.png")
    read = read_uint8(tmp_path / "a.png")
    assert read[0, 0].tolist() == [255, 255, 255]
    mixed = photo[1, 2] * (128 / 255) + 255 * (127 / 255)
    np.testing.assert_allclose(read[1, 2], mixed, atol=1)
    np.testing.assert_array_equal(read[2:], photo[2:])


def test_grey_with_alpha(tmp_path):
    values = np.array([[[10, 255], [200, 0]]], np.uint8)
    Image.fromarray(values, "LA").save(tmp_path / "la.png")
    assert read_uint8(tmp_path / "la.png").tolist() == [[[10] * 3, [255] * 3]]


def test_palette_with_and_without_a_transparent_colour(tmp_path):
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    colours = [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(np.ravel(colours).tolist())
    picture.save(tmp_path / "opaque.png")
    picture.save(tmp_path / "transparent.png", transparency=1)
    assert read_uint8(tmp_path / "opaque.png").tolist()[0] == colours
    assert read_uint8(tmp_path / "transparent.png").tolist()[0] == [
        colours[0],
        [255, 255, 255],
        colours[2],
    ]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = ramp16(1)[..., 0]
    Image.fromarray(values).save(tmp_path / f"grey16{suffix}")
    read = read_uint8(tmp_path / f"grey16{suffix}")
    assert read.shape == (H, W, 3)
    np.testing.assert_allclose(read[..., 2], values / 257, atol=0.51)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_is_scaled(tmp_path, channels):
    values = ramp16(channels)
    if channels == 4:
        values[..., 3] = 65535
    read = read_uint8(write_png16(tmp_path / "rgb16.png", values))
    assert read.shape == (H, W, 3)
    np.testing.assert_allclose(read, values[..., :3] / 257, atol=1.01)


def test_16_bit_grey_with_a_transparent_value(tmp_path):
    values = ramp16(2)
    values[..., 1] = 65535
    read = read_uint8(write_png16(tmp_path / "la16.png", values))
    np.testing.assert_allclose(read[..., 0], values[..., 0] / 257, atol=1.01)


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_floating_point_tiff_is_refused_unless_its_range_is_clear(tmp_path, top):
    values = np.linspace(0, top, H * W, dtype=np.float32).reshape(H, W)
    Image.fromarray(values).save(tmp_path / "float.tif")
    if top > 1:
        with pytest.raises(
            ImageError, match=r"float\.tif holds F values from 0 to 255; expected 0 to 1"
        ):
            read_uint8(tmp_path / "float.tif")
    else:
        np.testing.assert_allclose(
            read_uint8(tmp_path / "float.tif")[..., 0], values * 255, atol=0.51
        )


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # cyan ink absorbs red
    Image.fromarray(ink, "CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    read = read_uint8(tmp_path / "cmyk.jpg").astype(int)
    assert read.shape == (16, 16, 3)
    assert read[..., 0].max() < 10
    assert read[..., 1:].min() > 240


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo).save(tmp_path / "turned.png", exif=exif)
    expected = UPRIGHT[orientation](photo)
    np.testing.assert_array_equal(read_uint8(tmp_path / "turned.png"), expected)


def test_a_rotated_jpeg_stands_upright(tmp_path):
    half = np.zeros((32, 64, 3), np.uint8)
    half[:, :32] = 255  # left half white; a camera on its side calls for a quarter turn
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(half).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    read = read_uint8(tmp_path / "turned.jpg")
    assert read.shape == (64, 32, 3)
    assert read[:30].min() > 240
    assert read[34:].max() < 15


def test_a_single_pixel_is_an_image(tmp_path):
    save_image(tmp_path / "one.png", np.full((1, 1, 3), 0.5, np.float32))
    assert read_uint8(tmp_path / "one.png").tolist() == [[[128, 128, 128]]]


def test_bytes_are_decoded_like_files(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    np.testing.assert_array_equal(decode_uint8(content, "upload"), photo)
    for bad in (b"", b"not a photo", content[:60]):
        with pytest.raises(ImageError, match="upload"):
            decode_uint8(bad, "upload")


# Files that are no images


def damaged(tmp_path, photo, kind):
    path = tmp_path / f"{kind}.png"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a photo")
    elif kind == "header-only":
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    else:
        big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(big).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", r"empty\.png is empty \(0 bytes\)"),
        ("text", r"text\.png cannot be opened as an image"),
        ("header-only", r"header-only\.png"),
        ("truncated", r"truncated\.png is damaged or truncated.*Fetch it again"),
    ],
)
def test_a_broken_file_is_named(tmp_path, photo, kind, message):
    with pytest.raises(ImageError, match=message):
        load_image(damaged(tmp_path, photo, kind))


def test_a_truncated_jpeg_is_named(tmp_path):
    big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(big).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"cut\.jpg is damaged or truncated"):
        read_uint8(tmp_path / "cut.jpg")


def test_a_picture_with_impossible_dimensions_is_refused(tmp_path):
    """A few bytes that claim 60,000 x 60,000 pixels must not take 10 GB."""
    write_png16(tmp_path / "bomb.png", np.zeros((1, 1, 1), np.uint16))
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"bomb\.png cannot be opened"):
        read_uint8(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", ["missing.png", ""])
def test_a_missing_file_and_a_folder_are_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no such image file"):
        load_image(tmp_path / name)


# The image contract


def test_a_good_image_passes_without_a_copy():
    image = np.random.default_rng(0).random((H, W, 3), np.float32)
    assert check_image(image) is image
    assert check_image(image.astype(np.float64)).dtype == np.float32
    assert check_image(image[None], ndim=4).shape == (1, H, W, 3)
    assert check_image(image[None], ndim=None).shape == (1, H, W, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "low has dtype uint8.*to_float"),
        (np.zeros((4, 4, 3), bool), "low has dtype bool"),
        (np.zeros((4, 4)), r"shape \(4, 4\); expected RGB of shape \(H, W, 3\)"),
        (np.zeros((4, 4, 1)), r"shape \(4, 4, 1\)"),
        (np.zeros((4, 4, 4)), r"shape \(4, 4, 4\)"),
        (np.zeros((3, 4, 4)), r"shape \(3, 4, 4\)"),
        (np.zeros((0, 4, 3)), r"shape \(0, 4, 3\)"),
        (np.zeros((2, 4, 4, 3)), r"shape \(2, 4, 4, 3\)"),
        (np.full((4, 4, 3), np.nan), "NaN or infinite"),
        (np.full((4, 4, 3), np.inf), "NaN or infinite"),
        (np.full((4, 4, 3), 128.0), "spans 128 to 128; expected values in"),
        (np.full((4, 4, 3), -0.5), "spans -0.5 to -0.5"),
    ],
)
def test_a_break_of_the_contract_is_named(image, message):
    with pytest.raises(ImageError, match=message):
        check_image(image, "low")


def test_one_nan_among_good_values_is_found():
    image = np.full((4, 4, 3), 0.5)
    image[3, 1, 2] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        check_image(image)


def test_rounding_error_of_a_model_is_let_through():
    assert check_image(np.full((2, 2, 3), 1.0005)).max() > 1


# Conversion


def test_to_uint8_rounds_where_a_cast_would_truncate():
    values = np.arange(256) / 255
    assert to_uint8(values).tolist() == list(range(256))
    assert to_uint8(values.astype(np.float32)).tolist() == list(range(256))
    just_below = (np.arange(1, 256) - 0.4) / 255
    assert to_uint8(just_below).tolist() == list(range(1, 256))
    assert (just_below * 255).astype(np.uint8).tolist() == list(range(255))
    assert to_uint8(np.array([-0.3, 1.7, np.inf])).tolist() == [0, 255, 255]


def test_every_8_bit_value_survives_the_round_trip():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(values)), values)


def test_16_bit_values_span_the_unit_interval():
    assert to_float(np.array([0, 65535], np.uint16)).tolist() == [0.0, 1.0]


def test_conversions_refuse_to_guess():
    with pytest.raises(ImageError, match="dtype uint8"):
        to_uint8(np.zeros(3, np.uint8))
    with pytest.raises(ImageError, match="NaN"):
        to_uint8(np.array([0.5, np.nan]))
    for dtype in (np.float32, np.int64):
        with pytest.raises(ImageError, match="uint8 or uint16"):
            to_float(np.zeros(3, dtype))


# Saving


def test_a_saved_image_comes_back(tmp_path, photo):
    path = save_image(tmp_path / "new folder" / "a.png", photo)
    np.testing.assert_array_equal(read_uint8(path), photo)
    save_image(path, photo / 255)
    np.testing.assert_array_equal(read_uint8(path), photo)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_lossy_formats_come_back_nearly(tmp_path, suffix):
    ramp = np.tile(np.linspace(0, 1, 64)[None, :, None], (48, 1, 3))
    save_image(tmp_path / f"a{suffix}", ramp, quality=98)
    np.testing.assert_allclose(load_image(tmp_path / f"a{suffix}"), ramp, atol=0.03)


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.gif", np.zeros((4, 4, 3)), "known image suffix"),
        ("a", np.zeros((4, 4, 3)), "known image suffix"),
        ("a.png", np.zeros((4, 4)), "shape"),
        ("a.png", np.full((4, 4, 3), 7.0), "spans 7 to 7"),
        ("a.png", np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
        ("a.png", np.zeros((2, 4, 4, 3), np.uint8), r"shape \(2, 4, 4, 3\)"),
        ("a.png", np.zeros((4, 4, 3), np.int32), "dtype int32"),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_file(tmp_path, photo, name, image, message):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(ImageError, match=message):
        save_image(path, image)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "weights.keras.json"
    target.write_text("old")

    def interrupted():
        with atomic_path(target) as temporary:
            assert temporary.parent == tmp_path
            assert temporary.name.endswith(".keras.json")
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_a_folder_in_the_way_is_an_error_and_nothing_is_left(tmp_path, photo):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        save_image(tmp_path / "a.png", photo)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_new_file_gets_ordinary_permissions(tmp_path, photo):
    (tmp_path / "plain").write_text("")
    save_image(tmp_path / "a.png", photo)
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "a.png")}
    assert len(modes) == 1


# Padding


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 7), (8, 16), (33, 2)])
@pytest.mark.parametrize("multiple", [1, 4, 8, 32])
def test_padding_can_be_cropped_away(shape, multiple):
    image = np.random.default_rng(0).random((*shape, 3), np.float32)
    padded = pad_to_multiple(image, multiple)
    assert padded.shape == (*(-(-side // multiple) * multiple for side in shape), 3)
    np.testing.assert_array_equal(padded[: shape[0], : shape[1]], image)
    assert np.isin(padded, image).all()


def test_padding_reflects_without_repeating_the_edge():
    image = np.arange(5.0)[:, None, None] * np.ones((1, 1, 3))
    assert pad_to_multiple(image, 8)[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    whole = np.zeros((8, 8, 3))
    assert pad_to_multiple(whole, 8) is whole
    with pytest.raises(ValueError, match="multiple is 0"):
        pad_to_multiple(whole, 0)


# Places


def test_the_project_is_found_and_a_wrong_photo_folder_is_named(tmp_path, monkeypatch):
    assert (project_root() / "data" / "registry.toml").is_file()
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)
    assert photo_dir() is None
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        photo_dir()
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    assert photo_dir() == tmp_path


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
