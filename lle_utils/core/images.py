"""The image contract: float32, RGB, channels last, values in [0, 1]; and how files become that.

uint8 exists only in files and packs. Everything else in the package takes and returns
float32 of shape ``(H, W, 3)`` or ``(N, H, W, 3)``.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lle_utils.core.paths import atomic_path

BT601 = np.array([0.299, 0.587, 0.114])

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
PNG_LEVEL = 4  # of zlib: the size of Pillow's 6 within 1 %, in half the time


class ImageError(ValueError):
    """A file or array that does not hold an image this package can work with."""


def check_image(image: np.ndarray, name: str = "image", ndim: int | None = 3) -> np.ndarray:
    """Check that an array follows the image contract and return it as float32.

    Args:
        image: Array of shape ``(H, W, 3)`` or ``(N, H, W, 3)``, floating point, in [0, 1].
        name: What to call the array in an error.
        ndim: 3 for one image, 4 for a batch, None for either.

    Returns:
        The same values as float32 (no copy when they already are).

    Raises:
        ImageError: If the type is not floating point, the shape is wrong, a value is NaN
            or infinite, or a value lies outside [0, 1] by more than 1e-3.
    """
    image = np.asarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(
            f"{name} has dtype {image.dtype}; expected floating point in [0, 1]. "
            "Convert 8-bit data with lle_utils.core.to_float."
        )
    _check_shape(image, name, (3, 4) if ndim is None else (ndim,))
    low, high = float(image.min()), float(image.max())
    if not np.isfinite(low + high):
        raise ImageError(f"{name} contains NaN or infinite values; expected numbers in [0, 1].")
    if low < -1e-3 or high > 1 + 1e-3:
        raise ImageError(
            f"{name} spans {low:.4g} to {high:.4g}; expected values in [0, 1]. "
            "Clip it, or divide 8-bit values by 255."
        )
    return image.astype(np.float32, copy=False)


def _check_shape(image: np.ndarray, name: str, allowed: tuple[int, ...]) -> None:
    if image.ndim not in allowed or image.shape[-1] != 3 or 0 in image.shape:
        layout = {3: "(H, W, 3)", 4: "(N, H, W, 3)"}
        expected = " or ".join(layout[n] for n in allowed)
        raise ImageError(f"{name} has shape {image.shape}; expected RGB of shape {expected}.")


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round an image in [0, 1] to 8 bits: ``round(255 * clip(x, 0, 1))``, never a truncating cast.

    Args:
        image: Floating-point array in [0, 1], any shape; values outside are clipped.

    Returns:
        uint8 array of the same shape.

    Raises:
        ImageError: If the array is not floating point or holds NaN.

    >>> to_uint8(np.array([0.0, 0.5, 0.999, 1.2])).tolist()
    [0, 128, 255, 255]
    """
    image = np.asarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"to_uint8 expects floating point in [0, 1], got dtype {image.dtype}.")
    if np.isnan(image).any():
        raise ImageError("to_uint8 got NaN; expected numbers in [0, 1].")
    scaled = np.clip(image, 0.0, 1.0).astype(np.float32, copy=False)  # a copy already
    scaled *= np.float32(255.0)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def to_float(image: np.ndarray) -> np.ndarray:
    """Convert 8-bit or 16-bit unsigned values to float32 in [0, 1].

    Args:
        image: uint8 or uint16 array, any shape.

    Returns:
        float32 array of the same shape.

    Raises:
        ImageError: For any other dtype; a float array is never rescaled by guess.

    >>> to_float(np.array([0, 255], np.uint8)).tolist()
    [0.0, 1.0]
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"to_float expects uint8 or uint16, got {image.dtype}. "
            "Floating-point images in [0, 1] need no conversion."
        )
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def read_uint8(path: str | os.PathLike) -> np.ndarray:
    """Read a photo as 8-bit RGB, upright.

    Grey becomes RGB, transparency is laid on white, CMYK is converted, 16-bit values are
    scaled to 8 bits, and the EXIF orientation is applied.

    Args:
        path: A PNG, JPEG, WebP, BMP, TIFF or HEIC file.

    Returns:
        uint8 array of shape ``(H, W, 3)``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImageError: If the file is empty, truncated, or not an image.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise FileNotFoundError(f"{path}: no such image file.")
    return decode_uint8(path.read_bytes(), str(path))


def decode_uint8(content: bytes, name: str = "image", alpha: bool = False) -> np.ndarray:
    """Decode the bytes of an image file, such as an upload, as `read_uint8` does.

    Args:
        content: A whole PNG, JPEG, WebP, BMP, TIFF or HEIC file.
        name: What to call it in an error.
        alpha: Keep transparency instead of laying it on white.

    Returns:
        uint8 array of shape ``(H, W, 3)``; with ``alpha`` ``(H, W, 4)`` if the file has it.

    Raises:
        ImageError: If there are no bytes, or they are truncated or not an image.
    """
    if not content:
        raise ImageError(f"{name} is empty (0 bytes); expected an image file.")
    if content[4:8] == b"ftyp" and content[8:11] != b"avi":  # Pillow reads AVIF itself
        _add_heif(name)
    try:
        with Image.open(BytesIO(content)) as picture:
            _check_still(picture)
            picture.load()
            return _upright_rgb(picture, alpha)
    except ImageError as error:
        raise ImageError(f"{name} {error}.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} cannot be opened as an image: unknown format.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} cannot be opened as an image: {error}.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{name} is damaged or truncated: {error}. Fetch it again.") from error


def _check_still(picture: Image.Image) -> None:
    """Refuse films and documents, of which the first picture would be all that is left.

    Not meant are what cameras put beside a photo: reduced copies, and the second picture of a
    phone's JPEG.
    """
    if picture.format in ("PNG", "WEBP", "AVIF", "GIF"):
        count, what = getattr(picture, "n_frames", 1), "frames"
    elif picture.format == "TIFF":
        count, what = _pages(picture), "pages"
    else:
        return
    check_single(count, what)


def check_single(count: int, what: str) -> None:
    """Refuse a file that holds several photos.

    Raises:
        ImageError: If there are; the message goes on from the name of the file.
    """
    if count > 1:
        raise ImageError(f"holds {count} {what}; expected one photo. Save them as single files")


def _pages(picture: Image.Image) -> int:
    """Count the pages of a TIFF that are no reduced copies, as their tag says (NewSubfileType)."""
    count = 0
    for page in range(picture.n_frames):
        picture.seek(page)
        count += not picture.tag_v2.get(254, 0) & 1
    picture.seek(0)
    return count


def _add_heif(name: str) -> None:
    """Teach Pillow to read HEIC, the format of phones, if the package for it is there."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise ImageError(
            f'{name} may be a HEIC photo; to read it, pip install "lle-utils[photos]".'
        ) from error
    register_heif_opener()


def _upright_rgb(picture: Image.Image, alpha: bool) -> np.ndarray:
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit and wider grey
        values = np.asarray(picture).astype(np.float64)
        top = 1.0 if picture.mode == "F" else 65535.0
        if not (values.min() >= 0 and values.max() <= top):  # the range is never guessed
            raise ImageError(
                f"holds {picture.mode} values from {values.min():g} to {values.max():g}; expected "
                f"0 to {top:g}, 16-bit integers or floating point up to 1"
            )
        grey = np.rint(values / top * 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if alpha:
            return np.array(picture)
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return np.array(picture.convert("RGB"))


def load_image(path: str | os.PathLike) -> np.ndarray:
    """Read a photo as the package's image type.

    Args:
        path: See `read_uint8`.

    Returns:
        float32 array of shape ``(H, W, 3)`` in [0, 1].

    Raises:
        FileNotFoundError, ImageError: See `read_uint8`.
    """
    return to_float(read_uint8(path))


def as_float(image: np.ndarray | str | os.PathLike) -> np.ndarray:
    """Return a photo, given as a path or an array, as a float image.

    Args:
        image: A path, or an array of uint8, uint16, or floating point in [0, 1].

    Returns:
        float32 image in [0, 1]; an array of floating point is returned as it is.

    Raises:
        ImageError, FileNotFoundError: If a file cannot be read.
    """
    if isinstance(image, (str, os.PathLike)):
        return load_image(image)
    return to_float(image) if image.dtype in (np.uint8, np.uint16) else image


def save_image(path: str | os.PathLike, image: np.ndarray, quality: int = 95) -> Path:
    """Write an image, rounded to 8 bits; the file appears whole or not at all.

    Args:
        path: Target with one of the suffixes in `SUFFIXES`.
        image: Float image ``(H, W, 3)`` in [0, 1], or uint8.
        quality: JPEG and WebP quality, 1 to 100.

    Returns:
        The path written.

    Raises:
        ImageError: If the suffix is unknown or the array breaks the image contract.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path} has no known image suffix; use one of {', '.join(SUFFIXES)}.")
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = to_uint8(check_image(image))
    _check_shape(image, "image", (3,))
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, quality=quality, compress_level=PNG_LEVEL)
    return path


def round_up(length: int, size_divisor: int) -> int:
    """Return the smallest multiple of ``size_divisor`` that is no less than a length.

    >>> round_up(100, 12)
    108
    """
    return -(-length // size_divisor) * size_divisor


def pad_to_divisor(image: np.ndarray, size_divisor: int, padding: int = 0) -> np.ndarray:
    """Reflect-pad an image at the bottom and right until both sides divide by ``size_divisor``.

    Args:
        image: Array of shape ``(H, W, C)``.
        size_divisor: Positive integer.
        padding: Pixels to add on all four sides besides, a multiple of ``size_divisor``.

    Returns:
        Array of shape ``(ceil(H/d)*d + 2m, ceil(W/d)*d + 2m, C)``; crop with ``[m:H+m, m:W+m]`` to
        undo. Sides shorter than the padding are reflected repeatedly; a side of one pixel repeats
        it.
    """
    if size_divisor < 1:
        raise ValueError(f"size_divisor is {size_divisor}; expected a positive integer.")
    height, width = image.shape[:2]
    after = (padding + -side % size_divisor for side in (height, width))
    pad = (*((padding, more) for more in after), (0, 0))
    if not any(map(any, pad)):
        return image
    return np.pad(image, pad, mode="reflect")


def luminance(image: np.ndarray) -> np.ndarray:
    """Return the BT.601 luminance of sRGB values, without linearising them.

    Args:
        image: RGB array of shape ``(..., 3)``.

    Returns:
        Array of shape ``(...)`` in the same range, float64.

    >>> luminance(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])).round(3).tolist()
    [0.299, 1.0]
    """
    return np.asarray(image) @ BT601


def convert_like(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert a float image in [0, 1] to uint8 or uint16, rounding, or to a floating-point type."""
    if dtype == np.uint8:
        return to_uint8(image)
    if dtype == np.uint16:
        return np.rint(np.clip(image, 0, 1) * np.float32(65535)).astype(np.uint16)
    return np.clip(image, 0, 1).astype(dtype, copy=False)
