"""Threads for work that may block for a long time: started when needed, ended when idle.

It knows nothing of HTTP or sockets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOG = logging.getLogger("iac.admin")


class _Worker(Generic[Item]):
    """A thread's letter box."""

    def __init__(self) -> None:
        self.box: SimpleQueue[Item | None] = SimpleQueue()


class Pool(Generic[Item, Result]):
    """Calls `work(item)` in a thread, and `done(item, result)` when that thread is free again.

    There is no queue: an item gets a thread at once or is refused, so nothing waits behind streams
    that may go on for hours. The thread that rested last works next, so the others can time out.
    Threads are daemons: one that is stuck in the application must not hold up the interpreter.

    Args:
        work: does it; an exception ends the item (result None), never the thread.
        done: told afterwards, in that thread.
        most: threads at once.
        least: threads that stay.
        idle_seconds: how long the others wait for work.
    """

    def __init__(  # noqa: PLR0913 - keywords, each a fact of its own
        self,
        work: Callable[[Item], Result],
        done: Callable[[Item, Result | None], None],
        *,
        name: str,
        most: int,
        least: int = 4,
        idle_seconds: float = 30.0,
    ) -> None:
        self._work = work
        self._done = done
        self._name = name
        self._most = most
        self._least = least
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._resting: list[_Worker[Item]] = []
        self._busy: dict[_Worker[Item], Item] = {}
        self._threads = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """How many there are, at work or not."""
        return self._threads

    @property
    def busy(self) -> list[Item]:
        """What is being worked on."""
        with self._changed:
            return list(self._busy.values())

    def submit(self, item: Item) -> bool:
        """Give `item` to a thread; False if none is free and there may be no more."""
        with self._changed:
            if self._closed:
                return False
            if self._resting:
                worker = self._resting.pop()
            elif self._threads < self._most:
                worker = _Worker()
                if not self._start(worker):
                    return False
            else:
                return False
            self._busy[worker] = item
            worker.box.put(item)
            return True

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is being worked on; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def close(self, timeout: float) -> bool:
        """Take nothing more, end the threads that rest; True if all have ended in time."""
        end = time.monotonic() + timeout
        with self._changed:
            self._closed = True
            for worker in self._resting:
                worker.box.put(None)
            self._resting.clear()
            return self._changed.wait_for(
                lambda: self._threads == 0, max(0.0, end - time.monotonic())
            )

    def _start(self, worker: _Worker[Item]) -> bool:
        self._threads += 1
        thread = threading.Thread(
            target=self._run, args=(worker,), name=f"{self._name}-{self._threads}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system's own limit on threads
            self._threads -= 1
            _LOG.warning("no thread beyond %d can be started", self._threads)
            return False
        return True

    def _run(self, worker: _Worker[Item]) -> None:
        while (item := self._next(worker)) is not None:
            result = None
            try:
                result = self._work(item)
            except BaseException as error:
                _LOG.error("a request ended with %s", type(error).__name__)
            self._rest(worker)
            self._done(item, result)
            del item, result  # a resting thread must not keep a connection's buffers alive

    def _next(self, worker: _Worker[Item]) -> Item | None:
        while True:
            try:
                item = worker.box.get(timeout=self._idle_seconds)
            except Empty:
                with self._changed:
                    if worker not in self._resting or self._threads <= self._least:
                        continue
                    self._resting.remove(worker)
                    self._gone()
                return None
            if item is None:
                with self._changed:
                    self._gone()
            return item

    def _rest(self, worker: _Worker[Item]) -> None:
        with self._changed:
            del self._busy[worker]
            if self._closed:
                worker.box.put(None)
            else:
                self._resting.append(worker)
            self._changed.notify_all()

    def _gone(self) -> None:
        self._threads -= 1
        self._changed.notify_all()
