"""The report of a run: one page per executed notebook and an index of figures, tables and times.

The pages stand alone: no script, style, font or picture is fetched from anywhere.
"""

from __future__ import annotations

import base64
import io
import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from lle_utils.core.environment import usable_cores, versions
from lle_utils.core.paths import write_text
from lle_utils.display.html_templates import markdown_html, render_template, template_loader
from lle_utils.notebook_tools.formulas import render_math

WIDGET = "application/vnd.jupyter.widget-view+json"
INTERRUPTED_OUTCOME = {"profile": "unknown", "seconds": 0.0, "error": "It was interrupted."}
THUMBNAIL_SIZE = (560, 320)  # width and height in pixels at most; shown at half of it
THUMBNAIL_QUALITY = 85  # of a JPEG


class ReportError(ValueError):
    """A folder from which no report can be made."""


class Thumbnail(NamedTuple):
    """A figure as the index shows it.

    Attributes:
        cell: The id of the cell that made it.
        jpeg: The bytes of a small picture.
        wide: Whether it is a panorama, which gets twice the room.
    """

    cell: str
    jpeg: bytes
    wide: bool


class Entry(NamedTuple):
    """What the index says about one notebook; its title and promise are its first lines."""

    name: str
    profile: str
    title: str
    promise: str
    seconds: float
    error: str | None
    figures: list[Thumbnail]
    tables: list[str]  # HTML


def write_report(folder: Path) -> Path:
    """Turn a folder of executed notebooks into ``index.html`` and one page for each.

    A page that is newer than its notebook stays as it is.

    Args:
        folder: What `lle_utils.notebook_tools.run_notebooks` wrote, such as ``runs/quick``.

    Returns:
        Path of the index.

    Raises:
        ReportError: If the folder holds no executed notebook.
    """
    folder = Path(folder)
    entries = []
    for name, notebook in executed_notebooks(folder).items():
        entries.append(_entry(name, notebook))
        page, executed = folder / f"{name}.html", folder / f"{name}.ipynb"
        if not page.is_file() or page.stat().st_mtime_ns <= executed.stat().st_mtime_ns:
            write_text(page, _page(name, notebook))
    return write_text(folder / "index.html", _index(entries))


def executed_notebooks(folder: Path) -> dict[str, NotebookNode]:
    """Read the notebooks that a run wrote, by name, in reading order.

    Raises:
        ReportError: If there is none.
    """
    paths = sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise ReportError(f"{folder} holds no executed notebook. Run `lle run` first.")
    return {path.stem: nbformat.read(path, as_version=4) for path in paths}


# Reading an executed notebook


def _entry(name: str, notebook: NotebookNode) -> Entry:
    outcome = notebook.metadata.get("lle", INTERRUPTED_OUTCOME)
    title, promise = title_and_promise(name, notebook)
    return Entry(
        name=name,
        profile=outcome["profile"],
        title=title,
        promise=promise,
        seconds=outcome["seconds"],
        error=outcome["error"],
        figures=list(_figures(notebook)),
        tables=list(_tables(notebook)),
    )


def title_and_promise(name: str, notebook: NotebookNode) -> tuple[str, str]:
    """Return the title of a notebook, its name if it has none, and the paragraph below."""
    first = next((c.source for c in notebook.cells if c.source.startswith("# ")), f"# {name}")
    title, _, rest = first.partition("\n")
    return title.removeprefix("#").strip(), rest.strip().partition("\n\n")[0]


def _data(notebook: NotebookNode) -> Iterator[tuple[str, dict]]:
    """Yield cell id and MIME bundle of every output that has one."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "data" in output and WIDGET not in output.data:
                yield cell.id, output.data


def _figures(notebook: NotebookNode) -> Iterator[Thumbnail]:
    for cell_id, data in _data(notebook):
        if "image/png" in data:
            yield _thumbnail(cell_id, base64.b64decode(data["image/png"]))


def _thumbnail(cell_id: str, png: bytes) -> Thumbnail:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        wide = picture.width > 2 * picture.height
        picture = picture.convert("RGBA")
        picture.thumbnail((2 * THUMBNAIL_SIZE[0] if wide else THUMBNAIL_SIZE[0], THUMBNAIL_SIZE[1]))
        paper = Image.new("RGBA", picture.size, "white")
        small = Image.alpha_composite(paper, picture).convert("RGB")
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=THUMBNAIL_QUALITY)
    return Thumbnail(cell_id, buffer.getvalue(), wide)


def _tables(notebook: NotebookNode) -> Iterator[str]:
    for _, data in _data(notebook):
        if "<table" in data.get("text/html", ""):
            yield data["text/html"]
        elif re.search(r"^\| ?:?---", data.get("text/markdown", ""), re.MULTILINE):
            yield markdown_html(data["text/markdown"])


# Pages


def _page(name: str, notebook: NotebookNode) -> str:
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    exporter = HTMLExporter(
        template_name="lab",
        template_file="notebook.html.j2",
        extra_loaders=[template_loader()],
    )
    # Of a progress bar only the last state of each line is worth a line.
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    body, _ = exporter.from_notebook_node(printable(notebook), {"metadata": {"name": name}})
    return body


def printable(notebook: NotebookNode) -> NotebookNode:
    """Leave out what only works with a kernel or on the network; draw formulas."""
    cells = []
    for cell in notebook.cells:
        if {"badges", "setup"} & set(cell.metadata.get("tags", [])):
            continue
        cell = NotebookNode(cell)
        if cell.cell_type == "markdown":
            cell.source = render_math(cell.source)
        if "outputs" in cell:
            # The static figure beside a widget speaks for it.
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
        cells.append(cell)
    metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    return NotebookNode(notebook | {"cells": cells, "metadata": NotebookNode(metadata)})


# The index


def _index(entries: list[Entry]) -> str:
    return render_template(
        "report.html.j2",
        profile=", ".join(dict.fromkeys(entry.profile for entry in entries)),
        entries=entries,
        failed=sum(entry.error is not None for entry in entries),
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions=_versions(),
        clock=_clock,
    )


def _clock(seconds: float) -> str:
    """Return a duration for people.

    >>> _clock(7.25), _clock(125)
    ('7.2 s', '2 min 5 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _versions() -> dict[str, str]:
    """Return what the notebooks ran on: system, cores, backend and packages."""
    return {
        "system": platform.platform(),
        "cores": str(usable_cores()),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        **versions(),
    }
