"""Charts of many trials at once: what was tried and what came of it, and how it was learnt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lle_utils.display.figure_style import (
    COLORS,
    LONE_WIDTH,
    WIDTH,
    NotebookFigure,
    color_bar,
    house_style,
)

GRAY = "0.75"


@house_style()
def parallel_coordinates(
    columns: Mapping[str, Sequence[Any]],
    values: Sequence[float | None],
    label: str = "",
    log: Collection[str] = (),
) -> Figure:
    """Plot each trial as a line over upright axes, one for each parameter.

    Args:
        columns: Parameter -> what each trial had: numbers, or words, which are set apart evenly.
        values: What came of each trial, its colour and drawn the later the larger; None for one
            without a value, which is gray.
        label: What the values are, with the unit.
        log: Parameters whose axis is logarithmic; theirs are positive.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no parameter, no trial with a value, or not one entry for each
            trial.
    """
    known = [value for value in values if value is not None]
    if not columns or not known:
        raise ValueError("parallel_coordinates got no parameter, or no trial with a value.")
    if any(len(column) != len(values) for column in columns.values()):
        raise ValueError(f"parallel_coordinates: expected {len(values)} entries in each column.")
    width = min(WIDTH, 2.5 + 1.6 * len(columns))
    figure, axis = plt.subplots(figsize=(width, 3.6), FigureClass=NotebookFigure)
    colors = ScalarMappable(Normalize(min(known), max(known)), "viridis")
    heights = [_axis(axis, i, column, n in log) for i, (n, column) in enumerate(columns.items())]
    order = sorted(range(len(values)), key=lambda i: (values[i] is not None, values[i] or 0))
    for i in order:
        color = GRAY if values[i] is None else colors.to_rgba(values[i])
        axis.plot([height[i] for height in heights], color=color, marker=".")
    axis.set_xticks(range(len(columns)), list(columns))
    axis.set(yticks=[], xlim=(-0.3, len(columns) - 0.9), ylim=(-0.05, 1.05))
    axis.spines[:].set_visible(False)
    color_bar(axis, colors, label=label)
    return figure


def _axis(axis: plt.Axes, place: int, column: Sequence[Any], log: bool) -> np.ndarray:
    """Draw the upright axis of a parameter, and return the height of each entry in [0, 1]."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in column)
    if numbers:
        positions = np.log(np.asarray(column, float)) if log else np.asarray(column, float)
        marks = {f"{end(column):.3g}": end(positions) for end in (min, max)}
    else:
        words = sorted({str(value) for value in column})
        positions = np.array([words.index(str(value)) for value in column], float)
        marks = {word: float(i) for i, word in enumerate(words)}
    low, span = positions.min(), np.ptp(positions)

    def height(position: Any) -> Any:
        return (position - low) / span if span else np.full_like(position, 0.5, dtype=float)

    axis.axvline(place, color="0.6", linewidth=1)
    for text, position in marks.items():
        place_of_text = {"xytext": (-4, 0), "textcoords": "offset points", "ha": "right"}
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        at = (place, float(height(position)))
        axis.annotate(text, at, va="center", fontsize=8, bbox=behind, **place_of_text)
    return height(positions)


@house_style()
def trial_curves(curves: Mapping[str, Sequence[float]], best: str = "", ylabel: str = "") -> Figure:
    """Plot what each trial reached over the epochs; a short line is one that ended early.

    Args:
        curves: Trial -> one value for each epoch.
        best: The trial to stand out.
        ylabel: What the values are, with the unit.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no trial, or ``best`` is none of them.
    """
    if not curves or (best and best not in curves):
        raise ValueError(f"trial_curves got the curves of {list(curves)}; the best is {best!r}.")
    figure, axis = plt.subplots(figsize=(LONE_WIDTH, 3.2), FigureClass=NotebookFigure)
    for name, values in sorted(curves.items(), key=lambda item: item[0] == best):
        style = {"color": COLORS[0], "linewidth": 2, "label": name} if name == best else {}
        axis.plot(range(1, len(values) + 1), values, **({"color": GRAY, "marker": "."} | style))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel(ylabel)
    if best:
        axis.legend(fontsize=8)
    return figure
