"""What the server on the program's port speaks, and what its own grpc.health.v1 says.

One `Opinion` lasts as long as the port stays open. It must not know which port was chosen or why.
"""

from __future__ import annotations

from collections.abc import Callable, Set

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runner import processes
from runner.http2 import answers_otherwise, speech
from runner.readiness_verdict import Protocol, ReadinessVerdict

GRPC_SECONDS = 0.5
"""How long the program's own health service may take to answer."""

SILENCES = 3
"""Unanswered health calls after which a port that accepts is taken as not gRPC. A Python gRPC
server accepts from add_insecure_port on but answers only after start, so one is not enough."""


class Opinion:
    """Asks the program itself, as long as it has an opinion.

    Args:
        may_have_grpc: looks at the processes that hold some sockets.
    """

    def __init__(self, may_have_grpc: Callable[[Set[int]], bool] = processes.may_have_grpc) -> None:
        self._may_have_grpc = may_have_grpc
        self._protocol: Protocol = "NONE"  # not known yet
        self._has_health: bool | None = None
        self._silences = 0

    def on(self, host: str, port: int) -> ReadinessVerdict:
        """The verdict on a program that listens there."""
        at = _at(host, port)
        if self._protocol == "NONE":
            self._look(host, port)
        if self._has_health is False:
            return ReadinessVerdict(True, f"listens on {at}", at, self._protocol)
        try:
            status = grpc_status(at)
        except grpc.RpcError as error:
            return self._no_answer(host, port, error)
        self._protocol, self._has_health = "GRPC", True
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        said = f"its own grpc.health.v1 says {name}"
        if status == health_pb2.HealthCheckResponse.SERVING:
            return ReadinessVerdict(True, said, at, "GRPC")
        return ReadinessVerdict(False, said, at, "GRPC", cause="own-health")

    def _look(self, host: str, port: int) -> None:
        said = speech(host, port, self._may_have_grpc)
        if said == "grpc":
            self._protocol = "GRPC"
        elif said != "maybe grpc":
            self._has_health = False
            self._protocol = "TCP" if said == "tcp" else _told(host, port)

    def _no_answer(self, host: str, port: int, error: grpc.RpcError) -> ReadinessVerdict:
        code, at = error.code(), _at(host, port)
        if code == grpc.StatusCode.NOT_FOUND:
            # It reports single services only, not the whole: the open port decides.
            return ReadinessVerdict(True, f"listens on {at}", at, "GRPC")
        if self._has_health:
            said = f"its own grpc.health.v1 does not answer ({code.name})"
            return ReadinessVerdict(False, said, at, "GRPC", cause="own-health")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED and self._silences < SILENCES:
            self._silences += 1
            return ReadinessVerdict(False, f"accepts on {at}, does not answer yet", at)
        # Do not ask again: each call is a line in its log.
        self._has_health = False
        if self._protocol == "NONE":
            # An HTTP/2 server's 404 reaches us as UNIMPLEMENTED, too.
            is_grpc = code == grpc.StatusCode.UNIMPLEMENTED and "header" not in error.details()
            self._protocol = "GRPC" if is_grpc else _told(host, port)
        return ReadinessVerdict(True, f"listens on {at}", at, self._protocol)


def _told(host: str, port: int) -> Protocol:
    return "TCP" if answers_otherwise(host, port) else "HTTP"


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def grpc_status(address: str) -> int:
    """The program's answer to grpc.health.v1 Check for the whole server.

    Raises:
        grpc.RpcError: no health service, no gRPC, or no answer in time.
    """
    # A proxy set for the program must not see a call to its own loopback.
    options = (("grpc.enable_http_proxy", 0),)
    with grpc.insecure_channel(address, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        return int(stub.Check(request, timeout=GRPC_SECONDS).status)
