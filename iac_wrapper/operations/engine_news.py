"""The engine's news of one project: who waits for them wakes up."""

from __future__ import annotations

import threading
import time

from iac_wrapper.adapters import engine_changes
from iac_wrapper.errors import IacError
from iac_wrapper.operations.workspace import Workspace

EVENTS = ("die", "start", "restart", "unpause")
"""What the engine tells that is worth a look."""


class EngineNews:
    """Wakes who waits when the engine tells of a change in one project, or comes back.

    On a thread that ends with the process.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._changed = threading.Event()
        self._left = threading.Event()
        threading.Thread(target=self._listen, name="engine-news", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether there are news; waits for them at most `seconds`."""
        if not self._changed.wait(seconds):
            return False
        # What follows within the moment belongs to it: a pair ends one after the other.
        time.sleep(0.2)
        self._changed.clear()
        return True

    def engine_left(self) -> bool:
        """Whether the engine went away since the last question."""
        left = self._left.is_set()
        self._left.clear()
        return left

    def _listen(self) -> None:
        while True:
            try:
                for _ in engine_changes.news(
                    self._workspace.engine, self._workspace.project, EVENTS
                ):
                    self._changed.set()
            except IacError:
                pass
            self._left.set()
            time.sleep(1.0)
            self._changed.set()
