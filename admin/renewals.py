"""Renews certificates of public hosts while the server runs. It must not know Flask."""

from __future__ import annotations

import logging

from admin.rounds import ProjectRounds
from iac_wrapper.errors import BusyError, IacError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.operations.public_certificates import renew
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings

INTERVAL = 12 * 3600.0
"""Seconds between two looks; the shortest lives in use, six days, leave two days for renewing."""

_SOON = 300.0
"""Seconds until a look is made up for that failed on a busy project."""

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
            results = renew(Workspace(self._layout, self._settings, project, emit))
        except BusyError:
            return _SOON
        except IacError as error:
            log.warning("project %s: certificates of public hosts: %s", project, error)
            return None
        for each in results:
            if each.error and each.action == "failed":
                log.warning("project %s: certificate of %s: %s", project, each.host, each.error)
        return None
