"""EXIF, XMP and IPTC outlive enhancement in every format that can hold them."""

import struct

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin

from lle_utils.core.photo_formats import Photo, read_photo, write_photo
from lle_utils.core.photo_metadata import Metadata, iptc_segment, read_metadata

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x78\x00\x05Night"  # record 2, data set 120, the caption
EXPOSURE, ISO, LATITUDE, CAMERA, LENS = 0x829A, 0x8827, 2, 272, 0xA434
HOLDS_IPTC = (".jpg", ".tif")


def known():
    exif = Image.Exif()
    exif[CAMERA], exif[306] = "A camera", "2024:01:02 03:04:05"
    exif[0x8769] = {EXPOSURE: 0.125, ISO: 6400, LENS: "A lens"}
    exif[0x8825] = {1: "N", LATITUDE: (47.0, 30.0, 15.5)}
    return Metadata(exif.tobytes(), XMP, IPTC)


def check(metadata, suffix):
    exif = Image.Exif()
    exif.load(metadata.exif)
    block, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    assert (exif[CAMERA], exif[306]) == ("A camera", "2024:01:02 03:04:05")
    assert (float(block[EXPOSURE]), block[ISO], block[LENS]) == (0.125, 6400, "A lens")
    assert [float(part) for part in place[LATITUDE]] == [47.0, 30.0, 15.5]
    assert metadata.xmp == XMP
    assert metadata.iptc == (IPTC if suffix in HOLDS_IPTC else b"")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif", ".heic"])
def test_what_is_known_of_a_photo_is_kept(suffix, bits, tmp_path):
    for package in ("av", "tifffile", "pillow_heif"):
        pytest.importorskip(package)
    kind = {8: np.uint8, 16: np.uint16}[bits]
    pixels = np.random.default_rng(0).integers(0, 2**bits, (48, 64, 3)).astype(kind)
    path = write_photo(tmp_path / f"a{suffix}", Photo(pixels, known()))
    check(read_photo(path).metadata, suffix)
    once_more = write_photo(tmp_path / f"b{suffix}", read_photo(path))
    check(read_photo(once_more).metadata, suffix)


def test_others_read_what_is_written(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pixels = np.zeros((8, 12, 3), np.uint16)
    with tifffile.TiffFile(write_photo(tmp_path / "a.tif", Photo(pixels, known()))) as file:
        tags = file.pages[0].tags
        assert tags["ExifTag"].value["ISOSpeedRatings"] == 6400
        assert tags["Model"].value == "A camera"
        assert bytes(tags[700].value) == XMP
        np.testing.assert_array_equal(file.pages[0].asarray(), pixels)
    path = write_photo(tmp_path / "a.jpg", Photo(pixels.astype(np.uint8), known()))
    with Image.open(path) as picture:
        assert IptcImagePlugin.getiptcinfo(picture)[2, 120] == b"Night"


@pytest.mark.parametrize("said", ['tiff:Orientation="6"', "<tiff:Orientation>6</tiff:Orientation>"])
def test_a_photo_that_was_turned_says_nowhere_that_it_has_to_be(said, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    packet = f"<x:xmpmeta>{said}</x:xmpmeta>".encode()
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif, xmp=packet)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.pixels.shape == (40, 20, 3)
    assert photo.metadata.xmp == packet.replace(b"6", b"1")
    with Image.open(write_photo(tmp_path / "b.jpg", photo)) as written:
        assert written.size == (20, 40)
        assert written.getexif().get(0x0112, 1) == 1


def test_camera_raw_that_pillow_cannot_open_keeps_its_camera():
    # The start of a DNG: a directory of two tags, the camera's model and the compression of DNG.
    text = b"A camera\0"
    head = struct.pack("<2sHIH", b"II", 42, 8, 2)
    tags = struct.pack("<HHIHH", 259, 3, 1, 34892, 0) + struct.pack("<HHII", 272, 2, len(text), 38)
    content = head + tags + struct.pack("<I", 0) + text
    exif = Image.Exif()
    exif.load(read_metadata(content).exif)
    assert exif[CAMERA] == "A camera"


@pytest.mark.parametrize(
    "content", [b"", b"junk" * 9, b"II*\0" + b"\xff" * 40, b"\xff\xd8\xff\xe1"]
)
@pytest.mark.filterwarnings("error")
def test_broken_metadata_is_none(content):
    assert read_metadata(content) == Metadata()


def test_iptc_that_a_segment_cannot_hold_is_left_out(tmp_path):
    assert iptc_segment(b"") == iptc_segment(bytes(70_000)) == b""
    photo = Photo(np.zeros((8, 8, 3), np.uint8), Metadata(iptc=bytes(70_000)))
    assert read_photo(write_photo(tmp_path / "a.jpg", photo)).metadata.iptc == b""
