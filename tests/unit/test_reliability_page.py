"""The page that make reliability writes."""

from __future__ import annotations

from dataclasses import replace

from tests.support import machine, reliability
from tests.support.reliability import Outcome

GOOD = Outcome(5, "2027-01-02", "1234567", True, "twenty starts", "20", "20 of 20")


def test_each_row_is_there_whether_it_ran_or_not() -> None:
    """What failed says so, and nothing breaks the table."""
    bad = replace(GOOD, row=7, passed=False, seen="3 | lost")
    page = reliability.page({"kernel": "6"}, {"b": bad, "a": GOOD})
    assert "| twenty starts | 20 | 20 of 20 | 2027-01-02, 1234567 |" in page
    assert "| **failed**: 3 \\| lost |" in page
    assert page.count("\n## ") == len(reliability.ROWS)
    assert page.count("\nNot run.\n") == len(reliability.ROWS) - 2


def test_the_committed_page_is_made_of_the_committed_results() -> None:
    """Nobody writes a number into it by hand."""
    text = reliability.PAGE.read_text("utf-8")
    assert text == reliability.page(reliability.about(), reliability.load())
    assert str(machine.ROOT) not in text


def test_a_failure_names_no_path_of_this_machine() -> None:
    """The page is for everybody."""
    said = reliability.why(AssertionError("/tmp/x/y.py is not there\nmore"))  # noqa: S108
    assert said == "… is not there"
