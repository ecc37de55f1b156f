"""How a program is that has no runner: its container and its sidecar say it.

The engine knows starts and ends, the sidecar what listens; the proof is a request as for any other.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import UTC, datetime

from iac_wrapper.adapters.engine import Container
from iac_wrapper.identity import service_call, sidecar_call
from iac_wrapper.identity.control_plane import Ask
from iac_wrapper.identity.http2_client import Http2Client
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health
from iac_wrapper.operations.workspace import Workspace

FINAL_FAILURES = 3
"""Ends in a row after which waiting is given up, as the runner does."""


def ask_of(workspace: Workspace, app: ResolvedApp, container: str) -> Ask:
    """How to ask for the program of `app`; `container` is the name of its app container."""
    return service_call.ask if app.has_runner else _ForeignProgram(workspace, container)


class _ForeignProgram:
    """Asks engine and sidecar; remembers how the program ended last, which the engine does not."""

    def __init__(self, workspace: Workspace, container: str) -> None:
        self._workspace = workspace
        self._container = container
        self._ended: Health | None = None

    def __call__(self, client: Http2Client, service: str, timeout: float) -> Health:
        """One look."""
        found = self._workspace.engine.container(self._container)
        if found is None or found.state == "created":
            text = f"its app container {'is gone' if found is None else 'was not started'}"
            return Health(service, "NOT_SERVING", message=text, cause="no-container")
        if not found.running:
            self._ended = _ended(service, found)
            return self._ended
        age = (datetime.now(UTC) - found.started_at).total_seconds()
        health = sidecar_call.ask(client, service, timeout, start=_start(found), age=age)
        if found.restarts and age < self._workspace.settings.probation:
            return self._on_probation(health, found)
        return health

    def _on_probation(self, health: Health, container: Container) -> Health:
        last = self._ended
        how = last.message if last else "ended"
        seconds = self._workspace.settings.probation
        then = f"on probation for {seconds:g} s" if health.serving else health.message
        return replace(
            health,
            status="NOT_SERVING",
            message=f"{how}; started again, {then}",
            failures=container.restarts,
            exit_code=last.exit_code if last else None,
            signal=last.signal if last else 0,
            oom=bool(last and last.oom),
            hopeless=False,
        )


def _start(container: Container) -> int:
    """A number for the start of a program: when it was, in nanoseconds since 1970."""
    return int(container.started_at.timestamp() * 1_000_000) * 1000


def _ended(service: str, container: Container) -> Health:
    """That of a container whose program has ended; the engine may be about to start it again."""
    code, oom = container.exit_code, container.oom_killed
    number = code - 128 if 128 < code < 128 + signal.NSIG else 0
    words = f"exited with code {code}"
    if number:
        words = f"killed by signal {number} ({signal.strsignal(number)})"
    if oom:
        words = "killed by the kernel: out of memory"
    if container.done:
        return Health(
            service,
            "SERVING",
            "COMPLETED",
            exit_code=0,
            message=words,
            incarnation=_start(container),
        )
    failures = container.restarts + 1
    stays = container.state in ("exited", "dead")
    return Health(
        service,
        "NOT_SERVING",
        "FAILED",
        exit_code=code,
        signal=number,
        oom=oom,
        message=words,
        failures=failures,
        incarnation=_start(container),
        cause="ended" if code == 0 and not oom else "",
        hopeless=stays or failures >= FINAL_FAILURES,
    )
