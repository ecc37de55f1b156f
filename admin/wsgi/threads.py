"""Threads for the application, started when they are needed; waitress starts all at once."""

from __future__ import annotations

import time

from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from admin.wsgi.channel import Channel

_REST = 4  # threads that stay


class Overloaded(Error):
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
        self._most = most
        self._seconds = seconds
        self._next = time.time() + seconds

    def add_task(self, task: Channel) -> None:
        """Give `task` to a thread that rests or to a new one."""
        with self.lock:
            free = self._idle - len(self.queue)
            count = len(self.threads) - self.stop_count
        if free <= 0 and count >= self._most:
            task.requests[0].error = Overloaded("")
            task.server.trigger.pull_trigger(task.service)  # the caller holds the channel's lock
            return
        if free <= 0:
            self.set_thread_count(count + 1)
        super().add_task(task)

    def shrink(self, now: float) -> None:
        """End threads that rest, now and then."""
        if now < self._next:
            return
        self._next = now + self._seconds
        with self.lock:
            spare = self._idle - _REST
            count = len(self.threads) - self.stop_count
        if spare > 0:
            self.set_thread_count(count - spare)

    @property
    def _idle(self) -> int:
        return int(len(self.threads) - self.stop_count - self.active_count)
