"""What an operation says while it works: one value for terminal, JSON lines and API alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EventKind = Literal["step", "progress", "warning", "stage"]

Stage = Literal[
    "resolve",
    "fetch",
    "detect",
    "plan",
    "build",
    "apply",
    "start",
    "prove",
    "remove",
    "done",
    "failed",
]
"""What is being done: to a service, or, in a step, to the project."""


@dataclass(frozen=True)
class Event:
    """One line of progress.

    `kind` is ``step`` (a part of the operation begins), ``progress`` (something inside it),
    ``warning``, or ``stage``: what is being done to a service now, for those who show that; it is
    no line of its own.

    `service` is whom it is about, empty for the project. With a `stage` it tells how things are at
    the moment, without one what is true afterwards as well.
    """

    kind: EventKind
    message: str
    service: str = ""
    stage: Stage | None = None


Emit = Callable[[Event], None]
"""Where an operation sends its events. Must not raise."""
