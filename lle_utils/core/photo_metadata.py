"""What a photo file says about the photo, and what of it outlives enhancement: EXIF, XMP, IPTC.

Kept is what says how, when, where and by whom a photo was taken, and what its owner wrote about it.
What describes the layout of the old file is left behind, as is the orientation: photos are turned.
"""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
XMP_TAG, IPTC_TAG = 700, 33723  # of a TIFF
IPTC_BLOCK = 0x0404  # of Photoshop's blocks in a JPEG
KEPT_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432)
MADE_WITH = 0x000B  # EXIF's ProcessingSoftware; Software, 305, is the camera's
STALE_EXIF_TAGS = (0xA002, 0xA003)  # width and height before the photo was turned
TIFF_STARTS = (b"II*\0", b"MM\0*")
LARGEST_SEGMENT = 65533  # bytes that a segment of a JPEG holds
# Many cameras and editors write blocks that break their own rules; the photo counts.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error)


@dataclass(frozen=True)
class Metadata:
    """What is known of a photo beside its pixels and their colours.

    Attributes:
        exif: EXIF block without orientation, thumbnail and layout, or empty.
        xmp: XMP packet, in which the photo is upright, or empty.
        iptc: IPTC records, or empty.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""


def read_metadata(content: bytes) -> Metadata:
    """Return what of a file's metadata outlives enhancement; what is missing or broken is empty.

    Args:
        content: Of a photo file; of camera raw too if it is built like a TIFF, as most are.
    """
    info, old = {}, Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with Image.open(BytesIO(content)) as picture:
                    info, old = picture.info, picture.getexif()
            except UnidentifiedImageError:
                if content[:4] in TIFF_STARTS:  # camera raw that Pillow does not know
                    old.load_from_fp(BytesIO(content))
            return Metadata(_kept(old), _upright_xmp(_xmp(info, old)), _iptc(info, old))
    except BROKEN:
        return Metadata()


def _kept(old: Image.Exif) -> bytes:
    new = Image.Exif()
    new.update({tag: old[tag] for tag in KEPT_TAGS if tag in old})
    for block in (EXIF_IFD, GPS_IFD):
        values = {k: v for k, v in old.get_ifd(block).items() if k not in STALE_EXIF_TAGS}
        if values:
            new[block] = values
    return new.tobytes() if len(new) else b""


def _xmp(info: dict, exif: Image.Exif) -> bytes:
    found = info.get("xmp") or exif.get(XMP_TAG) or b""
    return found.encode() if isinstance(found, str) else bytes(found)


def _upright_xmp(xmp: bytes) -> bytes:
    """Say in an XMP packet that the photo is upright, in either way in which it can be said."""
    said = rb'(tiff:Orientation(?:\s*=\s*["\']|>))[1-8]'
    return re.sub(said, rb"\g<1>1", xmp)


def _iptc(info: dict, exif: Image.Exif) -> bytes:
    found = (info.get("photoshop") or {}).get(IPTC_BLOCK) or exif.get(IPTC_TAG) or b""
    if isinstance(found, tuple):  # some write its bytes as whole numbers of 32 bits
        return struct.pack(f"<{len(found)}I", *found)
    return bytes(found)


def iptc_segment(iptc: bytes) -> bytes:
    """Return IPTC records as a segment of a JPEG, or nothing if there are none or too many."""
    block = b"8BIM" + struct.pack(">H2xI", IPTC_BLOCK, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    body = b"Photoshop 3.0\0" + block
    if not iptc or len(body) > LARGEST_SEGMENT:
        return b""
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def ifd_bytes(values: dict, offset: int) -> bytes:
    """Return a directory of tags, such as that of EXIF, as it is written into a TIFF.

    Args:
        values: Tag -> value, as Pillow reads them.
        offset: Where in the file it will lie; the file is little-endian.
    """
    directory = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag, value in values.items():
        directory[tag] = value
    return directory.tobytes(offset)


def loaded(exif: bytes) -> Image.Exif:
    """Return an EXIF block as Pillow's, empty for none."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    return block


def with_note(metadata: Metadata, note: str) -> Metadata:
    """Return metadata of which the EXIF says what made the file, in ASCII."""
    exif = loaded(metadata.exif)
    exif[MADE_WITH] = note
    return replace(metadata, exif=exif.tobytes())


def read_note(file: Path | BinaryIO) -> str:
    """Return what `with_note` said of a file, by its path or opened, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                return str(picture.getexif().get(MADE_WITH, ""))
    except BROKEN:
        return ""
