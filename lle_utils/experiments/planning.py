"""What an experiment is: a notebook, what is fixed, and what varies; and the runs it makes."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lle_utils.notebook_tools.cells import NotebookError, list_notebooks, parameters_of
from lle_utils.notebook_tools.run import ParameterError, load_profile, read_settings

KEYS = ("notebook", "profile", "source", "set", "seeds", "folds", "grid")


class ExperimentError(ValueError):
    """A file that describes no experiment, or results that do not belong to one."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of the notebook.

    Attributes:
        name: Says what varies, such as ``learning_rate=0.001,seed=1,fold=2of5``; a folder name.
        group: The same without seed and fold: what is compared.
        parameters: Of the notebook, over those of the profile.
        split: Which photos of its source the result is judged by.
    """

    name: str
    group: str
    parameters: dict[str, Any]
    split: str


@dataclass(frozen=True)
class Experiment:
    """A notebook, what is fixed, and what varies.

    Attributes:
        notebook, profile: What is run, and with which parameters to begin with.
        source: Of the photos, for a notebook that takes one.
        fixed: Parameters that all runs share.
        seeds: One run for each.
        folds: Into how many the source is dealt, each tested on once; 0 for its own splits.
        grid: Parameter -> values; every combination is run.
    """

    notebook: str
    profile: str = "quick"
    source: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] = (0,)
    folds: int = 0
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def runs(self) -> list[PlannedRun]:
        """List the runs: seeds, folds and combinations of the grid, in that order of change."""
        folds = range(1, self.folds + 1) if self.folds else [None]
        combinations = itertools.product(*self.grid.values())
        return [
            self._run(dict(zip(self.grid, values, strict=True)), seed, fold)
            for values in combinations
            for fold in folds
            for seed in self.seeds
        ]

    def _run(self, varied: dict[str, Any], seed: int, fold: int | None) -> PlannedRun:
        parameters = {**self.fixed, **varied, "seed": seed}
        if self.source:
            parameters["source"] = f"{self.source}@{fold}/{self.folds}" if fold else self.source
        group = ",".join(f"{name}={_short(value)}" for name, value in varied.items()) or "all"
        name = f"{group},seed={seed}" + (f",fold={fold}of{self.folds}" if fold else "")
        return PlannedRun(_folder_name(name), group, parameters, "test" if fold else "val")


def read_experiment(path: str | os.PathLike, root: Path | None = None) -> Experiment:
    """Read and check an experiment file.

    Args:
        path: YAML, with the keys ``notebook``, ``profile``, ``source``, ``set`` (parameters that
            all runs share), ``seeds``, ``folds`` and ``grid``; all but the first may be left out.
        root: The project's folder.

    Returns:
        The experiment; nothing has run, and nothing was downloaded.

    Raises:
        ExperimentError: If it is no YAML or carries code, has an unknown key, or names a notebook,
            parameter or value that will not do; the message begins with the file.
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such experiment file.")
    content = _read_yaml(path)
    if unknown := set(content) - set(KEYS):
        raise ExperimentError(
            f"{path}: {', '.join(sorted(map(str, unknown)))} is no key of an experiment; there "
            f"are: {', '.join(KEYS)}."
        )
    try:
        return _checked(content, root)
    except (ExperimentError, ParameterError, NotebookError, FileNotFoundError) as error:
        raise ExperimentError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> dict:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ExperimentError(f"{path} is no plain YAML: {reason}") from error
    if not isinstance(content, dict) or not isinstance(content.get("notebook"), str):
        raise ExperimentError(f"{path}: expected at least `notebook: NAME`, such as 03_zero_dce.")
    return content


def _checked(content: dict, root: Path | None) -> Experiment:
    notebook, profile = content["notebook"], str(content.get("profile", "quick"))
    if notebook not in list_notebooks(root):
        known = ", ".join(list_notebooks(root))
        raise ExperimentError(f"no notebook is called {notebook!r}; there are: {known}.")
    usual = load_profile(profile, root)[notebook]
    defaults = {notebook: parameters_of(notebook, root)}
    fixed = _values(content.get("set", {}), "set", defaults)
    grid = content.get("grid", {})
    if not isinstance(grid, dict) or not all(isinstance(v, list) and v for v in grid.values()):
        raise ExperimentError("grid: expected parameters, each with a list of one value or more.")
    if twice := set(grid) & set(fixed):
        raise ExperimentError(f"{', '.join(sorted(twice))} is in set and in grid.")
    if own := {"seed", "source"} & {*grid, *fixed}:
        raise ExperimentError(f"{', '.join(sorted(own))}: give it by the key seeds or source.")
    columns = {
        name: [_values({name: v}, "grid", defaults)[name] for v in grid[name]] for name in grid
    }
    source = content.get("source") or usual.get("source", defaults[notebook].get("source", ""))
    if source and "source" not in defaults[notebook]:
        raise ExperimentError(f"{notebook} takes no source.")
    if content.get("folds") and not source:
        raise ExperimentError(f"folds: {notebook} takes no source to deal to folds.")
    if "seed" not in defaults[notebook]:
        raise ExperimentError(f"{notebook} takes no seed, so there is nothing to repeat.")
    return Experiment(
        notebook,
        profile,
        str(source),
        fixed,
        _seeds(content.get("seeds", [0])),
        _folds(content.get("folds", 0)),
        columns,
    )


def _values(found: Any, key: str, defaults: dict[str, dict]) -> dict[str, Any]:
    """Return parameters with the types of the notebook's own."""
    if not isinstance(found, dict):
        raise ExperimentError(f"{key}: expected parameters and their values.")
    settings = [f"{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in found.items()]
    (values,) = read_settings(settings, defaults).values()
    return values


def _seeds(found: Any) -> list[int]:
    seeds = list(range(found)) if isinstance(found, int) and not isinstance(found, bool) else found
    good = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not good or len(set(seeds)) < len(seeds):
        raise ExperimentError(
            f"seeds: expected different whole numbers, or how many, got {found!r}."
        )
    return seeds


def _folds(found: Any) -> int:
    if type(found) is not int or found in (1, 2) or found < 0:
        raise ExperimentError(f"folds is {found!r}; expected 0 for none, or 3 or more.")
    return found


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _folder_name(name: str) -> str:
    """Return a name that every file system takes; long ones end on a hash."""
    plain = re.sub(r"[^\w.,=+-]+", "_", name)
    if plain == name and len(plain) <= 100:
        return plain
    return f"{plain[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def check_folds(experiment: Experiment) -> None:
    """Check that a source can be dealt to the folds asked for, before anything is run.

    Raises:
        SourceError: If it shows fewer scenes.
    """
    from lle_utils.data.sources import load

    if experiment.folds:
        load(experiment.runs()[0].parameters["source"], "test")
