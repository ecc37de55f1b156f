"""The state of the user's program over its starts: pure bookkeeping, safe to use from threads.

A failed program is started again by the runner itself, not by Docker restarting the container:
the second try comes at once (calls in flight survive on Envoy's retries), the captured output of
the crash stays readable, and "failed three times in a row" is known within seconds instead of
after three container restarts. So that a crash cannot slip by between two health checks, the
status stays NOT_SERVING for a probation time after it, though traffic is let through.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from runner.child import Exit
from runner.readiness import Verdict


class Phase(Enum):
    """Phases of the protocol, under its names."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Report:
    """One state. `since` is Unix time; `exit` how the program ended last, until it recovered."""

    phase: Phase
    serving: bool
    message: str
    since: float
    exit: Exit | None = None
    failures: int = 0
    restarts: int = 0


class Lifecycle:
    """Holds the current `Report`.

    Args:
        probation: seconds without failure after which a failure is forgotten.
    """

    def __init__(self, probation: float) -> None:
        self._probation = probation
        self._on_change: Callable[[Report], None] = lambda _: None
        self._lock = threading.RLock()
        self._start = 0
        self._stopping = False
        self._report = Report(Phase.STARTING, False, "not started yet", time.time())

    @property
    def report(self) -> Report:
        """The state now."""
        with self._lock:
            return self._report

    def subscribe(self, on_change: Callable[[Report], None]) -> None:
        """From now on call `on_change` with each new report, in the thread that caused it."""
        with self._lock:
            self._on_change = on_change

    def started(self) -> int:
        """The program was started; returns the number of this start, for `judged`."""
        with self._lock:
            self._start += 1
            before = self._report.exit
            self._move(
                replace(
                    self._report,
                    phase=Phase.STARTING,
                    serving=False,
                    message=f"{before}; started again" if before else "started",
                    restarts=self._start - 1,
                )
            )
            return self._start

    def judged(self, start: int, verdict: Verdict, age: float) -> None:
        """Readiness of that start, `age` seconds old; ignored once another start is current."""
        with self._lock:
            report = self._report
            if start != self._start or report.phase not in (Phase.STARTING, Phase.RUNNING):
                return
            if report.exit and age >= self._probation:
                report = replace(report, exit=None, failures=0)
            serving, message = verdict.ready, verdict.message
            if self._stopping:
                serving, message = False, "stopping"
            elif report.exit and verdict.ready:
                serving = False
                message = f"{report.exit}; started again, on probation for {self._probation:g} s"
            elif report.exit:
                message = f"{report.exit}; started again: {message}"
            phase = Phase.RUNNING if verdict.ready else report.phase
            self._move(replace(report, phase=phase, serving=serving, message=message))

    def ended(self, how: Exit, age: float) -> int:
        """The program ended after `age` seconds; returns the failures in a row, 0 if it is done."""
        with self._lock:
            report = replace(self._report, exit=how, message=str(how))
            if how.code == 0:
                self._move(replace(report, phase=Phase.COMPLETED, serving=True, failures=0))
            else:
                before = 0 if age >= self._probation else report.failures
                self._move(replace(report, phase=Phase.FAILED, serving=False, failures=before + 1))
            return self._report.failures

    def stopping(self) -> None:
        """The container was asked to stop: no longer SERVING, whatever else happens."""
        with self._lock:
            self._stopping = True
            self._move(replace(self._report, serving=False, message="stopping"))

    def _move(self, new: Report) -> None:
        old = self._report
        if (new.phase, new.serving, new.restarts) != (old.phase, old.serving, old.restarts):
            new = replace(new, since=time.time())
        self._report = new
        if new != old:
            self._on_change(new)
