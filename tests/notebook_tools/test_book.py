"""The book: pages of executed notebooks, a glossary that is linked, and no warning."""

import re
import subprocess
import sys

import nbformat
import pytest

from lle_utils.core.paths import project_root
from lle_utils.notebook_tools import book
from lle_utils.notebook_tools.report import ReportError

GLOSSARY = """# Glossary

Terms.

**Gamma** – Raising every value
to one power. `01_first`

**Peak signal** (PSNR) – A score. `02_second`
"""


def notebook(*cells, error=None):
    made = nbformat.v4.new_notebook(cells=list(cells))
    made.metadata["lle"] = {"profile": "quick", "seconds": 3.4, "error": error}
    made.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return made


def markdown(text):
    return nbformat.v4.new_markdown_cell(text)


def code(text, *tags, output=None):
    cell = nbformat.v4.new_code_cell(text, metadata={"tags": list(tags)})
    if output:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    return cell


@pytest.fixture
def run_folder(tmp_path):
    """A folder of two executed notebooks, the second of which needs the first."""
    pages = {
        "01_first": notebook(
            markdown("# First steps\n\nYou will begin.\n\n## A curve"),
            code("import google.colab", "setup"),
            markdown("**Gamma** is $x^{1/2}$, and gamma again: **gamma**."),
            code("print(1)", output="one\n"),
        ),
        "02_second": notebook(
            markdown("# Second steps\n\nYou should have read `01_first`. More."),
            code("answer = 7", "solution"),
            code("secret = 3", "injected-parameters"),
        ),
    }
    folder = tmp_path / "run"
    folder.mkdir()
    for name, page in pages.items():
        nbformat.write(page, folder / f"{name}.ipynb")
    return folder


def test_all_entries_of_the_glossary_are_read():
    text = (project_root() / "GLOSSARY.md").read_text(encoding="utf-8")
    terms = book.glossary_terms(text)
    assert len(terms) == len(re.findall(r"^\*\*", text, re.M)) > 80
    assert all(terms.values())


def test_a_term_with_its_abbreviation():
    assert book.glossary_terms(GLOSSARY) == {
        "Gamma": "Raising every value\nto one power. `01_first`",
        "Peak signal": "(PSNR) A score. `02_second`",
    }


def test_a_notebook_says_what_it_needs(run_folder):
    pages = {p.stem: nbformat.read(p, 4) for p in sorted(run_folder.glob("*.ipynb"))}
    assert book.dependencies(pages) == {"01_first": [], "02_second": ["01_first"]}
    drawing = book.dependency_drawing(book.dependencies(pages))
    assert drawing.count("<svg") == 1


def test_reading_takes_longer_for_more_words_and_more_code():
    short = notebook(markdown("word " * 180))
    assert book.reading_minutes(short) == 1
    assert book.reading_minutes(notebook(markdown("word " * 1800))) == 10
    assert book.reading_minutes(notebook(code("x = 1\n" * 120))) == 10
    assert book.reading_minutes(notebook(markdown("```\n" + "word " * 9000 + "\n```"))) == 1


def test_the_site_is_built_and_linked(run_folder, tmp_path):
    pytest.importorskip("myst_nb", reason="the book needs myst-nb")
    index = book.build_book(run_folder, tmp_path / "site")
    home = index.read_text(encoding="utf-8")
    assert 'href="01_first.html"' in home
    assert "3 s" in home
    assert "You will begin." in home
    first = (tmp_path / "site" / "01_first.html").read_text(encoding="utf-8")
    assert first.count('href="glossary.html#term-Gamma"') == 1  # where it is stressed first
    assert "google.colab" not in first
    assert "data:image/svg+xml" in first  # the formula, drawn
    assert ">one" in first
    second = (tmp_path / "site" / "02_second.html").read_text(encoding="utf-8")
    assert 'href="01_first.html"' in second
    assert "secret" not in second
    assert "colab.research.google.com/github" in second
    outside = re.findall(
        r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', first + second + home
    )
    assert not outside, "pages fetch nothing from elsewhere"
    glossary = (tmp_path / "site" / "glossary.html").read_text(encoding="utf-8")
    assert 'id="term-Gamma"' in glossary
    assert (tmp_path / "site" / "search.html").is_file()


@pytest.mark.parametrize("has_app", [True, False])
def test_the_first_page_links_the_app_if_it_is_there(run_folder, tmp_path, has_app):
    sources = book.write_sources(run_folder, tmp_path / "sources", has_app)
    index = (sources / "index.md").read_text(encoding="utf-8")
    assert (f'<a href="{book.APP}/">' in index) == has_app


def test_a_broken_link_fails_the_build(run_folder, tmp_path):
    pytest.importorskip("myst_nb", reason="the book needs myst-nb")
    page = nbformat.read(run_folder / "01_first.ipynb", 4)
    page.cells.append(markdown("See [the third](03_third.ipynb)."))
    nbformat.write(page, run_folder / "01_first.ipynb")
    with pytest.raises(ReportError, match="03_third"):
        book.build_book(run_folder, tmp_path / "site")


def test_a_notebook_that_failed_is_not_published(run_folder, tmp_path):
    nbformat.write(notebook(markdown("# Third"), error="boom"), run_folder / "03_third.ipynb")
    with pytest.raises(ReportError, match="03_third did not run to the end"):
        book.write_sources(run_folder, tmp_path / "sources")
    with pytest.raises(ReportError, match="holds no executed notebook"):
        book.write_sources(tmp_path, tmp_path / "sources")


def test_the_command_names_what_is_missing():
    code = (
        "import sys; sys.modules['myst_nb'] = None; from lle_utils.notebook_tools import book;"
        "from pathlib import Path; book.build_book(Path('x'), Path('y'))"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'The book needs myst_nb: pip install "lle-utils[book]"' in outcome.stderr
