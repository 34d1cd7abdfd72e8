"""One page of results: headings, pictures, figures and tables in a file that stands alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lle_utils.core.paths import atomic_path
from lle_utils.display.figure_style import png
from lle_utils.display.html_templates import render_template

Part = Figure | np.ndarray | str


def write_page(
    path: str | os.PathLike, title: str, parts: Sequence[tuple[str, Part]], intro: str = ""
) -> Path:
    """Write an HTML page that needs no network and no other file.

    Args:
        path: The file to write; it appears whole or not at all.
        title: Title and first heading.
        parts: Heading and content of each section: a figure, a picture (float image
            ``(H, W, 3)`` in [0, 1], or uint8), or Markdown, such as a table.
        intro: Markdown below the title.

    Returns:
        The path written.

    Raises:
        TypeError: If a part is of another kind; the message names its heading.
    """
    sections = [(heading, _content(heading, part)) for heading, part in parts]
    text = render_template("results.html.j2", title=title, intro=intro, sections=sections)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def _content(heading: str, part: Part) -> str | bytes:
    """Return a part as the template takes it: Markdown as it is, pictures as PNG."""
    if isinstance(part, str):
        return part
    if isinstance(part, Figure):
        return png(part)
    if isinstance(part, np.ndarray):
        from lle_utils.display.widgets import encode_png

        return encode_png(part)
    raise TypeError(f"{heading}: {type(part).__name__}; expected a figure, an image or Markdown.")
