"""The templates of pages: what is escaped, what is missing, and that no page has its own head."""

import re

import pytest
from jinja2 import UndefinedError

from lle_utils.core.paths import project_root
from lle_utils.display.html_templates import render_template


def test_text_is_escaped_and_markdown_becomes_html():
    sections = [("<i>", "*one*"), ('say "x"', b"png")]
    page = render_template("results.html.j2", title="a & b", intro="", sections=sections)
    assert "<title>a &amp; b</title>" in page
    assert "<h2>&lt;i&gt;</h2>" in page
    assert "<em>one</em>" in page
    assert '<img alt="say &#34;x&#34;" src="data:image/png;base64,cG5n">' in page


def test_a_value_that_is_not_given_is_an_error():
    with pytest.raises(UndefinedError, match="intro"):
        render_template("results.html.j2", title="a", sections=[])


def test_the_head_of_a_page_stands_in_one_template():
    package = project_root() / "lle_utils"
    files = [p for p in package.rglob("*") if p.suffix in (".py", ".j2", ".html")]
    found = {
        str(p.relative_to(package))
        for p in files
        if re.search(r"<head>", p.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    # The pages of server and app are no templates: they have styles and scripts of their own.
    pages = {"serving/static/page.html", "serving/device/index.html"}
    assert found == {"display/templates/page.html.j2", *pages}
