"""Networks as pictures: drawn from the network itself, so that a picture cannot be out of date."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from lle_utils.display.figure_style import COLORS, WIDTH, NotebookFigure, house_style
from lle_utils.nn.complexity import LayerCall, layer_calls

SIDE = 768  # pixels of the photo to walk through with: twelfths and eight halvings come out even
JOINED = "joined channels"
COMBINED = "sum or product"
_numbers = itertools.count()  # Keras wants names that differ
ROW_HEIGHT, WIDEST_COLUMN = 0.42, 0.8  # inches
MIN_WIDTH = 5.0  # inches: room for the legend
LEGEND_HEIGHT = 0.75  # inches, with the arcs above the first row


@dataclass
class Node:
    """A box of the picture.

    Attributes:
        kind: What it computes, as in the legend; the name of a model inside.
        label: Channels of what it puts out, or the name of an input.
        level: How often the sides of the photo were halved, a fraction if they were divided by
            another number; None for what has no sides.
        sources: The boxes that it takes something from.
        column, lane: Where it is drawn: steps from the inputs, and a row within its level.
    """

    kind: str
    label: str
    level: float | None
    sources: list[Node] = field(default_factory=list)
    column: int = 0
    lane: int = 0


@house_style()
def network_diagram(model: Any, inside: bool = False, width: float = WIDTH) -> Figure:
    """Draw a network: computation runs to the right, resolution falls downwards.

    Boxes are what has a kernel, changes the resolution or joins branches; activations and the like
    are left out, and sums and products in a row are one box. The number in a box is that of the
    channels it puts out.

    Args:
        model: Functional Keras model. Inputs with three axes besides the batch are photos or maps,
            all of one size.
        inside: Whether models inside it are drawn as what they are made of; else each is one box,
            and the legend has its name.
        width: Of the figure in inches, at most.

    Returns:
        The figure.
    """
    nodes = network_nodes(model, inside)
    vectors = 1 + max(node.level or 0 for node in nodes)
    rows = _place(nodes, vectors)
    columns = max(node.column for node in nodes) + 1
    pitch = min(WIDEST_COLUMN, width / (columns + 1))
    height = ROW_HEIGHT * len(rows) + LEGEND_HEIGHT
    figure, axis = plt.subplots(
        figsize=(max(pitch * (columns + 1), MIN_WIDTH), height), FigureClass=NotebookFigure
    )
    size = min(8.0, 72 * pitch / 3.2)  # points, so that three digits fit in a box
    for node in nodes:
        for source in node.sources:
            _draw_arrow(axis, source, node, rows, pitch)
    colors = _kind_colors(nodes)
    for node in nodes:
        _draw_box(axis, node, rows, colors[node.kind], size, pitch)
    _finish(axis, rows, columns, colors, vectors)
    return figure


def boxed(name: str, part: Callable) -> Callable:
    """Make what a part computes one box of `network_diagram`.

    Args:
        name: Of the box, for the legend.
        part: Returns, for some arguments, a function from features (N, H, W, C), or a list of them,
            to features.

    Returns:
        A part like it, whose functions are models of that name; of one that changes nothing, no box
        is made.
    """

    def make(*arguments: Any, **options: Any) -> Callable:
        function = part(*arguments, **options)

        def box(x: Any) -> Any:
            import keras

            inputs = keras.tree.map_structure(lambda t: keras.Input(t.shape[1:]), x)
            output = function(inputs)
            if output is inputs:
                return x
            return keras.Model(inputs, output, name=f"{name}_{next(_numbers)}")(x)

        return box

    return make


def network_nodes(model: Any, inside: bool = False) -> list[Node]:
    """Return the boxes of a network's picture in the order in which it computes them.

    Args:
        model, inside: As for `network_diagram`.
    """
    shapes = [_filled(tensor.shape[1:]) for tensor in model.inputs]
    calls, inputs, _ = layer_calls(model, shapes)
    named = zip(model.inputs, inputs, strict=True)
    nodes = [Node("input", _name(old.name), _level(new)) for old, new in named]
    made = {id(tensor): node for tensor, node in zip(inputs, nodes, strict=True)}
    _add_boxes(calls, made, nodes, inside)
    return nodes


def _add_boxes(calls: list[LayerCall], made: dict, nodes: list[Node], inside: bool) -> None:
    """Add the boxes of calls to ``nodes``; ``made`` has the box that each tensor comes from."""
    import keras

    for call in calls:
        if inside and isinstance(call.layer, keras.Model):
            inner, inputs, outputs = layer_calls(call.layer, [t.shape[1:] for t in call.inputs])
            sources = [made[id(tensor)] for tensor in call.inputs]
            made |= {id(tensor): node for tensor, node in zip(inputs, sources, strict=True)}
            _add_boxes(inner, made, nodes, inside)
            results = [made[id(tensor)] for tensor in outputs]
        else:
            sources = list({id(made[id(t)]): made[id(t)] for t in call.inputs}.values())
            results = [_node_of(call, sources, nodes)] * len(call.outputs)
        made |= {id(t): node for t, node in zip(call.outputs, results, strict=True)}


def _filled(shape: Sequence[int | None]) -> tuple:
    """Return a shape without batch, with a size for sides that are left open."""
    return shape if len(shape) < 3 else (*(side or SIDE for side in shape[:-1]), shape[-1])


def _level(tensor: Any) -> float | None:
    """Return the level of a tensor, or None for a vector; a border that was lost does not count."""
    sides = tensor.shape[1:-1]
    if len(sides) != 2 or not sides[0] or sides[0] == 1:
        return None
    level = math.log2(SIDE / sides[0])
    return level if SIDE % sides[0] == 0 else round(level)


def _name(name: str) -> str:
    """Return a name without what Keras or a caller appended to make it unique."""
    return "input" if name.startswith("keras_tensor") else re.sub(r"_\d+$", "", name)


def _node_of(call: LayerCall, sources: list[Node], nodes: list[Node]) -> Node:
    """Return the box of a call: a new one, or that of what it takes, if it is not drawn."""
    kind = _kind(call, sources)
    if kind is None:
        return sources[0]
    output = call.outputs[0]
    node = Node(kind, str(output.shape[-1]), _level(output), sources)
    if kind == COMBINED:
        node.label = ""
        before = next((s for s in sources if s.kind == COMBINED and _is_last(s, sources)), None)
        if before is not None:  # one box for a row of sums and products
            before.sources += [s for s in sources if s is not before and s not in before.sources]
            return before
    nodes.append(node)
    return node


def _kind(call: LayerCall, sources: list[Node]) -> str | None:
    """Say what a call computes, in words for the legend; None if it is not drawn."""
    import keras

    layer, name = call.layer, type(call.layer).__name__
    if isinstance(layer, keras.Model):
        return _name(layer.name)
    kernel = getattr(layer, "kernel_size", None) or ((3, 3) if "Transpose2x" in name else None)
    if kernel is not None:
        strided = max(getattr(layer, "strides", (1,))) > 1 or "Transpose2x" in name
        what = "transposed " * ("Transpose" in name) + "convolution"
        return f"{what} {kernel[0]}×{kernel[1]}" + ", stride 2" * strided
    if name == "Dense":
        return "dense"
    if name == "CropLike":  # the second input only says how large
        return None
    if "Concat" in name:
        return JOINED if len(sources) > 1 else None
    if len(sources) > 1:
        return COMBINED
    levels = _level(call.inputs[0]), _level(call.outputs[0])
    if levels[0] is not None and levels[0] != levels[1]:
        return "mean over the photo" if levels[1] is None else "pooled or enlarged"
    return None


def _is_last(node: Node, others: list[Node]) -> bool:
    """Tell whether none of some boxes comes after ``node``, so that they may be joined to it."""
    return not any(node in _before(other) for other in others if other is not node)


def _before(node: Node) -> list[Node]:
    """Return all boxes that a box depends on."""
    found: list[Node] = []
    waiting = list(node.sources)
    while waiting:
        source = waiting.pop()
        if not any(source is other for other in found):
            found.append(source)
            waiting += source.sources
    return found


def _place(nodes: list[Node], vectors: float) -> list[tuple[float, int]]:
    """Give every box its place; return the rows from the top, (level, lane) each."""
    taken: set[tuple[float, int, int]] = set()
    for node in nodes:
        node.column = max((source.column + 1 for source in node.sources), default=0)
        level = node.level = vectors if node.level is None else node.level
        same = [source.lane for source in node.sources if source.level == level]
        lanes = [*same, *range(len(nodes))]
        node.lane = next(lane for lane in lanes if (level, lane, node.column) not in taken)
        taken.add((level, node.lane, node.column))
    return sorted({(node.level, node.lane) for node in nodes})


def _kind_colors(nodes: list[Node]) -> dict[str, str]:
    plain = {"input": "white", JOINED: "0.75", COMBINED: "0.9"}
    kinds = dict.fromkeys(node.kind for node in nodes)
    others = [kind for kind in kinds if kind not in plain]
    found = dict(zip(others, (*COLORS, "#999933", "#882255", "#117733"), strict=False))
    return {kind: plain.get(kind) or found[kind] for kind in kinds}


def _draw_box(axis: Axes, node: Node, rows: list, color: str, size: float, pitch: float) -> None:
    y = rows.index((node.level, node.lane))
    box = FancyBboxPatch(
        (node.column - 0.36, y - 0.3),
        0.72,
        0.6,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=color,
        edgecolor="0.4",
        linewidth=0.6,
    )
    axis.add_patch(box)
    dark = color in COLORS[:4] or color in ("#555555", "#882255", "#117733")
    long = len(node.label) > (3 if pitch < 0.55 else 8)
    axis.text(
        node.column,
        y + (0.47 if long else 0),
        node.label,
        ha="center",
        va="center",
        fontsize=size if not long else min(size, 7),
        color="white" if dark and not long else "0.1",
    )


def _draw_arrow(axis: Axes, source: Node, node: Node, rows: list, pitch: float) -> None:
    y, end = (rows.index((n.level, n.lane)) for n in (source, node))
    far = node.column - source.column
    over = y == end and far > 1  # over the boxes between, in an arc of a few tenths of an inch
    bend = -2 * min(0.14 + 0.012 * far, 0.3) / (far * pitch) if over else 0.0
    side, top = (0.2, 0.3) if over else (0.36, 0.0)
    arrow = FancyArrowPatch(
        (source.column + side, y - top),
        (node.column - side, end - top),
        arrowstyle="-|>",
        mutation_scale=5,
        connectionstyle=f"arc3,rad={bend}",
        color="0.45",
        linewidth=0.7,
        shrinkA=0,
        shrinkB=0,
    )
    axis.add_patch(arrow)


def _finish(axis: Axes, rows: list, columns: int, colors: dict[str, str], vectors: float) -> None:
    axis.set_xlim(-0.6, columns - 0.4)
    axis.set_ylim(len(rows) - 0.4, -1.1)
    axis.set_yticks(
        [place for place, (_, lane) in enumerate(rows) if lane == 0],
        [_level_name(level, vectors) for level, lane in rows if lane == 0],
    )
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.grid(False)
    for side in axis.spines.values():
        side.set_visible(False)
    shown = [kind for kind in colors if kind != "input"]
    patches = [Patch(facecolor=colors[k], edgecolor="0.4", label=k, linewidth=0.6) for k in shown]
    axis.figure.legend(
        handles=patches, loc="outside lower center", ncols=min(4, len(shown)), fontsize=7.5
    )


def _level_name(level: float, vectors: float) -> str:
    if level == vectors:
        return "one value"
    if level < 0:
        return f"{2**-level:.0f}×"
    return f"1/{2**level:.0f}" if level else "full size"
