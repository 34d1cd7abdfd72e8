"""Charts: losses, tone curves, histograms, intervals, sums of parts, costs, time lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from skimage.color import rgb2gray

from lle_utils.core.images import check_image
from lle_utils.display.figure_style import (
    CHANNELS,
    COLORS,
    LONE_WIDTH,
    WIDTH,
    NotebookFigure,
    chart_axes,
    house_style,
    line_styles,
)


@house_style()
def loss_curves(history: Mapping[str, Sequence[float]], log: bool = False) -> Figure:
    """Plot each term of a training history over the epochs, in a panel of its own.

    Args:
        history: Term -> one value per epoch, as in ``fit(...).history``. The curve of
            ``val_<term>`` is dashed, in the panel of ``<term>``.
        log: Draw the values on a logarithmic axis.

    Returns:
        The figure.

    Raises:
        ValueError: If the history is empty, or ``log`` is asked of values that are not
            positive.
    """
    history = {name: np.asarray(values, float) for name, values in history.items()}
    history = {name: values for name, values in history.items() if values.size}
    if not history:
        raise ValueError("loss_curves got an empty history; train for at least one epoch.")
    terms = list(dict.fromkeys(name.removeprefix("val_") for name in history))
    figure, axes = chart_axes(len(terms), height=2.1)
    for axis, term in zip(axes, terms, strict=True):
        for name, style in ((term, "-"), (f"val_{term}", "--")):
            if name in history:
                _draw_history(axis, history[name], name, style, log)
        axis.set_title(term.replace("_", " "))
        axis.set_xlabel("epoch")
    return figure


def _draw_history(axis: Axes, values: np.ndarray, name: str, style: str, log: bool) -> None:
    if log and not (values[np.isfinite(values)] > 0).all():
        raise ValueError(f"loss_curves cannot draw {name!r} on a log axis: values <= 0.")
    epochs = np.arange(1, len(values) + 1)
    validation = name.startswith("val_")
    axis.plot(
        epochs,
        values,
        style,
        color=COLORS[1 if validation else 0],
        marker="." if len(values) < 15 else None,
        label="validation" if validation else "training",
    )
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if validation:
        axis.legend(fontsize=8)
    if log:
        axis.set_yscale("log")


@house_style()
def plot_curves(
    x: np.ndarray,
    curves: Mapping[str, np.ndarray],
    xlabel: str = "input",
    ylabel: str = "output",
    diagonal: bool = True,
) -> Figure:
    """Plot curves over a common x, such as the tone curves of an enhancer.

    Args:
        x: Positions, shape ``(n,)``.
        curves: Label -> values of shape ``(n,)``.
        xlabel: What x is.
        ylabel: What the curves are.
        diagonal: Draw the line on which output equals input.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no curve, or one differs from x in shape.
    """
    x = np.asarray(x)
    if not curves:
        raise ValueError("plot_curves got no curve.")
    figure, axis = plt.subplots(figsize=(LONE_WIDTH, 3.6), FigureClass=NotebookFigure)
    if diagonal:
        axis.plot(x, x, ":", color="0.6", label="unchanged")
    for style, (label, values) in zip(line_styles(list(curves)), curves.items(), strict=True):
        values = np.asarray(values)
        if values.shape != x.shape:
            raise ValueError(f"curve {label!r} has shape {values.shape}; x has {x.shape}.")
        axis.plot(x, values, style.dash, color=style.color, label=label)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


@house_style()
def histograms(images: Mapping[str, np.ndarray], bins: int = 64) -> Figure:
    """Show how the values of images are spread: luminance as an area, each colour as a line.

    Args:
        images: Title -> float image ``(H, W, 3)`` in [0, 1].
        bins: Number of equal bins between 0 and 1.

    Returns:
        The figure; all panels share both axes. The vertical axis is the share of pixels,
        on a square-root scale, so that the tall peak of a dark photo leaves the rest visible.

    Raises:
        ValueError: If there is no image.
        ImageError: If an image breaks the image contract.
    """
    if not images:
        raise ValueError("histograms got no image.")
    figure, axes = chart_axes(len(images), height=2.2, sharex=True, sharey=True)
    edges = np.linspace(0, 1, bins + 1)
    for axis, (title, image) in zip(axes, images.items(), strict=True):
        image = check_image(image, title)
        axis.stairs(_shares(rgb2gray(image), edges), edges, fill=True, color="0.75")
        for channel, color in enumerate(CHANNELS.values()):
            axis.stairs(_shares(image[..., channel], edges), edges, color=color, linewidth=1)
        axis.set(title=title, xlabel="value", xlim=(0, 1))
        axis.tick_params(labelbottom=True)
    axes[0].set_yscale("function", functions=(np.sqrt, np.square))
    axes[0].yaxis.set_major_formatter("{x:.0%}")
    axes[0].set_ylabel("share of pixels")
    return figure


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(np.clip(values, 0, 1), edges)[0] / values.size


@house_style()
def interval_plot(
    rows: Sequence[tuple[str, float, float, float]], xlabel: str = "", zero: bool = False
) -> Figure:
    """Plot a mean with its interval for each method, the first at the top.

    Args:
        rows: ``(name, mean, low, high)`` for each method, such as a metric's mean with its
            95 % bootstrap interval.
        xlabel: Metric and unit.
        zero: Draw a line at 0, for differences.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no row, or a mean lies outside its interval.
    """
    if not rows:
        raise ValueError("interval_plot got no row.")
    figure, axis = plt.subplots(figsize=(6.5, 0.7 + 0.32 * len(rows)), FigureClass=NotebookFigure)
    if zero:
        axis.axvline(0, color="0.6", linestyle=":")
    for position, (name, mean, low, high) in enumerate(rows):
        if not low <= mean <= high:
            raise ValueError(f"{name}: mean {mean} lies outside its interval {low} to {high}.")
        axis.plot([low, high], [position] * 2, color=COLORS[0], linewidth=2, alpha=0.5)
        axis.plot(mean, position, "o", color=COLORS[0], markersize=5)
    axis.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(xlabel)
    axis.grid(False, axis="y")
    return figure


@house_style()
def stacked_bars(rows: Mapping[str, Mapping[str, float]], xlabel: str = "") -> Figure:
    """Plot what amounts are made of: a bar for each row, one part after the other.

    Args:
        rows: Name -> part -> amount, 0 or more; all rows have the same parts. The first row is at
            the top, the first part at the left.
        xlabel: What is added up, with its unit.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no row, an amount is negative, or rows differ in their parts.
    """
    if not rows:
        raise ValueError("stacked_bars got no row.")
    parts = list(next(iter(rows.values())))
    for name, amounts in rows.items():
        if list(amounts) != parts or not all(amount >= 0 for amount in amounts.values()):
            raise ValueError(f"{name}: expected amounts of 0 or more for {', '.join(parts)}.")
    figure, axis = plt.subplots(figsize=(6.5, 1.0 + 0.32 * len(rows)), FigureClass=NotebookFigure)
    left = np.zeros(len(rows))
    for index, part in enumerate(parts):
        widths = np.array([amounts[part] for amounts in rows.values()])
        axis.barh(range(len(rows)), widths, 0.7, left, color=COLORS[index], label=part)
        left += widths
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(xlabel)
    axis.grid(False, axis="y")
    figure.legend(loc="outside upper right", ncols=len(parts), fontsize=8)
    return figure


@house_style()
def cost_chart(points: Mapping[str, tuple[float, float]], xlabel: str, ylabel: str) -> Figure:
    """Plot what methods reach against what they cost, on a logarithmic axis of cost.

    Args:
        points: Method -> (cost, quality); the cost is positive.
        xlabel: What the cost is, with its unit.
        ylabel: What the quality is, with its unit.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no method, or a cost is not positive.
    """
    if not points:
        raise ValueError("cost_chart got no method.")
    figure, axis = plt.subplots(figsize=(LONE_WIDTH, 3.6), FigureClass=NotebookFigure)
    for style, (name, (cost, quality)) in zip(
        line_styles(list(points)), points.items(), strict=True
    ):
        if not cost > 0:
            raise ValueError(f"The cost of {name!r} is {cost}; expected a positive number.")
        axis.plot(cost, quality, style.marker, color=style.color, label=name)
    axis.set_xscale("log")
    # Costs of one decade would have a single labelled tick; all ten would run into each other.
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:,.10g}")  # a million in digits, like its neighbours
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


@house_style()
def timeline(spans: Mapping[str, Sequence[tuple[str, float, float]]]) -> Figure:
    """Plot when each kind of work was done, to see what waits and what overlaps.

    Args:
        spans: Title -> ``(kind, start, stop)`` of each piece of work, in seconds since the
            first of them began. Each title is a chart, each kind a row of bars.

    Returns:
        The figure; all charts share the axis of time.

    Raises:
        ValueError: If there is nothing to plot, or a piece stops before it starts.
    """
    if not spans or not all(spans.values()):
        raise ValueError("timeline got no work to plot.")
    figure, axes = plt.subplots(
        len(spans),
        figsize=(WIDTH, 0.6 + 1.1 * len(spans)),
        squeeze=False,
        sharex=True,
        FigureClass=NotebookFigure,
    )
    for axis, (title, pieces) in zip(axes[:, 0], spans.items(), strict=True):
        kinds = list(dict.fromkeys(kind for kind, *_ in pieces))
        for kind, start, stop in pieces:
            if stop < start:
                raise ValueError(f"{title}: {kind} stops at {stop}, before {start}.")
            row = kinds.index(kind)
            axis.barh(row, stop - start, 0.7, start, color=COLORS[row % len(COLORS)], alpha=0.7)
        axis.set_yticks(range(len(kinds)), kinds)
        axis.set_ylim(len(kinds) - 0.5, -0.5)
        axis.grid(False, axis="y")
        axis.set_title(title)
    axes[-1, 0].set_xlabel("seconds")
    return figure
