"""Progress for a person who waits: what is going on, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Writes progress lines.

    write: gets each line, without its newline.
    clock: seconds, monotonic.
    """

    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a long step, and say afterwards how many seconds it took."""
        self.write(f"· {what}")
        started = self.clock()
        yield
        self.write(f"  done ({self.clock() - started:.0f} s)")

    def note(self, text: str) -> None:
        """Say something that takes no time."""
        self.write(f"· {text}")
