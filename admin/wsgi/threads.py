"""Threads for the application, started when they are needed; waitress starts all at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from admin.wsgi.channel import Channel

_REST = 4  # threads that stay


class OverloadedError(Error):
    """What one request too many gets."""

    code = 503
    reason = "Service Unavailable"


class Threads(ThreadedTaskDispatcher):
    """At most `most` threads; when all are busy a request is refused, never queued.

    Args:
        most: threads at once.
        seconds: how often threads that have nothing to do are ended.
    """

    def __init__(self, most: int, seconds: float) -> None:
        super().__init__()
        self.most = most
        self._seconds = seconds
        self._next = time.time() + seconds
        self._counting = threading.Lock()

    def add_task(self, task: Channel) -> None:
        """Give `task` to a thread that rests or to a new one."""
        with self._counting:
            if self._free > 0 or self._grow():
                super().add_task(task)
                return
        task.requests[0].error = OverloadedError("")
        task.server.trigger.pull_trigger(task.service)  # the caller holds the channel's lock

    def shrink(self, now: float) -> None:
        """End threads that rest, now and then."""
        if now < self._next:
            return
        self._next = now + self._seconds
        with self._counting:
            spare = self._free - _REST
            if spare > 0:
                self.set_thread_count(self._count - spare)

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        """Start a thread, or leave no trace of it."""
        try:
            super().start_new_thread(target, thread_no)
        except RuntimeError:  # the system's own limit
            self.threads.discard(thread_no)
            raise

    def _grow(self) -> bool:
        if self._count >= self.most:
            return False
        try:
            self.set_thread_count(self._count + 1)
        except RuntimeError:
            return False
        return True

    @property
    def _count(self) -> int:
        return len(self.threads) - int(self.stop_count)

    @property
    def _free(self) -> int:
        with self.lock:
            return self._count - int(self.active_count) - len(self.queue)
