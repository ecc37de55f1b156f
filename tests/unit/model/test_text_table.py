from __future__ import annotations

import pytest

from iac_wrapper.model.text_table import text_table

ROWS = [
    ("NAME", "STATE", "LEFT"),
    ("a", "ok", "89 days"),
    ("billing-of-orders", "mismatch: its key is not that of its certificate", "-"),
]


def test_a_table_takes_what_it_needs() -> None:
    """Where nobody says how wide it may be; lines end where their text does."""
    assert text_table(ROWS).splitlines()[2] == "  ".join(ROWS[2])
    assert text_table(ROWS[:2]).splitlines() == ["NAME  STATE  LEFT", "a     ok     89 days"]


@pytest.mark.parametrize("width", [30, 40, 80])
def test_what_is_longest_goes_on_below(width: int) -> None:
    """No line is longer, no word is lost, and a name stays whole as long as others can give way."""
    lines = text_table(ROWS, width).splitlines()
    assert max(map(len, lines)) <= width
    assert sorted("".join(lines).replace(" ", "")) == sorted(
        "".join(cell.replace(" ", "") for row in ROWS for cell in row)
    )
    if width > 35:
        assert lines[2].startswith("billing-of-orders  mismatch:")


def test_a_list_can_keep_to_a_line_a_row() -> None:
    """Then it is cut, which is seen."""
    lines = text_table(ROWS, 40, one_line=True).splitlines()
    assert lines[2] == "billing-of-orders  mismatch: i…  -"
