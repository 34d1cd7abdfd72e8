"""The HTML of pages: Jinja2 templates, and what goes into them."""

from __future__ import annotations

import base64
from functools import cache

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined


def render_template(name: str, **values) -> str:
    """Fill a template of the folder ``templates``; what it does not call safe is escaped.

    Args:
        name: File of the template, such as ``results.html.j2``.
        **values: What the template names; one that is missing is an error.

    Returns:
        A page of HTML.
    """
    return _environment().get_template(name).render(values)


def template_loader() -> BaseLoader:
    """Return what finds the templates and their style for Jinja2."""
    return PackageLoader("lle_utils.display")


def markdown_html(text: str) -> str:
    """Turn Markdown, which may hold HTML of its own, into HTML."""
    from nbconvert.filters import markdown2html

    return markdown2html(text)


def data_address(content: bytes, kind: str) -> str:
    """Return a file as an address that needs no network.

    >>> data_address(b"<svg/>", "image/svg+xml")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=template_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": markdown_html, "data_address": data_address}
    return environment
