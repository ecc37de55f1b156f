"""Is the user's program ready? Asked from beside it: does its port accept, what does it say itself.

One `Readiness` belongs to one start of the program. It must not know phases or restarts.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runner.http2 import may_speak_grpc
from runner.listeners import listening
from runner.settings import Settings

MESH_PORTS = (15000, 15001, 9901)
"""Envoy's own listeners in the shared namespace (constructs_lib renders them)."""

GRPC_SECONDS = 0.5
"""How long the program's own health service may take to answer."""

SILENCES = 3
"""Unanswered health calls after which a port that accepts is taken as not gRPC. A Python gRPC
server accepts from add_insecure_port on but answers only after start, so one is not enough."""


@dataclass(frozen=True)
class Verdict:
    """Whether the program is ready, and one sentence why."""

    ready: bool
    message: str


class Readiness:
    """Judges one start of the program."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._accepted = False
        self._has_health: bool | None = None
        self._silences = 0

    def verdict(self, age: float) -> Verdict:
        """Look now.

        Args:
            age: seconds the program has been alive.
        """
        port = self._settings.port
        if accepts(port):
            self._accepted = True
            return self._own_opinion() or Verdict(True, f"accepts on port {port}")
        self._has_health, self._silences = None, 0
        if self._accepted:
            return Verdict(False, f"no longer accepts on 127.0.0.1:{port}")
        if self._settings.port_declared:
            return Verdict(False, f"nothing accepts on 127.0.0.1:{port}{self._hint()}")
        settle = self._settings.settle
        if age >= settle:
            message = f"alive for more than {settle:g} s; no port declared{self._hint()}"
            return Verdict(True, message)
        return Verdict(False, f"alive for less than {settle:g} s; no port declared")

    def _own_opinion(self) -> Verdict | None:
        """What the program's grpc.health.v1 says; None: it has none, or none that knows."""
        if self._has_health is None and not may_speak_grpc(self._settings.port):
            self._has_health = False
        if self._has_health is False:
            return None
        try:
            status = grpc_status(self._settings.port)
        except grpc.RpcError as error:
            return self._no_answer(error.code())
        self._has_health = True
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        ready = status == health_pb2.HealthCheckResponse.SERVING
        return Verdict(ready, f"its own grpc.health.v1 says {name}")

    def _no_answer(self, code: grpc.StatusCode) -> Verdict | None:
        if code == grpc.StatusCode.NOT_FOUND:
            return None  # it reports single services only, not the whole: the open port decides
        if self._has_health:
            return Verdict(False, f"its own grpc.health.v1 does not answer ({code.name})")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED and self._silences < SILENCES:
            self._silences += 1
            return Verdict(False, f"accepts on port {self._settings.port}, does not answer yet")
        # UNIMPLEMENTED, or not gRPC at all: do not ask again, each call is a line in its log.
        self._has_health = False
        return None

    def _hint(self) -> str:
        others = listening(without=(*MESH_PORTS, self._settings.own_port))
        return f"; it listens on {', '.join(others)}" if others else ""


def accepts(port: int) -> bool:
    """Whether a TCP connection to 127.0.0.1:`port` opens."""
    try:
        # From 127.0.0.2: from 127.0.0.1 the kernel may pick `port` itself as the source port and
        # connect the socket to itself, which looks ready and keeps the program from binding.
        socket.create_connection(("127.0.0.1", port), 1.0, ("127.0.0.2", 0)).close()
    except OSError:
        return False
    return True


def grpc_status(port: int) -> int:
    """The program's answer to grpc.health.v1 Check for the whole server.

    Raises:
        grpc.RpcError: no health service, no gRPC, or no answer in time.
    """
    # A proxy set for the program must not see a call to its own loopback.
    options = (("grpc.enable_http_proxy", 0),)
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        return int(stub.Check(request, timeout=GRPC_SECONDS).status)
