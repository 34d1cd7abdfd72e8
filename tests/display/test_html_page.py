"""The page of results: read back from the file."""

import base64
import re
from io import BytesIO

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from PIL import Image

from lle_utils.display import charts, html_page


def test_page_holds_text_tables_pictures_and_figures_and_fetches_nothing(tmp_path):
    picture = np.zeros((4, 7, 3), np.float32)
    picture[:, :3] = (1, 0, 0.2)
    figure = charts.interval_plot([("a", 1.0, 0.5, 2.0)], "dB")
    parts = [
        ("Sheet <1>", picture),
        ("Chart", figure),
        ("Table", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ]
    path = html_page.write_page(tmp_path / "new" / "results.html", "All & more", parts, "seed `3`")
    text = path.read_text(encoding="utf-8")
    assert "<title>All &amp; more</title>" in text
    assert "<h2>Sheet &lt;1&gt;</h2>" in text
    assert re.search(r"<table>.*<td[^>]*>2</td>", text, flags=re.DOTALL)
    assert "<code>3</code>" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    first, second = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    shown = np.asarray(Image.open(BytesIO(base64.b64decode(first))))
    np.testing.assert_array_equal(shown, np.rint(picture * 255))
    assert Image.open(BytesIO(base64.b64decode(second))).width > 300


def test_a_part_of_another_kind_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match="Numbers: list"):
        html_page.write_page(tmp_path / "results.html", "title", [("Numbers", [1, 2])])
    assert not list(tmp_path.iterdir())
