"""Figures: what they show, read back from the axes and from the pixels."""

from io import BytesIO

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from lle_utils.core.images import ImageError
from lle_utils.display import charts, plotting


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def scene(height=24, width=36):
    """A non-square ramp with a different slope in each channel."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    planes = (rows / height, columns / width, (rows + columns) / (height + width))
    return np.stack(planes, axis=-1)


def pixels(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


def shown(axis):
    return np.asarray(axis.get_images()[0].get_array())


def panels(figure):
    return [axis for axis in figure.axes if axis.get_images()]


def test_show_images_keeps_order_titles_and_values():
    pictures = {"dark": scene() * 0.1, "bright": scene(), "tall": scene(40, 10)}
    axes = panels(plotting.show_images(pictures))
    assert [axis.get_title(loc="left") for axis in axes] == list(pictures)
    for axis, picture in zip(axes, pictures.values(), strict=True):
        np.testing.assert_array_equal(shown(axis), picture)
        assert len(axis.get_xticks()) == len(axis.get_yticks()) == 0


def test_show_images_draws_the_true_colours():
    figure = plotting.show_images([np.full((20, 30, 3), (0.2, 0.4, 0.8), np.float32)])
    height, width = pixels(figure).shape[:2]
    assert pixels(figure)[height // 2, width // 2].tolist() == [51, 102, 204]


def test_show_images_wraps_into_rows_without_spare_axes():
    figure = plotting.show_images([scene()] * 5, columns=2, titles=list("abcde"))
    assert len(figure.axes) == 5
    assert figure.axes[0].get_gridspec().get_geometry() == (3, 2)


def test_show_images_gives_maps_a_colour_bar_as_tall_as_the_map():
    figure = plotting.show_images({"photo": scene(), "illumination": scene().max(-1)})
    figure.draw_without_rendering()
    map_axis = panels(figure)[1]
    (bar,) = map_axis.child_axes
    assert bar.get_window_extent().height == pytest.approx(map_axis.get_window_extent().height)
    assert not panels(figure)[0].child_axes


def test_show_images_draws_maps_in_one_scale_where_limits_are_given():
    maps = {"faint": scene().max(-1) / 10, "strong": scene().max(-1)}
    shared, own = (panels(plotting.show_images(maps, limits=limits)) for limits in ((0, 2), None))
    assert [axis.get_images()[0].get_clim() for axis in shared] == [(0, 2)] * 2
    faint, strong = (axis.get_images()[0].get_clim() for axis in own)
    assert faint[1] == pytest.approx(strong[1] / 10)


@pytest.mark.parametrize(
    ("picture", "error"),
    [
        (scene() * 255, "values in"),
        ((scene() * 255).astype(np.uint8), "uint8"),
        (scene()[..., :2], "shape"),
        (np.full((4, 5), np.nan), "NaN"),
    ],
)
def test_show_images_refuses_what_is_no_image(picture, error):
    with pytest.raises((ImageError, ValueError), match=error):
        plotting.show_images({"bad": picture})


def test_show_images_refuses_nothing_and_wrong_titles():
    with pytest.raises(ValueError, match="no picture"):
        plotting.show_images({})
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        plotting.show_images([scene(), scene()], titles=["one"])


def test_pair_grid_puts_a_pair_in_each_row():
    low, normal = np.stack([scene() * 0.1, scene() * 0.2]), np.stack([scene(), 1 - scene()])
    figure = plotting.pair_grid(low, normal, titles=["a", "b"], enhanced=list(low * 4))
    axes = np.reshape(figure.axes, (2, 3))
    assert [axis.get_title(loc="left") for axis in axes[0]] == ["low", "enhanced", "normal"]
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["a", "b"]
    np.testing.assert_array_equal(shown(axes[1, 0]), low[1])
    np.testing.assert_array_equal(shown(axes[1, 1]), low[1] * 4)
    np.testing.assert_array_equal(shown(axes[1, 2]), normal[1])


def test_pair_grid_names_what_does_not_match():
    with pytest.raises(ValueError, match=r"'low': 2, 'normal': 1"):
        plotting.pair_grid([scene(), scene()], [scene()])
    with pytest.raises(ValueError, match=r"row 1: shapes differ: low \(24, 36, 3\)"):
        plotting.pair_grid([scene(), scene()], [scene(), scene(36, 24)])
    with pytest.raises(ValueError, match="1 titles for 2 rows"):
        plotting.pair_grid([scene()] * 2, [scene()] * 2, titles=["a"])


def test_loss_curves_have_a_panel_per_term_and_dash_validation():
    history = {"loss": [3.0, 2.0, 1.0], "exposure": [1.0, 0.5, 0.2], "val_loss": [4.0, 3.0, 2.0]}
    figure = charts.loss_curves(history)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["loss", "exposure"]
    training, validation = figure.axes[0].get_lines()
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert training.get_ydata().tolist() == [3, 2, 1]
    assert validation.get_linestyle() == "--"
    assert validation.get_ydata().tolist() == [4, 3, 2]
    assert len(figure.axes[1].get_lines()) == 1


def test_loss_curves_on_a_log_axis():
    figure = charts.loss_curves({"loss": [3.0, 0.3]}, log=True)
    assert figure.axes[0].get_yscale() == "log"
    with pytest.raises(ValueError, match="'loss' on a log axis"):
        charts.loss_curves({"loss": [3.0, 0.0]}, log=True)


@pytest.mark.parametrize("history", [{}, {"loss": []}])
def test_loss_curves_refuse_an_empty_history(history):
    with pytest.raises(ValueError, match="empty history"):
        charts.loss_curves(history)


def test_wipe_joins_left_of_one_with_right_of_the_other():
    before, after = scene(), 1 - scene()
    joined = plotting.wipe_image(before, after, 0.25)
    np.testing.assert_array_equal(joined[:, :9], before[:, :9])
    np.testing.assert_array_equal(joined[:, 9:], after[:, 9:])
    np.testing.assert_array_equal(plotting.wipe_image(before, after, 0), after)
    np.testing.assert_array_equal(plotting.wipe_image(before, after, 1), before)


def test_wipe_refuses_other_shapes_and_places():
    with pytest.raises(ValueError, match="shapes differ: before"):
        plotting.wipe_image(scene(), scene(36, 24))
    with pytest.raises(ValueError, match=r"position is 1\.2"):
        plotting.wipe_image(scene(), scene(), 1.2)


def test_before_after_shows_the_two_halves():
    low = np.full((20, 40, 3), (0.0, 0.0, 0.2), np.float32)
    figure = plotting.before_after(low, low + np.float32([0.6, 0, 0]))
    drawn = pixels(figure)
    row = drawn[drawn.shape[0] // 2]
    width = len(row)
    assert row[width // 4].tolist() == [0, 0, 51]
    assert row[3 * width // 4].tolist() == [153, 0, 51]
    assert (row[width // 2 - 3 : width // 2 + 4] > 150).all(axis=1).any(), "no dividing line"


def test_difference_is_signed_on_a_symmetric_scale():
    figure = plotting.difference(scene() * 0.5 + 0.3, scene() * 0.5, amplify=5, names=("a", "b"))
    image = panels(figure)[0].get_images()[0]
    np.testing.assert_allclose(image.get_array(), 0.3, atol=1e-6)
    assert image.get_clim() == (-0.2, 0.2)
    assert panels(figure)[0].get_title(loc="left") == "a − b, amplified 5 times"
    assert panels(figure)[0].child_axes, "no colour bar"


def test_difference_is_red_where_the_first_is_brighter():
    a = np.full((20, 30, 3), 0.5, np.float32)
    b = a.copy()
    b[:, 15:] = 0.9
    drawn = pixels(plotting.difference(a + np.float32(0.1), b)).astype(int)
    height, width = drawn.shape[:2]
    left, right = drawn[height // 2, width // 5], drawn[height // 2, 3 * width // 5]
    assert left[0] > left[2] + 30
    assert right[2] > right[0] + 30


def test_difference_refuses_other_shapes_and_no_amplification():
    with pytest.raises(ValueError, match="shapes differ"):
        plotting.difference(scene(), scene(36, 24))
    with pytest.raises(ValueError, match="amplify is 0"):
        plotting.difference(scene(), scene(), amplify=0)


def test_curve_maps_share_one_symmetric_scale_and_one_bar():
    maps = np.arange(24, dtype=np.float32) / 40 - 0.5 + scene()[..., :1] * 0.01
    axes = panels(plotting.curve_maps(maps))
    limits = {axis.get_images()[0].get_clim() for axis in axes}
    assert len(axes) == 24
    assert limits == {(-np.abs(maps).max(), np.abs(maps).max())}
    # Row 2 is green, column 3 the third step: channel 3 * 2 + 1 of the maps.
    np.testing.assert_array_equal(shown(axes[8 + 2]), maps[..., 7])
    assert len(axes[0].figure.axes) == 25


def test_curve_maps_of_one_step_lie_side_by_side():
    figure = plotting.curve_maps(scene() - 0.5)
    titles = [axis.get_title(loc="left") for axis in panels(figure)]
    assert titles == ["red", "green", "blue"]
    assert panels(figure)[0].get_gridspec().get_geometry()[0] == 1


def test_curve_maps_of_zeros_have_a_scale():
    (limits, *_) = {
        axis.get_images()[0].get_clim() for axis in panels(plotting.curve_maps(np.zeros((4, 6, 3))))
    }
    assert limits == (-1, 1)


def test_curve_maps_refuse_what_they_cannot_order():
    with pytest.raises(ValueError, match=r"shape \(24, 36, 4\)"):
        plotting.curve_maps(np.zeros((24, 36, 4)))
    with pytest.raises(ValueError, match="2 names for 8 iterations"):
        plotting.curve_maps(np.zeros((4, 6, 24)), names=["a", "b"])
    with pytest.raises(ValueError, match="NaN"):
        plotting.curve_maps(np.full((4, 6, 3), np.nan))


def test_plot_curves_draws_the_diagonal_and_each_curve():
    x = np.linspace(0, 1, 11)
    figure = charts.plot_curves(x, {"squared": x**2, "root": x**0.5})
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["unchanged"], x)
    np.testing.assert_array_equal(lines["squared"], x**2)
    assert list(lines) == ["unchanged", "squared", "root"]


def test_plot_curves_refuses_nothing_and_other_lengths():
    with pytest.raises(ValueError, match="no curve"):
        charts.plot_curves(np.arange(3), {})
    with pytest.raises(ValueError, match="'short'"):
        charts.plot_curves(np.arange(3), {"short": np.arange(2)})


def test_cost_chart_puts_each_method_at_its_cost_and_quality():
    figure = charts.cost_chart({"quick": (0.02, 18.0), "slow": (0.5, 22.5)}, "s", "dB")
    axis = figure.axes[0]
    spots = {line.get_label(): line.get_xydata().tolist() for line in axis.get_lines()}
    assert spots == {"quick": [[0.02, 18.0]], "slow": [[0.5, 22.5]]}
    assert axis.get_xscale() == "log"
    figure.canvas.draw()
    left, right = axis.get_xlim()
    labels = axis.get_xticklabels(which="both")
    assert [x.get_text() for x in labels if left <= x.get_position()[0] <= right] == [
        "0.02",
        "0.05",
        "0.1",
        "0.2",
        "0.5",
    ]


def test_cost_chart_writes_large_costs_in_digits():
    figure = charts.cost_chart({"small": (3e5, 1.0), "large": (1.2e6, 2.0)}, "parameters", "dB")
    figure.canvas.draw()
    texts = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "1,000,000" in texts
    assert not any("e" in text for text in texts)


def test_cost_chart_draws_no_two_methods_alike():
    figure = charts.cost_chart({f"m{i}": (1.0 + i, 1.0) for i in range(20)}, "s", "dB")
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 20


def test_a_method_looks_alike_in_all_charts():
    x = np.linspace(0, 1, 5)
    many = charts.plot_curves(x, dict.fromkeys(("input", "mirnet", "mine", "lumen"), x))
    few = charts.plot_curves(x, dict.fromkeys(("lumen", "mirnet"), x), diagonal=False)
    costs = charts.cost_chart({"mirnet": (1.0, 2.0), "mine": (2.0, 3.0)}, "s", "dB")
    color = {
        (i, line.get_label()): line.get_color()
        for i, figure in enumerate((many, few, costs))
        for line in figure.axes[0].get_lines()
    }
    assert color[0, "mirnet"] == color[1, "mirnet"] == color[2, "mirnet"]
    assert color[0, "lumen"] == color[1, "lumen"]
    looks = [(line.get_color(), line.get_linestyle()) for line in many.axes[0].get_lines()]
    assert len(set(looks)) == len(looks)


def test_cost_chart_refuses_nothing_and_no_cost():
    with pytest.raises(ValueError, match="no method"):
        charts.cost_chart({}, "s", "dB")
    with pytest.raises(ValueError, match="cost of 'free' is 0"):
        charts.cost_chart({"free": (0, 1.0)}, "s", "dB")


def test_stacked_bars_lay_the_parts_end_to_end():
    rows = {"dark": {"level": 4.0, "rest": 1.0}, "noisy": {"level": 0.5, "rest": 3.0}}
    figure = charts.stacked_bars(rows, "error")
    (axis,) = figure.axes
    boxes = {(b.get_x(), b.get_width(), round(b.get_y() + 0.35, 6)) for b in axis.patches}
    assert boxes == {(0, 4, 0), (4, 1, 0), (0, 0.5, 1), (0.5, 3, 1)}
    assert [label.get_text() for label in axis.get_yticklabels()] == list(rows)
    assert axis.yaxis_inverted()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["level", "rest"]


def test_stacked_bars_refuse_nothing_negative_amounts_and_other_parts():
    with pytest.raises(ValueError, match="no row"):
        charts.stacked_bars({})
    with pytest.raises(ValueError, match="b: expected amounts of 0 or more for x"):
        charts.stacked_bars({"a": {"x": 1}, "b": {"x": -1}})
    with pytest.raises(ValueError, match="b: expected"):
        charts.stacked_bars({"a": {"x": 1}, "b": {"y": 1}})


def test_timeline_draws_each_piece_in_the_row_of_its_kind():
    spans = {"in turn": [("read", 0, 1), ("write", 1, 3)], "at once": [("write", 0.5, 2)]}
    figure = charts.timeline(spans)
    first, second = figure.axes
    boxes = [(b.get_x(), b.get_width(), round(b.get_y() + 0.35, 6)) for b in first.patches]
    assert boxes == [(0, 1, 0), (1, 2, 1)]
    assert [label.get_text() for label in first.get_yticklabels()] == ["read", "write"]
    assert first.get_xlim() == second.get_xlim()


def test_timeline_refuses_nothing_and_time_that_runs_backwards():
    with pytest.raises(ValueError, match="no work"):
        charts.timeline({"empty": []})
    with pytest.raises(ValueError, match="stops at 1, before 2"):
        charts.timeline({"a": [("read", 2, 1)]})


def test_histograms_sum_to_one_and_share_axes():
    figure = charts.histograms({"dark": scene() * 0.2, "bright": scene()}, bins=10)
    dark, bright = figure.axes
    assert dark.get_ylim() == bright.get_ylim()
    for patch in dark.patches:
        assert patch.get_data().values.sum() == pytest.approx(1)
    luminance = dark.patches[0].get_data().values
    assert luminance[:2].sum() == pytest.approx(1)
    assert luminance[2:].max() == 0


def test_histograms_show_each_channel():
    image = np.full((6, 8, 3), (0.05, 0.45, 0.95), np.float32)
    patches = charts.histograms({"flat": image}, bins=10).axes[0].patches
    assert [int(patch.get_data().values.argmax()) for patch in patches[1:]] == [0, 4, 9]


def test_histograms_refuse_nothing():
    with pytest.raises(ValueError, match="no image"):
        charts.histograms({})


def test_interval_plot_puts_the_first_row_on_top():
    figure = charts.interval_plot([("input", 7.0, 6.5, 8.0), ("zero_dce", 16.0, 15.0, 17.5)])
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["input", "zero_dce"]
    assert axis.yaxis_inverted()
    bar, point = axis.get_lines()[:2]
    assert list(bar.get_xdata()) == [6.5, 8.0]
    assert point.get_xdata()[0] == 7.0
    figure = charts.interval_plot([("gain", 0.3, 0.2, 0.4)], zero=True)
    low, high = figure.axes[0].get_xlim()
    assert low < 0 < high


def test_interval_plot_refuses_nothing_and_a_mean_outside():
    with pytest.raises(ValueError, match="no row"):
        charts.interval_plot([])
    with pytest.raises(ValueError, match="zero_dce: mean"):
        charts.interval_plot([("zero_dce", 16.0, 17.0, 18.0)])


def test_style_does_not_leak_into_the_readers_settings():
    before = dict(plt.rcParams)
    plotting.show_images([scene()])
    assert dict(plt.rcParams) == before


def test_a_notebook_shows_a_figure_once():
    """Once when the call ends the cell, once when it does not, and both of two figures."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    head = (
        "import numpy as np; from lle_utils.display import plotting; image = np.zeros((4, 6, 3))\n"
    )
    cells = [
        head + "plotting.show_images([image])",
        "plotting.show_images([image]); done = True",
        "plotting.show_images([image])\nplotting.show_images([image])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    counts = [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in notebook.cells
    ]
    assert counts == [1, 1, 2]
