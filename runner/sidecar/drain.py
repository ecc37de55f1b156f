"""Requests to the program: refused from some moment on, until those in flight have ended.

Envoy tells its callers to go elsewhere (GOAWAY) and has no endpoint of the program any more: what
comes all the same is refused at once, with a header by which the caller's Envoy knows that the
program has not seen the request, and tries again.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from runner.sidecar import envoy
from runner.sidecar.endpoint import Follower

UPGRADED_SECONDS = 3.0
"""How long WebSockets are waited for: they may last for ever, and a program that handles SIGTERM
closes its own in order."""

STATS = (
    "/stats?filter=^(cluster.app_(http|grpc).(membership_total|upstream_rq_active)"
    "|http.inbound.downstream_cx_upgrades_active)$"
)

POLL_SECONDS = 0.05


class ProgramRequests:
    """The requests that one Envoy passes to its program.

    Args:
        follower: writes the program's endpoint.
        seconds: how long requests in flight may take.
        question: asks Envoy's admin socket: method and path.
        poll: seconds between two looks.
    """

    def __init__(
        self,
        follower: Follower,
        seconds: float,
        question: Callable[[str, str], str] = envoy.ask,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._follower, self._seconds = follower, seconds
        self._question, self._poll = question, poll
        self._lock = threading.Lock()
        self._draining = False
        self._turn = 0  # which word was the last

    def open(self) -> None:
        """Let requests through: to a program that has just been started, say."""
        with self._lock:
            self._turn += 1
            if self._draining:
                self._draining = False
                self._question("POST", "/healthcheck/ok")
            self._follower.open()

    def drain(self) -> None:
        """Refuse new requests; return when those in flight have ended or their time is over."""
        self._close()
        self._wait()

    def pause(self, seconds: float) -> None:
        """`drain`, and let requests through again `seconds` later, unless something else was said
        by then: who asked for it may be gone, and a program that nobody stops shall serve."""
        turn = self._close()
        self._wait()

        def resume() -> None:
            if self._turn == turn:
                self.open()

        timer = threading.Timer(seconds, resume)
        timer.daemon = True
        timer.start()

    def _close(self) -> int:
        with self._lock:
            self._turn += 1
            self._draining = True
            self._question("POST", "/healthcheck/fail")
            self._follower.close()
            return self._turn

    def _wait(self) -> None:
        began, quiet = time.monotonic(), 0
        while self._draining and (lasted := time.monotonic() - began) < self._seconds:
            # Twice: the thread that has the requests learns of the endpoint a moment later.
            quiet = quiet + 1 if self._is_quiet(lasted < UPGRADED_SECONDS) else 0
            if quiet > 1:
                return
            time.sleep(self._poll)

    def _is_quiet(self, with_upgraded: bool) -> bool:
        counts: dict[str, int] = {}
        for name, number in re.findall(r"\.(\w+): (\d+)", self._question("GET", STATS)):
            counts[name] = counts.get(name, 0) + int(number)
        requests = counts.get("upstream_rq_active", 0)
        upgraded = 0 if with_upgraded else counts.get("downstream_cx_upgrades_active", 0)
        return requests <= upgraded and not counts.get("membership_total", 0)
