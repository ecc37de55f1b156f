"""A one-off: a command that runs once, in a pair of containers of its own. Values, no I/O."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Purpose = Literal["run", "detached", "release", "schedule"]
"""Whose it is: a person's who waits for it, one's who does not, a deploy's, the clock's."""

RUNNER = "/opt/iac/runner/bin/python"
"""The runner's own Python, in images of ours."""

ID_VARIABLE = "IAC_EXEC_ID"
"""`runner.execute` finds by it what was started under an id."""

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""The best shell of an image."""

_EXECUTE = (RUNNER, "-I", "-m", "runner.execute")

_ID = re.compile(r"([a-z0-9-]+)\.[0-9a-f]{6}")


def new_id(service: str) -> str:
    """``web.3f9a2c``: no service can be called so."""
    return f"{service}.{secrets.token_hex(3)}"


def service_of(identifier: str) -> str | None:
    """The service of a one-off; None if that is no id of one."""
    match = _ID.fullmatch(identifier)
    return match[1] if match else None


def has_runner(entrypoint: Sequence[str]) -> bool:
    """Whether a container that starts like this has the runner: it knows the secret values."""
    return list(entrypoint[:1]) == [RUNNER]


def as_program(argv: Sequence[str]) -> tuple[str, ...]:
    """`argv` with the user, environment and secrets of the service's program."""
    return (*_EXECUTE, "--", *argv)


def shell_line(line: str) -> tuple[str, ...]:
    """A line for the shell of an image.

    With one stream: the engine reads two apart, and what failed would not be the last line.
    """
    return ("/bin/sh", "-c", f"exec 2>&1; {line}")


def ending(identifier: str) -> tuple[str, ...]:
    """What ends, in the same container, a command that was started under `identifier`."""
    return (*_EXECUTE, "--end", identifier)


@dataclass(frozen=True)
class Record:
    """One run: what, what for, since and until when (UTC), and how it ended.

    `exit_code` is None while it has not, or where nobody saw how.
    """

    id: str
    service: str
    command: tuple[str, ...]
    purpose: Purpose
    started: datetime
    ended: datetime | None = None
    exit_code: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            **asdict(self),
            "command": list(self.command),
            "started": self.started.isoformat(),
            "ended": self.ended and self.ended.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Record:
        """From that form."""
        read = {
            "command": tuple(data["command"]),
            "started": datetime.fromisoformat(data["started"]),
            "ended": data["ended"] and datetime.fromisoformat(data["ended"]),
        }
        return cls(**{**data, **read})
