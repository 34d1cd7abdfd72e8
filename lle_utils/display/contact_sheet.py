"""Lay results side by side: labelled sheets, and windows of the darkest places.

The pictures are plain arrays made with Pillow, fast enough to follow a slider.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lle_utils.core.images import ImageError, check_image, luminance, to_float, to_uint8

GAP = 4  # pixels between the tiles of a sheet
Window = tuple[slice, slice]


def draw_contact_sheet(
    images: Mapping[str, np.ndarray], columns: int = 4, width: int = 900
) -> np.ndarray:
    """Lay labelled pictures of one shape out in rows.

    Args:
        images: Label -> float image ``(H, W, 3)`` in [0, 1].
        columns: Tiles in a row.
        width: Width of the sheet in pixels; tiles are scaled to it.

    Returns:
        uint8 picture ``(H, width, 3)``.

    Raises:
        ValueError: If there is no picture.
        ImageError: If a picture breaks the image contract, or they differ in shape.
    """
    if not images:
        raise ValueError("draw_contact_sheet got no picture.")
    shapes = {name: check_image(image, name).shape for name, image in images.items()}
    if len(set(shapes.values())) > 1:
        raise ImageError(f"draw_contact_sheet needs pictures of one shape, got {shapes}.")
    height, wide = next(iter(shapes.values()))[:2]
    columns = min(columns, len(images))
    across = (width - GAP * (columns - 1)) // columns
    down = max(round(across * height / wide), 1)
    font = ImageFont.load_default(size=max(width // 64, 6))
    strip = round(1.4 * font.size)
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (width, rows * (strip + down + GAP) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, image) in enumerate(images.items()):
        left, top = number % columns * (across + GAP), number // columns * (strip + down + GAP)
        draw.text((left, top), name, fill="black", font=font)
        sheet.paste(_scaled(image, (across, down)), (left, top + strip))
    return np.asarray(sheet)


def _scaled(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Scale to (width, height): averaged when smaller, in plain pixels when much larger."""
    picture = Image.fromarray(to_uint8(np.asarray(image)))
    larger = size[0] >= 2 * picture.width
    return picture.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.BOX)


def dark_windows(image: np.ndarray, count: int = 6, share: int = 4) -> list[Window]:
    """Find the darkest places of a photo, where noise and lost colour show.

    Args:
        image: Float image ``(H, W, 3)`` in [0, 1].
        count: How many; fewer when the photo has fewer windows.
        share: A window has the photo's sides divided by this, at least one pixel.

    Returns:
        Slices of rows and columns that do not overlap, the darkest first by mean luminance.
    """
    light = luminance(check_image(image))
    height, width = (max(side // share, 1) for side in light.shape)
    windows = [
        np.s_[top : top + height, left : left + width]
        for top in range(0, light.shape[0] - height + 1, height)
        for left in range(0, light.shape[1] - width + 1, width)
    ]
    return sorted(windows, key=lambda window: light[window].mean())[:count]


def magnify(image: np.ndarray, window: Window) -> np.ndarray:
    """Enlarge a window in whole pixels, to about the size of the photo.

    Args:
        image: Image ``(H, W, 3)`` of any dtype.
        window: Slices of rows and columns.

    Returns:
        The window, each pixel repeated as often in both directions.

    >>> magnify(np.arange(24.0).reshape(4, 2, 3), np.s_[1:3, 0:1])[..., 0].tolist()
    [[6.0, 6.0], [6.0, 6.0], [12.0, 12.0], [12.0, 12.0]]
    """
    cut = image[window]
    factor = max(min(image.shape[0] // cut.shape[0], image.shape[1] // cut.shape[1]), 1)
    return cut.repeat(factor, axis=0).repeat(factor, axis=1)


def fit_within(image: np.ndarray, longest: int = 900) -> np.ndarray:
    """Scale a photo down so that it can be compared while one waits.

    Args:
        image: Float image ``(H, W, 3)`` in [0, 1].
        longest: Upper limit of both sides in pixels. A smaller photo is left as it is.

    Returns:
        float32 image in [0, 1] with the same aspect ratio.
    """
    image = check_image(image)
    if max(image.shape[:2]) <= longest:
        return image
    picture = Image.fromarray(to_uint8(image))
    picture.thumbnail((longest, longest), Image.Resampling.BOX)
    return to_float(np.asarray(picture))
