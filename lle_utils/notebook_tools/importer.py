"""The definitions of a notebook, imported without running it."""

from __future__ import annotations

import ast
import linecache
import re
import sys
from pathlib import Path
from types import ModuleType

from lle_utils.notebook_tools.cells import NotebookError, parse, read_cells, source_path

CONSTANT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


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
    left_out = [cell for cell in read_cells(path, text) if {"setup", "solution"} & {*cell.tags}]
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
        isinstance(target, ast.Name) and CONSTANT_NAME.fullmatch(target.id)
        for target in node.targets
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
