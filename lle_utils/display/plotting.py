"""Figures of the notebooks: photos side by side, curves, maps, histograms, intervals.

Every function returns a matplotlib figure and calls no ``plt.show``. A notebook shows the
figure once, whether or not the call is the last line of its cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lle_utils.core.images import check_image
from lle_utils.display.figure_style import (
    CHANNELS,
    DIVERGING,
    LONE_WIDTH,
    WIDTH,
    color_bar,
    draw_picture,
    house_style,
    picture_axes,
)

Images = Mapping[str, np.ndarray] | Sequence[np.ndarray] | np.ndarray


@house_style()
def show_images(
    images: Images,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
    width: float = WIDTH,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Show photos and single-channel maps in a grid.

    Args:
        images: Title -> picture, or a list of pictures. A picture is a float image
            ``(H, W, 3)`` in [0, 1], or a map ``(H, W)`` of any finite values, which is
            shown in colours with a colour bar.
        columns: Pictures per row; at most three by default.
        titles: Titles for a list of pictures.
        width: Width of the figure in inches.
        limits: Values at the two ends of the colours of maps, so that several can be compared;
            by default each map has its own.

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
    figure, axes = picture_axes(pictures, columns, width)
    for axis, title, picture in zip(axes, titles, pictures, strict=False):
        draw_picture(axis, picture, title or "picture", limits)
        axis.set_title(title)
    return figure


@house_style()
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
    figure, axes = picture_axes(pictures, len(columns), WIDTH)
    for row, group in enumerate(zip(*columns.values(), strict=True)):
        _check_same_shape(dict(zip(columns, group, strict=True)), f"row {row}")
        for column, (name, picture) in enumerate(zip(columns, group, strict=True)):
            axis = axes[row * len(columns) + column]
            draw_picture(axis, picture, f"{name}[{row}]")
            if row == 0:
                axis.set_title(name)
        if titles is not None:
            axes[row * len(columns)].set_ylabel(titles[row])
    return figure


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


@house_style()
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
    figure, (axis,) = picture_axes([picture], 1, LONE_WIDTH)
    draw_picture(axis, picture, "before_after")
    axis.axvline(round(picture.shape[1] / 2) - 0.5, color="white", linewidth=1)
    axis.set_title("before", loc="left")
    axis.set_title("after", loc="right")
    return figure


@house_style()
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
    figure, (axis,) = picture_axes([signed], 1, LONE_WIDTH)
    drawn = axis.imshow(signed, cmap=DIVERGING, vmin=-limit, vmax=limit)
    color_bar(axis, drawn, extend="both")
    axis.set_title(f"{names[0]} − {names[1]}, amplified {amplify:g} times")
    return figure


@house_style()
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
    figure, axes = picture_axes(list(np.moveaxis(maps, -1, 0)), columns, WIDTH)
    for index, axis in enumerate(axes):
        drawn = axis.imshow(maps[..., index], cmap=DIVERGING, vmin=-limit, vmax=limit)
        if index < columns:
            axis.set_title(titles[index])
        if index % columns == 0:
            axis.set_ylabel(labels[index // columns])
    bar = figure.colorbar(drawn, ax=list(axes), fraction=0.05, pad=0.01, aspect=12 * rows)
    bar.outline.set_visible(False)
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


def _check_same_shape(images: Mapping[str, np.ndarray], place: str = "") -> None:
    shapes = {name: np.shape(image) for name, image in images.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"{place + ': ' if place else ''}shapes differ: {listed}.")
