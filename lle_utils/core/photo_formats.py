"""Photo files as cameras and editors write them: more formats, 16 bits, metadata, ICC profile.

HEIC and 16-bit TIFF need ``pip install "lle-utils[photos]"``, as do camera raw files; 16-bit PNG
is read with ``"lle-utils[video]"``.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from lle_utils.core.errors import require
from lle_utils.core.images import PNG_LEVEL, SUFFIXES, ImageError, decode_uint8
from lle_utils.core.paths import atomic_path
from lle_utils.core.photo_metadata import (
    EXIF_IFD,
    GPS_IFD,
    IPTC_TAG,
    ORIENTATION,
    TIFF_STARTS,
    XMP_TAG,
    Metadata,
    ifd_bytes,
    iptc_segment,
    loaded,
    read_metadata,
)

HEIF_SUFFIXES = (".heic", ".heif")
RAW_SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")
WRITABLE = (*SUFFIXES, *HEIF_SUFFIXES)
READABLE = (*WRITABLE, *RAW_SUFFIXES)
DEEP_SUFFIXES = (".png", ".tif", ".tiff")  # what can be written in 16 bits
DEVELOPED = {  # how LibRaw develops: sRGB, which is not its default, in 16 bits
    "use_camera_wb": True,
    # Automatic brightening would do, worse and unasked, what this package is for.
    "no_auto_bright": True,
    "output_bps": 16,
    "gamma": (2.4, 12.92),
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_XMP = "XML:com.adobe.xmp"  # the keyword of its chunk


@dataclass
class Photo:
    """The content of a photo file.

    Attributes:
        pixels: uint8 or uint16 array ``(H, W, 3)``, RGB, upright.
        metadata: What is known about the photo.
        icc: ICC profile that says what the pixels' colours mean, or None for sRGB.
    """

    pixels: np.ndarray
    metadata: Metadata = field(default_factory=Metadata)
    icc: bytes | None = None


def read_photo(path: str | os.PathLike) -> Photo:
    """Read a photo with all its bits, its metadata and its ICC profile.

    Args:
        path: A file with one of the suffixes in `READABLE`. Camera raw is developed with the
            camera's white balance and without brightening, to sRGB in 16 bits.

    Returns:
        The photo, upright; grey becomes RGB, transparency is laid on white.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImageError: If the file is empty, damaged, or not an image.
        ImportError: If its format needs a package that is not installed.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise FileNotFoundError(f"{path}: no such image file.")
    content = path.read_bytes()
    if path.suffix.lower() in RAW_SUFFIXES:
        return Photo(_develop(content, path), read_metadata(content))
    if content.startswith(PNG_SIGNATURE) and content[24:25] == b"\x10":
        pixels, orientation, icc = _deep_png(content, path)
    elif content[:4] in TIFF_STARTS and _tiff_is_deep(content):
        pixels, orientation, icc = _deep_tiff(content, path)
    else:
        pixels, icc = decode_uint8(content, str(path)), _icc_of(content)
        return Photo(pixels, read_metadata(content), icc)
    return Photo(_on_white(_upright(pixels, orientation)), read_metadata(content), icc)


def write_photo(path: str | os.PathLike, photo: Photo, quality: int = 95) -> Path:
    """Write a photo with its metadata and ICC profile; the file appears whole or not at all.

    16 bits are kept in PNG and TIFF files and rounded to 8 in others. BMP holds neither metadata
    nor profile; JPEG and TIFF alone hold IPTC.

    Args:
        path: Target with a suffix in `lle_utils.core.images.SUFFIXES`, or ``.heic``.
        photo: What to write.
        quality: JPEG, WebP and HEIC quality, 1 to 100.

    Returns:
        The path written.

    Raises:
        ImageError: If no file of that suffix can be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, *HEIF_SUFFIXES):
        known = ", ".join((*SUFFIXES, *HEIF_SUFFIXES))
        raise ImageError(f"{path} has a suffix that cannot be written; use one of {known}.")
    pixels = photo.pixels
    if pixels.dtype == np.uint16 and suffix not in DEEP_SUFFIXES:
        pixels = np.rint(pixels / np.float32(257)).astype(np.uint8)
    with atomic_path(path) as temporary:
        if pixels.dtype == np.uint8:
            Image.fromarray(pixels).save(temporary, **_options(photo, suffix, quality))
        elif suffix == ".png":
            temporary.write_bytes(_encode_deep_png(pixels, photo))
        else:
            _write_deep_tiff(temporary, pixels, photo)
    return path


def _options(photo: Photo, suffix: str, quality: int) -> dict[str, Any]:
    """Return what Pillow has to know to write a photo of 8 bits."""
    if suffix in HEIF_SUFFIXES:
        require("pillow_heif", "photos").register_heif_opener()
    known = photo.metadata
    options = {"quality": quality, "icc_profile": photo.icc, "compress_level": PNG_LEVEL}
    if suffix in (".tif", ".tiff"):
        exif = loaded(known.exif)
        exif.update({t: v for t, v in {XMP_TAG: known.xmp, IPTC_TAG: known.iptc}.items() if v})
        return options | ({"exif": exif} if len(exif) else {})
    if known.exif:
        options["exif"] = known.exif
    if known.xmp and suffix == ".png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt(PNG_XMP, known.xmp.decode("utf-8", "replace"))
    elif known.xmp:
        options["xmp"] = known.xmp
    return options | {"extra": iptc_segment(known.iptc)}


@contextmanager
def open_raw(content: bytes, path: Path) -> Iterator:
    """Open a camera raw file as ``rawpy.RawPy``, for a ``with`` block.

    Args:
        content: Of the file.
        path: Its name, for a message.

    Raises:
        ImageError: If it cannot be read, now or in the block.
        ImportError: If rawpy is not installed.
    """
    rawpy = require("rawpy", "photos", "Camera raw")
    try:
        with rawpy.imread(BytesIO(content)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        raise ImageError(f"{path} is no readable camera raw file: {error}.") from error


def _develop(content: bytes, path: Path) -> np.ndarray:
    with open_raw(content, path) as raw:
        return raw.postprocess(**DEVELOPED)


def _icc_of(content: bytes) -> bytes | None:
    with Image.open(BytesIO(content)) as picture:
        rgb = picture.mode in ("RGB", "RGBA", "RGBX", "P")  # others are converted to sRGB
        return picture.info.get("icc_profile") if rgb else None


def _deep_png(content: bytes, path: Path) -> tuple[np.ndarray, int, bytes | None]:
    """Read a PNG of 16 bits, which Pillow cuts to 8."""
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


def _tiff_is_deep(content: bytes) -> bool:
    """Tell whether a TIFF holds 16-bit colour; grey of 16 bits is left to Pillow."""
    try:
        with Image.open(BytesIO(content)) as picture:
            bits = picture.tag_v2.get(258, ())
    except (UnidentifiedImageError, OSError, SyntaxError):
        return True  # Pillow refuses most of them; tifffile says what is wrong with the others
    return len(bits) >= 3 and bits[0] == 16


def _deep_tiff(content: bytes, path: Path) -> tuple[np.ndarray, int, bytes | None]:
    tifffile = require("tifffile", "photos")
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            page = file.pages[0]
            values = page.asarray()
            tags = {tag.code: tag.value for tag in page.tags}
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
        raise ImageError(f"{path} cannot be opened as a TIFF image: {error}.") from error
    if values.ndim == 3 and page.planarconfig == 2:  # one plane after the other
        values = np.moveaxis(values, 0, -1)
    if values.ndim != 3 or values.shape[-1] < 3 or values.dtype != np.uint16:
        raise ImageError(f"{path} holds {values.dtype} {values.shape}; expected 16-bit RGB.")
    return values[..., :4], int(tags.get(ORIENTATION, 1)), tags.get(34675)


def _on_white(values: np.ndarray) -> np.ndarray:
    """Lay 16-bit RGBA on white; RGB stays."""
    if values.shape[-1] == 3:
        return values
    alpha = values[..., 3:] / np.float32(65535)
    return np.rint(values[..., :3] * alpha + 65535 * (1 - alpha)).astype(np.uint16)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _encode_deep_png(pixels: np.ndarray, photo: Photo) -> bytes:
    """Encode a 16-bit RGB PNG, which Pillow cannot: each row as its difference to the one above.

    Reference:
        PNG specification (W3C, third edition), sections 5, 9.2 (filter 2, up) and 11.3.
    """
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, width * 6)
    filtered = np.empty((height, width * 6 + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))]
    if photo.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc)))
    if photo.metadata.exif:
        chunks.append((b"eXIf", photo.metadata.exif.removeprefix(b"Exif\0\0")))
    if photo.metadata.xmp:
        chunks.append((b"iTXt", PNG_XMP.encode() + b"\0" * 5 + photo.metadata.xmp))
    chunks += [(b"IDAT", zlib.compress(filtered, PNG_LEVEL)), (b"IEND", b"")]
    parts = [PNG_SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I", len(body)), kind, body]
        parts.append(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))
    return b"".join(parts)


def _write_deep_tiff(path: Path, pixels: np.ndarray, photo: Photo) -> None:
    """Write a 16-bit RGB TIFF; what EXIF keeps in directories of its own follows the pixels."""
    tifffile = require("tifffile", "photos")
    exif = loaded(photo.metadata.exif)
    blocks = {block: dict(exif.get_ifd(block)) for block in (EXIF_IFD, GPS_IFD)}
    blocks = {block: values for block, values in blocks.items() if values}
    tags = [(t, "s", 0, v, True) for t, v in exif.items() if isinstance(v, str)]
    # tifffile writes no tag that points to a directory, so each gets its number afterwards.
    tags += [(block - 1, "I", 1, 0, True) for block in blocks]
    for tag, text in {XMP_TAG: photo.metadata.xmp, IPTC_TAG: photo.metadata.iptc}.items():
        tags += [(tag, "B", len(text), text, True)] if text else []
    options = {"photometric": "rgb", "compression": "zlib", "iccprofile": photo.icc}
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
