"""Sees that a service cannot come up, because one of its containers does not: nobody need wait.

What the sidecar says on the way down is turned into one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from iac_wrapper.adapters.engine import Container
from iac_wrapper.model.health import Health
from iac_wrapper.operations.workspace import Workspace

PATIENCE = {"unreachable": 2.0, "no-runner": 5.0}
"""Seconds of these causes after which the containers are looked at. An app's container restarts by
itself, within a second or two, when its sidecar's did."""

LOOK_SECONDS = 1.0
"""Between two looks at the containers."""

YOUNG = timedelta(seconds=15)
"""A container that was restarted is taken as failing again as long as it is younger."""

_NO_REASONS = ("envoy ended", "envoy failed", "requests go to")
"""How the sidecar's lines begin that do not say why it cannot start."""

_CRITICAL = re.compile(r"\[critical\]\[(?!backtrace)\w+\] (?:\[[^\]]*\] )?(.+)")


class StuckCheck:
    """Adds to answers of one service what its containers tell.

    Args:
        names: of its containers, by role: ``envoy``, ``app``.
    """

    def __init__(self, workspace: Workspace, names: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._names = names
        self._next = 0.0

    def __call__(self, health: Health) -> Health:
        """`health`, hopeless and with the cause if a container cannot stay up."""
        patience = PATIENCE.get(health.cause)
        if patience is None or health.seconds < max(patience, self._next):
            return health
        self._next = health.seconds + LOOK_SECONDS
        role = "envoy" if health.cause == "unreachable" else "app"
        container = self._workspace.engine.container(self._names[role])
        if container is None or not _fails(container):
            return health
        lines = self._workspace.engine.logs(container.id, 200).splitlines()
        if role == "envoy":
            return self._stuck(health, "envoy", *envoys_reason(lines))
        last = next((line for line in reversed(lines) if line.strip()), "")
        text = f"its app container does not stay up ({container.state})"
        return self._stuck(health, "no-runner", text, last, "")

    def _stuck(self, health: Health, cause: str, text: str, line: str, step: str) -> Health:
        clean = self._workspace.redactor().lines()
        return replace(
            health,
            message=clean(text),
            evidence=clean(line),
            cause=cause,
            next_step=step,
            hopeless=True,
        )


def _fails(container: Container) -> bool:
    if container.state in ("exited", "dead", "restarting"):
        return True
    age = datetime.now(UTC) - container.started_at
    return container.running and container.restarts > 0 and age < YOUNG


def envoys_reason(lines: list[str]) -> tuple[str, str, str]:
    """Why Envoy does not start, from its container's log: a sentence, the line, what to do."""
    newest = lines[::-1]
    for line in newest:
        if "inotify" in line:
            text = "its Envoy cannot start: the kernel's limit of inotify instances is used up"
            return text, line.strip(), "sysctl fs.inotify.max_user_instances=1024"
    for line in newest:
        words = line.removeprefix("sidecar: ")
        if words != line and not words.startswith(_NO_REASONS):
            return f"its Envoy cannot start: {words}", line.strip(), ""
    for line in newest:
        if match := _CRITICAL.search(line):
            reason = match[1].partition("\n")[0][:300]
            return f"its Envoy cannot start: {reason}", line.strip()[:300], ""
    return "its Envoy does not stay up", "", ""
