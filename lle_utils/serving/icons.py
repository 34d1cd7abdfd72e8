"""The icon of the app, drawn: a photo of a sun, dark on the left and bright on the right."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw

ICON_SIDES = (192, 512)  # pixels, which browsers ask for before they install an app
NIGHT, DAY = ((15, 23, 42), (71, 85, 105)), ((37, 99, 235), (253, 224, 71))  # ground, sun
OVERSAMPLING = 4  # drawn so much larger, and reduced, so that edges are smooth
SUN = 0.25  # radius as a share of the side; systems cut off all beyond 0.4


def draw_icon(side: int) -> bytes:
    """Draw the icon.

    Args:
        side: In pixels.

    Returns:
        A PNG without transparency, so that it may be cut to any shape.
    """
    large = side * OVERSAMPLING
    icon = Image.new("RGB", (large, large))
    for (ground, sun), left in ((NIGHT, 0), (DAY, large // 2)):
        half = Image.new("RGB", (large, large), ground)
        box = [large * (0.5 - SUN), large * (0.5 - SUN), large * (0.5 + SUN), large * (0.5 + SUN)]
        ImageDraw.Draw(half).ellipse(box, fill=sun)
        icon.paste(half.crop((left, 0, large, large)), (left, 0))
    line = large * 0.01
    edges = [large / 2 - line, 0, large / 2 + line, large]
    ImageDraw.Draw(icon).rectangle(edges, fill="white")
    file = BytesIO()
    icon.resize((side, side), Image.Resampling.BOX).save(file, "PNG", optimize=True)
    return file.getvalue()
