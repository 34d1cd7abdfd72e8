"""Figures of the notebooks: photos side by side, curves, maps, histograms, intervals.

Every function returns a matplotlib figure and calls no ``plt.show``. A notebook shows the
figure once, whether or not the call is the last line of its cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from skimage.color import rgb2gray

from lle_utils.images import check_image

WIDTH = 9.0  # inches: the text column of a notebook
LONE_WIDTH = 6.0  # inches: a single picture needs no full column
MIN_WIDTH = 3.0  # inches: room for the title above a tall narrow picture
MAX_CELL_HEIGHT = 4.2  # inches: a picture in portrait format should not fill the screen
STYLE = {
    "axes.edgecolor": "0.6",
    "axes.grid": True,
    "axes.grid.axis": "both",
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.constrained_layout.use": True,
    "figure.dpi": 80,
    "figure.facecolor": "white",  # opaque, so that a dark notebook theme leaves text readable
    "font.size": 9,
    "grid.color": "0.9",
    "legend.frameon": False,
    "savefig.dpi": "figure",
    "xtick.color": "0.3",
    "ytick.color": "0.3",
}
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
MARKERS = "os^D"
CHANNELS = {"red": "#d62728", "green": "#2ca02c", "blue": "#1f77b4"}
DIVERGING = "RdBu_r"
Images = Mapping[str, np.ndarray] | Sequence[np.ndarray] | np.ndarray


@contextmanager
def _house_style() -> Iterator[None]:
    # Not plt.rc_context: the first figure of a session starts the backend, which switches
    # on "interactive"; rc_context would switch it off again and no later figure be shown.
    before = {name: plt.rcParams[name] for name in STYLE}
    plt.rcParams.update(STYLE)
    try:
        yield
    finally:
        plt.rcParams.update(before)


class NotebookFigure(Figure):
    """A figure that a notebook shows once.

    The inline backend shows every open figure at the end of a cell, and shows a figure that
    is the value of the cell a second time. Closing the figure as it is shown avoids that.
    """

    def _ipython_display_(self) -> None:
        from IPython.display import Image, display

        display(Image(data=png(self), format="png"))


def png(figure: Figure) -> bytes:
    """Render a figure as PNG and close it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


@_house_style()
def show_images(
    images: Images,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
    width: float = WIDTH,
) -> Figure:
    """Show photos and single-channel maps in a grid.

    Args:
        images: Title -> picture, or a list of pictures. A picture is a float image
            ``(H, W, 3)`` in [0, 1], or a map ``(H, W)`` of any finite values, which is
            shown in colours with a colour bar.
        columns: Pictures per row; at most three by default.
        titles: Titles for a list of pictures.
        width: Width of the figure in inches.

    Returns:
        The figure.

    Raises:
        ValueError: If there is nothing to show, or the titles do not match the pictures.
        ImageError: If a picture breaks the image contract.
    """
    titles, pictures = _titled(images, titles)
    columns = min(columns or 3, len(pictures))
    if len(pictures) == 1:
        width = min(width, LONE_WIDTH)
    figure, axes = _picture_axes(pictures, columns, width)
    for axis, title, picture in zip(axes, titles, pictures, strict=False):
        _draw_picture(axis, picture, title or "picture")
        axis.set_title(title)
    return figure


@_house_style()
def pair_grid(
    low: Sequence[np.ndarray] | np.ndarray,
    normal: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] | None = None,
    enhanced: Sequence[np.ndarray] | np.ndarray | None = None,
) -> Figure:
    """Show one pair per row, under the headings low, enhanced (when given) and normal.

    Args:
        low: Dark photos: a list of float images ``(H, W, 3)`` in [0, 1], or a batch.
        normal: The well-lit photos of the same scenes, in the same order.
        titles: A label for each row, such as the file's stem.
        enhanced: Results for the dark photos.

    Returns:
        The figure.

    Raises:
        ValueError: If the columns differ in length, or two pictures of a row in shape.
        ImageError: If a picture breaks the image contract.
    """
    columns = {"low": low, "enhanced": enhanced, "normal": normal}
    columns = {name: list(column) for name, column in columns.items() if column is not None}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1 or not lengths["low"]:
        raise ValueError(f"pair_grid needs equally many pictures in each column, got {lengths}.")
    if titles is not None and len(titles) != lengths["low"]:
        raise ValueError(f"pair_grid got {len(titles)} titles for {lengths['low']} rows.")
    pictures = [picture for row in zip(*columns.values(), strict=True) for picture in row]
    figure, axes = _picture_axes(pictures, len(columns), WIDTH)
    for row, group in enumerate(zip(*columns.values(), strict=True)):
        _check_same_shape(dict(zip(columns, group, strict=True)), f"row {row}")
        for column, (name, picture) in enumerate(zip(columns, group, strict=True)):
            axis = axes[row * len(columns) + column]
            _draw_picture(axis, picture, f"{name}[{row}]")
            if row == 0:
                axis.set_title(name)
        if titles is not None:
            axes[row * len(columns)].set_ylabel(titles[row])
    return figure


@_house_style()
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
    figure, axes = _chart_axes(len(terms), height=2.1)
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


def wipe_image(before: np.ndarray, after: np.ndarray, position: float = 0.5) -> np.ndarray:
    """Join the left part of one image with the right part of another.

    Args:
        before: Float image ``(H, W, 3)`` in [0, 1]; fills the left part.
        after: Float image of the same shape; fills the right part.
        position: Where the two meet, as a share of the width: 0 shows ``after`` alone,
            1 shows ``before`` alone.

    Returns:
        float32 image ``(H, W, 3)``.

    Raises:
        ValueError: If the shapes differ or the position lies outside [0, 1].
        ImageError: If an image breaks the image contract.
    """
    before, after = check_image(before, "before"), check_image(after, "after")
    _check_same_shape({"before": before, "after": after})
    if not 0 <= position <= 1:
        raise ValueError(f"position is {position}; expected a share of the width in [0, 1].")
    column = round(position * before.shape[1])
    return np.concatenate([before[:, :column], after[:, column:]], axis=1)


@_house_style()
def before_after(low: np.ndarray, enhanced: np.ndarray) -> Figure:
    """Show one picture split down the middle: left half before, right half after.

    Args:
        low: Float image ``(H, W, 3)`` in [0, 1].
        enhanced: Its enhanced version, of the same shape.

    Returns:
        The figure.

    Raises:
        ValueError: If the shapes differ.
        ImageError: If an image breaks the image contract.
    """
    picture = wipe_image(low, enhanced)
    figure, (axis,) = _picture_axes([picture], 1, LONE_WIDTH)
    _draw_picture(axis, picture, "before_after")
    axis.axvline(round(picture.shape[1] / 2) - 0.5, color="white", linewidth=1)
    axis.set_title("before", loc="left")
    axis.set_title("after", loc="right")
    return figure


@_house_style()
def difference(
    a: np.ndarray,
    b: np.ndarray,
    amplify: float = 4.0,
    names: tuple[str, str] = ("first", "second"),
) -> Figure:
    """Show where one image is brighter (red) or darker (blue) than another.

    Args:
        a: Float image ``(H, W, 3)`` in [0, 1].
        b: Float image of the same shape.
        amplify: The colours saturate at a difference of ``1 / amplify``.
        names: What to call the two images.

    Returns:
        The figure of ``a - b``, averaged over red, green and blue.

    Raises:
        ValueError: If the shapes differ or ``amplify`` is not positive.
        ImageError: If an image breaks the image contract.
    """
    a, b = check_image(a, names[0]), check_image(b, names[1])
    _check_same_shape({names[0]: a, names[1]: b})
    if not amplify > 0:
        raise ValueError(f"amplify is {amplify}; expected a positive number.")
    signed, limit = (a - b).mean(axis=-1), 1 / amplify
    figure, (axis,) = _picture_axes([signed], 1, LONE_WIDTH)
    drawn = axis.imshow(signed, cmap=DIVERGING, vmin=-limit, vmax=limit)
    _color_bar(axis, drawn, extend="both")
    axis.set_title(f"{names[0]} − {names[1]}, amplified {amplify:g} times")
    return figure


@_house_style()
def curve_maps(maps: np.ndarray, names: Sequence[str] | None = None) -> Figure:
    """Show the curve-parameter maps of a curve-estimating enhancer on one common scale.

    Args:
        maps: Array ``(H, W, 3 * n)``: red, green and blue of each of the n iterations in
            turn (24 for Zero-DCE, 3 for Zero-DCE++), of any sign.
        names: A title for each of the n iterations.

    Returns:
        The figure: a row for each colour and a column for each iteration. White is zero.

    Raises:
        ValueError: If the last axis is no multiple of three, a value is not finite, or the
            names do not match.
    """
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3 or maps.shape[-1] % 3 or 0 in maps.shape:
        raise ValueError(f"curve_maps got shape {maps.shape}; expected (H, W, 3 * iterations).")
    if not np.isfinite(maps).all():
        raise ValueError("curve_maps got NaN or infinite values; expected finite curve maps.")
    steps = maps.shape[-1] // 3
    names = list(names or ([f"step {n + 1}" for n in range(steps)] if steps > 1 else [""]))
    if len(names) != steps:
        raise ValueError(f"curve_maps got {len(names)} names for {steps} iterations.")
    if steps == 1:  # one iteration: the colours lie side by side and take the titles
        return _curve_grid(maps, 1, 3, titles=list(CHANNELS), labels=names)
    order = [3 * step + channel for channel in range(3) for step in range(steps)]
    return _curve_grid(maps[..., order], 3, steps, titles=names, labels=list(CHANNELS))


def _curve_grid(
    maps: np.ndarray, rows: int, columns: int, titles: list[str], labels: list[str]
) -> Figure:
    limit = float(np.abs(maps).max()) or 1.0
    figure, axes = _picture_axes(list(np.moveaxis(maps, -1, 0)), columns, WIDTH)
    for index, axis in enumerate(axes):
        drawn = axis.imshow(maps[..., index], cmap=DIVERGING, vmin=-limit, vmax=limit)
        if index < columns:
            axis.set_title(titles[index])
        if index % columns == 0:
            axis.set_ylabel(labels[index // columns])
    bar = figure.colorbar(drawn, ax=list(axes), fraction=0.05, pad=0.01, aspect=12 * rows)
    bar.outline.set_visible(False)
    return figure


@_house_style()
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
    for index, (label, values) in enumerate(curves.items()):
        values = np.asarray(values)
        if values.shape != x.shape:
            raise ValueError(f"curve {label!r} has shape {values.shape}; x has {x.shape}.")
        axis.plot(x, values, color=COLORS[index % len(COLORS)], label=label)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


@_house_style()
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
    figure, axes = _chart_axes(len(images), height=2.2, sharex=True, sharey=True)
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


@_house_style()
def interval_plot(rows: Sequence[tuple[str, float, float, float]], xlabel: str = "") -> Figure:
    """Plot a mean with its interval for each method, the first at the top.

    Args:
        rows: ``(name, mean, low, high)`` for each method, such as a metric's mean with its
            95 % bootstrap interval.
        xlabel: Metric and unit.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no row, or a mean lies outside its interval.
    """
    if not rows:
        raise ValueError("interval_plot got no row.")
    figure, axis = plt.subplots(figsize=(6.5, 0.7 + 0.32 * len(rows)), FigureClass=NotebookFigure)
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


@_house_style()
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
    for index, (name, (cost, quality)) in enumerate(points.items()):
        if not cost > 0:
            raise ValueError(f"The cost of {name!r} is {cost}; expected a positive number.")
        again, colour = divmod(index, len(COLORS))  # each round of colours has a marker of its own
        marker = MARKERS[again % len(MARKERS)]
        axis.plot(cost, quality, marker, color=COLORS[colour], label=name)
    axis.set_xscale("log")
    # Costs of one decade would have a single labelled tick; all ten would run into each other.
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:,.10g}")  # a million in digits, like its neighbours
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


@_house_style()
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


def _titled(images: Images, titles: Sequence[str] | None) -> tuple[list[str], list[np.ndarray]]:
    """Split pictures into titles and arrays."""
    if isinstance(images, Mapping):
        titles, images = list(titles or images), list(images.values())
    images = list(images)
    titles = list(titles) if titles is not None else [""] * len(images)
    if not images:
        raise ValueError("There is no picture to show.")
    if len(titles) != len(images):
        raise ValueError(f"Got {len(titles)} titles for {len(images)} pictures.")
    return titles, images


def _picture_axes(
    pictures: Sequence[np.ndarray], columns: int, width: float
) -> tuple[Figure, np.ndarray]:
    """Make bare axes for pictures, as tall as the pictures need; spare ones are removed."""
    rows = math.ceil(len(pictures) / columns)
    ratio = max((np.shape(p)[0] / np.shape(p)[1] for p in pictures if np.ndim(p) >= 2), default=1)
    cell = min(width / columns, MAX_CELL_HEIGHT / ratio)
    width, height = max(cell * columns, MIN_WIDTH), rows * (cell * ratio + 0.08) + 0.25
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, FigureClass=NotebookFigure
    )
    axes = axes.ravel()
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
    for axis in axes[len(pictures) :]:
        axis.remove()
    return figure, axes[: len(pictures)]


def _chart_axes(count: int, height: float, **shared: bool) -> tuple[Figure, np.ndarray]:
    """Make small charts, three to a row; spare axes are removed."""
    columns = min(count, 3)
    rows = math.ceil(count / columns)
    width = WIDTH if columns > 1 else LONE_WIDTH
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width, rows * height),
        squeeze=False,
        FigureClass=NotebookFigure,
        **shared,
    )
    axes = axes.ravel()
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _draw_picture(axis: Axes, picture: np.ndarray, name: str) -> None:
    picture = np.asarray(picture)
    if picture.ndim != 2:
        axis.imshow(check_image(picture, name))
        return
    if not np.isfinite(picture).all():
        raise ValueError(f"{name} contains NaN or infinite values; expected a finite map.")
    drawn = axis.imshow(picture.astype(np.float32), cmap="viridis")
    _color_bar(axis, drawn)


def _color_bar(axis: Axes, drawn: AxesImage, **options: str) -> None:
    """Add a colour bar exactly as tall as the picture."""
    place = axis.inset_axes((1.02, 0, 0.03, 1))
    bar = axis.figure.colorbar(drawn, cax=place, **options)
    bar.outline.set_visible(False)


def _check_same_shape(images: Mapping[str, np.ndarray], place: str = "") -> None:
    shapes = {name: np.shape(image) for name, image in images.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"{place + ': ' if place else ''}shapes differ: {listed}.")
