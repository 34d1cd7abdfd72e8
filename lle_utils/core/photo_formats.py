"""Photo files as cameras and editors write them: more formats, 16 bits, metadata, ICC profile.

HEIC and 16-bit TIFF need ``pip install "lle-utils[photos]"``, as do camera raw files; 16-bit PNG
is read with ``"lle-utils[video]"``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from lle_utils.core.deep_files import (
    PNG_SIGNATURE,
    PNG_XMP,
    encode_deep_png,
    read_deep_png,
    read_deep_tiff,
    tiff_is_deep,
    write_deep_tiff,
)
from lle_utils.core.errors import require
from lle_utils.core.images import PNG_LEVEL, SUFFIXES, ImageError, decode_uint8
from lle_utils.core.paths import atomic_path
from lle_utils.core.photo_metadata import (
    IPTC_TAG,
    TIFF_STARTS,
    XMP_TAG,
    Metadata,
    iptc_segment,
    loaded,
    read_metadata,
)

HEIF_SUFFIXES = (".heic", ".heif")
RAW_SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")
AVIF_SUFFIXES = (".avif",) if features.check("avif") else ()
WRITABLE = (*SUFFIXES, *HEIF_SUFFIXES, *AVIF_SUFFIXES)
READABLE = (*WRITABLE, *RAW_SUFFIXES)
ALPHA_SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".avif")
DEEP_SUFFIXES = (".png", ".tif", ".tiff")  # what can be written in 16 bits
DEVELOPED = {  # how LibRaw develops: sRGB, which is not its default, in 16 bits
    "use_camera_wb": True,
    # Automatic brightening would do, worse and unasked, what this package is for.
    "no_auto_bright": True,
    "output_bps": 16,
    "gamma": (2.4, 12.92),
}


@dataclass
class Photo:
    """The content of a photo file.

    Attributes:
        pixels: uint8 or uint16 array ``(H, W, 3)``, RGB, upright.
        alpha: How opaque each pixel is, ``(H, W)`` of the same type, or None for a photo that is
            opaque everywhere. Below what cannot be seen lies the mean colour of what can.
        metadata: What is known about the photo.
        icc: ICC profile that says what the pixels' colours mean, or None for sRGB.
    """

    pixels: np.ndarray
    metadata: Metadata = field(default_factory=Metadata)
    icc: bytes | None = None
    alpha: np.ndarray | None = None


def read_photo(path: str | os.PathLike) -> Photo:
    """Read a photo with all its bits, its metadata and its ICC profile.

    Args:
        path: A file with one of the suffixes in `READABLE`. Camera raw is developed with the
            camera's white balance and without brightening, to sRGB in 16 bits.

    Returns:
        The photo, upright; grey becomes RGB.

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
        pixels, orientation, icc = read_deep_png(content, path)
    elif content[:4] in TIFF_STARTS and tiff_is_deep(content):
        pixels, orientation, icc = read_deep_tiff(content, path)
    else:
        pixels, orientation, icc = decode_uint8(content, str(path), alpha=True), 1, _icc_of(content)
    pixels, alpha = _apart(_upright(pixels, orientation))
    return Photo(pixels, read_metadata(content), icc, alpha)


def write_photo(path: str | os.PathLike, photo: Photo, quality: int = 95) -> Path:
    """Write a photo with its metadata and ICC profile; the file appears whole or not at all.

    16 bits are kept in PNG and TIFF files and rounded to 8 in others. Where a file cannot hold
    alpha, the photo is laid on white. BMP holds neither metadata nor profile; JPEG and TIFF alone
    hold IPTC.

    Args:
        path: Target with a suffix in `WRITABLE`.
        photo: What to write.
        quality: JPEG, WebP, HEIC and AVIF quality, 1 to 100.

    Returns:
        The path written.

    Raises:
        ImageError: If no file of that suffix can be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        known = ", ".join(WRITABLE)
        raise ImageError(f"{path} has a suffix that cannot be written; use one of {known}.")
    pixels = _joined(photo, suffix)
    if pixels.dtype == np.uint16 and suffix not in DEEP_SUFFIXES:
        pixels = np.rint(pixels / np.float32(257)).astype(np.uint8)
    with atomic_path(path) as temporary:
        if pixels.dtype == np.uint8:
            Image.fromarray(pixels).save(temporary, **_options(photo, suffix, quality))
        elif suffix == ".png":
            temporary.write_bytes(encode_deep_png(pixels, photo.metadata, photo.icc))
        else:
            write_deep_tiff(temporary, pixels, photo.metadata, photo.icc)
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


def _apart(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Take RGBA apart; an alpha that is opaque everywhere is none."""
    if values.shape[-1] == 3:
        return values, None
    pixels, alpha = values[..., :3].copy(), values[..., 3]
    if alpha.min() == np.iinfo(values.dtype).max:
        return pixels, None
    hidden = alpha == 0
    if hidden.any() and not hidden.all():
        pixels[hidden] = np.rint(pixels[~hidden].mean(axis=0)).astype(values.dtype)
    return pixels, alpha


def _joined(photo: Photo, suffix: str) -> np.ndarray:
    """Return the pixels with their alpha, or laid on white for a file that holds none."""
    if photo.alpha is None:
        return photo.pixels
    top = np.iinfo(photo.pixels.dtype).max
    if suffix in ALPHA_SUFFIXES:
        return np.dstack([photo.pixels, photo.alpha])
    share = photo.alpha[..., None] / np.float32(top)
    return np.rint(photo.pixels * share + top * (1 - share)).astype(photo.pixels.dtype)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
