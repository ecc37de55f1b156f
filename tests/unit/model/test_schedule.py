"""When a scheduled command is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from iac_wrapper.model import schedule
from iac_wrapper.model.schedule import Entry, Past, Result, Turn

NIGHTLY = Entry("web", "backup", "0 3 * * * python backup.py --all 'x  y'")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _past(entry: Entry, settled: str) -> Past:
    return Past(entry.when, _at(settled))


def test_a_line_is_five_fields_and_a_command() -> None:
    """Whose own spaces stay."""
    assert (NIGHTLY.when, NIGHTLY.key) == ("0 3 * * *", "web.backup")
    assert NIGHTLY.command == "python backup.py --all 'x  y'"


@pytest.mark.parametrize(
    ("fields", "after", "expected"),
    [
        ("0 3 * * *", "2026-02-28 03:00", "2026-03-01 03:00"),
        ("0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("59 23 L * *", "2028-02-01 00:00", "2028-02-29 23:59"),
        ("*/15 8-10 * * mon-fri", "2026-11-27 10:45", "2026-11-30 08:00"),
        ("0 0 13 * 5", "2026-11-01 00:00", "2026-11-06 00:00"),  # either day, as crontab(5)
    ],
)
def test_the_next_time_is_that_of_crontab(fields: str, after: str, expected: str) -> None:
    assert Entry("web", "x", f"{fields} true").next_time(_at(after)) == _at(expected)


@pytest.mark.parametrize(
    ("line", "settled", "now", "expected"),
    [
        ("0 3 * * *", "2026-11-26 03:00", "2026-11-27 02:59", Turn()),
        ("0 3 * * *", "2026-11-26 03:00", "2026-11-27 03:00", Turn(_at("2026-11-27 03:00"))),
        ("0 3 * * *", "2026-11-27 03:00", "2026-11-27 03:00", Turn()),
        ("0 3 * * *", "2026-11-26 03:00", "2026-11-27 04:00", Turn(_at("2026-11-27 03:00"))),
        ("0 3 * * *", "2026-11-26 03:00", "2026-11-27 04:01", Turn(None, _at("2026-11-27 03:00"))),
        (
            "*/10 * * * *",
            "2026-11-27 03:00",
            "2026-11-27 03:35",
            Turn(_at("2026-11-27 03:30"), _at("2026-11-27 03:20")),
        ),
        ("* * * * *", "2026-11-27 03:35", "2026-11-27 03:34", Turn()),  # the clock was put back
    ],
)
def test_each_time_is_run_once_or_missed(line: str, settled: str, now: str, expected: Turn) -> None:
    """After an hour it is missed; of several the newest is run."""
    entry = Entry("web", "x", f"{line} true")
    assert schedule.turn(entry, _past(entry, settled), _at(now)) == expected


def test_what_is_new_begins_with_this_minute() -> None:
    """Another line as well, whose times before nobody promised; how it ended last stays."""
    now = _at("2026-11-27 03:00") + timedelta(seconds=20)
    assert schedule.turn(NIGHTLY, schedule.known(NIGHTLY, None, now), now).run
    last = Result(_at("2026-11-26 02:00"), _at("2026-11-26 02:00"), exit_code=0)
    old = Past("0 2 * * *", _at("2026-11-26 02:00"), last)
    known = schedule.known(NIGHTLY, old, now - timedelta(minutes=1))
    assert (known.when, known.last) == ("0 3 * * *", last)
    assert schedule.turn(NIGHTLY, known, now - timedelta(minutes=1)) == Turn()


def test_a_clock_that_was_years_ahead_stops_nothing() -> None:
    """Its times are forgotten; those of less than an hour ahead are not run again."""
    now = _at("2026-11-27 03:00")
    wrong = _past(NIGHTLY, "2031-01-01 03:00")
    assert schedule.turn(NIGHTLY, schedule.known(NIGHTLY, wrong, now), now).run == now
    near = _past(NIGHTLY, "2026-11-27 03:30")
    assert schedule.known(NIGHTLY, near, now) is near


def test_what_nobody_runs_is_overdue() -> None:
    past = _past(NIGHTLY, "2026-11-26 03:00")
    due = _at("2026-11-27 03:00")
    assert schedule.overdue(NIGHTLY, past, due + timedelta(minutes=3)) is None
    assert schedule.overdue(NIGHTLY, past, due + timedelta(minutes=4)) == due


def test_the_record_is_read_as_it_was_written() -> None:
    due = _at("2026-11-27 03:00")
    result = Result(due, due, "web.0a0a0a", due + timedelta(seconds=2), 3)
    past = Past("0 3 * * *", due, result, due)
    assert Past.from_dict(past.to_dict()) == past
    assert (result.text, result.good) == ("exit code 3 after 2.0 s", False)
    assert Past.from_dict(replace(past, last=None).to_dict()).last is None
