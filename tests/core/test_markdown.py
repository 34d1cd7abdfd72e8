"""Tables as text."""

from lle_utils.core.markdown import markdown_table


def test_a_table_has_a_line_for_each_row():
    text = markdown_table(["a", "b"], [["x", 1], ["y", 2]])
    assert text.splitlines() == ["| a | b |", "|---|---:|", "| x | 1 |", "| y | 2 |"]
