"""The report of a run: one page per executed notebook and an index of figures, tables and times.

The pages stand alone: no script, style, font or picture is fetched from anywhere.
"""

from __future__ import annotations

import base64
import html
import io
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from lle_utils.files import atomic_path

PACKAGES = (
    "lle-utils",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "numpy",
    "scikit-image",
    "matplotlib",
    "ipywidgets",
    "papermill",
)
WIDGET = "application/vnd.jupyter.widget-view+json"
INTERRUPTED = {"profile": "unknown", "seconds": 0.0, "error": "It was interrupted."}
THUMBNAIL_SIZE = (560, 320)  # pixels; shown at half of it

# nbconvert's page without what it would load from the network, with a way back to the index.
PAGE_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
  body.jp-Notebook { overflow: visible; padding: 0 1rem 4rem; }
  main { max-width: 62rem; margin: 0 auto; }
  nav.report { max-width: 62rem; margin: 0 auto; padding: 1rem 0; font: 15px/1.5 sans-serif; }
  .jp-InputPrompt, .jp-OutputPrompt { display: none; }
  .jp-RenderedHTMLCommon { font-size: 16px; line-height: 1.6; }
  img.math { vertical-align: middle; }
  p.math { text-align: center; }
</style>
{%- endblock -%}
{%- block body_header -%}
{{ super() }}<nav class="report"><a href="index.html">&larr; All notebooks of this run</a></nav>
{%- endblock -%}
"""

INDEX_STYLE = """\
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #dde2ea;
  --page: #f6f7f9; --card: #fff; --accent: #1a5fb4; --good: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #a2abb9; --line: #333b47;
  --page: #14181e; --card: #1c222b; --accent: #7fb2f5; --good: #57c477; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 0; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.soft { color: var(--soft); margin: .25rem 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.25rem; margin-top: 1.25rem; }
.head { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: baseline; }
.pill { border: 1px solid currentColor; border-radius: 1em; padding: 0 .7em; font-size: .85rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr));
  gap: .8rem; margin-top: 1rem; grid-auto-flow: dense; }
.figures a { display: flex; align-items: center; justify-content: center; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; padding: .4rem; height: 10.5rem; }
.figures a.wide { grid-column: span 2; }
@media (max-width: 34rem) { .figures a.wide { grid-column: auto; } }
.figures img { max-width: 100%; max-height: 100%; }
.table { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem; text-align: left; }
pre { overflow-x: auto; background: var(--page); padding: .8rem; font-size: .82rem; }
"""


class ReportError(ValueError):
    """A folder from which no report can be made."""


class Entry(NamedTuple):
    """What the index says about one notebook."""

    name: str
    profile: str
    title: str
    promise: str
    seconds: float
    error: str | None
    figures: list[tuple[str, bytes]]  # cell id and PNG
    tables: list[str]  # HTML


def write_report(folder: Path) -> Path:
    """Turn a folder of executed notebooks into ``index.html`` and one page for each.

    Args:
        folder: What `lle_utils.notebooks.run` wrote, such as ``runs/quick``.

    Returns:
        Path of the index.

    Raises:
        ReportError: If the folder holds no executed notebook.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise ReportError(f"{folder} holds no executed notebook. Run `lle run` first.")
    entries = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        entries.append(_entry(path.stem, notebook))
        _write(path.with_suffix(".html"), _page(path.stem, notebook))
    return _write(folder / "index.html", _index(entries))


def _write(path: Path, text: str) -> Path:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


# Reading an executed notebook


def _entry(name: str, notebook: NotebookNode) -> Entry:
    outcome = notebook.metadata.get("lle", INTERRUPTED)
    first = next((c.source for c in notebook.cells if c.source.startswith("# ")), f"# {name}")
    title, _, rest = first.partition("\n")
    return Entry(
        name=name,
        profile=outcome["profile"],
        title=title.removeprefix("#").strip(),
        promise=rest.strip().partition("\n\n")[0],
        seconds=outcome["seconds"],
        error=outcome["error"],
        figures=list(_figures(notebook)),
        tables=list(_tables(notebook)),
    )


def _data(notebook: NotebookNode):
    """Yield cell id and MIME bundle of every output that has one."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "data" in output and WIDGET not in output.data:
                yield cell.id, output.data


def _figures(notebook: NotebookNode):
    for cell_id, data in _data(notebook):
        if "image/png" in data:
            yield cell_id, base64.b64decode(data["image/png"])


def _tables(notebook: NotebookNode):
    from nbconvert.filters import markdown2html

    for _, data in _data(notebook):
        if "<table" in data.get("text/html", ""):
            yield data["text/html"]
        elif "|---" in data.get("text/markdown", ""):
            yield markdown2html(data["text/markdown"])


# Pages


def _page(name: str, notebook: NotebookNode) -> str:
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    exporter = HTMLExporter(
        template_name="lab",
        template_file="report.html.j2",
        extra_loaders=[DictLoader({"report.html.j2": PAGE_TEMPLATE})],
    )
    # Of a progress bar only the last state of each line is worth a line.
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    body, _ = exporter.from_notebook_node(_printable(notebook), {"metadata": {"name": name}})
    return body


def _printable(notebook: NotebookNode) -> NotebookNode:
    """Leave out what only works with a kernel or on the network; draw formulas."""
    cells = []
    for cell in notebook.cells:
        if {"badges", "setup"} & set(cell.metadata.get("tags", [])):
            continue
        cell = NotebookNode(cell)
        if cell.cell_type == "markdown":
            cell.source = render_math(cell.source)
        if "outputs" in cell:
            outputs = [_without_log(output) for output in cell.outputs]
            # The static figure beside a widget speaks for it.
            cell.outputs = [o for o in outputs if o and WIDGET not in o.get("data", {})]
        cells.append(cell)
    metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    return NotebookNode(notebook | {"cells": cells, "metadata": NotebookNode(metadata)})


# What TensorFlow writes while it starts, information and warnings; its errors begin with E or F.
# One that is called an error is none: oneDNN leaves an operation on integers to TensorFlow.
LOG_LINE = re.compile(
    r"^(?:WARNING: All log messages before absl|[IW]\d{4} \d\d:\d\d:"
    r"|E\d{4} .*\] oneDNN supports DT_INT32 only on platforms with AVX-512\.).*\n?",
    flags=re.MULTILINE,
)


def _without_log(output: NotebookNode) -> NotebookNode | None:
    """Leave TensorFlow's log lines out of an output; None if nothing else is in it."""
    if output.get("name") != "stderr":
        return output
    text = LOG_LINE.sub("", output.text)
    return NotebookNode(output | {"text": text}) if text.strip() else None


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
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img class="math" style="vertical-align: -{depth:.1f}pt" alt="{alternative}" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


# The index


def _index(entries: list[Entry]) -> str:
    profile = ", ".join(dict.fromkeys(entry.profile for entry in entries))
    failed = sum(entry.error is not None for entry in entries)
    total = _clock(sum(entry.seconds for entry in entries))
    verdict = f'<span class="bad">{failed} failed</span>' if failed else "all passed"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Low-light notebooks: {html.escape(profile)}</title>
<style>{INDEX_STYLE}</style>
</head>
<body><main>
<h1>Low-light notebooks</h1>
<p class="soft">Profile <b>{html.escape(profile)}</b> &middot; {len(entries)} notebooks,
{verdict} &middot; {total} in all &middot; {now}</p>
{"".join(_section(entry) for entry in entries)}
<section><h2>Versions</h2>{_versions()}</section>
</main></body>
</html>
"""


def _section(entry: Entry) -> str:
    page = f"{entry.name}.html"
    figures = "".join(
        _figure(f"{page}#cell-id={cell_id}", f"Figure {number} of {entry.name}", png)
        for number, (cell_id, png) in enumerate(entry.figures, start=1)
    )
    tables = "".join(f'<div class="table">{table}</div>' for table in entry.tables)
    state, word = ("good", "passed") if entry.error is None else ("bad", "failed")
    error = f"<pre>{html.escape(entry.error)}</pre>" if entry.error else ""
    return f"""<section id="{entry.name}">
<div class="head"><h2><a href="{page}">{html.escape(entry.title)}</a></h2>
<span class="pill {state}">{word}</span><span class="soft">{_clock(entry.seconds)}</span></div>
<p class="soft">{html.escape(entry.promise)}</p>
{error}{f'<div class="figures">{figures}</div>' if figures else ""}{tables}
</section>
"""


def _figure(link: str, alternative: str, png: bytes) -> str:
    """Return a thumbnail that links to the cell of the figure; panoramas get twice the room."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        wide = picture.width > 2 * picture.height
        picture = picture.convert("RGBA")
        picture.thumbnail((2 * THUMBNAIL_SIZE[0] if wide else THUMBNAIL_SIZE[0], THUMBNAIL_SIZE[1]))
        paper = Image.new("RGBA", picture.size, "white")
        small = Image.alpha_composite(paper, picture).convert("RGB")
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<a{" class=wide" if wide else ""} href="{link}">'
        f'<img alt="{alternative}" loading="lazy" src="data:image/jpeg;base64,{data}"></a>'
    )


def _clock(seconds: float) -> str:
    """Return a duration for people.

    >>> _clock(7.25), _clock(125)
    ('7.2 s', '2 min 5 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _versions() -> str:
    rows = {"Python": platform.python_version(), "System": platform.platform()}
    rows["Processors"] = str(os.cpu_count())
    rows["Keras backend"] = os.environ.get("KERAS_BACKEND", "tensorflow")
    for package in PACKAGES:
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            continue  # an optional one
    cells = "".join(f"<tr><th>{key}</th><td>{html.escape(v)}</td></tr>" for key, v in rows.items())
    return f'<div class="table"><table>{cells}</table></div>'
