"""Formulas of a page, drawn."""

from __future__ import annotations

import html
import io
import re

from lle_utils.display.html_templates import data_address

FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<display>.+?)\$\$|(?<!\\)\$(?P<inline>[^$\n]+?)\$",
    flags=re.DOTALL,
)


def render_math(markdown: str) -> str:
    """Replace the TeX formulas of a Markdown text by pictures, code being left alone.

    Args:
        markdown: Text with ``$...$`` and ``$$...$$``.

    Returns:
        The text with ``<img>`` elements that hold an SVG and, for screen readers, the TeX.
        What Matplotlib's math text cannot set stays as TeX in ``<code>``.
    """
    return FORMULA.sub(_formula, markdown)


def _formula(match: re.Match) -> str:
    if match["code"]:
        return match["code"]
    tex = " ".join((match["display"] or match["inline"]).split())
    picture = _picture(tex.replace(r"\frac", r"\dfrac") if match["display"] else tex)
    return f'<p class="math">{picture}</p>' if match["display"] else picture


def _picture(tex: str) -> str:
    from matplotlib import rc_context
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    buffer, alternative = io.BytesIO(), html.escape(tex, quote=True)
    try:
        with rc_context({"mathtext.fontset": "cm", "svg.hashsalt": "report"}):
            depth = math_to_image(f"${tex}$", buffer, FontProperties(size=13), format="svg")
    except ValueError:
        return f"<code>{alternative}</code>"
    source = data_address(buffer.getvalue(), "image/svg+xml")
    style = f"vertical-align: -{depth:.1f}pt"
    return f'<img class="math" style="{style}" alt="{alternative}" src="{source}">'
