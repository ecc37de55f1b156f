"""An act repeated from outside a project, such as a call through its gateway, and what it saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from iac_wrapper.identity import handshake
from iac_wrapper.identity.http2_client import Http2Client
from iac_wrapper.model.proof import ProofRequest

PAUSE = 0.02
"""Seconds between two acts."""


@dataclass
class Probed:
    """`failed` are the reasons and `begun` when each of those acts began (monotonic clock);
    `answered` is when each other one ended; `seen` the different results."""

    failed: list[str] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    @property
    def sent(self) -> int:
        return len(self.failed) + len(self.answered)

    @property
    def gap(self) -> float:
        """The longest time between two answers, seconds."""
        pairs = zip(self.answered, self.answered[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=0.0)


@contextmanager
def probing(act: Callable[[], str], *, pause: float = PAUSE) -> Iterator[Probed]:
    """Repeat `act` on a thread while the block runs; whatever it raises is a failure."""
    stop, probed = threading.Event(), Probed()

    def run() -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                probed.seen.add(act())
                probed.answered.append(time.monotonic())
            except Exception as error:
                probed.failed.append(f"{type(error).__name__} {error}")
                probed.begun.append(began)
            stop.wait(pause)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield probed
    finally:
        stop.set()
        thread.join(30)


def call(port: int, service: str, tls: Path, *, path: str = "/", timeout: float = 10) -> int:
    """The status of a request to `service` over a new connection through the gateway.

    Raises:
        HandshakeError: no connection to the service with its right certificate.
        CallError: no answer.
    """
    client = Http2Client()
    with handshake.meet(port, service, tls, timeout=timeout, hello=client.hello) as met:
        client.attach(met.secure, met.first)
        return client.call(ProofRequest("GET", path), authority=service, timeout=timeout).status


def answered(port: int, service: str, tls: Path, *, timeout: float = 10) -> str:
    """The fingerprint of the certificate of a service that answers with 200; else an error."""
    client = Http2Client()
    with handshake.meet(port, service, tls, timeout=timeout, hello=client.hello) as met:
        client.attach(met.secure, met.first)
        said = client.call(ProofRequest("GET", "/"), authority=service, timeout=timeout)
        if said.status != 200:
            raise RuntimeError(f"{said.status} {said.body[:100]!r}")
        return met.peer.fingerprint
