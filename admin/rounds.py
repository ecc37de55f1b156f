"""Looks at every project again and again, in a thread of its own. It must not know what for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from iac_wrapper.adapters import state
from iac_wrapper.files.layout import Layout

log = logging.getLogger("iac.admin")


class ProjectRounds:
    """Calls `look` with each project's name: now, and after each pause.

    Args:
        layout: where the projects are.
        name: the thread's.
        look: returns how many seconds later at most it wants to be called again; None: as `pause`.
        pause: seconds to the next round, asked after one.
        failure: what to say, behind the project's name, of a look that raised.
    """

    def __init__(
        self,
        layout: Layout,
        name: str,
        look: Callable[[str], float | None],
        *,
        pause: Callable[[], float],
        failure: str,
    ) -> None:
        self._layout = layout
        self._look = look
        self._pause = pause
        self._failure = failure
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

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
            wanted = [self._seconds(project) for project in state.projects(self._layout)]
            pause = min([self._pause(), *(seconds for seconds in wanted if seconds is not None)])

    def _seconds(self, project: str) -> float | None:
        try:
            return self._look(project)
        except Exception:  # the thread must outlive whatever it meets
            log.exception("project %s: %s", project, self._failure)
            return None
