"""Asks every part of a project whether it does anything: who does not answer, and how.

It must not know what is done about that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, NamedTuple

from iac_wrapper.files.layout import ingress_name
from iac_wrapper.identity import liveness
from iac_wrapper.identity.liveness import Unanswered
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import releases
from iac_wrapper.operations.workspace import Workspace

ANSWER_SECONDS = 1.5
"""How long a part may take to say anything: measured 2 to 20 ms, and below 1 s at a load of 50."""

GATEWAY_SECONDS = 30.0
"""After a restart of the gateway, silence is a sidecar's."""


class Part(NamedTuple):
    """One container of a service by its role; gateway and ingress have no service."""

    service: str
    role: Literal["envoy", "app", "gateway", "ingress"]


GATEWAY_PART, INGRESS_PART = Part("", "gateway"), Part("", "ingress")


class RollCall:
    """Asks, and remembers who has ever answered.

    Args:
        workspace: of the project.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._gateway_until = 0.0
        self._heard: set[Part] = set()

    def note_gateway_restart(self) -> None:
        """It is not to blame for what is silent now."""
        self._gateway_until = time.monotonic() + GATEWAY_SECONDS

    def unanswered(self, lock: LockFile) -> dict[Part, Unanswered]:
        """The parts that do not answer. Where no service has a handshake, it is the gateway.

        A handshake that is cut short is nobody's fault here: that is how an Envoy with too many
        connections refuses one, and its own PID 1 asks it where no limit is.
        """
        asked = self._questions(lock)
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = dict(zip(asked, pool.map(lambda ask: ask(), asked.values()), strict=True))
        self._heard |= {part for part, missed in answers.items() if not missed}
        found = {part: missed for part, missed in answers.items() if missed}
        services = [missed for part, missed in answers.items() if part.service]
        nobody = {*services} == {Unanswered("handshake")}
        if nobody and GATEWAY_PART in found and time.monotonic() > self._gateway_until:
            return {GATEWAY_PART: Unanswered("handshake")}
        # One of an earlier version has no such page: it gets it with the next deploy.
        for part in (GATEWAY_PART, INGRESS_PART):
            if part not in self._heard:
                found.pop(part, None)
        blind = GATEWAY_PART in found
        return {
            Part(part.service, missed.part if missed.part == "app" else part.role): missed
            for part, missed in found.items()
            if missed.part != "handshake" or not (missed.closed or blind)
        }

    def _questions(self, lock: LockFile) -> dict[Part, Callable[[], Unanswered | None]]:
        """What to ask each pair, by its Envoy, the gateway and the ingress."""
        stopped = releases.load_releases(self._workspace).stopped
        ask = partial(
            liveness.unanswered,
            lock.gateway_port,
            tls_dir=self._workspace.layout.certificates(lock.project) / CONTROL_PLANE,
            timeout=ANSWER_SECONDS,
        )
        found: dict[Part, Callable[[], Unanswered | None]] = {
            Part(app.name, "envoy"): partial(ask, app.name, has_runner=app.has_runner)
            for app in lock.apps
            if app.name not in stopped
        }
        found[GATEWAY_PART] = partial(
            liveness.gateway_unanswered, lock.gateway_port, timeout=ANSWER_SECONDS
        )
        if lock.routes:
            sni = ingress_name(lock.project)
            found[INGRESS_PART] = partial(ask, INGRESS, has_runner=False, sni=sni)
        return found
