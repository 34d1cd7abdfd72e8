"""What a search may try: ranges and choices for parameters of a notebook, checked."""

from __future__ import annotations

import math
from typing import Any

from lle_utils.experiments.values import ExperimentError, typed_values

KEYS = ("parameters", "trials", "sampler", "metric", "enhancer", "prune", "storage")
SAMPLERS = ("tpe", "random")
LOGGED = "val_psnr"  # by trainings, in notebooks that say how often
LOGGED_BY = "validate_every"  # the parameter that says so
METRICS = ("psnr", "ssim", LOGGED)  # larger is better


def read_search(found: Any, defaults: dict[str, dict]) -> dict[str, Any]:
    """Check the key ``search`` of an experiment.

    Args:
        found: What the file has under it.
        defaults: The notebook -> its parameters.

    Returns:
        All of `KEYS`. ``parameters`` are lists of choices, or ``low``, ``high`` and ``log``, with
        the types of the notebook's own; ``enhancer`` is which of those that a run saves it is
        judged by, empty for the best of them.

    Raises:
        ExperimentError: If a key or a value will not do; the message names it.
        ParameterError: If one is no parameter of the notebook, or a choice of another type.
    """
    if not isinstance(found, dict):
        raise ExperimentError(f"search: expected the keys {', '.join(KEYS)}, got {found!r}.")
    if unknown := set(found) - set(KEYS):
        names = ", ".join(sorted(map(str, unknown)))
        raise ExperimentError(f"search: {names} is no key of it; there are: {', '.join(KEYS)}.")
    parameters = found.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise ExperimentError("search: expected `parameters`, each with a range or with choices.")
    space = {name: _one(name, range_, defaults) for name, range_ in parameters.items()}
    return {"parameters": space, **_settings(found, defaults)}


def _settings(found: dict, defaults: dict[str, dict]) -> dict[str, Any]:
    """Check all but the parameters."""
    trials, storage = found.get("trials", 20), found.get("storage", "")
    if type(trials) is not int or trials < 1:
        raise ExperimentError(f"search: trials is {trials!r}; expected a whole number from 1 on.")
    sampler = _word("sampler", found.get("sampler", "tpe"), SAMPLERS)
    metric = _word("metric", found.get("metric", "psnr"), METRICS)
    enhancer = found.get("enhancer", "")
    if not isinstance(enhancer, str) or (enhancer and metric == LOGGED):
        raise ExperimentError(
            f"search: enhancer is {enhancer!r}; expected the name of one that the notebook saves, "
            f"with the metric psnr or ssim. {LOGGED} is of the training itself."
        )
    prune = found.get("prune", False)
    if type(prune) is not bool:
        raise ExperimentError(f"search: prune is {prune!r}; expected true or false.")
    if storage != "" and (not isinstance(storage, str) or "://" not in storage):
        raise ExperimentError(
            f"search: storage is {storage!r}; expected the URL of a database, such as "
            "postgresql://host/name, or none for a file in the folder of the experiment."
        )
    ((notebook, known),) = defaults.items()
    if (prune or metric == LOGGED) and LOGGED_BY not in known:
        raise ExperimentError(
            f"search: {notebook} has no {LOGGED_BY}, so its training logs no {LOGGED}; take the "
            "metric psnr or ssim, and leave prune out."
        )
    return dict(
        trials=trials,
        sampler=sampler,
        metric=metric,
        enhancer=enhancer,
        prune=prune,
        storage=storage,
    )


def _word(key: str, found: Any, known: tuple[str, ...]) -> str:
    if found not in known:
        raise ExperimentError(f"search: {key} is {found!r}; there are: {', '.join(known)}.")
    return found


def _one(name: str, found: Any, defaults: dict[str, dict]) -> dict[str, Any] | list:
    """Check the range or the choices of a parameter."""
    ((notebook, known),) = defaults.items()
    if name not in known:
        typed_values({name: 0}, "search", defaults)  # says which there are
    if isinstance(found, list):
        return _choices(name, found, defaults)
    if not isinstance(found, dict) or not {"low", "high"} <= set(found) <= {"low", "high", "log"}:
        raise ExperimentError(
            f"search: {name}: expected a list of choices, or low, high and perhaps log, got "
            f"{found!r}."
        )
    kind = type(known[name])
    if kind not in (int, float):
        raise ExperimentError(
            f"search: {name} is {kind.__name__} in {notebook}, which has no range; give a list."
        )
    return _range(name, found, kind)


def _choices(name: str, found: list, defaults: dict[str, dict]) -> list:
    if not found:
        raise ExperimentError(f"search: {name}: expected one choice or more, got an empty list.")
    values = [typed_values({name: value}, "search", defaults)[name] for value in found]
    if not all(isinstance(value, str | bool | int | float) for value in values):
        raise ExperimentError(f"search: {name}: a choice is a number, a word, true or false.")
    if len(set(values)) < len(values):
        raise ExperimentError(f"search: {name}: a choice is there twice.")
    return values


def _range(name: str, found: dict, kind: type) -> dict[str, Any]:
    low, high, log = found["low"], found["high"], found.get("log", False)
    for key, value in (("low", low), ("high", high)):
        fits = type(value) is int or (kind is float and type(value) is float)
        if not fits or not math.isfinite(value):
            hint = " (YAML wants 1.0e-3, not 1e-3)" if isinstance(value, str) else ""
            what = "a whole number" if kind is int else "a number"
            raise ExperimentError(f"search: {name}: {key} is {value!r}; expected {what}{hint}.")
    if type(log) is not bool:
        raise ExperimentError(f"search: {name}: log is {log!r}; expected true or false.")
    if low >= high:
        raise ExperimentError(f"search: {name}: low is {low}, high {high}; expected low < high.")
    if log and low <= 0:
        raise ExperimentError(f"search: {name}: low is {low}; with log it has to be above 0.")
    return {"low": kind(low), "high": kind(high), "log": log}
