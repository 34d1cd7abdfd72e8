"""What an experiment is: a notebook, what is fixed, and what varies; and the runs it makes."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lle_utils.experiments.search_space import read_search
from lle_utils.experiments.values import ExperimentError, typed_values
from lle_utils.notebook_tools.cells import NotebookError, list_notebooks, parameters_of
from lle_utils.notebook_tools.run import ParameterError, load_profile

KEYS = ("notebook", "profile", "source", "set", "seeds", "folds", "grid", "search")


@dataclass(frozen=True)
class PlannedRun:
    """One run of the notebook.

    Attributes:
        name: Says what varies, such as ``learning_rate=0.001,seed=1,fold=2of5``; a folder name.
        group: The same without seed and fold: what is compared.
        parameters: Of the notebook, over those of the profile.
        split: Which photos of its source the result is judged by.
        metric, enhancer: What a search judges it by, see `lle_utils.experiments.search_space`;
            empty in a grid.
    """

    name: str
    group: str
    parameters: dict[str, Any]
    split: str
    metric: str = ""
    enhancer: str = ""


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
        search: In place of a grid, see `lle_utils.experiments.search_space.read_search`.
    """

    notebook: str
    profile: str = "quick"
    source: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] = (0,)
    folds: int = 0
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many runs there are to be."""
        return self.search["trials"] if self.search else len(self.runs())

    def runs(self) -> list[PlannedRun]:
        """List the runs: seeds, folds and combinations of the grid, in that order of change.

        Those of a search are not known before it has made them, one by one: see `trial`.
        """
        if self.search:
            return []
        folds = range(1, self.folds + 1) if self.folds else [None]
        combinations = itertools.product(*self.grid.values())
        return [
            self._run(dict(zip(self.grid, values, strict=True)), seed, fold)
            for values in combinations
            for fold in folds
            for seed in self.seeds
        ]

    def as_compared(self) -> Experiment:
        """Return what makes it this one; a search may get more trials, or another database."""
        return replace(self, search={**self.search, "trials": 0, "storage": ""})

    def trial(self, name: str, values: Mapping[str, Any]) -> PlannedRun:
        """Return the run of a search that tries these values.

        Args:
            name: Of the trial, a folder name.
            values: Parameter -> value, for all that are searched.
        """
        run = self._run(dict(values), self.seeds[0], None)
        judged = {key: self.search[key] for key in ("metric", "enhancer")}
        return replace(run, name=name, **judged)

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
            all runs share), ``seeds``, ``folds`` and ``grid`` or ``search``; all but the first may
            be left out.
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
    fixed = typed_values(content.get("set", {}), "set", defaults)
    grid = _grid(content.get("grid", {}), defaults)
    search = read_search(content["search"], defaults) if "search" in content else {}
    _check_names(fixed, grid, search)
    source = content.get("source") or usual.get("source", defaults[notebook].get("source", ""))
    if source and "source" not in defaults[notebook]:
        raise ExperimentError(f"{notebook} takes no source.")
    if content.get("folds") and not source:
        raise ExperimentError(f"folds: {notebook} takes no source to deal to folds.")
    if "seed" not in defaults[notebook]:
        raise ExperimentError(f"{notebook} takes no seed, so there is nothing to repeat.")
    seeds, folds = _seeds(content.get("seeds", [0])), _folds(content.get("folds", 0))
    if search:
        _check_search(seeds, folds, "grid" in content)
    return Experiment(notebook, profile, str(source), fixed, seeds, folds, grid, search)


def _grid(found: Any, defaults: dict[str, dict]) -> dict[str, list]:
    if not isinstance(found, dict) or not all(isinstance(v, list) and v for v in found.values()):
        raise ExperimentError("grid: expected parameters, each with a list of one value or more.")
    return {
        name: [typed_values({name: value}, "grid", defaults)[name] for value in values]
        for name, values in found.items()
    }


def _check_names(fixed: dict, grid: dict, search: dict) -> None:
    """Refuse a parameter that is set in two places, or that has a key of its own."""
    for key, varied in (("grid", grid), ("search", search.get("parameters", {}))):
        if twice := set(varied) & set(fixed):
            raise ExperimentError(f"{', '.join(sorted(twice))} is in set and in {key}.")
        if own := {"seed", "source"} & {*varied, *fixed}:
            raise ExperimentError(f"{', '.join(sorted(own))}: give it by the key seeds or source.")


def _check_search(seeds: list[int], folds: int, grid: bool) -> None:
    """Refuse what a search cannot be combined with."""
    if grid:
        raise ExperimentError("there are grid and search; an experiment has one of them.")
    if folds:
        raise ExperimentError(
            "there are folds and search. What is chosen by a fold must not be judged by it: search "
            "without folds, on photos of val, then run the best values with folds, by `set`."
        )
    if len(seeds) > 1:
        raise ExperimentError(
            f"a search takes one seed, got {len(seeds)}; run the best values with more, by `set`."
        )


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
