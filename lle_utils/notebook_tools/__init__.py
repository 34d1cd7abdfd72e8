"""Notebooks as functions: read, keep in sync, check, run, report, import from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cells": [
            "Cell",
            "NotebookError",
            "cell_text",
            "chosen_sources",
            "find_cell",
            "generated_cells",
            "list_notebooks",
            "literal_parameters",
            "notebook_folder",
            "parameters_of",
            "parse",
            "public_address",
            "read_cells",
            "source_path",
            "title_of",
            "training_notebook",
            "with_generated_cells",
        ],
        "checks": ["check_notebooks", "code_lengths", "summary"],
        "formulas": ["render_math"],
        "importer": ["definitions"],
        "kernel": ["ThisInterpreter"],
        "report": ["Entry", "ReportError", "Thumbnail", "write_report"],
        "run": ["ParameterError", "Run", "explain", "load_profile", "run_notebooks"],
        "session": ["mount_drive", "start"],
        "sync": ["derived_text", "sync_notebooks"],
    },
)
