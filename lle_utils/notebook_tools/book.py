"""The book: a static site of executed notebooks, which MyST-NB and Sphinx build."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lle_utils.core.errors import require
from lle_utils.core.paths import project_root, write_text
from lle_utils.notebook_tools.cells import public_address
from lle_utils.notebook_tools.report import (
    ReportError,
    executed_notebooks,
    printable,
    title_and_promise,
)

SHORT_PATH = ("00_start_here", "03_zero_dce", "08_compare")
APP = "app"  # folder of the app that `lle site` writes, in that of the book
TITLE = "Low-light enhancement, notebook by notebook"
WORDS_A_MINUTE = 180  # of people who read prose about something new
LINES_A_MINUTE = 12  # of code, read to be understood
ENTRY = re.compile(
    r"^\*\*(?P<term>.+?)\*\*(?P<more>[^–\n]*)–\s*(?P<text>.+?)(?=\n\n|\Z)", re.M | re.S
)
CODE = re.compile(r"```.*?```|`[^`\n]*`|<[^>]*>", re.S)
FOLDED = {  # tag of a cell -> how MyST-NB shows it: the output alone, or on a click
    "injected-parameters": "remove-input",
    "profile": "remove-input",
    "solution": "hide-cell",
}

CONF = """\
project = {title!r}
author = copyright = "its authors"
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["html_image", "colon_fence"]
myst_heading_anchors = 3
html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_theme_options = {{
    "repository_url": {repository!r},
    "repository_branch": "main",
    "path_to_docs": "notebooks",
    "use_repository_button": True,
    "use_download_button": True,
    "launch_buttons": {{"colab_url": "https://colab.research.google.com"}},
    "show_navbar_depth": 1,
}}
"""

CSS = """\
img.math { filter: none; display: inline; background: transparent; }
html[data-theme="dark"] img.math { filter: invert(1); }
.cell_output img { background: white; max-width: 100%; }
.bd-article table { display: block; overflow-x: auto; max-width: 100%; }
"""


def build_book(run_folder: Path, target: Path) -> Path:
    """Build the site; a broken link or any other warning fails it.

    Args:
        run_folder: What `lle_utils.notebook_tools.run_notebooks` wrote, such as ``runs/quick``.
        target: Folder of the site; an app that lies in its folder `APP` is linked.

    Returns:
        Its ``index.html``.

    Raises:
        ReportError: If notebooks are missing or failed, or if Sphinx complains; the message holds
            its words.
        ImportError: If MyST-NB or the theme are not installed.
    """
    for module in ("myst_nb", "sphinx_book_theme"):
        require(module, "book", "The book")
    has_app = (target / APP / "index.html").is_file()
    sources = write_sources(run_folder, target.parent / f"{target.name}_sources", has_app)
    options = ["-W", "--keep-going", "--quiet", "-E", "-b", "html"]
    outcome = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(sources), str(target)],
        capture_output=True,
        text=True,
    )
    if outcome.returncode:
        raise ReportError(f"Sphinx refused the book:\n{outcome.stderr.strip()}")
    return target / "index.html"


def write_sources(run_folder: Path, folder: Path, has_app: bool = False) -> Path:
    """Write what Sphinx reads: a page for each notebook, the index, the glossary, settings.

    Args:
        run_folder: Of executed notebooks.
        folder: Where to; the notebooks keep their names.
        has_app: Whether the app of `lle site` lies beside the pages, in the folder `APP`.

    Returns:
        The folder.

    Raises:
        ReportError: If there is no executed notebook, or one failed.
    """
    notebooks = executed_notebooks(run_folder)
    failed = [name for name, n in notebooks.items() if n.metadata.get("lle", {}).get("error", True)]
    if failed:
        raise ReportError(f"{run_folder}: {', '.join(failed)} did not run to the end.")
    terms = glossary_terms((project_root() / "GLOSSARY.md").read_text(encoding="utf-8"))
    for name, notebook in notebooks.items():
        page = _with_links(printable(notebook), set(notebooks) - {name}, terms)
        write_text(folder / f"{name}.ipynb", nbformat.writes(page))
    write_text(folder / "glossary.md", _glossary(terms, set(notebooks)))
    write_text(folder / "index.md", _index(notebooks, has_app))
    write_text(folder / "dependencies.svg", dependency_drawing(dependencies(notebooks)))
    write_text(folder / "_static" / "book.css", CSS)
    address = "https://github.com/{owner}/{repository}".format(**public_address(project_root()))
    write_text(folder / "conf.py", CONF.format(title=TITLE, repository=address))
    return folder


# Glossary


def glossary_terms(text: str) -> dict[str, str]:
    """Read the entries of the glossary: term -> what it means."""
    return {m["term"]: f"{m['more'].strip()} {m['text']}".strip() for m in ENTRY.finditer(text)}


def _glossary(terms: Mapping[str, str], names: set[str]) -> str:
    lines = ["# Glossary", "", ":::{glossary}"]
    for term, text in terms.items():
        lines += [term, *(f"  {line}" for line in _link_notebooks(text, names).split("\n")), ""]
    return "\n".join([*lines, ":::", ""])


def _with_links(notebook: NotebookNode, names: set[str], terms: Mapping[str, str]) -> NotebookNode:
    """Link other notebooks, and the first bold or italic mention of each term."""
    left = {term.lower(): term for term in terms}
    cells = []
    for cell in notebook.cells:
        tags = [FOLDED[tag] for tag in cell.metadata.get("tags", []) if tag in FOLDED]
        if tags:
            cell = NotebookNode(cell)
            cell.metadata = NotebookNode(cell.metadata | {"tags": tags})
        elif cell.cell_type == "markdown":
            cell = NotebookNode(cell)
            cell.source = _link_notebooks(_link_terms(cell.source, left), names)
        cells.append(cell)
    return NotebookNode(notebook | {"cells": cells})


def _link_notebooks(text: str, names: set[str]) -> str:
    return re.sub(r"`(\d\d_\w+)`", lambda m: f"[{m[1]}]({m[1]})" if m[1] in names else m[0], text)


def _link_terms(text: str, left: dict[str, str]) -> str:
    """Link each term where it is stressed for the first time; those linked leave ``left``."""

    def link(match: re.Match) -> str:
        term = left.pop(match[2].lower(), None)
        return f"{match[1]}{{term}}`{match[2]} <{term}>`{match[1]}" if term else match[0]

    return re.sub(r"(?<![\w*])(\*{1,2})([A-Za-z][^*\n`]+?)\1(?![\w*])", link, text)


# Index


def reading_minutes(notebook: NotebookNode) -> int:
    """Estimate how long a notebook takes to read, by its words and its lines of code."""
    words = lines = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            words += len(CODE.sub(" ", cell.source).split())
        else:
            lines += sum(bool(line.strip()) for line in cell.source.split("\n"))
    return max(1, round(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE))


def dependencies(notebooks: Mapping[str, NotebookNode]) -> dict[str, list[str]]:
    """Return which notebooks each one asks to have read, as its own first page says."""
    found = {}
    for name, notebook in notebooks.items():
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        sentence = re.search(r"You should have read (.+?)\.\s", text, re.S)
        asked = re.findall(r"`(\d\d_\w+)`", sentence[1]) if sentence else []
        found[name] = [other for other in asked if other in notebooks]
    return found


def nearest(needed: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Leave out what a notebook needs through another one that it needs.

    >>> nearest({"a": [], "b": ["a"], "c": ["a", "b"]})
    {'a': [], 'b': ['a'], 'c': ['b']}
    """

    def behind(name: str) -> set[str]:
        return {o for other in needed[name] for o in (other, *behind(other))}

    return {
        name: [o for o in others if not any(o in behind(other) for other in others)]
        for name, others in needed.items()
    }


def dependency_drawing(needed: Mapping[str, list[str]]) -> str:
    """Draw the notebooks from left to right, each behind those that it needs; return an SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    column: dict[str, int] = {}
    for name in needed:  # in reading order, so that what is needed has its place already
        column[name] = 1 + max((column[other] for other in needed[name]), default=-1)
    rows = {c: [n for n in needed if column[n] == c] for c in sorted(set(column.values()))}
    height = max(map(len, rows.values()))
    figure = Figure(figsize=(2.0 * len(rows), 0.5 * height), facecolor="none")
    axis = figure.add_axes((0, 0, 1, 1), xlim=(-0.5, len(rows) - 0.5), ylim=(height - 0.5, -0.5))
    axis.set_axis_off()
    style = {"boxstyle": "round,pad=0.35", "facecolor": "#dbe9f6", "edgecolor": "#0072b2"}
    boxes = {
        name: axis.text(c, i, name, ha="center", va="center", fontsize=9, color="black", bbox=style)
        for c, names in rows.items()
        for i, name in enumerate(names)
    }
    FigureCanvasAgg(figure).draw()  # boxes have no size before
    for name, others in nearest(needed).items():
        for other in others:
            ends = {"patchA": boxes[other].get_bbox_patch(), "patchB": boxes[name].get_bbox_patch()}
            arrow = {"arrowstyle": "->", "color": "0.5", "shrinkA": 1, "shrinkB": 1, **ends}
            places = (boxes[name].get_position(), boxes[other].get_position())
            axis.annotate("", *places, arrowprops=arrow)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True)
    return buffer.getvalue()


def _index(notebooks: Mapping[str, NotebookNode], has_app: bool) -> str:
    rows = ["| notebook | what you do there | read | run |", "|---|---|---:|---:|"]
    for name, notebook in notebooks.items():
        title, promise = title_and_promise(name, notebook)
        promise, seconds = " ".join(promise.split()), notebook.metadata["lle"]["seconds"]
        times = f"{reading_minutes(notebook)} min | {seconds:.0f} s"
        rows.append(f"| [{title}]({name}) | {promise} | {times} |")
    short = ", ".join(f"[{name}]({name})" for name in SHORT_PATH if name in notebooks)
    app = f'\n<a href="{APP}/">Brighten a photo of your own</a> here, on this device.\n' * has_app
    return f"""\
# {TITLE}

Notebooks that teach low-light image enhancement by building it, in Keras 3, and that people use on
their own photos. Every number in them comes from a run.

In a hurry? The short path: {short}.
{app}
{chr(10).join(rows)}

Minutes to read are estimated from words and lines; seconds to run were measured, two notebooks at a
time on two processor cores, on the small sample that needs no download.

```{{image}} dependencies.svg
:alt: Which notebook builds on which
:width: 100%
```

```{{toctree}}
:hidden:

{chr(10).join(notebooks)}
glossary
```
"""
