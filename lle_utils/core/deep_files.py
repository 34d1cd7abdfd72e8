"""Photo files of more than 8 bits for each colour, which Pillow cannot read or write: PNG, TIFF."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lle_utils.core.errors import require
from lle_utils.core.images import PNG_LEVEL, ImageError, check_single
from lle_utils.core.photo_metadata import (
    EXIF_IFD,
    GPS_IFD,
    IPTC_TAG,
    ORIENTATION,
    XMP_TAG,
    Metadata,
    ifd_bytes,
    loaded,
)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_XMP = "XML:com.adobe.xmp"  # the keyword of its chunk


def read_deep_png(content: bytes, path: Path) -> tuple[np.ndarray, int, bytes | None]:
    """Read a PNG of 16 bits, which Pillow cuts to 8.

    Returns:
        uint16 array ``(H, W, 3)`` or ``(H, W, 4)``, EXIF orientation, ICC profile or None.
    """
    av = require("av", "video")
    try:
        with Image.open(BytesIO(content)) as picture:
            orientation = picture.getexif().get(ORIENTATION, 1)
            rgb = content[25] in (2, 6)  # colour types RGB and RGBA
            icc = picture.info.get("icc_profile") if rgb else None
        with av.open(BytesIO(content)) as file:
            frame = next(file.decode(video=0))
            clear = content[25] in (4, 6) or b"tRNS" in content[:1000]
            return frame.to_ndarray(format="rgba64le" if clear else "rgb48le"), orientation, icc
    except (UnidentifiedImageError, OSError, StopIteration, av.FFmpegError) as error:
        raise ImageError(f"{path} is damaged or truncated: {error}. Fetch it again.") from error


def tiff_is_deep(content: bytes) -> bool:
    """Tell whether a TIFF holds more than 8 bits, or what Pillow cannot open."""
    try:
        with Image.open(BytesIO(content)) as picture:
            bits = picture.tag_v2.get(258, ())
    except (UnidentifiedImageError, OSError, SyntaxError):
        return True  # Pillow refuses most of them; tifffile says what is wrong with the others
    return bool(bits) and bits[0] > 8


def read_deep_tiff(content: bytes, path: Path) -> tuple[np.ndarray, int, bytes | None]:
    """Read a TIFF of 16 bits or in floating point from 0 to 1; returns what `read_deep_png` does.

    Raises:
        ImageError: If it is damaged, holds several pages, or other values than these.
    """
    tifffile = require("tifffile", "photos")
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            page = file.pages[0]
            check_single(sum(not each.is_reduced for each in file.pages), "pages")
            values = page.asarray()
            tags = {tag.code: tag.value for tag in page.tags}
    except ImageError as error:
        raise ImageError(f"{path} {error}.") from error
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
        raise ImageError(f"{path} cannot be opened as a TIFF image: {error}.") from error
    if values.ndim == 3 and page.planarconfig == 2:  # one plane after the other
        values = np.moveaxis(values, 0, -1)
    gray = values.ndim == 2
    if gray:
        values = np.repeat(values[..., None], 3, axis=-1)
    if np.issubdtype(values.dtype, np.floating):
        values = _sixteen_bits(values, path)
    if values.ndim != 3 or values.shape[-1] < 3 or values.dtype != np.uint16:
        raise ImageError(
            f"{path} holds {values.dtype} {values.shape}; expected RGB or grey, of 16 bits or in "
            "floating point."
        )
    if gray and page.photometric == 0:  # white is 0
        values = 65535 - values
    return values[..., :4], int(tags.get(ORIENTATION, 1)), None if gray else tags.get(34675)


def _sixteen_bits(values: np.ndarray, path: Path) -> np.ndarray:
    """Convert floating-point values of a file, whose range is never guessed, to 16 bits."""
    if not (values.min() >= 0 and values.max() <= 1):
        raise ImageError(
            f"{path} holds {values.dtype} values from {values.min():g} to {values.max():g}; "
            "expected 0 to 1. Light beyond white (HDR) has to be tone-mapped first."
        )
    return np.rint(values * 65535.0).astype(np.uint16)


def encode_deep_png(pixels: np.ndarray, known: Metadata, icc: bytes | None) -> bytes:
    """Encode a 16-bit PNG, RGB or RGBA, which Pillow cannot: each row as what it adds to the last.

    Reference:
        PNG specification (W3C, third edition), sections 5, 9.2 (filter 2, up) and 11.3.
    """
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0))
    ]
    if icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if known.exif:
        chunks.append((b"eXIf", known.exif.removeprefix(b"Exif\0\0")))
    if known.xmp:
        chunks.append((b"iTXt", PNG_XMP.encode() + b"\0" * 5 + known.xmp))
    chunks += [(b"IDAT", zlib.compress(filtered, PNG_LEVEL)), (b"IEND", b"")]
    parts = [PNG_SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I", len(body)), kind, body]
        parts.append(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))
    return b"".join(parts)


def write_deep_tiff(path: Path, pixels: np.ndarray, known: Metadata, icc: bytes | None) -> None:
    """Write a 16-bit RGB TIFF; what EXIF keeps in directories of its own follows the pixels."""
    tifffile = require("tifffile", "photos")
    exif = loaded(known.exif)
    blocks = {block: dict(exif.get_ifd(block)) for block in (EXIF_IFD, GPS_IFD)}
    blocks = {block: values for block, values in blocks.items() if values}
    tags = [(t, "s", 0, v, True) for t, v in exif.items() if isinstance(v, str)]
    # tifffile writes no tag that points to a directory, so each gets its number afterwards.
    tags += [(block - 1, "I", 1, 0, True) for block in blocks]
    for tag, text in {XMP_TAG: known.xmp, IPTC_TAG: known.iptc}.items():
        tags += [(tag, "B", len(text), text, True)] if text else []
    options = {"photometric": "rgb", "compression": "zlib", "iccprofile": icc}
    if pixels.shape[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(
        path, pixels, **options, byteorder="<", software=False, metadata=None, extratags=tags
    )
    with tifffile.TiffFile(path) as file:
        entries = {block: file.pages[0].tags[block - 1].offset for block in blocks}
    with path.open("r+b") as file:
        for block, entry in entries.items():
            offset = file.seek(0, os.SEEK_END)
            offset = file.seek(offset + offset % 2)  # directories begin at even bytes
            file.write(ifd_bytes(blocks[block], offset))
            file.seek(entry)
            file.write(struct.pack("<HHII", block, 4, 1, offset))
