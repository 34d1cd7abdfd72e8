"""The README prints its numbers from the records."""

from lle_utils.files import project_root
from lle_utils.results import render_tables


def test_the_tables_equal_the_records():
    text = (project_root() / "README.md").read_text(encoding="utf-8")
    assert "<!-- table:lol_val" in text
    assert render_tables(text) == text
