"""Camera raw: what a sensor counted, before anybody made a picture of it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lle_utils.core.errors import require
from lle_utils.core.exposure import linear_to_srgb, srgb_to_linear
from lle_utils.core.images import ImageError, to_float, to_uint8
from lle_utils.core.paths import atomic_path
from lle_utils.core.photo_formats import DEVELOPED, RAW_SUFFIXES, open_raw, read_photo
from lle_utils.core.resizing import block_mean

QUARTER_TURNS = {0: 0, 3: 2, 5: 1, 6: 3}  # LibRaw's flip -> anticlockwise
EXIF_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
SRGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)  # IEC 61966-2-1


@dataclass(frozen=True)
class RawFrame:
    """The frame of a sensor with a Bayer pattern, and what its colours mean.

    Attributes:
        planes: float32 ``(h, w, 4)``: red, green, green and blue of each cell of 2x2 pixels, from
            left to right and top to bottom. Linear; the black level is 0, the white level 1.
            Noise in the dark lies on both sides of 0, and is not cut off.
        gains: White balance: what red, green and blue are multiplied by; green's is 1.
        matrix: ``(3, 3)``, from balanced camera colours to linear sRGB; its rows add up to 1, so
            that grey stays grey.
        flip: How the picture has to be turned, as LibRaw says it: 0, 3, 5 or 6.
    """

    planes: np.ndarray
    gains: tuple[float, float, float]
    matrix: np.ndarray
    flip: int = 0


def read_raw(path: str | os.PathLike) -> RawFrame:
    """Read a camera raw file without developing it.

    The pattern of the planes is always R, G, G, B: where that of the camera begins with another
    colour, the first row, the first column or both are left out.

    Args:
        path: A file with a suffix of `RAW_SUFFIXES`.

    Returns:
        The frame.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If it is damaged, no camera raw, or not of a Bayer pattern (X-Trans, Foveon,
            grey).
        ImportError: If rawpy is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in RAW_SUFFIXES:
        raise ImageError(f"{path} is no camera raw file; expected {', '.join(RAW_SUFFIXES)}.")
    with open_raw(path.read_bytes(), path) as raw:
        return _frame(raw, path)


def _frame(raw, path: Path) -> RawFrame:
    pattern = raw.raw_pattern
    if pattern is None or pattern.shape != (2, 2) or sorted(raw.color_desc) != sorted(b"RGBG"):
        raise ImageError(
            f"{path} has no Bayer pattern of red, green and blue; other sensors, such as X-Trans, "
            "are developed as usual: take another method than a raw one."
        )
    colors = raw.raw_colors_visible
    top, left = np.argwhere(colors[:2, :2] == 0)[0]  # where red is
    values = raw.raw_image_visible[top:, left:]
    height, width = (side // 2 * 2 for side in values.shape)
    values, colors = values[:height, :width], colors[top:, left:][:2, :2]
    planes = np.empty((height // 2, width // 2, 4), np.float32)
    for place in range(4):
        row, column = divmod(place, 2)
        black = raw.black_level_per_channel[colors[row, column]]
        planes[..., place] = values[row::2, column::2]
        planes[..., place] = (planes[..., place] - black) / (raw.white_level - black)
    return RawFrame(planes, _balance(raw), _matrix(raw), int(raw.sizes.flip))


def _balance(raw) -> tuple[float, float, float]:
    """Return the camera's own white balance, or that of daylight where it noted none."""
    gains = np.array(raw.camera_whitebalance[:3])
    if not (np.isfinite(gains).all() and (gains > 0).all()):
        gains = np.array(raw.daylight_whitebalance[:3])
    return tuple((gains / gains[1]).tolist())


def _matrix(raw) -> np.ndarray:
    """Return the matrix of a DNG, or else of LibRaw's list of cameras, or else none."""
    matrix = np.asarray(raw.color_matrix, np.float64)[:, :3]
    if np.isfinite(matrix).all() and np.allclose(matrix.sum(1), 1, atol=0.01):
        return matrix
    return matrix_from_xyz(np.asarray(raw.rgb_xyz_matrix, np.float64)[:3])


def matrix_from_xyz(xyz_to_camera: np.ndarray) -> np.ndarray:
    """Return the matrix from balanced camera colours to linear sRGB.

    Args:
        xyz_to_camera: ``(3, 3)``, as tables of cameras hold it; of zeros if it is not known.

    Returns:
        ``(3, 3)``, rows that add up to 1; the identity if the matrix is not known.

    Reference:
        Coffin, dcraw, ``cam_xyz_coeff``.
    """
    seen = xyz_to_camera @ SRGB_TO_XYZ
    white = seen.sum(1, keepdims=True)
    if not (np.isfinite(seen).all() and (white > 0).all()):
        return np.eye(3)
    return np.linalg.inv(seen / white)


def write_dng(
    path: str | os.PathLike, frame: RawFrame, black: int = 2056, white: int = 15000
) -> Path:
    """Write a frame as a DNG, which raw developers read.

    Args:
        path: Target, ending in ``.dng``; it appears whole or not at all.
        frame: What to write.
        black, white: The levels that 0 and 1 are stored as; the defaults are of 14 bits.

    Returns:
        The path.

    Reference:
        Adobe, Digital Negative Specification 1.4.0.0.
    """
    height, width = frame.planes.shape[:2]
    values = np.clip(np.rint(frame.planes * (white - black) + black), 0, 65535).astype(np.uint16)
    mosaic = np.empty((2 * height, 2 * width), np.uint16)
    for place in range(4):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = values[..., place]
    to_xyz = SRGB_TO_XYZ @ frame.matrix @ np.diag(frame.gains)
    tags = [  # code, type, count, value, write once
        (274, "H", 1, EXIF_ORIENTATIONS[frame.flip], True),
        (33421, "H", 2, (2, 2), True),  # size and colours of the pattern
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),  # versions
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "lle-utils synthetic camera", True),
        (50714, "H", 1, black, True),
        (50717, "H", 1, white, True),
        (50721, "2i", 9, _fractions(np.linalg.inv(to_xyz)), True),  # from XYZ to the camera
        (50728, "2I", 3, _fractions(1 / np.array(frame.gains)), True),  # how it sees white
        (50778, "H", 1, 21, True),  # D65
    ]
    with atomic_path(Path(path)) as temporary:
        require("tifffile", "photos", "Camera raw").imwrite(
            temporary, mosaic, photometric="cfa", metadata=None, extratags=tags
        )
    return Path(path)


def _fractions(values: np.ndarray) -> tuple[int, ...]:
    return tuple(part for value in values.ravel() for part in (round(value * 10**6), 10**6))


def amplified(frame: RawFrame, ratio: float) -> np.ndarray:
    """Return the planes with white balance, as if they had been exposed ``ratio`` times as long.

    Args:
        frame: A frame.
        ratio: Exposure ratio, above 0.

    Returns:
        float32 ``(h, w, 4)``; linear, not clipped: noise may be below 0, lights above 1.
    """
    red, green, blue = frame.gains
    return frame.planes * (np.float32(ratio) * np.array([red, green, green, blue], np.float32))


def camera_to_srgb(image: np.ndarray, frame: RawFrame) -> np.ndarray:
    """Give a picture in camera colours those of sRGB.

    Args:
        image: ``(H, W, 3)`` in [0, 1]: balanced camera colours, encoded with the curve of sRGB.
        frame: Whose matrix counts.

    Returns:
        float32 of the same shape in [0, 1].
    """
    light = srgb_to_linear(image) @ frame.matrix.T
    return linear_to_srgb(np.clip(light, 0, 1)).astype(np.float32)


def srgb_to_camera(image: np.ndarray, frame: RawFrame) -> np.ndarray:
    """Return a photo in the colours of a camera, the inverse of `camera_to_srgb`."""
    light = srgb_to_linear(image) @ np.linalg.inv(frame.matrix).T
    return linear_to_srgb(np.clip(light, 0, 1)).astype(np.float32)


def turned(image: np.ndarray, flip: int) -> np.ndarray:
    """Turn a picture upright.

    Args:
        image: ``(H, W, C)``.
        flip: As of `RawFrame`.
    """
    return np.ascontiguousarray(np.rot90(image, QUARTER_TURNS.get(flip, 0)))


def developed_file(path: str | os.PathLike, reduction: int = 1) -> np.ndarray:
    """Read a camera raw file of any sensor as a photo of 8 bits, developed and not brightened.

    Args:
        path: The file.
        reduction: Side of the blocks of pixels that are averaged to one.

    Returns:
        uint8 ``(H // reduction, W // reduction, 3)``.

    Raises:
        ImageError, FileNotFoundError, ImportError: As `lle_utils.core.read_photo`.
    """
    photo = to_float(read_photo(path).pixels)
    return to_uint8(photo if reduction == 1 else block_mean(photo, reduction))


def develop(frame: RawFrame, brightness: float = 1.0) -> np.ndarray:
    """Develop a frame with LibRaw, as most programs would.

    Args:
        frame: A frame.
        brightness: What LibRaw multiplies the light by before it is cut off at white.

    Returns:
        uint16 ``(H, W, 3)``, upright sRGB.

    Raises:
        ImportError: If rawpy or tifffile are not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = write_dng(Path(folder) / "frame.dng", frame)
        with open_raw(path.read_bytes(), path) as raw:
            return raw.postprocess(**DEVELOPED, bright=brightness, user_flip=frame.flip)
