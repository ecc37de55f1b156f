"""Every error a user can see, with its exit code and what kind of problem it is over the API.

The tree::

    IacError                 1  internal            a bug or something unforeseen
    ├── ConfigError          2  unprocessable       repos.yaml, settings, arguments, missing set-up
    ├── SourceError          3  unprocessable       slug, ref, fetch
    │   └── EntrypointError  3  unprocessable       nothing to run in the checkout
    ├── CertificateError     4  internal            CA, leaf certificates, key files
    ├── CommandError         5  internal            a program we drive failed (terraform, …)
    │   └── EngineError      5  engine-unreachable  the Docker engine does not answer
    ├── BusyError            6  busy                another mutating command holds the project
    ├── UnhealthyError       7  internal            deployed, but not every service is SERVING
    └── Interrupted        130  internal            Ctrl-C or SIGTERM

Nothing here prints; `iac_wrapper.cli` renders, `admin` gives each kind of problem its status.
"""

from __future__ import annotations

import errno
import os
from typing import Literal

ProblemKind = Literal["internal", "unprocessable", "engine-unreachable", "busy"]


class IacError(Exception):
    """An error with everything a person needs to act on it.

    Args:
        message: one sentence, what went wrong; starts lower-case, no final full stop.
        where: the file (and line, ``repos.yaml:3``), service or address it is about.
        found: what was there.
        expected: what would have been right.
        next_step: the command or edit that gets the person on.
        detail: longer text (log tail, list of candidates); shown last, indented.
        retryable: True when the same call may work later without a change.
    """

    exit_code = 1
    problem: ProblemKind = "internal"
    column: int | None = None
    """In the line of `where`, from 1, where a reader of files knows it."""

    def __init__(  # noqa: PLR0913 - one keyword for each fact a person needs
        self,
        message: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
        detail: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.found = found
        self.expected = expected
        self.next_step = next_step
        self.detail = detail
        self.retryable = retryable

    def __str__(self) -> str:
        return self.render()

    @property
    def place(self) -> tuple[str, int, int]:
        """File, line and column of `where`; 0 for what is not known."""
        file, _, line = (self.where or "").rpartition(":")
        return (file, int(line), self.column or 0) if line.isdecimal() else (self.where or "", 0, 0)

    def render(self) -> str:
        """The error as text, one labelled line per fact: ``where: message``, found, expected…"""
        lines = [f"{self.where}: {self.message}" if self.where else self.message]
        for label, value in (
            ("found", self.found),
            ("expected", self.expected),
            ("next", self.next_step),
        ):
            if value:
                lines.append(f"  {label + ':':<10}{value}")
        if self.detail:
            lines.extend("  | " + line for line in self.detail.splitlines())
        return "\n".join(lines)

    def to_dict(self) -> dict[str, str | int | bool | None]:
        """The same facts as JSON-ready values, for ``--json`` and the API."""
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "message": self.message,
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "next_step": self.next_step,
            "detail": self.detail,
            "retryable": self.retryable,
        }


class ConfigError(IacError):
    """What people wrote (files, settings, arguments) or the set-up is wrong."""

    exit_code = 2
    problem = "unprocessable"


class SourceError(IacError):
    """A slug's source cannot be resolved or fetched."""

    exit_code = 3
    problem = "unprocessable"


class EntrypointError(SourceError):
    """A checkout has nothing this tool knows how to run."""


class CertificateError(IacError):
    """The CA or a leaf certificate is missing, unreadable or inconsistent."""

    exit_code = 4


class CommandError(IacError):
    """A program this tool drives failed."""

    exit_code = 5


class EngineError(CommandError):
    """The Docker engine does not answer."""

    problem = "engine-unreachable"


class BusyError(IacError):
    """Another mutating command holds the project."""

    exit_code = 6
    problem = "busy"


class UnhealthyError(IacError):
    """The deploy ended, but not every service is SERVING."""

    exit_code = 7


class Interrupted(IacError):  # noqa: N818 - a person's decision, not an error
    """The user pressed Ctrl-C, or the process was asked to stop."""

    exit_code = 130


FREE_SPACE = "free some space on that disk, then run the command again"
"""The next step where a disk is full."""


def file_error(error: OSError | UnicodeError) -> IacError:
    """A file that cannot be read or written, where no other code knew better.

    Args:
        error: as Python raised it; missing permission and a full disk have next steps of their own,
            and what is not UTF-8 is bad input.
    """
    step, expected = "correct what is found there, then run the command again", None
    if isinstance(error, UnicodeError):
        return ConfigError(
            "a file or a value that must be text is not", found=str(error), next_step=step
        )
    where = error.filename
    if error.errno in (errno.EACCES, errno.EPERM):
        expected = f"a file of uid {os.geteuid()}; perhaps another user, or root, ran iac before"
        step = "run iac as the user who owns the file, or change its owner (sudo chown -R)"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename2 or where  # of a copy: its end, not what it is made from
        step = FREE_SPACE if where else f"{FREE_SPACE}; `df -h` shows which one is full"
    return IacError(
        "cannot read or write a file",
        where=where,
        found=error.strerror or str(error),
        expected=expected,
        next_step=step,
    )
