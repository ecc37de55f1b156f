"""Durations as Go writes them."""

from __future__ import annotations

import pytest

from provider import durations


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("", 0),
        ("0s", 0),
        ("30s", 30 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5s", 15 * 10**8),
        ("500ms", 5 * 10**8),
        ("2h", 7200 * 10**9),
        ("1us", 1000),
    ],
)
def test_parse(text: str, nanoseconds: int) -> None:
    """Every unit, and sums of them."""
    assert durations.parse(text) == nanoseconds


@pytest.mark.parametrize("text", ["30", "s", "1 s", "-1s", "1d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The error shows a right one."""
    with pytest.raises(ValueError, match="30s or 1m30s"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["0s", "30s", "1m30s", "1.5s", "500ms", "2h0m0s", "1h0m1.25s"])
def test_render_is_the_official_form(text: str) -> None:
    """Go's own way: all smaller units once a larger one is there."""
    assert durations.render(durations.parse(text)) == text
