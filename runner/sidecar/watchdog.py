"""Sees that Envoy hangs, and ends it: the supervisor starts another.

The question is a real request through one of its listeners, so main thread and worker both have to
be there for the answer.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from runner.listeners import MESH_PORTS
from runner.sidecar import threads
from runner.sidecar.log import say

PAUSE_SECONDS = 0.5
ANSWER_SECONDS = 1.5
STRIKES = 3
"""Silences in a row: after about 6 s it is ended. An Envoy that waits for a processor answers
within half a second at a load of 50 (measured)."""

_QUESTION = b"GET /ready HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n"


class Watchdog:
    """Asks one program again and again.

    Args:
        port: where it answers HTTP on loopback.
        pid: the process to end; None while there is none.
    """

    def __init__(self, port: int, pid: Callable[[], int | None]) -> None:
        self._port, self._pid = port, pid
        self._strikes = 0
        self._asked: int | None = None

    def step(self) -> None:
        """Ask once."""
        now = self._pid()
        if now != self._asked:
            self._asked, self._strikes = now, 0
        self._strikes = self._strikes + 1 if now and self._is_silent() else 0
        if now and self._strikes >= STRIKES:
            say(f"envoy has not answered {STRIKES} requests in a row: it is ended")
            self._strikes = 0
            with suppress(ProcessLookupError):
                os.kill(now, signal.SIGKILL)

    def _is_silent(self) -> bool:
        """Whether a connection is taken and nothing comes; one that is refused is being started."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), ANSWER_SECONDS) as connection:
                connection.sendall(_QUESTION)
                connection.recv(1)
        except TimeoutError:
            return True
        except OSError:
            return False
        return False


def follow(pid: Callable[[], int | None]) -> None:
    """Watch Envoy on a thread that ends with the process."""
    watchdog = Watchdog(MESH_PORTS["stats"], pid)

    def step() -> None:
        watchdog.step()
        time.sleep(PAUSE_SECONDS)

    threads.keep(step)
