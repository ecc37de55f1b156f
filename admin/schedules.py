"""Has scheduled commands run at their times while the server runs. It must not know Flask."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

from iac_wrapper.adapters import state
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.operations import run_schedule, schedule_watch
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings

log = logging.getLogger("iac.admin")


class Schedules:
    """Looks at the beginning of every minute, in its own thread; a process of its own runs what is
    due in a project."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Look no more; waits up to `timeout` seconds for a look to end. What runs goes on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            for project in state.projects(self._layout):
                try:
                    self._look(project)
                except Exception:  # the thread must outlive whatever it meets
                    log.exception("project %s: cannot look at its schedule", project)
            pause = 60 - time.time() % 60

    def _look(self, project: str) -> None:
        def emit(event: Event) -> None:
            log.info("project %s: %s", project, event.message)

        workspace = Workspace(self._layout, self._settings, project, emit)
        if run_schedule.to_look_at(workspace, datetime.now(UTC)):
            schedule_watch.start(workspace)
