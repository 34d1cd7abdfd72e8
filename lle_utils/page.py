"""One page of results: headings, pictures, figures and tables in a file that stands alone."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lle_utils.files import atomic_path
from lle_utils.plotting import png
from lle_utils.report import INDEX_STYLE

STYLE = (
    INDEX_STYLE
    + """\
section img { max-width: 100%; background: #fff; margin-top: 1rem; }
td, th { white-space: nowrap; }
"""
)
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
    sections = "".join(
        f"<section><h2>{html.escape(heading)}</h2>{_content(heading, part)}</section>\n"
        for heading, part in parts
    )
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body><main>
<h1>{html.escape(title)}</h1>
<div class="soft">{_markdown(intro)}</div>
{sections}</main></body>
</html>
"""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def _content(heading: str, part: Part) -> str:
    if isinstance(part, str):
        return f'<div class="table">{_markdown(part)}</div>'
    if isinstance(part, Figure):
        return _picture(heading, png(part))
    if isinstance(part, np.ndarray):
        from lle_utils.widgets import encode_png

        return _picture(heading, encode_png(part))
    raise TypeError(f"{heading}: {type(part).__name__}; expected a figure, an image or Markdown.")


def _picture(alternative: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alternative)}" src="data:image/png;base64,{data}">'


def _markdown(text: str) -> str:
    from nbconvert.filters import markdown2html

    return markdown2html(text)
