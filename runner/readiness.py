"""Is the user's program ready? Asked from beside it: where does it listen, what does it say itself.

One `ReadinessVerdict` belongs to one start of the program. It must not know phases or restarts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Protocol

from runner import listeners, processes
from runner.listeners import MESH_PORTS, Listener
from runner.readiness_verdict import ReadinessVerdict
from runner.settings import RunnerSettings

FIRM_SECONDS = 1.0
"""How long a port must have been the only one: what opens after that (metrics, say) is extra."""


@dataclass
class Choice:
    """Which port is the program's, remembered over its starts.

    `firm`: it has been the only one; `served`: the program has listened there.
    """

    port: int
    firm: bool = False
    served: bool = False


class OwnListeners:
    """The listeners of the program: its uid's, but for those of processes it did not start."""

    def __init__(
        self,
        settings: RunnerSettings,
        held_below: Callable[[int, Set[int]], set[int]] | None = None,
    ) -> None:
        self._uid, self._held_below = settings.program_uid, held_below or processes.held_below
        tcp = {*settings.tcp} - {settings.port}
        self._hidden = (*MESH_PORTS.values(), settings.own_port, *tcp)
        self._seen: set[int] = set()
        self._own: set[int] = set()

    def __call__(self) -> list[Listener]:
        """Those there are now, sorted by port."""
        uid = os.getuid() if self._uid is None else self._uid
        found = listeners.of_program(uid, without=self._hidden)
        sockets = {each.inode for each in found}
        if sockets != self._seen:  # who holds them takes a walk through /proc
            self._seen, self._own = sockets, self._held_below(os.getpid(), sockets)
        return [each for each in found if each.inode in self._own]


class AnyOpinion(Protocol):
    """What asks the program itself, once it listens."""

    def on(self, host: str, port: int) -> ReadinessVerdict:
        """The verdict on a program that listens there."""


class Readiness:
    """Judges one start of the program.

    Args:
        opinion: makes what asks the program itself.
        choice: its port as far as known; kept up to date here.
        find: returns the listeners of the program.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        settings: RunnerSettings,
        opinion: Callable[[], AnyOpinion],
        choice: Choice | None = None,
        find: Callable[[], list[Listener]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._choice = choice or Choice(settings.port)
        self._find = find or OwnListeners(settings)
        self._clock = clock
        self._since: dict[int, float] = {}  # when each port that listens was seen first
        self._listened = self._only_helpers = False
        self._address: tuple[list[Listener], str] = [], ""
        self._new_opinion = opinion
        self._opinion = self._new_opinion()

    def verdict(self, age: float) -> ReadinessVerdict:
        """Look now.

        Args:
            age: seconds the program has been alive.
        """
        settings = self._settings
        if not settings.may_serve:
            return self._alive(age)
        every = self._find()
        found = listeners.foremost(every, settings.port)
        self._since = {each.port: self._since.get(each.port, self._clock()) for each in found}
        port = listeners.choose(
            every, settings.port, declared=settings.port_declared, previous=self._choice.port
        )
        self._only_helpers = listeners.has_only_helpers(every, settings.port)
        guessed = port in self._since and self._is_guess(port)
        if port not in self._since:
            self._opinion = self._new_opinion()
        if self._only_helpers and not settings.port_declared:
            return self._at_helpers(found, None if guessed else port, age)
        if port in self._since:
            return self._several(found) if guessed else self._at(found, port)
        if not found:
            return self._nowhere(age)
        return self._wrong_port(found) if settings.port_declared else self._several(found)

    def _is_guess(self, port: int) -> bool:
        """Whether it is one of several, and not known from when it was the only one."""
        if self._settings.port_declared or port == self._settings.port:
            return False
        if port != self._choice.port:
            self._choice.port, self._choice.firm = port, False
        self._choice.firm |= len(self._since) == 1 and self._listens_for([port]) >= FIRM_SECONDS
        return len(self._since) > 1 and not self._choice.firm

    def _at(self, found: list[Listener], port: int) -> ReadinessVerdict:
        self._listened = self._choice.served = True
        others = () if self._settings.port_declared else tuple(sorted(self._since.keys() - {port}))
        return replace(self._opinion_on(found, port), others=others)

    def _opinion_on(self, found: list[Listener], port: int) -> ReadinessVerdict:
        here = [each for each in found if each.port == port]
        if here != self._address[0]:  # to tell the address may take a connection
            if {each.port for each in self._address[0]} - {port}:
                self._opinion = self._new_opinion()
            self._address = here, listeners.address(here, port) or "127.0.0.1"
        if port in self._settings.tcp:
            at = str(Listener(port, self._address[1]))
            return ReadinessVerdict(True, f"listens on {at}", at, "TCP")
        return self._opinion.on(self._address[1], port)

    def _at_helpers(self, found: list[Listener], port: int | None, age: float) -> ReadinessVerdict:
        """Nothing listens but as helpers do: time tells whether `port` is one.

        What speaks neither HTTP nor gRPC is one, then.
        """
        if self._choice.served and port not in self._since:
            return self._nowhere(age)
        listens = f", listens on {_shown(found)} only"
        if age < self._settings.probation:
            return self._alive(age, listens)
        if port in self._since:
            verdict = self._opinion_on(found, port)
            if verdict.protocol != "TCP":
                self._listened = self._choice.served = True
                return verdict
        if self._settings.must_serve:
            return self._several(found)
        return self._alive(age, listens)

    def _wrong_port(self, found: list[Listener]) -> ReadinessVerdict:
        port = self._settings.port
        text = f"listens on {_shown(found)}, requests go to {port}"
        return self._unroutable(text, "wrong-port", f", or delete `port: {port}`")

    def _several(self, found: list[Listener]) -> ReadinessVerdict:
        which = "which of them" if len(self._since) > 1 else "that it"
        text = f"listens on {_shown(found)}, and nothing says {which} is for requests"
        return self._unroutable(text, "several-ports")

    def _unroutable(self, text: str, cause: str, more: str = "") -> ReadinessVerdict:
        ports = sorted(self._since)
        lines = " or ".join(f"`port: {port}`" for port in ports)
        return ReadinessVerdict(
            False,
            text,
            cause=cause,
            next_step=f"write {lines} in its entry of repos.yaml{more}",
            final=not self._only_helpers and self._listens_for(ports) >= self._settings.settle,
        )

    def _nowhere(self, age: float) -> ReadinessVerdict:
        settings, choice = self._settings, self._choice
        if self._listened:
            return ReadinessVerdict(
                False, f"no longer listens on port {choice.port}", cause="no-listener"
            )
        if not settings.must_serve and not choice.served:
            return self._alive(age, ", listens nowhere")
        where = f"on port {settings.port}" if settings.port_declared else "anywhere"
        listens = f" and not listening {where}"
        if age < settings.settle:  # too early to be a reason
            return ReadinessVerdict(False, f"alive for less than {settings.settle:g} s{listens}")
        text = f"alive for more than {settings.settle:g} s{listens}"
        return ReadinessVerdict(False, text, cause="no-listener")

    def _alive(self, age: float, listens: str = "") -> ReadinessVerdict:
        """The verdict on what nothing speaks for but that it lives."""
        seconds = self._settings.probation
        if age < seconds:
            return ReadinessVerdict(False, f"alive for less than {seconds:g} s{listens}")
        return ReadinessVerdict(True, f"alive for more than {seconds:g} s{listens}")

    def _listens_for(self, ports: list[int]) -> float:
        """Seconds since the newest of these ports was opened."""
        return self._clock() - max(self._since[port] for port in ports)


def _shown(found: list[Listener]) -> str:
    return " and ".join(dict.fromkeys(str(each) for each in found))
