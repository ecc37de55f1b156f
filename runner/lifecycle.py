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
from runner.readiness_verdict import Protocol, ReadinessVerdict


class Phase(Enum):
    """Phases of the protocol, under its names."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class LifecycleState:
    """One state. `since` is Unix time; `exit` how the program ended last, until it recovered.

    `incarnation` is the Unix time of the current start in nanoseconds, 0 before the first one; the
    rest is as in `ReadinessVerdict`. `oom_kills` counts processes of this start that the kernel
    killed for lack of memory.
    """

    phase: Phase
    serving: bool
    message: str
    since: float
    exit: Exit | None = None
    failures: int = 0
    restarts: int = 0
    incarnation: int = 0
    listening: str = ""
    protocol: Protocol = "NONE"
    others: tuple[int, ...] = ()
    cause: str = ""
    next_step: str = ""
    final: bool = False
    oom_kills: int = 0


FINAL_FAILURES = 3
"""Failures in a row after which waiting is given up. A failed program is started again at once,
then after 1 s: one or two failures may be a peer that was not up yet, three are a verdict."""

_NOTHING = ReadinessVerdict(False, "")


class Lifecycle:
    """Holds the current `LifecycleState`.

    Args:
        probation: seconds without failure after which a failure is forgotten.
    """

    def __init__(self, probation: float) -> None:
        self._probation = probation
        self._on_change: Callable[[LifecycleState], None] = lambda _: None
        self._lock = threading.RLock()
        self._start = 0
        self._stopping = False
        self._background = ""
        self._report = LifecycleState(Phase.STARTING, False, "not started yet", time.time())

    @property
    def report(self) -> LifecycleState:
        """The state now."""
        with self._lock:
            return self._report

    def subscribe(self, on_change: Callable[[LifecycleState], None]) -> None:
        """From now on call `on_change` with each new report, in the thread that caused it."""
        with self._lock:
            self._on_change = on_change

    @property
    def start(self) -> int:
        """The number of the current start."""
        return self._start

    def started(self) -> int:
        """The program was started; returns the number of this start, for `judged`."""
        with self._lock:
            self._start += 1
            self._background = ""
            before = self._report.exit
            report = replace(
                self._report,
                phase=Phase.STARTING,
                serving=False,
                restarts=self._start - 1,
                incarnation=time.time_ns(),
                oom_kills=0,
            )
            message = f"{before}; started again" if before else "started"
            self._move(_with(report, replace(_NOTHING, message=message)))
            return self._start

    def judged(self, start: int, verdict: ReadinessVerdict, age: float) -> None:
        """What was seen of that start, `age` seconds old; ignored once another start is current."""
        with self._lock:
            report = self._report
            if start != self._start or report.phase not in (Phase.STARTING, Phase.RUNNING):
                return
            if report.exit and age >= self._probation:
                report = replace(report, exit=None, failures=0)
            serving, message = verdict.ready, self._background + verdict.message
            if self._stopping:
                serving, message = False, "stopping"
            elif report.exit and verdict.ready:
                serving = False
                message = f"{report.exit}; started again, on probation for {self._probation:g} s"
            elif report.exit:
                message = f"{report.exit}; started again: {message}"
            phase = Phase.RUNNING if verdict.ready else report.phase
            report = replace(report, phase=phase, serving=serving)
            self._move(_with(report, replace(verdict, message=message)))

    def ended(self, how: Exit, age: float, *, done: bool) -> int:
        """The program ended after `age` seconds; returns the failures in a row, 0 if it is `done`.

        Args:
            done: it was to end like this; else it failed, whatever its exit code.
        """
        with self._lock:
            failures = 0 if done else 1 + (0 if age >= self._probation else self._report.failures)
            phase = Phase.COMPLETED if done else Phase.FAILED
            report = replace(self._report, exit=how, phase=phase, serving=done, failures=failures)
            final = failures >= FINAL_FAILURES
            self._move(
                _with(report, ReadinessVerdict(done, str(how), cause=how.cause, final=final))
            )
            return failures

    def goes_on(self, text: str) -> None:
        """The program lives on in processes that it left behind; `text` names them."""
        with self._lock:
            self._background = text

    def killed(self, processes: int) -> None:
        """The kernel has killed so many processes of this start for lack of memory."""
        with self._lock:
            self._move(replace(self._report, oom_kills=processes))

    def stopping(self) -> None:
        """The container was asked to stop: no longer SERVING, whatever else happens."""
        with self._lock:
            self._stopping = True
            self._move(replace(self._report, serving=False, message="stopping"))

    def _move(self, new: LifecycleState) -> None:
        old = self._report
        if (new.phase, new.serving, new.restarts) != (old.phase, old.serving, old.restarts):
            new = replace(new, since=time.time())
        self._report = new
        if new != old:
            self._on_change(new)


def _with(report: LifecycleState, verdict: ReadinessVerdict) -> LifecycleState:
    """The report with everything that a verdict says beyond being ready."""
    return replace(
        report,
        message=verdict.message,
        listening=verdict.listening,
        protocol=verdict.protocol,
        others=verdict.others,
        cause=verdict.cause,
        next_step=verdict.next_step,
        final=verdict.final,
    )
