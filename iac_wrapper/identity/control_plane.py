"""The client of every service: what its runner says, and what its program answers, over mTLS.

A look is one connection through the gateway: the peer whose certificate was verified in its
handshake is the one that answers. Logs are streams, and gRPC's business; it is imported at the
first, and a channel lives for one call, so a service that comes back is seen at once, not after
gRPC's backoff. It must not know containers or Terraform.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any, Literal

from iac_wrapper.errors import CertificateError, UnhealthyError
from iac_wrapper.identity import handshake, service_call
from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model import proof
from iac_wrapper.model.certificate import spiffe_id, trust_domain_of
from iac_wrapper.model.health import Health, LogLine, Probe
from iac_wrapper.model.proof import ProofQuestion

POLL_SECONDS = (0.1, 0.5)
"""Pause between two looks at a service that is not SERVING: the first, and the longest."""

ASKING_SECONDS = 3.0
"""The longest pause after a request that failed: each may be lines in the program's log."""

UNTRUSTED = "untrusted"
"""The cause of a handshake in which one side does not take the other's certificate: an Envoy that
still has those of an authority that was lost or replaced."""

Ask = Callable[[Http2Client, str, float], Health]
"""Asks over a connection to a proven peer, for a service, within so many seconds."""

STABLE_SECONDS = 1.0
"""After so long the same start of the program must answer again."""


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

    def health(
        self,
        service: str,
        question: ProofQuestion | None = None,
        *,
        timeout: float = 5.0,
        sni: str = "",
        ask: Ask = service_call.ask,
    ) -> Health:
        """One look at a service: the certificate it shows now, what its runner says, and, if that
        is SERVING, what the program answers to `question`.

        Args:
            timeout: seconds for each step but the program's answer.
            sni: the name that the gateway finds it by, if that is not the service's.
            ask: gets from the proven peer how the program is; by default its runner says that.

        Raises:
            CertificateError: our own certificate files cannot be used.
        """
        began = time.monotonic()
        found = self._look(service, question, timeout, sni, ask)
        return replace(found, seconds=time.monotonic() - began)

    def wait_serving(  # noqa: PLR0913 - whom, what to ask, and how long, by keyword
        self,
        service: str,
        question: ProofQuestion | None = None,
        *,
        deadline: float,
        sni: str = "",
        ask: Ask = service_call.ask,
        on_change: Callable[[Health], None] = lambda _: None,
        known: Callable[[Health], Health] = lambda health: health,
        stop: Event | None = None,
    ) -> Health:
        """Look until the service is proven, has failed for good (`Health.final`), or time is up.

        Proven: it was SERVING twice, a second apart, without a start of the program between.

        Args:
            deadline: seconds from now.
            ask: as in `health`.
            stop: once set, the last answer is returned at once.
            on_change: called with each answer whose status, phase or message is new.
            known: adds to an answer what is known from elsewhere.
        """
        stop = stop or Event()
        began = time.monotonic()
        before: Health | None = None
        shown: Health | None = None
        pause = POLL_SECONDS[0]
        while True:
            left = deadline - (time.monotonic() - began)
            timeout = min(5.0, max(0.5, left))
            found = self.health(service, question, timeout=timeout, sni=sni, ask=ask)
            found = known(replace(found, seconds=time.monotonic() - began))
            unproven = found.serving and not _is_stable(before, found)
            if not unproven and _is_news(shown, found):
                shown = found
                on_change(found)
            late = not found.serving and found.seconds + pause >= deadline
            if late or (found.final and not unproven):
                return found
            before = found
            if stop.wait(STABLE_SECONDS if unproven else pause):
                return found
            longest = ASKING_SECONDS if found.cause == "no-answer" else POLL_SECONDS[1]
            pause = min(longest, pause * 1.5)

    def probe_without_certificate(
        self, service: str, *, timeout: float = 5.0, sni: str = ""
    ) -> Probe:
        """Try to talk to a service as a stranger; it must refuse. `sni` as in `health`.

        Raises:
            CertificateError: ``ca.crt`` cannot be used.
        """
        try:
            seen = handshake.without_certificate(
                self._port, service, self._tls_dir / "ca.crt", timeout=timeout, sni=sni
            )
        except OSError as error:
            raise self._bad_certificate(error) from None
        return Probe(service, seen.refused, seen.text)

    def logs(
        self,
        service: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Iterator[LogLine]:
        """Captured output of a service, oldest line first; with `follow` until it is done.

        `opened` gets what ends the stream: another thread may call it while this one waits.

        Raises:
            UnhealthyError: the service, or its runner, does not answer.
            CertificateError: our own certificate files cannot be used.
        """
        grpc, pb = _grpc(), service_call.messages()
        request = pb.LogRequest(service=service, follow=follow, tail=tail)
        try:
            with self._stub(service) as stub:
                # No timeout on a stream that follows; a quiet program is not a fault.
                call = stub.StreamLogs(request, timeout=None if follow else 30.0)
                opened(call.cancel)
                for line in call:
                    yield _log_line(service, line)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.CANCELLED:
                return
            raise UnhealthyError(
                f"no logs: {service_call.sentence(error.code().name, error.details() or '')}",
                where=service,
                next_step="iac health",
                retryable=True,
            ) from None

    def _look(
        self,
        service: str,
        question: ProofQuestion | None,
        timeout: float,
        sni: str,
        ask: Ask,
    ) -> Health:
        expected, client = spiffe_id(self.trust_domain, service), Http2Client()
        try:
            with handshake.meet(
                self._port,
                service,
                self._tls_dir,
                timeout=timeout,
                hello=client.hello,
                sni=sni,
            ) as met:
                client.attach(met.secure, met.first)
                if met.peer.identity == expected:
                    found = ask(client, service, timeout)
                    if found.serving and question:
                        found = service_call.prove_answer(client, found, question)
                    if found.serving and question and question.tcp:
                        found = self._prove_ports(found, question.tcp, timeout, sni)
                else:
                    text = f"the peer is {met.peer.identity or 'nobody'}, not {expected}"
                    found = _unreachable(service, text)
        except handshake.HandshakeError as error:
            cause = UNTRUSTED if error.untrusted else "unreachable"
            return replace(_unreachable(service, str(error)), cause=cause)
        except CallError as error:
            return _unreachable(service, str(error))
        except OSError as error:
            raise self._bad_certificate(error) from None
        peer = met.peer
        return replace(
            found, identity=peer.identity, fingerprint=peer.fingerprint, expires=peer.expires
        )

    def _prove_ports(self, found: Health, ports: Sequence[int], timeout: float, sni: str) -> Health:
        """Connect to each port as a caller would: accepted and not closed at once is enough."""
        for port in ports:
            seen = handshake.connects(
                self._port, found.name, self._tls_dir, tcp_port=port, timeout=timeout, sni=sni
            )
            if not seen.accepted:
                message = f"TCP port {port} takes no connection over mTLS: {seen.text}"
                return proof.no_answer(found, message, fault=False)
        return proof.accepted(found, ports)

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


def _is_news(shown: Health | None, found: Health) -> bool:
    def words(health: Health) -> tuple[str, str, str]:
        return (health.status, health.phase, health.message)

    return shown is None or words(shown) != words(found)


def _is_stable(before: Health | None, now: Health) -> bool:
    """Whether a program that is SERVING now has done its job, or was so in the look before, too,
    without a start in between."""
    if now.phase == "COMPLETED":
        return True
    return before is not None and before.serving and before.incarnation == now.incarnation


def _unreachable(service: str, message: str) -> Health:
    return Health(service, "UNREACHABLE", message=message, cause="unreachable")


def _log_line(service: str, line: Any) -> LogLine:
    names: dict[int, Literal["stdout", "stderr", "runner"]] = {2: "stderr", 3: "runner"}
    ts = line.ts.ToDatetime(tzinfo=UTC)
    assert isinstance(ts, datetime)  # noqa: S101 - for the type checker
    return LogLine(service, ts, names.get(line.stream, "stdout"), line.msg)


def _grpc() -> Any:
    # Read once, when the library loads: its own log lines are no message to a user of iac.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc  # noqa: PLC0415 - see the module's first lines

    return grpc
