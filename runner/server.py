"""The runner's gRPC server on loopback: HealthCheck, StreamLogs and grpc.health.v1."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from iac_wrapper.grpc_pb import controlplane_pb2 as pb
from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc
from runner.lifecycle import Lifecycle, LifecycleState
from runner.log_ring import Line, LogRing

MAX_READERS = 24
"""Log readers at once; each holds a thread while it follows, and health must always find one."""

MAX_THREADS = MAX_READERS + 8

_STREAMS = {"stdout": pb.STDOUT, "stderr": pb.STDERR, "runner": pb.RUNNER}


class ControlPlaneService(pb_grpc.ControlPlaneServicer):  # type: ignore[misc] # generated, untyped
    """Answers from the lifecycle and the ring; Deploy is left UNIMPLEMENTED by the base class."""

    def __init__(self, lifecycle: Lifecycle, ring: LogRing, service: str) -> None:
        self._lifecycle = lifecycle
        self._ring = ring
        self._service = service
        self._readers = threading.BoundedSemaphore(MAX_READERS)

    def HealthCheck(  # noqa: N802 - the protocol's name
        self, request: Empty, context: grpc.ServicerContext
    ) -> pb.HealthStatus:
        """The state now."""
        del request, context
        return to_status(self._lifecycle.report)

    def StreamLogs(  # noqa: N802 - the protocol's name
        self, request: pb.LogRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.LogLine]:
        """History, then new lines if wanted. At most MAX_READERS at once."""
        if request.service not in ("", self._service):
            context.abort(grpc.StatusCode.NOT_FOUND, f"this is the runner of {self._service}")
        if not self._readers.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_READERS} readers already")
        try:
            tail = request.tail if request.HasField("tail") else None
            for line in self._ring.read(tail=tail, follow=request.follow, wanted=context.is_active):
                yield to_line(line)
        finally:
            self._readers.release()


class RunnerServer:
    """The server; `publish` pushes a report to those who watch grpc.health.v1.

    Raises:
        RuntimeError: the address is taken.
    """

    def __init__(self, address: str, lifecycle: Lifecycle, ring: LogRing, service: str) -> None:
        pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="grpc")
        # Without so_reuseport two runners could share the port, each answering half of the calls.
        self._server = grpc.server(pool, options=(("grpc.so_reuseport", 0),))
        self._health = health.HealthServicer()
        pb_grpc.add_ControlPlaneServicer_to_server(
            ControlPlaneService(lifecycle, ring, service), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.publish(lifecycle.report)
        self._server.add_insecure_port(address)
        self._server.start()

    def publish(self, report: LifecycleState) -> None:
        """Set the whole server's status."""
        status = health_pb2.HealthCheckResponse
        self._health.set("", status.SERVING if report.serving else status.NOT_SERVING)

    def stop(self, grace: float) -> None:
        """Let calls end for `grace` seconds, then cut them."""
        self._server.stop(grace).wait(grace + 1)


def to_status(report: LifecycleState) -> pb.HealthStatus:
    """A report in the protocol's words."""
    status = pb.HealthStatus(
        status=pb.SERVING if report.serving else pb.NOT_SERVING,
        phase=pb.Phase.Value(report.phase.value),
        message=report.message,
        since=_timestamp(report.since),
        failures=report.failures,
        restarts=report.restarts,
        listening=report.listening,
        protocol=pb.Protocol.Value(report.protocol),
        incarnation=report.incarnation,
        final=report.final,
        cause=report.cause,
        next_step=report.next_step,
        other_ports=report.others,
        oom_kills=report.oom_kills,
    )
    if report.exit:
        status.exit_code = report.exit.code
        status.signal = report.exit.signal
        status.oom = report.exit.oom
    return status


def to_line(line: Line) -> pb.LogLine:
    """A captured line in the protocol's words."""
    return pb.LogLine(ts=_timestamp(line.ts), msg=line.text, stream=_STREAMS[line.stream])


def _timestamp(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
