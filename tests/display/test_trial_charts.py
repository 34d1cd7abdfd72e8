"""Charts of trials: what they show, read back from the axes."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from lle_utils.display import trial_charts


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_parallel_coordinates_have_an_upright_axis_for_each_parameter():
    columns = {"rate": [0.001, 0.01, 0.1, 0.1], "style": ["plain", "bold", "plain", "plain"]}
    columns["depth"] = [4, 4, 4, 4]  # of one value only
    values = [10.0, 30.0, None, 20.0]
    figure = trial_charts.parallel_coordinates(columns, values, "PSNR", log=["rate"])
    axis = figure.axes[0]
    lines = [line for line in axis.lines if len(line.get_ydata()) == 3]
    assert [label.get_text() for label in axis.get_xticklabels()] == list(columns)
    # Those without a value lie below, then the worst, and the best on top.
    heights = [list(np.round(line.get_ydata(), 6)) for line in lines]
    assert heights == [[1, 1, 0.5], [0, 1, 0.5], [1, 1, 0.5], [0.5, 0, 0.5]]
    assert to_rgba(lines[0].get_color()) == to_rgba(trial_charts.GRAY)
    assert to_rgba(lines[1].get_color()) == plt.get_cmap("viridis")(0.0)
    assert to_rgba(lines[3].get_color()) == plt.get_cmap("viridis")(1.0)
    assert {text.get_text() for text in axis.texts} == {"0.001", "0.1", "plain", "bold", "4"}


def test_parallel_coordinates_refuse_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="no parameter"):
        trial_charts.parallel_coordinates({}, [1.0])
    with pytest.raises(ValueError, match="no trial with a value"):
        trial_charts.parallel_coordinates({"a": [1]}, [None])
    with pytest.raises(ValueError, match="expected 2 entries"):
        trial_charts.parallel_coordinates({"a": [1]}, [1.0, 2.0])


def test_trial_curves_let_the_best_stand_out_over_the_others():
    curves = {"one": [1.0, 3.0], "two": [1.0], "three": [1.0, 2.0, 2.5]}
    (axis,) = trial_charts.trial_curves(curves, "one", "PSNR").axes
    drawn = [list(line.get_ydata()) for line in axis.lines]
    assert drawn == [curves["two"], curves["three"], curves["one"]]
    assert list(axis.lines[-1].get_xdata()) == [1, 2]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["one"]
    with pytest.raises(ValueError, match="the best is 'four'"):
        trial_charts.trial_curves(curves, "four")
    with pytest.raises(ValueError, match="curves of"):
        trial_charts.trial_curves({})
