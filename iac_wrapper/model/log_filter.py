"""Which lines of a log are wanted: from when, until when, and which words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from iac_wrapper.errors import ConfigError

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_LONGEST = timedelta(days=36_500)


@dataclass(frozen=True)
class LogFilter:
    """Times have a zone; None: whatever it is."""

    since: datetime | None = None
    until: datetime | None = None
    words: re.Pattern[str] | None = None

    @property
    def has_times(self) -> bool:
        """Whether it asks for some time."""
        return self.since is not None or self.until is not None

    @property
    def is_set(self) -> bool:
        """Whether it asks for less than everything."""
        return self.has_times or self.words is not None

    def keeps(self, line: str) -> bool:
        """Whether a line has the words."""
        return self.words is None or self.words.search(line) is not None


def parse_time(text: str, option: str, now: datetime) -> datetime:
    """What a person writes for a time: how long ago (``10m``, ``1h30m``, ``2d``), or a date and
    time of ISO 8601, that of this machine's zone without one of its own.

    Args:
        text: as it is written.
        option: whose value it is.
        now: with a zone.

    Raises:
        ConfigError: it is neither.
    """
    span = _SPAN.fullmatch(text)
    try:
        if text and span:
            parts = [int(part or 0) for part in span.groups()]
            ago = timedelta(
                **dict(zip(("days", "hours", "minutes", "seconds"), parts, strict=True))
            )
            if ago <= _LONGEST:
                return now - ago
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ConfigError(
            "not a time",
            where=option,
            found=repr(text),
            expected="how long ago, such as 10m, 1h30m or 2d, or a time such as 2026-11-28T14:05",
            next_step=f"write for instance {option} 10m",
        ) from None


def parse_words(text: str) -> re.Pattern[str]:
    """A regular expression of Python.

    Raises:
        ConfigError: it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(
            "not a regular expression",
            where="--grep",
            found=f"{text!r}: {error}",
            expected="one of Python's, such as 'error|timeout'",
            next_step="put a \\ before each of .^$*+?{}[]\\|() that is meant as it is",
        ) from None
