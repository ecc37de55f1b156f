"""Why the build of an image failed, for people. Values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BuildFailure:
    """`message` says what went wrong, `line` is the one of the log that says it, `next_step` is
    what to write or do."""

    message: str
    line: str
    next_step: str
