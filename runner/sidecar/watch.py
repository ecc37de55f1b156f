"""How a program without a runner is, as far as its network namespace shows: asked over mTLS.

Envoy passes such questions on for the control plane only. Who asks knows the container, and says
which start of the program it means and how old that is; the answer is that of the runner's own
judgement, so both kinds of program are held to the same rules.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from runner import http2
from runner.listeners import Listener
from runner.readiness import Choice, Readiness
from runner.readiness_verdict import Protocol, ReadinessVerdict
from runner.settings import RunnerSettings
from runner.sidecar.environment import SidecarEnvironment


class PlainOpinion:
    """What a port speaks, told by its bytes alone: the process behind it cannot be seen here."""

    def __init__(self) -> None:
        self._protocol: Protocol = "NONE"

    def on(self, host: str, port: int) -> ReadinessVerdict:
        """The verdict on a program that listens there; it is asked once."""
        at = str(Listener(port, host))
        if self._protocol == "NONE":
            self._protocol = http2.told_by_bytes(host, port)
        return ReadinessVerdict(True, f"listens on {at}", at, self._protocol)


class Watch:
    """Judges starts of one program.

    Args:
        settings: what a runner would be told.
        find: the program's listeners now.
    """

    def __init__(self, settings: RunnerSettings, find: Callable[[], list[Listener]]) -> None:
        self._settings = settings
        self._find = find
        self._choice = Choice(settings.port)
        self._start: int | None = None
        self._readiness = self._new()
        self._lock = threading.Lock()

    def verdict(self, start: int, age: float) -> ReadinessVerdict:
        """On the start number `start`, which is `age` seconds old."""
        with self._lock:
            if start != self._start:
                self._start, self._readiness = start, self._new()
            return self._readiness.verdict(age)

    def _new(self) -> Readiness:
        return Readiness(self._settings, PlainOpinion, self._choice, self._find)


def settings(wanted: SidecarEnvironment) -> RunnerSettings:
    """What a runner of this program would be told."""
    return RunnerSettings(
        service=wanted.service,
        port=wanted.port,
        port_declared=wanted.port_declared,
        run=wanted.run,
        probation=wanted.probation,
        tcp=wanted.offer.ports,
    )
