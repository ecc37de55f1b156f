"""Has scheduled commands run at their times while the server runs. It must not know Flask."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from admin.rounds import ProjectRounds
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.operations import run_schedule, schedule_watch
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings

log = logging.getLogger("iac.admin")


class Schedules(ProjectRounds):
    """Looks at the beginning of every minute; a process of its own runs what is due in a project,
    and goes on when this stops."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        super().__init__(
            layout,
            "schedules",
            self._run_due,
            pause=lambda: 60 - time.time() % 60,
            failure="cannot look at its schedule",
        )
        self._settings = settings

    def _run_due(self, project: str) -> None:
        def emit(event: Event) -> None:
            log.info("project %s: %s", project, event.message)

        workspace = Workspace(self._layout, self._settings, project, emit)
        if run_schedule.to_look_at(workspace, datetime.now(UTC)):
            schedule_watch.start(workspace)
