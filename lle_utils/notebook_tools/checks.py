"""Whatever would break a notebook for its reader."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from pathlib import Path

from lle_utils.core.paths import project_root
from lle_utils.notebook_tools.cells import (
    Cell,
    NotebookError,
    cell_text,
    chosen_sources,
    find_cell,
    generated_cells,
    list_notebooks,
    notebook_folder,
    parameters_of,
    read_cells,
    source_path,
)
from lle_utils.notebook_tools.run import load_profile
from lle_utils.notebook_tools.sync import derived_text


def check_notebooks(names: Iterable[str] | None = None, root: Path | None = None) -> list[str]:
    """Look for whatever would break a notebook for its reader.

    Args:
        names: Notebooks to check; all, and the profiles too, when None.
        root: The project's folder.

    Returns:
        One sentence for each problem, naming the file and the remedy; empty when all is well.
    """
    problems = [
        problem for path in chosen_sources(names, root) for problem in _check_one(path, root)
    ]
    if names is None:
        problems += _check_strays(root) + _check_profiles(root)
    return problems


def _check_one(path: Path, root: Path | None) -> list[str]:
    text = path.read_text(encoding="utf-8")
    problems = []
    for examine in (_check_generated, _check_title, _check_parameters, _check_derived):
        try:
            problems += examine(path, text, root or project_root())
        except NotebookError as error:
            problems.append(str(error))
    return problems


def _check_generated(path: Path, text: str, root: Path) -> list[str]:
    return [
        f"{path}: the {tag} cell is not the generated one. Run `lle sync`."
        for tag, wanted in generated_cells(path.stem, root).items()
        if cell_text(text, find_cell(path, text, tag)) != wanted
    ]


def _check_title(path: Path, text: str, _root: Path) -> list[str]:
    titles = [title for cell in read_cells(path, text) for title in _titles(cell)]
    if len(titles) == 1:
        return []
    return [f"{path}: {len(titles)} first-level headings {titles}; write exactly one."]


def _check_parameters(path: Path, _text: str, root: Path) -> list[str]:
    parameters_of(path.stem, root)  # raises with the reason
    return []


def _titles(cell: Cell) -> list[str]:
    if cell.kind != "markdown":
        return []
    prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^# +(.+)$", prose, flags=re.MULTILINE)


def _check_derived(path: Path, text: str, _root: Path) -> list[str]:
    import nbformat

    target = path.with_suffix(".ipynb")
    if not target.is_file():
        return [f"{target} is missing. Run `lle sync`."]
    cells = nbformat.read(target, as_version=4).cells
    if any(cell.get("outputs") or cell.get("execution_count") is not None for cell in cells):
        return [f"{target} holds outputs or execution counts. Run `lle sync`."]
    if target.read_text(encoding="utf-8") != derived_text(path, text):
        return [f"{target} differs from {path.name}. Edit the .py alone, then run `lle sync`."]
    return []


def _check_strays(root: Path | None) -> list[str]:
    known = set(list_notebooks(root))
    strays = [
        path for path in sorted(notebook_folder(root).glob("*.ipynb")) if path.stem not in known
    ]
    return [f"{path} has no .py source. Delete it, or add {path.stem}.py." for path in strays]


def _check_profiles(root: Path | None) -> list[str]:
    problems = []
    for path in sorted((notebook_folder(root) / "profiles").glob("*.yml")):
        try:
            load_profile(path.stem, root)
        except NotebookError as error:
            problems.append(str(error))
    return problems


def code_lengths(name: str, root: Path | None = None) -> list[int]:
    """Count the non-blank lines of each code cell, for a glance at readability."""
    path = source_path(name, root)
    cells = read_cells(path, path.read_text(encoding="utf-8"))
    codes = [
        cell.source
        for cell in cells
        if cell.kind == "code" and not {"setup", "profile"} & {*cell.tags}
    ]
    return [sum(bool(line.strip()) for line in code.splitlines()) for code in codes]


def summary(name: str, root: Path | None = None) -> str:
    """Describe the size of a notebook in one line."""
    lengths = code_lengths(name, root) or [0]
    return (
        f"{name}: {len(lengths)} code cells, median {statistics.median(lengths):g} lines, "
        f"longest {max(lengths)}"
    )
