"""Notebook sources as text: which there are, their cells and tags, parameters, generated cells."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lle_utils.core.paths import project_root

CELL_MARKER = re.compile(r"# %%(\s|$)")
TITLE_LINE = re.compile(r"^# # +(.+)$", flags=re.MULTILINE)
GITHUB_ADDRESS = re.compile(r"https://github\.com/(?P<owner>[\w.-]+)/(?P<repository>[\w.-]+?)/?")

BADGE_CELL = """\
# %% [markdown] tags=["badges"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{owner}/{repository}/blob/main/notebooks/{name}.ipynb)
"""

# `google.colab` is loaded in Colab's own kernel only, not in one that papermill starts
# there. A plain install, because a running kernel does not see a new editable one.
SETUP_CELL = """\
# %% tags=["setup"]
import os
import subprocess
import sys

if "google.colab" in sys.modules:  # elsewhere the package is installed already
    project = "/content/{repository}"
    address = os.environ.get("LLE_REPOSITORY", "https://github.com/{owner}/{repository}")
    if not os.path.isdir(project):
        cloned = subprocess.run(["git", "clone", "--quiet", "--depth=1", address, project])
        if cloned.returncode:
            raise RuntimeError(
                f"{{address}} cannot be cloned. Unpack the project's zip to {{project}}, or link "
                "it there from a mounted Drive, and run this cell again."
            )
    package = f"{{project}}[notebooks,photos]"  # camera raw and HEIC too
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    os.chdir(f"{{project}}/notebooks")
"""

PROFILE_CELL = """\
# %% tags=["profile"]
from lle_utils.notebook_tools import start

start("{name}", globals())
"""


class NotebookError(ValueError):
    """A notebook or profile that does not follow the project's format."""


class Cell(NamedTuple):
    """One cell of a source file.

    Attributes:
        kind: ``code``, ``markdown`` or ``raw``.
        tags: Its tags.
        source: What stands in the cell of the notebook, without comment signs.
        start: Line of its marker in the file, counted from 0.
        stop: Line behind its last one.
    """

    kind: str
    tags: tuple[str, ...]
    source: str
    start: int
    stop: int


def list_notebooks(root: Path | None = None) -> list[str]:
    """List the notebooks in reading order.

    Args:
        root: The project's folder; found by itself when None.

    Returns:
        File stems, such as ``03_zero_dce``.
    """
    return sorted(path.stem for path in notebook_folder(root).glob("[0-9][0-9]_*.py"))


def source_path(name: str, root: Path | None = None) -> Path:
    """Return the ``.py`` of a notebook.

    Raises:
        NotebookError: If there is none of that name; the message lists those that exist.
    """
    known = list_notebooks(root)
    if name not in known:
        raise NotebookError(f"No notebook is called {name!r}; there are: {', '.join(known)}.")
    return notebook_folder(root) / f"{name}.py"


def training_notebook(enhancer: str, root: Path | None = None) -> str:
    """Return the notebook that trains an enhancer.

    Args:
        enhancer: Such as ``mirnet`` or ``zero_dce_pp``, or the notebook's own name.
        root: The project's folder; found by itself when None.

    Raises:
        NotebookError: If none trains it; the message lists those that there are.
    """
    sources = {n: source_path(n, root).read_text(encoding="utf-8") for n in list_notebooks(root)}
    names = [name for name, text in sources.items() if "save_enhancer(" in text]
    for name in names:
        if enhancer == name or enhancer.startswith(name[3:]):
            return name
    topics = ", ".join(name[3:] for name in names)
    raise NotebookError(f"No notebook trains {enhancer!r}; there are: {topics}.")


def notebook_folder(root: Path | None = None) -> Path:
    """Return the folder of the notebooks; ``root`` is the project's, found when None."""
    return (root or project_root()) / "notebooks"


def chosen_sources(names: Iterable[str] | None, root: Path | None = None) -> list[Path]:
    """Return the ``.py`` of the named notebooks, or of all when ``names`` is None."""
    return [source_path(name, root) for name in names or list_notebooks(root)]


def title_of(name: str, root: Path | None = None) -> str:
    """Return the first-level heading of a notebook, or nothing when it has none."""
    # Found in the text, because jupytext takes a second to load and `lle list` needs no cells.
    found = TITLE_LINE.search(source_path(name, root).read_text(encoding="utf-8"))
    return found[1] if found else ""


@functools.cache
def read_cells(path: Path, text: str) -> tuple[Cell, ...]:
    """Read the cells of a jupytext percent file.

    Args:
        path: The ``.py`` file, for messages.
        text: Its content.

    Returns:
        Its cells in order.

    Raises:
        NotebookError: If text stands above the first cell or a cell marker in a string, so
            that cells and markers do not go together.
    """
    import jupytext

    cells = jupytext.reads(text, fmt="py:percent").cells
    lines = text.splitlines()
    # jupytext tells no line numbers, but error messages and tracebacks need them.
    starts = [number for number, line in enumerate(lines) if CELL_MARKER.match(line)]
    if len(starts) != len(cells):
        raise NotebookError(
            f"{path}: jupytext reads {len(cells)} cells, but {len(starts)} lines begin with "
            "`# %%`. Write one such line above each cell, and none inside a string."
        )
    return tuple(
        Cell(cell.cell_type, tuple(cell.metadata.get("tags", ())), cell.source, start, stop)
        for cell, start, stop in zip(cells, starts, [*starts[1:], len(lines)], strict=True)
    )


def find_cell(path: Path, text: str, tag: str) -> Cell:
    """Return the one cell that carries a tag.

    Raises:
        NotebookError: If no cell or more than one carries it.
    """
    found = [cell for cell in read_cells(path, text) if tag in cell.tags]
    if len(found) == 1:
        return found[0]
    kind = "[markdown] " if tag == "badges" else ""
    raise NotebookError(
        f'{path}: {len(found)} cells are tagged "{tag}"; expected one. '
        f'Mark it with the line `# %% {kind}tags=["{tag}"]`.'
    )


def cell_text(text: str, cell: Cell) -> str:
    """Return a cell with its marker line, ending in exactly one newline."""
    return "\n".join(text.splitlines()[cell.start : cell.stop]).rstrip() + "\n"


def public_address(root: Path) -> dict[str, str]:
    """Read the public address of the project, the one place from which links are generated.

    Args:
        root: Folder of ``pyproject.toml``.

    Returns:
        ``owner`` and ``repository``.

    Raises:
        NotebookError: If ``[project.urls] Repository`` is missing or not on GitHub.
    """
    path = root / "pyproject.toml"
    urls = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {}).get("urls", {})
    found = GITHUB_ADDRESS.fullmatch(urls.get("Repository", ""))
    if not found:
        raise NotebookError(
            f"{path}: [project.urls] Repository is {urls.get('Repository')!r}; expected "
            "https://github.com/OWNER/NAME, from which Colab links are made."
        )
    return found.groupdict()


def generated_cells(name: str, root: Path) -> dict[str, str]:
    """Return the text of the badge, setup and profile cell of a notebook, by tag."""
    address = public_address(root)
    return {
        "badges": BADGE_CELL.format(name=name, **address),
        "setup": SETUP_CELL.format(**address),
        "profile": PROFILE_CELL.format(name=name),
    }


def with_generated_cells(path: Path, text: str, root: Path) -> str:
    """Return a source in which the badge, setup and profile cell are as generated.

    Args:
        path: The ``.py`` file, for its stem and for messages.
        text: Its content.
        root: Folder of ``pyproject.toml``.

    Raises:
        NotebookError: If one of these cells is missing or doubled.
    """
    for tag, wanted in generated_cells(path.stem, root).items():
        cell = find_cell(path, text, tag)
        if cell_text(text, cell) != wanted:
            lines = text.splitlines()
            lines[cell.start : cell.stop] = [*wanted.splitlines(), ""]
            text = "\n".join(lines).rstrip() + "\n"
    return text


def parse(path: Path, text: str) -> ast.Module:
    """Parse a notebook source.

    Raises:
        NotebookError: If it is not valid Python.
    """
    try:
        return ast.parse(text, filename=str(path))
    except SyntaxError as error:
        raise NotebookError(f"{path}, line {error.lineno}: {error.msg}.") from error


def parameters_of(name: str, root: Path | None = None) -> dict[str, Any]:
    """Return the parameters of a notebook and their defaults, read without running it.

    Raises:
        NotebookError: If the notebook or its parameters cell is missing or not literal.
    """
    path = source_path(name, root)
    return literal_parameters(path, path.read_text(encoding="utf-8"))


def literal_parameters(path: Path, text: str) -> dict[str, Any]:
    """Read the ``parameters`` cell without running it.

    Args:
        path: The ``.py`` file, for messages.
        text: Its content.

    Returns:
        Name and default of each parameter, in order.

    Raises:
        NotebookError: If there is not exactly one such cell, or a line in it is anything
            but ``name = literal``: papermill could not replace it.
    """
    cell = find_cell(path, text, "parameters")
    nodes = [n for n in parse(path, text).body if cell.start < n.lineno <= cell.stop]
    return dict(_assignment(path, node) for node in nodes)


def _assignment(path: Path, node: ast.stmt) -> tuple[str, Any]:
    if isinstance(node, ast.Assign) and [type(t) for t in node.targets] == [ast.Name]:
        try:
            return node.targets[0].id, ast.literal_eval(node.value)
        except ValueError:
            pass  # reported below, with the other kinds of statement
    raise NotebookError(
        f"{path}, line {node.lineno}: `{ast.unparse(node)}` is not a plain `name = literal`, "
        "which is all that the parameters cell may hold."
    )
