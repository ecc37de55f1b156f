"""``schedule:`` of repos.yaml: commands at the times of a crontab, in UTC. Values, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.key import ByName, Text

LATE = timedelta(hours=1)
"""How long after its time a command may still begin; longer than a deploy takes, which it waits
for, and short enough that what is meant for the night does not run at noon."""

OVERDUE = timedelta(minutes=3)
"""How long it may be due before that is said; who runs it looks once a minute."""

_NAME = "[a-z][a-z0-9-]{0,31}"
_FIELD = r"[0-9A-Za-z*,/#-]{1,100}"
_LINE = rf"{_FIELD}(?: +{_FIELD}){{4}} +[^\x00-\x20\x7f][^\x00-\x1f\x7f]*"
_EXPECTED = (
    "five fields (minute, hour, day of month, month, day of week) and a command, such as"
    ' "0 3 * * * python backup.py"'
)


def lines() -> ByName:
    """Lines of a crontab by name."""
    name = Text(
        parse=lambda text: text if re.fullmatch(_NAME, text) else None,
        expected="a name of a-z, 0-9 and '-' that begins with a letter, at most 32 long",
        schema={"pattern": f"^{_NAME}$"},
    )
    line = Text(_parse, _EXPECTED, {"type": "string", "pattern": f"^{_LINE}$"})
    return ByName(
        read=lambda key, text: (name.read(key), line.read(text)),
        expected="NAME: LINE lines",
        expected_value=_EXPECTED,
        schema={
            "type": "object",
            "propertyNames": name.schema,
            "additionalProperties": line.schema,
        },
        write=lambda said: (
            "{" + ", ".join(f"{key}: {_quoted(said[key])}" for key in sorted(said)) + "}"
        ),
    )


def _parse(text: str) -> str | None:
    if not (re.fullmatch(_LINE, text) and text.isprintable()):
        return None
    when = Entry("", "", text).when
    if next(_times(when, datetime.now(UTC)), None) is None:
        raise _bad_time(when, "no such day in 50 years")
    return text


def _bad_time(when: str, why: str) -> ConfigError:
    return ConfigError(
        "this is no time of a crontab",
        found=f"{when!r}: {why}",
        expected="minute, hour, day of month, month, day of week, as in crontab(5)",
        next_step='write for instance schedule: {backup: "0 3 * * * python backup.py"}',
    )


def _quoted(text: str) -> str:
    """Text as a YAML string."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Entry:
    """One line of a service's `schedule:`."""

    service: str
    name: str
    line: str

    @property
    def key(self) -> str:
        """What it is called in a project."""
        return f"{self.service}.{self.name}"

    @property
    def when(self) -> str:
        """The five fields."""
        return " ".join(self.line.split(maxsplit=5)[:5])

    @property
    def command(self) -> str:
        """The line for a shell."""
        return self.line.split(maxsplit=5)[5]

    def next_time(self, after: datetime) -> datetime | None:
        """The first time after `after`."""
        return next(_times(self.when, after), None)

    def last_time(self, until: datetime, since: datetime) -> datetime | None:
        """The last time after `since` and not after `until`; None: there is none."""
        found = next(_times(self.when, until + timedelta(seconds=1), reverse=True), None)
        return found if found and found > since else None


def _times(when: str, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """The times of five fields of a crontab after `start`, or back from it.

    Raises:
        ConfigError: they are none.
    """
    # Not for who synthesizes: an app of somebody's own needs no more than its cdktf.
    from cronsim import CronSim, CronSimError  # noqa: PLC0415

    try:
        return CronSim(when, start, reverse=reverse)
    except CronSimError as error:
        raise _bad_time(when, str(error).lower()) from None


@dataclass(frozen=True)
class Result:
    """One run: the time that it was due, since when and until when (UTC), and how it ended.

    `run` is its id for `iac logs`; None: it could not be started, `error` says why. `ended` is None
    while it runs, or where nobody saw it end.
    """

    due: datetime
    started: datetime
    run: str | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    error: str | None = None

    @property
    def good(self) -> bool:
        """Whether it ended as it should."""
        return self.exit_code == 0 and not self.error

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended - self.started).total_seconds() if self.ended else None

    @property
    def text(self) -> str:
        """How it ended, for people."""
        if self.error:
            return self.error
        if self.ended is None:
            return "nobody saw it end"
        how = "removed" if self.exit_code is None else f"exit code {self.exit_code}"
        return f"{how} after {self.seconds:.1f} s"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        times = {name: _iso(getattr(self, name)) for name in ("due", "started", "ended")}
        return {**asdict(self), **times}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """From that form."""
        return cls(**data | {name: _time(data[name]) for name in ("due", "started", "ended")})


@dataclass(frozen=True)
class Past:
    """What is recorded of an entry with the five fields `when`.

    `settled`: times up to this one are run, missed, or before it was known. `missed` is the last
    time that was passed over since the run before `last`.
    """

    when: str
    settled: datetime
    last: Result | None = None
    missed: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "when": self.when,
            "settled": _iso(self.settled),
            "last": self.last and self.last.to_dict(),
            "missed": _iso(self.missed),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Past:
        """From that form."""
        last = data["last"] and Result.from_dict(data["last"])
        return cls(
            data["when"], datetime.fromisoformat(data["settled"]), last, _time(data["missed"])
        )


def known(entry: Entry, past: Past | None, now: datetime) -> Past:
    """`past`, or how an entry begins whose times are new or were noted by a clock that was wrong:
    with the minute that it is."""
    if past and past.when == entry.when and past.settled <= now + LATE:
        return past
    begin = now.replace(second=0, microsecond=0) - timedelta(seconds=1)
    return Past(entry.when, begin, past.last if past else None)


@dataclass(frozen=True)
class Turn:
    """What is to be done now: the time to `run` the command for, and the last one to pass over."""

    run: datetime | None = None
    missed: datetime | None = None


def turn(entry: Entry, past: Past, now: datetime) -> Turn:
    """The newest time is run unless it is later than `LATE`; others that nobody ran are missed."""
    newest = entry.last_time(now, past.settled)
    if newest is None:
        return Turn()
    if now - newest > LATE:
        return Turn(missed=newest)
    return Turn(newest, entry.last_time(newest - timedelta(seconds=1), past.settled))


def overdue(entry: Entry, past: Past, now: datetime) -> datetime | None:
    """The first time that should have been run by now and was not."""
    first = entry.next_time(past.settled)
    return first if first and now - first > OVERDUE else None


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
