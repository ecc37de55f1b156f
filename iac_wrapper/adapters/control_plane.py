"""The client of every service's runner: gRPC over mTLS through the gateway.

gRPC is imported at the first call: commands that never call a service must not pay 0.1 s for it.
A channel lives for one call, so a service that comes back is seen at once, not after gRPC's
backoff. It must not know containers or Terraform.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, cast

from iac_wrapper.adapters import handshake
from iac_wrapper.errors import CertificateError, UnhealthyError
from iac_wrapper.model.certificate import spiffe_id, trust_domain_of
from iac_wrapper.model.health import Health, LogLine, Phase, Probe

if TYPE_CHECKING:
    import grpc

POLL_SECONDS = (0.1, 0.5)
"""Pause between two looks at a service that is not SERVING: the first, and the longest."""


class ControlPlane:
    """Asks services how they are.

    Args:
        port: the gateway's loopback port.
        tls_dir: the control plane's own ``tls.crt``, ``tls.key`` and ``ca.crt``.
    """

    def __init__(self, port: int, tls_dir: Path) -> None:
        self._port = port
        self._tls_dir = tls_dir

    @cached_property
    def trust_domain(self) -> str:
        """The trust domain in our own certificate: peers must be in the same.

        Raises:
            CertificateError: the certificate is missing or has no SPIFFE URI.
        """
        from cryptography import x509  # noqa: PLC0415 - costs 50 ms

        try:
            own = x509.load_pem_x509_certificate((self._tls_dir / "tls.crt").read_bytes())
            names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uri = names.get_values_for_type(x509.UniformResourceIdentifier)[0]
            return trust_domain_of(uri)
        except (OSError, ValueError, LookupError, x509.ExtensionNotFound) as error:
            raise self._bad_certificate(error) from None

    def health(self, service: str, *, timeout: float = 5.0) -> Health:
        """One look at a service: the certificate it shows now, then what its runner says.

        Raises:
            CertificateError: our own certificate files cannot be used.
        """
        began = time.monotonic()
        return replace(self._look(service, timeout), seconds=time.monotonic() - began)

    def wait_serving(
        self,
        service: str,
        *,
        deadline: float,
        on_change: Callable[[Health], None] = lambda _: None,
        stop: Event | None = None,
    ) -> Health:
        """Look until the service is SERVING, has failed for good (`Health.final`), or time is up.

        Args:
            deadline: seconds from now.
            stop: once set, the last answer is returned at once.
            on_change: called with each answer whose status, phase or message is new.
        """
        stop = stop or Event()
        began = time.monotonic()
        pause, longest = POLL_SECONDS
        before: Health | None = None
        while True:
            left = deadline - (time.monotonic() - began)
            found = self.health(service, timeout=min(5.0, max(0.5, left)))
            found = replace(found, seconds=time.monotonic() - began)
            if before is None or _shown(found) != _shown(before):
                on_change(found)
            if found.final or found.seconds + pause >= deadline:
                return found
            before = found
            if stop.wait(pause):
                return found
            pause = min(longest, pause * 1.5)

    def probe_without_certificate(self, service: str, *, timeout: float = 5.0) -> Probe:
        """Try to talk to a service as a stranger; it must refuse.

        Raises:
            CertificateError: ``ca.crt`` cannot be used.
        """
        try:
            seen = handshake.without_certificate(
                self._port, service, self._tls_dir / "ca.crt", timeout=timeout
            )
        except OSError as error:
            raise self._bad_certificate(error) from None
        return Probe(service, seen.refused, seen.text)

    def logs(
        self, service: str, *, follow: bool = False, tail: int | None = None
    ) -> Iterator[LogLine]:
        """Captured output of a service, oldest line first; with `follow` until it is done.

        Raises:
            UnhealthyError: the service, or its runner, does not answer.
            CertificateError: our own certificate files cannot be used.
        """
        grpc, pb = _grpc(), _messages()
        request = pb.LogRequest(service=service, follow=follow, tail=tail)
        try:
            with self._stub(service) as stub:
                # No timeout on a stream that follows; a quiet program is not a fault.
                for line in stub.StreamLogs(request, timeout=None if follow else 30.0):
                    yield _log_line(service, line)
        except grpc.RpcError as error:
            raise UnhealthyError(
                f"no logs: {_explain(error)}",
                where=service,
                next_step="iac health",
                retryable=True,
            ) from None

    def _look(self, service: str, timeout: float) -> Health:
        expected = spiffe_id(self.trust_domain, service)
        try:
            peer = handshake.meet(self._port, service, self._tls_dir, timeout=timeout)
        except handshake.HandshakeFailed as error:
            return Health(service, "UNREACHABLE", message=str(error))
        except OSError as error:
            raise self._bad_certificate(error) from None
        if peer.identity != expected:
            message = f"the peer is {peer.identity or 'nobody'}, not {expected}"
            found = Health(service, "UNREACHABLE", message=message)
        else:
            found = self._ask(service, timeout)
        return replace(
            found, identity=peer.identity, fingerprint=peer.fingerprint, expires=peer.expires
        )

    def _ask(self, service: str, timeout: float) -> Health:
        from google.protobuf.empty_pb2 import Empty  # noqa: PLC0415 - costs what gRPC costs

        grpc = _grpc()
        try:
            with self._stub(service) as stub:
                status = stub.HealthCheck(Empty(), timeout=timeout)
        except grpc.RpcError as error:
            # The sidecar proved who it is and says that nobody answers behind it.
            return Health(service, "NOT_SERVING", message=_explain(error))
        return _to_health(service, status)

    @contextmanager
    def _stub(self, service: str) -> Iterator[Any]:
        """A stub on a channel of its own."""
        grpc = _grpc()
        from iac_wrapper.grpc_pb import controlplane_pb2_grpc  # noqa: PLC0415 - imports gRPC

        try:
            ca, key, chain = (
                (self._tls_dir / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")
            )
        except OSError as error:
            raise self._bad_certificate(error) from None
        options = (
            ("grpc.ssl_target_name_override", service),  # SNI, and the name that is verified
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        )
        credentials = grpc.ssl_channel_credentials(ca, key, chain)
        target = f"{handshake.HOST}:{self._port}"
        with grpc.secure_channel(target, credentials, options) as channel:
            yield controlplane_pb2_grpc.ControlPlaneStub(channel)

    def _bad_certificate(self, error: Exception) -> CertificateError:
        return CertificateError(
            "the control plane's own certificate cannot be used",
            where=str(self._tls_dir),
            found=f"{type(error).__name__}: {error}",
            expected="tls.crt, tls.key and ca.crt as `iac deploy` issues them",
            next_step="iac deploy",
        )


def _shown(health: Health) -> tuple[str, str, str]:
    return (health.status, health.phase, health.message)


def _to_health(service: str, status: Any) -> Health:
    pb = _messages()
    serving = status.status == pb.SERVING
    phase = "UNKNOWN" if not status.phase else pb.Phase.Name(status.phase)
    return Health(
        service,
        "SERVING" if serving else "NOT_SERVING",
        phase=cast(Phase, phase),
        exit_code=status.exit_code if status.HasField("exit_code") else None,
        signal=status.signal,
        oom=status.oom,
        message=status.message,
        failures=status.failures,
    )


def _log_line(service: str, line: Any) -> LogLine:
    names: dict[int, Literal["stdout", "stderr", "runner"]] = {2: "stderr", 3: "runner"}
    ts = line.ts.ToDatetime(tzinfo=UTC)
    assert isinstance(ts, datetime)  # noqa: S101 - for the type checker
    return LogLine(service, ts, names.get(line.stream, "stdout"), line.msg)


def _explain(error: grpc.RpcError) -> str:
    """A failed call as a sentence: who in the chain did not play along."""
    code, details = error.code().name, (error.details() or "").strip()
    sentences = {
        "UNAVAILABLE": "the sidecar answers, the runner behind it does not (app container down?)",
        "DEADLINE_EXCEEDED": "the runner did not answer in time",
        "PERMISSION_DENIED": "the sidecar does not let the control plane's identity in",
        "UNIMPLEMENTED": "the app container has no runner of this version",
    }
    return f"{sentences.get(code, 'the call failed')} ({code}: {details})"


def _grpc() -> Any:
    # Read once, when the library loads: its own log lines are no message to a user of iac.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc  # noqa: PLC0415 - see the module's first lines

    return grpc


def _messages() -> Any:
    _grpc()
    from iac_wrapper.grpc_pb import controlplane_pb2  # noqa: PLC0415 - imports protobuf

    return controlplane_pb2
