"""Where the program listens, kept up to date in the file that Envoy watches.

PID 1 shares the program's network namespace, so nothing has to pass between the two containers.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner import listeners
from runner.listeners import MESH_PORTS, Listener
from runner.sidecar import threads
from runner.sidecar.environment import ANY_UID, SidecarEnvironment
from runner.sidecar.log import say

FILE = "app.json"
SECONDS = 0.25
"""Between two looks at what listens, each about 0.2 ms."""

ABSENT_SECONDS = 1.0
"""How long nothing may listen at the endpoint before there is none. A program that is started again
at once is back by then; requests to one that is not are refused at once, and callers wait."""


@dataclass(frozen=True)
class Endpoint:
    """An address inside the namespace."""

    host: str
    port: int

    def __str__(self) -> str:
        return str(Listener(self.port, self.host))


class Follower:
    """Chooses the program's endpoint again and again.

    Args:
        port: the program's ``$PORT``.
        declared: whether repos.yaml names it.
        path: the file to write, see `document`.
        look: the program's listeners now.
    """

    def __init__(
        self, port: int, declared: bool, path: Path, look: Callable[[], list[Listener]]
    ) -> None:
        self._port, self._declared, self._path, self.look = port, declared, path, look
        self._seen: list[Listener] = []
        self._there = time.monotonic()
        self._lock = threading.Lock()
        self._closed = False
        # At first there is one: Envoy tries again while a program starts.
        self.current = Endpoint("127.0.0.1", port)
        self._written: Endpoint | None = self.current
        write(self._path, self.current)

    def step(self) -> None:
        """Look once, and write when something else is chosen."""
        now = self.look()
        if now != self._seen:
            self._choose(now)
            self._seen = now
        if any(each.port == self.current.port for each in now):
            self._there = time.monotonic()
        self._publish()

    def close(self) -> None:
        """From now on there is no endpoint, whatever listens."""
        self._closed = True
        self._publish()

    def open(self) -> None:
        """There is one again; a program that is not there yet may take its time to start."""
        self._closed, self._there = False, time.monotonic()
        self._publish()

    def _publish(self) -> None:
        with self._lock:
            absent = time.monotonic() - self._there > ABSENT_SECONDS
            wanted = None if self._closed or absent else self.current
            if wanted != self._written:
                write(self._path, wanted)
                self._written = wanted  # only now: what could not be written is written again

    def _choose(self, now: list[Listener]) -> None:
        port = listeners.choose(
            now, self._port, declared=self._declared, previous=self.current.port
        )
        host = listeners.address(now, port)
        if host is None or (chosen := Endpoint(host, port)) == self.current:
            return
        self.current = chosen
        say(f"requests go to {chosen}")


def write(path: Path, endpoint: Endpoint | None) -> None:
    """Replace the file by rename, the only change that Envoy notices."""
    fresh = path.with_suffix(".new")
    fresh.write_text(document(endpoint), encoding="ascii")
    fresh.replace(path)


def document(endpoint: Endpoint | None) -> str:
    """Envoy's endpoint discovery as a file: one host or none, for all clusters of the program."""
    hosts = []
    if endpoint:
        address = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
        hosts = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return json.dumps(
        {
            "resources": [
                {
                    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                    "cluster_name": "app",
                    "endpoints": hosts,
                }
            ]
        }
    )


def follow(wanted: SidecarEnvironment, directory: Path) -> Follower:
    """Write the first endpoint now and follow on a thread that ends with the process."""

    def look() -> list[Listener]:
        # A port that is offered over TCP is for HTTP only where there is no other.
        tcp = wanted.offer.ports if wanted.offer.http else ()
        return listeners.of_program(
            None if wanted.app_uid == ANY_UID else wanted.app_uid,
            without=(*MESH_PORTS.values(), *tcp),
            but=wanted.uid,
        )

    follower = Follower(wanted.port, wanted.port_declared, directory / FILE, look)

    def step() -> None:
        follower.step()
        time.sleep(SECONDS)

    threads.keep(step)
    return follower
