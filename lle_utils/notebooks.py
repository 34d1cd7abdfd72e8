"""Notebooks as functions: list, keep in sync, check, run with a profile, import from.

``notebooks/NN_topic.py`` (jupytext percent) is the source that people edit;
``NN_topic.ipynb`` is derived from it, without outputs, and is what Colab opens.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import re
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lle_utils.execution import ParameterError, Run, load_profile, run
from lle_utils.files import atomic_path, project_root
from lle_utils.sources import (
    TITLE,
    Cell,
    NotebookError,
    cell_text,
    chosen_sources,
    find_cell,
    generated_cells,
    list_notebooks,
    notebook_folder,
    parameters_of,
    parse,
    source_path,
    split_cells,
    with_generated_cells,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "NotebookError",
    "ParameterError",
    "Run",
    "check",
    "code_lengths",
    "definitions",
    "list_notebooks",
    "load_profile",
    "parameters_of",
    "run",
    "source_path",
    "summary",
    "sync",
]

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")


def sync(names: Iterable[str] | None = None, root: Path | None = None) -> list[Path]:
    """Regenerate badge and setup cells, then derive every ``.ipynb`` from its ``.py``.

    Cell ids are kept, as by ``jupytext --to ipynb --update``, so that a derived file changes
    only where its source did.

    Args:
        names: Notebooks to treat; all when None.
        root: The project's folder.

    Returns:
        The files that had to be written.

    Raises:
        NotebookError: If a badge or setup cell is missing, or a source has no kernelspec.
    """
    written = []
    for path in chosen_sources(names, root):
        text = path.read_text(encoding="utf-8")
        halves = {path: with_generated_cells(path, text, root or project_root())}
        halves[path.with_suffix(".ipynb")] = _derived(path, halves[path])
        for target, content in halves.items():
            if not target.is_file() or target.read_text(encoding="utf-8") != content:
                with atomic_path(target) as temporary:
                    temporary.write_text(content, encoding="utf-8")
                written.append(target)
    return written


def _derived(path: Path, text: str) -> str:
    """Return the ``.ipynb`` that belongs to a source, with the ids of the one on disk."""
    import jupytext
    import nbformat
    from jupytext.combine import combine_inputs_with_outputs

    notebook = jupytext.reads(text, fmt="py:percent")
    if notebook.metadata.get("kernelspec") != KERNELSPEC:
        raise NotebookError(
            f"{path}: its header names no Python 3 kernel, without which papermill cannot run "
            "it. Begin the file with the header of 00_start_here.py."
        )
    target, fresh = path.with_suffix(".ipynb"), {cell.id for cell in notebook.cells}
    if target.is_file():
        old = nbformat.read(target, as_version=4)
        combined = combine_inputs_with_outputs(notebook, old, {"extension": ".py"})
        for cell, kept in zip(notebook.cells, combined.cells, strict=True):
            cell.id = kept.id
    _name_new_cells(notebook, fresh)
    return jupytext.writes(notebook, fmt="ipynb").rstrip("\n") + "\n"


def _name_new_cells(notebook: NotebookNode, fresh: set[str]) -> None:
    """Give cells that were never in the ``.ipynb`` an id made from their text, not a random one."""
    used = {cell.id for cell in notebook.cells} - fresh
    for cell in notebook.cells:
        if cell.id not in fresh:
            continue
        seed = cell.source
        while (identifier := hashlib.sha256(seed.encode()).hexdigest()[:8]) in used:
            seed += "\n"
        cell.id = identifier
        used.add(identifier)


def check(names: Iterable[str] | None = None, root: Path | None = None) -> list[str]:
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
    titles = [title for cell in split_cells(text) for title in _titles(cell_text(text, cell), cell)]
    if len(titles) == 1:
        return []
    return [f"{path}: {len(titles)} first-level headings {titles}; write exactly one."]


def _check_parameters(path: Path, _text: str, root: Path) -> list[str]:
    parameters_of(path.stem, root)  # raises with the reason
    return []


def _titles(text: str, cell: Cell) -> list[str]:
    if cell.kind != "markdown":
        return []
    prose = re.sub(r"^# ```.*?^# ```", "", text, flags=re.MULTILINE | re.DOTALL)
    return TITLE.findall(prose)


def _check_derived(path: Path, text: str, _root: Path) -> list[str]:
    import nbformat

    target = path.with_suffix(".ipynb")
    if not target.is_file():
        return [f"{target} is missing. Run `lle sync`."]
    cells = nbformat.read(target, as_version=4).cells
    if any(cell.get("outputs") or cell.get("execution_count") is not None for cell in cells):
        return [f"{target} holds outputs or execution counts. Run `lle sync`."]
    if target.read_text(encoding="utf-8") != _derived(path, text):
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
    text = path.read_text(encoding="utf-8")
    codes = [cell for cell in split_cells(text) if cell.kind == "code" and "setup" not in cell.tags]
    return [sum(bool(line.strip()) for line in cell_text(text, c).splitlines()[1:]) for c in codes]


def summary(name: str, root: Path | None = None) -> str:
    """Describe the size of a notebook in one line."""
    lengths = code_lengths(name, root) or [0]
    return (
        f"{name}: {len(lengths)} code cells, median {statistics.median(lengths):g} lines, "
        f"longest {max(lengths)}"
    )


def definitions(name: str, root: Path | None = None) -> ModuleType:
    """Import the functions and classes of a notebook without running the rest.

    Kept are module-level imports, functions, classes and UPPER_CASE constants with literal
    values, so that tests and tools use the very code that is taught. Setup and solution
    cells are left out.

    Args:
        name: A notebook, such as ``03_zero_dce``.
        root: The project's folder.

    Returns:
        A module; it is registered as ``lle_notebook_<name>``, so its objects can be pickled
        and inspected, and stays the same one until the source changes.

    Raises:
        NotebookError: If the notebook does not exist, or a definition needs a name that only
            running the notebook would create.
    """
    path = source_path(name, root)
    text = path.read_text(encoding="utf-8")
    module = sys.modules.get(f"lle_notebook_{name}")
    if module is not None and (module.__file__, module.__source__) == (str(path), text):
        return module
    module = ModuleType(f"lle_notebook_{name}", f"Definitions of notebook {name}.")
    module.__file__, module.__source__ = str(path), text
    _execute(module, _definition_nodes(path, text))
    return module


def _definition_nodes(path: Path, text: str) -> list[ast.stmt]:
    left_out = [cell for cell in split_cells(text) if {"setup", "solution"} & set(cell.tags)]
    return [
        node
        for node in parse(path, text).body
        if _is_definition(node)
        and not any(cell.start < node.lineno <= cell.stop for cell in left_out)
    ]


def _is_definition(node: ast.stmt) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return isinstance(node, kinds) or _is_constant(node)


def _is_constant(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign) or not all(
        isinstance(target, ast.Name) and CONSTANT.fullmatch(target.id) for target in node.targets
    ):
        return False
    try:
        ast.literal_eval(node.value)
    except ValueError:
        return False
    return True


def _execute(module: ModuleType, nodes: list[ast.stmt]) -> None:
    sys.modules[module.__name__] = module  # before execution: dataclasses look themselves up
    linecache.checkcache(module.__file__)
    try:
        code = compile(ast.Module(nodes, type_ignores=[]), module.__file__, "exec")
        exec(code, module.__dict__)
    except NameError as error:
        del sys.modules[module.__name__]
        raise NotebookError(
            f"{module.__file__}: a definition needs {error.name!r}, which only running the "
            "notebook creates. Make it an argument or an UPPER_CASE literal."
        ) from error
    except BaseException:
        del sys.modules[module.__name__]
        raise
