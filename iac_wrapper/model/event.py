"""What an operation says while it works: one value for terminal, JSON lines and API alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EventKind = Literal["step", "progress", "warning"]


@dataclass(frozen=True)
class Event:
    """One line of progress.

    `kind` is ``step`` (a stage begins), ``progress`` (something inside it) or ``warning``.
    """

    kind: EventKind
    message: str


Emit = Callable[[Event], None]
"""Where an operation sends its events. Must not raise."""
