"""What a search found: the best so far, which parameters count, and charts of all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lle_utils.core.errors import require
from lle_utils.display.charts import stacked_bars
from lle_utils.display.html_page import Part
from lle_utils.display.trial_charts import parallel_coordinates, trial_curves
from lle_utils.experiments.planning import Experiment
from lle_utils.experiments.search import distributions
from lle_utils.experiments.search_space import LOGGED

FEWEST = 10  # trials that have a value, for the importance of parameters


def best_trial(results: Sequence[Mapping]) -> Mapping | None:
    """Return the trial with the highest value, or None when none has passed yet."""
    judged = [result for result in results if result["value"] is not None]
    return max(judged, key=lambda result: result["value"], default=None)


def best_text(plan: Experiment, results: Sequence[Mapping]) -> str:
    """Say in a line which trial is the best so far; empty when none has passed."""
    best = best_trial(results)
    if best is None:
        return ""
    return f"best {plan.search['metric']} {best['value']:.4g}: {best['group']} ({best['name']})"


def importances(plan: Experiment, results: Sequence[Mapping]) -> dict[str, float]:
    """Return what share each parameter has in which trials are the best quarter (PED-ANOVA).

    Args:
        plan: With a search.
        results: As of `lle_utils.experiments.read_results`.

    Returns:
        Parameter -> share from 0 to 1, the largest first, all together 1; empty below `FEWEST`
        trials that have a value.

    Reference:
        Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
        Subspaces", IJCAI 2023.
    """
    judged = [result for result in results if result["value"] is not None]
    if len(judged) < FEWEST:
        return {}
    optuna = require("optuna", "experiments", "A search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, space = optuna.create_study(direction="maximize"), plan.search["parameters"]
    for result in judged:
        values = {name: result["parameters"][name] for name in space}
        trial = optuna.trial.create_trial(
            params=values, distributions=distributions(space), value=result["value"]
        )
        study.add_trial(trial)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def search_parts(plan: Experiment, results: Sequence[Mapping]) -> list[tuple[str, Part]]:
    """Return the sections of a search for the page of its experiment."""
    best = best_trial(results)
    if best is None:
        return []
    space = plan.search["parameters"]
    columns = {name: [result["parameters"][name] for result in results] for name in space}
    log = [name for name, found in space.items() if isinstance(found, Mapping) and found["log"]]
    values = [result["value"] for result in results]
    parts: list[tuple[str, Part]] = [
        ("Best so far", _best_part(plan, best)),
        ("All trials", parallel_coordinates(columns, values, plan.search["metric"], log)),
    ]
    shares = importances(plan, results)
    if shares:
        rows = {name: {"share": share} for name, share in shares.items()}
        parts.append(("Which parameters count (PED-ANOVA)", stacked_bars(rows)))
    else:
        few = f"Told from {FEWEST} trials on that have a value."
        parts.append(("Which parameters count (PED-ANOVA)", few))
    curves = {r["name"]: r["history"][LOGGED] for r in results if r["history"].get(LOGGED)}
    if curves:
        name = best["name"] if best["name"] in curves else ""
        parts.append(("Learning curves", trial_curves(curves, name, f"{LOGGED} (dB)")))
    return parts


def _best_part(plan: Experiment, best: Mapping) -> str:
    import yaml

    values = {name: best["parameters"][name] for name in plan.search["parameters"]}
    told = yaml.safe_dump({"set": values}, sort_keys=False)
    return (
        f"`{best['name']}`: {plan.search['metric']} {best['value']:.4g} on photos of val, the "
        "best of many and so a little lucky. To judge these values by photos that did not choose "
        f"them, run them with folds or seeds:\n\n```\n{told}```"
    )
