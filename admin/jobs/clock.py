"""Times as jobs and their events store them, and ids that sort by time."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")


def now() -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def later(seconds: float) -> str:
    """`now` and so many seconds more."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def is_past(moment: str) -> bool:
    """Whether a stored time is over."""
    return datetime.fromisoformat(moment) <= datetime.now(UTC)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a job id."""
    return _ID.fullmatch(text) is not None


def new_id(after: str | None) -> str:
    """``YYYYmmddTHHMMSS-<8 hex>``, greater than `after`.

    Five of the digits are the microseconds, so that ids sort as the jobs came, also after a
    restart; a clock that was set back does not change that.
    """
    at = datetime.now(UTC)
    while True:
        stem = f"{at:%Y%m%dT%H%M%S}-{at.microsecond:05x}"
        if after is None or stem > after[: len(stem)]:
            return stem + secrets.token_hex(2)[:3]
        at = _time_of(after) + timedelta(microseconds=1)


def _time_of(job_id: str) -> datetime:
    second = datetime.strptime(job_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    # A foreign id may have more than a million there.
    return second + timedelta(microseconds=int(job_id[16:21], 16))
