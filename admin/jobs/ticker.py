"""A thread that looks again and again while there is something to see, and sleeps otherwise."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

INTERVAL = 0.1
"""Seconds between two looks: how late an event or an end may be seen."""

RETRY = 2.0
"""Seconds after a look that failed: the log must not fill while, say, the disk is full."""

_log = logging.getLogger("iac.admin.jobs")


class Ticker:
    """Calls `tick` every `INTERVAL` seconds while it returns True, and whenever it is woken."""

    def __init__(self, tick: Callable[[], bool]) -> None:
        self._tick = tick
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def stop(self) -> None:
        """End, after the look that is under way."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause: float | None = INTERVAL
        while not self._stopping:
            self._woken.wait(pause)
            self._woken.clear()
            try:
                pause = INTERVAL if self._tick() else None
            except Exception:
                _log.exception("watching jobs failed; trying again")
                pause = RETRY
