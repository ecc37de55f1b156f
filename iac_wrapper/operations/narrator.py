"""What a deploy says of a service while it waits for it: changes that mean something.

It must not know how a service is asked.
"""

from __future__ import annotations

from iac_wrapper.model.event import Emit, Event, Stage
from iac_wrapper.model.health import Health


class Narrator:
    """Says each change of one service; what every start looks like is one line.

    Args:
        name: the service.
        emit: gets an event for each.
        limit: how many seconds it may take; 0: nobody waits.
    """

    def __init__(self, name: str, emit: Emit, limit: float = 0.0) -> None:
        self._name = name
        self._emit = emit
        self._waiting = f"; waiting up to {limit:g} s" if limit else ""
        self._answered = False
        self._said: object = None

    def changed(self, health: Health) -> None:
        """An answer, or none, while there is still time."""
        self._answered |= health.phase != "UNKNOWN"
        if health.final or not self._is_starting(health):
            self._tell(health, "prove", "" if health.final else self._waiting)
        elif self._said != "starting":
            self._said = "starting"
            self._say("starting", "start")

    def result(self, health: Health) -> None:
        """What it came to; said once, if `changed` has heard of it already."""
        stage: Stage = "done" if health.serving else "failed"
        self._tell(health, stage)
        self._emit(Event("stage", self._words(health), self._name, stage))

    def _tell(self, health: Health, stage: Stage, more: str = "") -> None:
        why = health.evidence if health.serving else health.message
        if self._said != (health.way, why):
            self._said = health.way, why
            self._say(f"{self._words(health)}{more}", stage)

    def _words(self, health: Health) -> str:
        why = health.evidence if health.serving else health.message
        return f"{health.way} after {health.seconds:.1f} s{why and f': {why}'}"

    def _say(self, words: str, stage: Stage) -> None:
        self._emit(Event("progress", f"{self._name}: {words}", self._name, stage))

    def _is_starting(self, health: Health) -> bool:
        if health.cause in ("unreachable", "no-runner"):
            return not self._answered
        return health.phase == "STARTING" and not (health.cause or health.failures)
