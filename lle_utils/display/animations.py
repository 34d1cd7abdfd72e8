"""Videos in a notebook: films side by side, as one animated picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

import numpy as np
from IPython.display import HTML
from PIL import Image, ImageDraw, ImageFont

from lle_utils.core.images import check_image, to_uint8

TITLE_HEIGHT, GAP = 18, 6  # pixels
QUALITY = 85  # of WebP, of 100


def animation(films: Mapping[str, Sequence[np.ndarray]], fps: float = 10) -> HTML:
    """Show films side by side, in a loop; needs no kernel.

    Args:
        films: Title -> frames, float images ``(H, W, 3)`` in [0, 1]; all films have equally many,
            of one size.
        fps: Frames per second.

    Returns:
        A displayable picture: an animated WebP within HTML.

    Raises:
        ValueError: If there is no film, they differ in length or size, or ``fps`` is not positive.
        ImageError: If a frame is not such an image.
    """
    lengths = {name: len(frames) for name, frames in films.items()}
    if len(set(lengths.values())) != 1 or not max(lengths.values()):
        raise ValueError(f"animation needs films of equally many frames, got {lengths}.")
    if not fps > 0:
        raise ValueError(f"fps is {fps}; expected a positive number of frames per second.")
    sizes = {frame.shape for frames in films.values() for frame in map(check_image, frames)}
    if len(sizes) != 1:
        raise ValueError(f"animation needs frames of one size, got {sorted(sizes)}.")
    pictures = [_side_by_side(list(films), moment) for moment in zip(*films.values(), strict=True)]
    content = BytesIO()
    pictures[0].save(
        content,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / fps),
        loop=0,
        quality=QUALITY,
    )
    code = base64.b64encode(content.getvalue()).decode()
    text = escape(f"{', '.join(films)}: {len(pictures)} frames in a loop", quote=True)
    return HTML(f'<img alt="{text}" src="data:image/webp;base64,{code}" style="max-width: 100%">')


def _side_by_side(titles: list[str], frames: Sequence[np.ndarray]) -> Image.Image:
    """Draw one moment of all films, each under its title."""
    height, width = frames[0].shape[:2]
    size = (len(frames) * (width + GAP) - GAP, height + TITLE_HEIGHT)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for place, (title, frame) in enumerate(zip(titles, frames, strict=True)):
        left = place * (width + GAP)
        draw.text((left, 2), title, fill="black", font=font)
        picture.paste(Image.fromarray(to_uint8(frame)), (left, TITLE_HEIGHT))
    return picture
