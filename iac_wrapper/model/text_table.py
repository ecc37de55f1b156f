"""Rows as text. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from itertools import zip_longest

WIDTH = 80
"""Columns of a terminal as it comes."""

WHOLE = 100_000
"""A width in which every table has room."""


def text_table(
    rows: Sequence[Sequence[str]],
    width: int = WHOLE,
    *,
    names: Collection[int] = (0,),
    one_line: bool = False,
) -> str:
    """Left-aligned columns, two spaces apart; every row has as many cells as the first, the header.

    Args:
        rows: the header and the others.
        width: that no line exceeds, unless the header does: what is longest goes on below.
        names: the columns that give way last, as people copy what stands there.
        one_line: what has no room is cut.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    least = [len(title) for title in rows[0]]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    others = [column for column in range(len(widths)) if column not in names]
    for group in (others, [column for column in range(len(widths)) if column in names]):
        while over > 0 and (wide := [each for each in group if widths[each] > least[each]]):
            widths[max(wide, key=widths.__getitem__)] -= 1
            over -= 1
    parts = _cut if one_line else _wrapped
    lines = [
        "  ".join(map(str.ljust, line, widths)).rstrip()
        for row in rows
        for line in zip_longest(*map(parts, row, widths), fillvalue="")
    ]
    return "\n".join(lines)


def cut(text: str, most: int) -> str:
    """`text`, in `most` characters: what is cut ends with an ellipsis."""
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"


def _cut(text: str, most: int) -> list[str]:
    """The only line of a cell."""
    return [cut(text, most)]


def _wrapped(text: str, most: int) -> list[str]:
    """The lines of a cell."""
    return [text] if len(text) <= most else textwrap.wrap(text, most)
