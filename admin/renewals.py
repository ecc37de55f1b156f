"""Renews certificates of public hosts while the server runs. It must not know Flask."""

from __future__ import annotations

import logging
import threading

from iac_wrapper.adapters import state
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


class Renewals:
    """Renews what is due in every project: now, and after each `interval`, in its own thread."""

    def __init__(self, layout: Layout, settings: Settings, interval: float = INTERVAL) -> None:
        self._layout = layout
        self._settings = settings
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewals", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Look no more; waits up to `timeout` seconds for a look to end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._interval
            for project in state.projects(self._layout):
                try:
                    self._renew(project)
                except BusyError:
                    pause = min(pause, _SOON)
                except Exception:  # the thread must outlive whatever it meets
                    log.exception("project %s: renewing certificates failed", project)

    def _renew(self, project: str) -> None:
        def emit(event: Event) -> None:
            level = logging.WARNING if event.kind == "warning" else logging.INFO
            log.log(level, "project %s: %s", project, event.message)

        try:
            results = renew(Workspace(self._layout, self._settings, project, emit))
        except BusyError:
            raise
        except IacError as error:
            log.warning("project %s: certificates of public hosts: %s", project, error)
            return
        for each in results:
            if each.error and each.action == "failed":
                log.warning("project %s: certificate of %s: %s", project, each.host, each.error)
