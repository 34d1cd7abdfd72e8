"""How all figures look, and how a notebook shows them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from lle_utils.core.images import check_image

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
MARKERS, DASHES = "os^D", ("-", "--", ":", "-.")
METHODS = (  # each has one colour, marker and dash in all charts
    *("lumen", "mirnet", "zero_dce_pp", "shed_light", "pix2pix", "resnet_gan", "zero_dce"),
    *("lumen_tiny", "auto_gamma", "gamma", "lime", "clahe", "gamma_clahe", "equalize"),
    *("fixed_curve", "raw_unet", "exposed", "input", "retinex"),
)
CHANNELS = {"red": "#d62728", "green": "#2ca02c", "blue": "#1f77b4"}
DIVERGING = "RdBu_r"


class LineStyle(NamedTuple):
    """How a curve or point is drawn."""

    color: str
    marker: str
    dash: str


def line_styles(labels: Sequence[str]) -> list[LineStyle]:
    """Return a style for each label: a method's own, or one that no other label here has.

    Args:
        labels: Of the curves or points of one chart.
    """
    taken = {METHODS.index(label) for label in labels if label in METHODS}
    free = (place for place in itertools.count() if place not in taken)
    places = [METHODS.index(label) if label in METHODS else next(free) for label in labels]
    rounds = [divmod(place, len(COLORS)) for place in places]
    return [
        LineStyle(COLORS[color], MARKERS[again % len(MARKERS)], DASHES[again % len(DASHES)])
        for again, color in rounds
    ]


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the style of the house, as a decorator or for a block."""
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


def picture_axes(
    pictures: Sequence[np.ndarray], columns: int, width: float
) -> tuple[Figure, np.ndarray]:
    """Make bare axes for pictures, as tall as the pictures need; spare ones are removed.

    Args:
        pictures: Arrays ``(H, W)`` or ``(H, W, 3)``; what is neither counts as square.
        columns: Pictures per row.
        width: Of the figure, in inches, at most.

    Returns:
        The figure and its axes, one for each picture.
    """
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


def chart_axes(count: int, height: float, **shared: bool) -> tuple[Figure, np.ndarray]:
    """Make small charts, three to a row; spare axes are removed.

    Args:
        count: How many.
        height: Of a row, in inches.
        **shared: ``sharex`` and ``sharey`` of `matplotlib.pyplot.subplots`.

    Returns:
        The figure and its ``count`` axes.
    """
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


def draw_picture(
    axis: Axes,
    picture: np.ndarray,
    name: str,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a photo, or a map in colours with a colour bar.

    Args:
        axis: Where to.
        picture: Float image ``(H, W, 3)`` in [0, 1], or a map ``(H, W)`` of finite values.
        name: What to call it in an error.
        limits: Values at the two ends of the colours of a map; its own extremes when None.

    Raises:
        ValueError: If a map is not finite.
        ImageError: If a photo breaks the image contract.
    """
    picture = np.asarray(picture)
    if picture.ndim != 2:
        axis.imshow(check_image(picture, name))
        return
    if not np.isfinite(picture).all():
        raise ValueError(f"{name} contains NaN or infinite values; expected a finite map.")
    low, high = limits or (None, None)
    drawn = axis.imshow(picture.astype(np.float32), cmap="viridis", vmin=low, vmax=high)
    color_bar(axis, drawn)


def color_bar(axis: Axes, drawn: AxesImage, **options: str) -> None:
    """Add a colour bar exactly as tall as the picture."""
    place = axis.inset_axes((1.02, 0, 0.03, 1))
    bar = axis.figure.colorbar(drawn, cax=place, **options)
    bar.outline.set_visible(False)
