"""Sees that a service fails each request for a cause that stays, so that nobody need wait."""

from __future__ import annotations

import time
from dataclasses import replace

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.crash_patterns import LASTING, find
from iac_wrapper.model.health import Health
from iac_wrapper.operations.workspace import Workspace

FAILING_SECONDS = 5.0
"""How long requests must have failed: a program may answer 500 while it is still starting."""

KILLED = 2
"""Processes of it that were killed for lack of memory; one may have been bad luck."""


class FailingCheck:
    """Adds to answers of one service whether waiting helps.

    A known cause in its log counts only if the newest request has brought it: what was printed at
    the start may be a warning.

    Args:
        container: the name of its app's container.
    """

    def __init__(self, workspace: Workspace, app: ResolvedApp, container: str) -> None:
        self._engine = workspace.engine
        self._app = app
        self._container = container
        self._first: Health | None = None
        self._asked = time.time()

    def __call__(self, health: Health) -> Health:
        """`health`, hopeless if the program has failed at requests for long and will again."""
        before, self._asked = self._asked, time.time()
        if not health.fault:
            self._first = None
            return health
        if self._first is None or self._first.incarnation != health.incarnation:
            self._first = health
        failing = health.seconds - self._first.seconds >= FAILING_SECONDS
        killed = health.oom_kills >= KILLED
        if failing and (killed or self._brings_its_cause(before)):
            return replace(health, hopeless=True)
        return health

    def _brings_its_cause(self, since: float) -> bool:
        lines = self._engine.logs(self._container, 0, since=int(since)).split("\n")
        found = find(lines, self._app)
        return bool(found and found.code in LASTING)
