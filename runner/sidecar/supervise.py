"""Runs one program for ever. It must not know what the program is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from runner.sidecar.log import say

KILL_SECONDS = 2.0
FAST_SECONDS = 10.0  # an Envoy that lived shorter counts as a fast failure
FAST_FAILURES = 8  # about 7 s of back-off in a row, then Docker's restart policy takes over


class EnvoySupervisor:
    """Runs one program for ever: restarts it when it dies, stops it in order when asked.

    Args:
        argv: the program.
        fast_failures: short lives in a row after which to give up.
        kill_after: seconds from SIGTERM to SIGKILL.

    Attributes:
        pid: of the program; None while there is none, and once it is being stopped.
    """

    SIGNALS = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})

    def __init__(
        self,
        argv: list[str],
        fast_failures: int = FAST_FAILURES,
        kill_after: float = KILL_SECONDS,
    ) -> None:
        self._argv = argv
        self._fast_failures = fast_failures
        self._kill_after = kill_after
        self.pid: int | None = None
        # Blocked and fetched one by one: no handler, hence no race with waitpid.
        signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)

    def run(self, drain: Callable[[], None]) -> int:
        """Supervise until told to stop; the exit status for the container.

        Args:
            drain: called once before the program is stopped; returns when calls have ended.
        """
        failures = 0
        while True:
            born = time.monotonic()
            pid = os.posix_spawn(self._argv[0], self._argv, os.environ, setsigmask=[])
            self.pid = pid
            status = self._wait(pid)
            self.pid = None
            if status is None:
                drain()
                return self._stop(pid)
            lived = time.monotonic() - born
            failures = failures + 1 if lived < FAST_SECONDS else 1
            say(f"envoy ended ({_explain(status)}) after {lived:.1f} s; its reason is above")
            if failures >= self._fast_failures:
                say(f"envoy failed {failures} times in a row, giving up")
                return 1
            if self._told_to_stop_within(0.1 * 2 ** (failures - 2) if failures > 1 else 0):
                return 0

    def _wait(self, pid: int, until: float | None = None) -> int | None:
        """Reap until `pid` has ended (its status) or we are told to stop or `until` (None)."""
        while True:
            for ended, status in _reap():
                if ended == pid:
                    return status
            if until is None:
                if signal.sigwaitinfo(self.SIGNALS).si_signo != signal.SIGCHLD:
                    return None
            elif (left := until - time.monotonic()) > 0:
                signal.sigtimedwait({signal.SIGCHLD}, left)
            else:
                return None

    def _told_to_stop_within(self, seconds: float) -> bool:
        return signal.sigtimedwait(self.SIGNALS - {signal.SIGCHLD}, seconds) is not None

    def _stop(self, pid: int) -> int:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if self._wait(pid, time.monotonic() + self._kill_after) is not None:
                break
        return 0


def _reap() -> Iterator[tuple[int, int]]:
    """Every child that has ended, orphans included: (pid, status)."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended


def _explain(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name
