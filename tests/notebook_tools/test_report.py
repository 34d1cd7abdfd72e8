"""The report page: what it shows, and that it needs no network."""

import base64
import io
import os
import re

import jupytext
import nbformat
import numpy as np
import pytest
from PIL import Image

from lle_utils.notebook_tools import cells as sources
from lle_utils.notebook_tools import formulas, report


def png(height: int, width: int) -> str:
    buffer = io.BytesIO()
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    Image.fromarray(ramp).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def code_cell(*bundles: dict, tags: tuple[str, ...] = ()):
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in bundles]
    cell = nbformat.v4.new_code_cell("x = 1", outputs=outputs, execution_count=1)
    cell.metadata["tags"] = list(tags)
    return cell


@pytest.fixture
def folder(tmp_path):
    """A run of two notebooks: one with figures, a table, a widget and formulas; one that failed."""
    badge = nbformat.v4.new_markdown_cell("![badge](https://example.org/badge.svg)")
    badge.metadata["tags"] = ["badges"]
    cells = [
        nbformat.v4.new_markdown_cell("# See in the dark\n\nYou will see <more>.\n\nAnd then"),
        badge,
        nbformat.v4.new_markdown_cell(r"With $x^2$ and $$\frac{a}{b}$$"),
        code_cell({"image/png": png(900, 1600)}, {"image/png": png(40, 30)}),
        code_cell({"text/html": "<table><tr><td>21.5 dB</td></tr></table>"}),
        code_cell({"text/markdown": "| method | PSNR |\n|---|---:|\n| gamma | 12.02 |"}),
        code_cell({"text/markdown": "| mode | steps |\n| --- | ---: |\n| tiled | 77.31 |"}),
        code_cell({report.WIDGET: {"model_id": "7"}, "text/plain": "IntSlider(value=3)"}),
    ]
    passed = nbformat.v4.new_notebook(cells=cells)
    passed.metadata["lle"] = {"profile": "quick", "seconds": 65.2, "error": None}
    passed.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    failed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Fail")])
    failed.metadata["lle"] = {"profile": "quick", "seconds": 1.0, "error": "cell 3: <boom>"}
    nbformat.write(passed, tmp_path / "01_see.ipynb")
    nbformat.write(failed, tmp_path / "02_fail.ipynb")
    return tmp_path


def test_index_shows_titles_times_figures_tables_and_failures(folder):
    index = report.write_report(folder)
    assert index == folder / "index.html"
    text = index.read_text()
    assert "See in the dark" in text
    assert "You will see &lt;more&gt;." in text
    assert "1 min 5 s" in text
    assert "<td>21.5 dB</td>" in text
    assert re.search(r"<td[^>]*>12.02</td>", text)
    assert re.search(r"<td[^>]*>77.31</td>", text)
    assert "Profile <b>quick</b>" in text
    assert "1 failed" in text
    assert "cell 3: &lt;boom&gt;" in text
    assert re.findall(r'class="pill (\w+)">(\w+)<', text) == [("good", "passed"), ("bad", "failed")]


def test_the_text_of_a_notebook_is_no_html_of_the_index(folder):
    notebook = nbformat.read(folder / "02_fail.ipynb", 4)
    notebook.cells[0].source = "# <b>Fail</b> & more"
    nbformat.write(notebook, folder / "02_fail.ipynb")
    text = report.write_report(folder).read_text()
    assert "&lt;b&gt;Fail&lt;/b&gt; &amp; more" in text
    assert "<b>Fail" not in text


def test_every_page_of_a_report_has_one_head_and_one_style_of_its_own(folder):
    index = report.write_report(folder).read_text()
    page = (folder / "01_see.html").read_text()
    for text, style in ((index, ".figures img"), (page, "nav.report {")):
        assert text.lower().count("<!doctype html>") == 1
        assert text.count("<main") == 1
        assert text.count(style) == 1


def test_thumbnails_are_small_pictures_that_link_to_their_cell(folder):
    text = report.write_report(folder).read_text()
    links = re.findall(r'href="(01_see\.html)#(cell-id=\w+)"', text)
    assert len(links) == 2
    page = (folder / "01_see.html").read_text()
    assert all(f'id="{anchor}"' in page for _, anchor in links)
    jpegs = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", text)
    sizes = [Image.open(io.BytesIO(base64.b64decode(jpeg))).size for jpeg in jpegs]
    assert sizes == [(560, 315), (30, 40)]


def test_a_page_is_made_again_only_when_its_notebook_was(folder):
    report.write_report(folder)
    see, fail = folder / "01_see.html", folder / "02_fail.html"
    see.write_text("kept")
    fail.write_text("old")
    os.utime(fail, ns=(0, 0))
    report.write_report(folder)
    assert see.read_text() == "kept"
    assert "Fail" in fail.read_text()


def test_no_page_loads_anything_from_elsewhere(folder):
    report.write_report(folder)
    for page in folder.glob("*.html"):
        text = page.read_text()
        loads = re.findall(r'(?:src|<link[^>]*href)="(?!data:)([^"]*)"', text)
        assert loads == []
        assert "<script" not in text
        assert "@import" not in text


def test_a_page_leaves_out_what_needs_a_kernel_and_draws_formulas(folder):
    report.write_report(folder)
    page = (folder / "01_see.html").read_text()
    assert "IntSlider" not in page
    assert "badge.svg" not in page
    assert page.count('src="data:image/png') == 2
    formulas = re.findall(r"<img[^>]*image/svg[^>]*>", page)
    texts = [re.search(r'alt="([^"]*)"', formula)[1] for formula in formulas]
    assert texts == ["x^2", r"\dfrac{a}{b}"]


def test_code_escaped_dollars_and_unknown_tex_are_left_readable():
    kept = "`$a$` costs \\$5 and \\$6\n\n```\n$b$\n```"
    assert formulas.render_math(kept) == kept
    assert formulas.render_math(r"$\unknown<$") == r"<code>\unknown&lt;</code>"


@pytest.mark.parametrize("name", sources.list_notebooks())
def test_every_formula_of_the_notebooks_becomes_a_picture(name):
    for cell in jupytext.read(sources.source_path(name)).cells:
        if cell.cell_type == "markdown":
            shown = formulas.render_math(cell.source)
            assert shown.count("<code>") == cell.source.count("<code>"), cell.source


def test_an_interrupted_notebook_counts_as_failed(folder):
    path = folder / "02_fail.ipynb"
    notebook = nbformat.read(path, 4)
    del notebook.metadata["lle"]
    nbformat.write(notebook, path)
    assert "It was interrupted." in report.write_report(folder).read_text()


def test_an_empty_folder_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(report.ReportError, match="Run `lle run` first"):
        report.write_report(tmp_path)


def test_of_a_progress_bar_only_the_last_state_is_shown(folder):
    pieces = ["Epoch 1/5\n", "\r 1/20", "\x08" * 5 + "\r 2/20", "\x08" * 5 + "\r20/20\n"]
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in pieces]
    cell = nbformat.v4.new_code_cell("train()", outputs=outputs, execution_count=1)
    notebook = nbformat.read(folder / "01_see.ipynb", 4)
    notebook.cells.append(cell)
    nbformat.write(notebook, folder / "01_see.ipynb")
    report.write_report(folder)
    page = (folder / "01_see.html").read_text()
    assert "Epoch 1/5\n20/20" in page
    assert "2/20" not in page.replace("20/20", "")
