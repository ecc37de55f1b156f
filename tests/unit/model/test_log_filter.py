from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.log_filter import LogFilter, parse_time, parse_words

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("45s", timedelta(seconds=45)),
        ("0s", timedelta()),
    ],
)
def test_how_long_ago(text: str, ago: timedelta) -> None:
    assert parse_time(text, "--since", NOW) == NOW - ago


def test_a_date_is_of_this_machines_zone_unless_it_says_another() -> None:
    """A day alone is its beginning."""
    assert parse_time("2026-11-28T10:00:00Z", "--since", NOW) == NOW - timedelta(hours=2)
    assert parse_time("2026-11-28T10:00+01:00", "--since", NOW) == NOW - timedelta(hours=3)
    local = datetime(2026, 11, 27).astimezone()
    assert parse_time("2026-11-27", "--since", NOW) == local


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10", "m", "-5m", "1w", "10m5h", "9" * 30 + "d", "99999d", "2026-13-01"],
)
def test_what_is_no_time(text: str) -> None:
    """Is an error of arguments, with two that are."""
    with pytest.raises(ConfigError, match="not a time") as caught:
        parse_time(text, "--until", NOW)
    assert (caught.value.where, caught.value.exit_code) == ("--until", 2)


def test_words() -> None:
    """A regular expression, found anywhere in the line."""
    found = LogFilter(words=parse_words("err(or)?|time ?out"))
    assert [line for line in ("an error", "timeout", "fine") if found.keeps(line)] == [
        "an error",
        "timeout",
    ]
    assert LogFilter().keeps("anything")
    assert (LogFilter().is_set, found.is_set, found.has_times) == (False, True, False)
    with pytest.raises(ConfigError, match="not a regular expression"):
        parse_words("(")
