"""Deriving notebooks from their sources.

``notebooks/NN_topic.py`` (jupytext percent) is the source that people edit;
``NN_topic.ipynb`` is derived from it, without outputs, and is what Colab opens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lle_utils.core.paths import atomic_path, project_root
from lle_utils.notebook_tools.cells import NotebookError, chosen_sources, with_generated_cells

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sync_notebooks(names: Iterable[str] | None = None, root: Path | None = None) -> list[Path]:
    """Regenerate badge, setup and profile cells, then derive every ``.ipynb`` from its ``.py``.

    Cell ids are kept, as by ``jupytext --to ipynb --update``, so that a derived file changes
    only where its source did.

    Args:
        names: Notebooks to treat; all when None.
        root: The project's folder.

    Returns:
        The files that had to be written.

    Raises:
        NotebookError: If a generated cell is missing, or a source has no kernelspec.
    """
    written = []
    for path in chosen_sources(names, root):
        text = path.read_text(encoding="utf-8")
        halves = {path: with_generated_cells(path, text, root or project_root())}
        halves[path.with_suffix(".ipynb")] = derived_text(path, halves[path])
        for target, content in halves.items():
            if not target.is_file() or target.read_text(encoding="utf-8") != content:
                with atomic_path(target) as temporary:
                    temporary.write_text(content, encoding="utf-8")
                written.append(target)
    return written


def derived_text(path: Path, text: str) -> str:
    """Return the ``.ipynb`` that belongs to a source, with the ids of the one on disk.

    Args:
        path: The ``.py`` file; the ``.ipynb`` is looked for beside it.
        text: Content of the ``.py``.

    Raises:
        NotebookError: If the header of the source names no Python 3 kernel.
    """
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
