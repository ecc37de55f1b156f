"""Renews certificates of services and public hosts, while the server runs. It knows no Flask."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

from admin.rounds import ProjectRounds
from iac_wrapper.errors import BusyError, IacError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller
from iac_wrapper.operations import certs, leaves
from iac_wrapper.operations.public_certificates import renew
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings

INTERVAL = 12 * 3600.0
"""Seconds between two looks; the shortest lives in use, six days, leave two days for renewing."""

_SOON = 300.0
"""Seconds until a look is made up for that failed on a busy project."""

LEAF_LOOKS = 10
"""So many times in the life of a leaf its project is looked at; after half of it it is renewed."""

LONGEST, SHORTEST = timedelta(minutes=10), timedelta(seconds=1)
"""Between two looks at leaves, however long or short these live."""

ENVOYS = 3600.0
"""Seconds until Envoys are asked again whether they refused a pair: it takes a process in each."""

log = logging.getLogger("iac.admin")


class Renewals(ProjectRounds):
    """Renews what is due in every project: now, and after each `interval`."""

    def __init__(self, layout: Layout, settings: Settings, interval: float = INTERVAL) -> None:
        super().__init__(
            layout,
            "renewals",
            self._renew,
            pause=lambda: interval,
            failure="renewing certificates failed",
        )
        self._settings = settings

    def _renew(self, project: str) -> float | None:
        def emit(event: Event) -> None:
            level = logging.WARNING if event.kind == "warning" else logging.INFO
            log.log(level, "project %s: %s", project, event.message)

        try:
            results = renew(
                Workspace(self._layout, self._settings, project, emit, caller=Caller("server"))
            )
        except BusyError:
            return _SOON
        except IacError as error:
            log.warning("project %s: certificates of public hosts: %s", project, error)
            return None
        for each in results:
            if each.error and each.action == "failed":
                log.warning("project %s: certificate of %s: %s", project, each.host, each.error)
        return None


class LeafRenewals(ProjectRounds):
    """Renews the certificates of services that are due in every project: now, and often enough for
    the lifetime that is set. What fails is said once, until something else does."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        pause = min(LONGEST, max(SHORTEST, settings.leaf_lifetime / LEAF_LOOKS))
        super().__init__(
            layout,
            "leaf-renewals",
            self._renew,
            pause=pause.total_seconds,
            failure="renewing certificates of services failed",
        )
        self._settings = settings
        self._asked: dict[str, float] = {}
        self._said: dict[str, str] = {}

    def _renew(self, project: str) -> float | None:
        workspace = Workspace(
            self._layout, self._settings, project, lambda _event: None, caller=Caller("server")
        )
        try:
            if time.monotonic() - self._asked.get(project, -ENVOYS) >= ENVOYS:
                self._asked[project] = time.monotonic()
                done = certs.renew(workspace)
                renewed = [each.name for each in done if not each.error]
                errors = {each.name: each.error for each in done if each.error}
                next_at = None
            else:
                renewal = leaves.renew(workspace)
                renewed = [each.name for each in renewal.renewed]
                errors, next_at = dict(renewal.errors), renewal.next_at
        except IacError as error:
            self._warn(project, str(error))
            return None
        if renewed:
            log.info("project %s: new certificates for %s", project, ", ".join(renewed))
        self._warn(project, "; ".join(f"{name}: {error}" for name, error in errors.items()))
        if next_at is None:
            return None
        left = next_at - datetime.now(UTC)
        return max(SHORTEST, left).total_seconds()

    def _warn(self, project: str, text: str) -> None:
        if text and self._said.get(project) != text:
            log.warning("project %s: certificates of services: %s", project, text)
        self._said[project] = text
