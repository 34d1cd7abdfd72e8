"""Tables as Markdown, which notebooks show and pages turn into HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Return a table, its first column to the left and the others, of numbers, to the right.

    Args:
        head: Title of each column.
        rows: Cells of each row, as many as there are columns; shown by ``str``.

    >>> print(markdown_table(["method", "dB"], [["gamma", 12.0]]))
    | method | dB |
    |---|---:|
    | gamma | 12.0 |
    """
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" + "|---:" * (len(head) - 1) + "|", *lines[1:]])
