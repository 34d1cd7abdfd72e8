"""Photo files as cameras and editors write them: more formats, 16 bits, EXIF and ICC profile.

HEIC and 16-bit TIFF need ``pip install "lle-utils[photos]"``, as do camera raw files; 16-bit PNG
is read with ``"lle-utils[video]"``.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lle_utils.core.errors import require
from lle_utils.core.images import PNG_LEVEL, SUFFIXES, ImageError, decode_uint8
from lle_utils.core.paths import atomic_path

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
ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
# What says how, when and by whom a photo was taken; the rest describes the old file's layout.
KEPT_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432)
MADE_WITH = 0x000B  # EXIF's ProcessingSoftware; Software, 305, is the camera's
STALE_EXIF_TAGS = (0xA002, 0xA003)  # width and height before the photo was turned
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass
class Photo:
    """The content of a photo file.

    Attributes:
        pixels: uint8 or uint16 array ``(H, W, 3)``, RGB, upright.
        exif: EXIF block without orientation, thumbnail and layout, or empty.
        icc: ICC profile that says what the pixels' colours mean, or None for sRGB.
    """

    pixels: np.ndarray
    exif: bytes = b""
    icc: bytes | None = None


def read_photo(path: str | os.PathLike) -> Photo:
    """Read a photo with all its bits, its EXIF and its ICC profile.

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
        return Photo(_develop(content, path), kept_exif(content))
    if content.startswith(PNG_SIGNATURE) and content[24:25] == b"\x10":
        pixels, orientation, icc = _deep_png(content, path)
    elif content[:4] in (b"II*\0", b"MM\0*") and _tiff_is_deep(content):
        pixels, orientation, icc = _deep_tiff(content, path)
    else:
        return Photo(decode_uint8(content, str(path)), kept_exif(content), _icc_of(content))
    return Photo(_on_white(_upright(pixels, orientation)), kept_exif(content), icc)


def write_photo(path: str | os.PathLike, photo: Photo, quality: int = 95) -> Path:
    """Write a photo with its EXIF and ICC profile; the file appears whole or not at all.

    16 bits are kept in PNG and TIFF files and rounded to 8 in others. BMP holds neither EXIF nor
    profile; a 16-bit TIFF holds the profile alone.

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
            if suffix in HEIF_SUFFIXES:
                _register_heif()
            options = {"quality": quality, "icc_profile": photo.icc, "compress_level": PNG_LEVEL}
            if photo.exif:
                options["exif"] = photo.exif
            Image.fromarray(pixels).save(temporary, **options)
        elif suffix == ".png":
            temporary.write_bytes(_encode_deep_png(pixels, photo))
        else:
            note = _note_of(photo.exif)
            require("tifffile", "photos").imwrite(
                temporary,
                pixels,
                photometric="rgb",
                compression="zlib",
                iccprofile=photo.icc,
                extratags=[(MADE_WITH, "s", 0, note, True)] if note else (),
            )
    return path


def with_note(photo: Photo, note: str) -> Photo:
    """Return a photo whose EXIF says what made it, in ASCII; BMP cannot keep that."""
    exif = Image.Exif()
    if photo.exif:
        exif.load(photo.exif)
    exif[MADE_WITH] = note
    return replace(photo, exif=exif.tobytes())


def read_note(path: str | os.PathLike) -> str:
    """Return what `with_note` said of a file, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF that a camera broke
            with Image.open(path) as picture:
                return str(picture.getexif().get(MADE_WITH, ""))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return ""


def _note_of(exif: bytes) -> str:
    block = Image.Exif()
    if exif:
        block.load(exif)
    return str(block.get(MADE_WITH, ""))


def _register_heif() -> None:
    require("pillow_heif", "photos").register_heif_opener()


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


def kept_exif(content: bytes) -> bytes:
    """Return the EXIF that outlives enhancement, or nothing if there is none or it is broken."""
    try:
        with Image.open(BytesIO(content)) as picture:
            old = picture.getexif()
            new = Image.Exif()
            new.update({tag: old[tag] for tag in KEPT_TAGS if tag in old})
            for block in (EXIF_IFD, GPS_IFD):
                values = {k: v for k, v in old.get_ifd(block).items() if k not in STALE_EXIF_TAGS}
                if values:
                    new[block] = values
            return new.tobytes() if len(new) else b""
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return b""  # many cameras write EXIF that breaks its own rules; the photo counts


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
    if photo.exif:
        chunks.append((b"eXIf", photo.exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(filtered, PNG_LEVEL)), (b"IEND", b"")]
    parts = [PNG_SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I", len(body)), kind, body]
        parts.append(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))
    return b"".join(parts)
