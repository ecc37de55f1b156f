"""The control plane's client against real TLS servers with the runner's own service behind them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from iac_wrapper.errors import CertificateError, UnhealthyError
from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc
from iac_wrapper.identity.control_plane import ControlPlane
from iac_wrapper.model.health import Health
from runner.child import Exit
from runner.lifecycle import FINAL_FAILURES, Lifecycle
from runner.log_ring import LogRing
from runner.server import ControlPlaneService
from runner.verdict import Verdict

NOW = dt.datetime.now(dt.UTC)
READY = Verdict(True, "accepts on port 50051")


class Authority:
    """A certificate authority of one test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test CA")])
        self.certificate = (
            self._builder(name, name, self.key.public_key(), days=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def issue(
        self, folder: Path, name: str, *, uri: str | None = None, expired: bool = False
    ) -> Path:
        """Write tls.crt, tls.key and ca.crt for `name`; returns the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        sans: list[x509.GeneralName] = [x509.DNSName(name)]
        sans.append(x509.UniformResourceIdentifier(uri or f"spiffe://iacnet/{name}"))
        sans.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = self.certificate.subject
        leaf = (
            self._builder(subject, issuer, key.public_key(), days=-1 if expired else 1)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        folder.mkdir(parents=True)
        pem = serialization.Encoding.PEM
        (folder / "tls.crt").write_bytes(leaf.public_bytes(pem))
        (folder / "ca.crt").write_bytes(self.certificate.public_bytes(pem))
        (folder / "tls.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return folder

    @staticmethod
    def _builder(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(days=3))
            .not_valid_after(NOW + dt.timedelta(days=days))
        )


@dataclass
class Service:
    """A server that answers as a service: its port, and what is behind it."""

    port: int
    lifecycle: Lifecycle = field(default_factory=lambda: Lifecycle(10))
    ring: LogRing = field(default_factory=LogRing)

    def serving(self) -> None:
        """Make it SERVING."""
        self.lifecycle.judged(self.lifecycle.started(), READY, 1.0)


Serve = Callable[..., Service]


@pytest.fixture
def authority() -> Authority:
    """One CA for both sides."""
    return Authority()


@pytest.fixture
def own(authority: Authority, tmp_path: Path) -> Path:
    """The control plane's own certificate folder."""
    return authority.issue(tmp_path / "own", "control-plane")


@pytest.fixture
def serve(authority: Authority, tmp_path: Path) -> Iterator[Serve]:
    """Starts gRPC servers over TLS."""
    servers: list[grpc.Server] = []

    def _serve(
        name: str = "svc",
        *,
        uri: str | None = None,
        expired: bool = False,
        demand: bool = True,
        runner: bool = True,
    ) -> Service:
        folder = authority.issue(tmp_path / f"{name}{len(servers)}", name, uri=uri, expired=expired)
        pair = ((folder / "tls.key").read_bytes(), (folder / "tls.crt").read_bytes())
        ca = (folder / "ca.crt").read_bytes()
        server = grpc.server(ThreadPoolExecutor(8))
        credentials = grpc.ssl_server_credentials([pair], ca if demand else None, demand)
        service = Service(server.add_secure_port("127.0.0.1:0", credentials))
        if runner:
            pb_grpc.add_ControlPlaneServicer_to_server(
                ControlPlaneService(service.lifecycle, service.ring, name), server
            )
        server.start()
        servers.append(server)
        return service

    yield _serve
    for server in servers:
        server.stop(0).wait(2)


def test_serving_service_is_seen_with_its_identity(serve: Serve, own: Path) -> None:
    """Health carries status, phase, proven identity and the time it took."""
    service = serve()
    service.serving()
    health = ControlPlane(service.port, own).health("svc")
    assert (health.status, health.phase, health.serving) == ("SERVING", "RUNNING", True)
    assert health.identity == "spiffe://iacnet/svc"
    assert (health.exit_code, health.message) == (None, READY.message)
    assert 0 < health.seconds < 5


def test_health_carries_the_certificate_that_was_shown(
    serve: Serve, own: Path, tmp_path: Path
) -> None:
    """Fingerprint and end are the server's own, not those of a file that was replaced since."""
    service = serve()
    file = tmp_path / "svc0" / "tls.crt"
    shown = x509.load_pem_x509_certificate(file.read_bytes())
    Authority().issue(tmp_path / "new", "svc")
    (tmp_path / "new" / "tls.crt").replace(file)
    health = ControlPlane(service.port, own).health("svc")
    assert health.fingerprint == shown.fingerprint(hashes.SHA256()).hex()
    assert health.expires == shown.not_valid_after_utc


def test_failure_details_come_through(serve: Serve, own: Path) -> None:
    """Exit code, signal, OOM and the count of failures arrive."""
    service = serve()
    service.lifecycle.started()
    service.lifecycle.ended(Exit(137, 9, oom=True), 0.1, done=False)
    health = ControlPlane(service.port, own).health("svc")
    assert (health.status, health.phase, health.failures) == ("NOT_SERVING", "FAILED", 1)
    assert (health.exit_code, health.signal, health.oom) == (137, 9, True)
    assert "out of memory" in health.message


def test_nobody_at_the_port_is_unreachable(own: Path) -> None:
    """A closed gateway port is named in the message."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    health = ControlPlane(port, own).health("svc")
    assert health.status == "UNREACHABLE"
    assert health.message == f"gateway not listening on 127.0.0.1:{port}"


CLOSE_NOTIFY = b"\x15\x03\x03\x00\x02\x01\x00"  # an alert of TLS (RFC 8446, 6.1)


@pytest.mark.parametrize("answer", [b"", CLOSE_NOTIFY])
def test_gateway_without_a_service_behind_it_is_unreachable(own: Path, answer: bytes) -> None:
    """A connection that closes before TLS is the gateway finding nobody under that name."""
    with _closing_server(answer) as port:
        plane = ControlPlane(port, own)
        health, probe = plane.health("svc"), plane.probe_without_certificate("svc")
    assert health.status == "UNREACHABLE"
    assert "no sidecar answers as svc" in health.message
    assert probe.refused is None


def test_service_without_runner_is_not_serving(serve: Serve, own: Path) -> None:
    """A proven sidecar with nobody behind it is NOT_SERVING, with its identity."""
    health = ControlPlane(serve(runner=False).port, own).health("svc")
    assert (health.status, health.identity) == ("NOT_SERVING", "spiffe://iacnet/svc")
    assert "UNIMPLEMENTED" in health.message


def test_another_services_certificate_is_refused(serve: Serve, own: Path) -> None:
    """The DNS name must be the one that was asked for."""
    health = ControlPlane(serve("other").port, own).health("svc")
    assert (health.status, health.identity) == ("UNREACHABLE", None)
    assert (health.fingerprint, health.expires) == (None, None)
    assert "Hostname mismatch" in health.message


def test_identity_of_another_trust_domain_is_refused(serve: Serve, own: Path) -> None:
    """The right DNS name under another project's SPIFFE identity is not the service."""
    service = serve(uri="spiffe://iacnet-other/svc")
    service.serving()
    health = ControlPlane(service.port, own).health("svc")
    assert health.status == "UNREACHABLE"
    assert health.identity == "spiffe://iacnet-other/svc"
    assert "not spiffe://iacnet/svc" in health.message


def test_expired_certificate_of_the_service_is_named(serve: Serve, own: Path) -> None:
    """The message says what is wrong with the peer's certificate."""
    health = ControlPlane(serve(expired=True).port, own).health("svc")
    assert health.status == "UNREACHABLE"
    assert "expired" in health.message


def test_certificate_the_service_does_not_trust_is_named(serve: Serve, tmp_path: Path) -> None:
    """A client certificate of another CA is refused after the handshake, and that is said."""
    service = serve()
    stranger = Authority().issue(tmp_path / "stranger", "control-plane")
    trusted = tmp_path / "svc0" / "ca.crt"
    (stranger / "ca.crt").write_bytes(trusted.read_bytes())
    health = ControlPlane(service.port, stranger).health("svc")
    assert health.status == "UNREACHABLE"
    assert "does not take our certificate" in health.message


def test_own_expired_certificate_is_named(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """When ours is out of date the service refuses it, and that is said."""
    own = authority.issue(tmp_path / "old", "control-plane", expired=True)
    health = ControlPlane(serve().port, own).health("svc")
    assert health.status == "UNREACHABLE"
    assert "does not take our certificate" in health.message


def test_own_certificate_that_is_missing_is_an_error(serve: Serve, own: Path) -> None:
    """Missing or mismatched files of ours are a CertificateError with a next step."""
    service = serve()
    (own / "tls.key").unlink()
    with pytest.raises(CertificateError) as error:
        ControlPlane(service.port, own).health("svc")
    assert error.value.next_step
    (own / "tls.crt").unlink()
    with pytest.raises(CertificateError):
        ControlPlane(service.port, own).health("svc")
    with pytest.raises(CertificateError):
        list(ControlPlane(service.port, own).logs("svc"))
    (own / "ca.crt").unlink()
    with pytest.raises(CertificateError):
        ControlPlane(service.port, own).probe_without_certificate("svc")


def test_stranger_is_refused_by_a_server_that_demands_a_certificate(
    serve: Serve, own: Path
) -> None:
    """The refusal that TLS 1.3 sends after the handshake is seen."""
    probe = ControlPlane(serve().port, own).probe_without_certificate("svc")
    assert probe.refused is True
    assert "refused" in probe.message


def test_stranger_is_answered_by_a_server_that_does_not(serve: Serve, own: Path) -> None:
    """A server that lets strangers in must not look like one that refuses."""
    probe = ControlPlane(serve(demand=False).port, own).probe_without_certificate("svc")
    assert probe.refused is False


def test_closed_port_proves_no_refusal(own: Path) -> None:
    """Nobody there is not a service that turns strangers away."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert ControlPlane(port, own).probe_without_certificate("svc").refused is None


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (ssl.TLSVersion.TLSv1_3, "refused: alert certificate required"),
        (ssl.TLSVersion.TLSv1_2, "refused in the handshake: "),
    ],
)
def test_alert_is_a_refusal_and_is_named(
    own: Path, tmp_path: Path, authority: Authority, version: ssl.TLSVersion, words: str
) -> None:
    """OpenSSL's and Envoy's alert comes after the handshake in TLS 1.3, inside it in 1.2."""
    folder = authority.issue(tmp_path / "openssl", "svc")
    with _openssl_server(folder, version=version, demand=True) as port:
        probe = ControlPlane(port, own).probe_without_certificate("svc")
    assert probe.refused is True
    assert probe.message.startswith(words)


def test_untrusted_server_proves_no_refusal(own: Path, tmp_path: Path) -> None:
    """Whoever shows a certificate of another CA is not the service, whatever it does."""
    folder = Authority().issue(tmp_path / "foreign", "svc")
    with _openssl_server(folder, demand=True) as port:
        probe = ControlPlane(port, own).probe_without_certificate("svc")
    assert probe.refused is None
    assert "not accepted" in probe.message


def test_silent_server_proves_no_refusal(own: Path, tmp_path: Path, authority: Authority) -> None:
    """A server that neither answers nor refuses within the time proves nothing."""
    folder = authority.issue(tmp_path / "silent", "svc")
    with _openssl_server(folder) as port:
        probe = ControlPlane(port, own).probe_without_certificate("svc", timeout=0.3)
    assert probe.refused is None
    assert "within 0.3 s" in probe.message


def test_no_handshake_in_time_is_unreachable(own: Path) -> None:
    """A port that accepts and says nothing costs the timeout, not more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        plane = ControlPlane(server.getsockname()[1], own)
        health = plane.health("svc", timeout=0.2)
    assert (health.status, health.message) == ("UNREACHABLE", "no handshake within 0.2 s")


def test_server_that_speaks_no_tls_is_unreachable(own: Path) -> None:
    """Something else on the gateway's port is told apart from nothing there."""
    with _closing_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        health = ControlPlane(port, own).health("svc")
    assert health.status == "UNREACHABLE"
    assert "handshake refused: wrong version number" in health.message


def test_waiting_ends_when_the_service_serves(serve: Serve, own: Path) -> None:
    """Waiting reports each change and returns soon after the service is SERVING."""
    service = serve()
    start = service.lifecycle.started()
    threading.Timer(0.3, lambda: service.lifecycle.judged(start, READY, 1.0)).start()
    seen: list[Health] = []
    health = ControlPlane(service.port, own).wait_serving("svc", deadline=5, on_change=seen.append)
    assert health.serving
    assert health.seconds > 1.2, "the second answer comes a second after the first"
    assert [one.phase for one in seen] == ["STARTING", "RUNNING"]


def test_waiting_ends_early_on_a_final_failure(serve: Serve, own: Path) -> None:
    """Three failures in a row end the wait; fewer do not."""
    service = serve()
    for _ in range(FINAL_FAILURES - 1):
        service.lifecycle.started()
        service.lifecycle.ended(Exit(1), 0.1, done=False)
    plane = ControlPlane(service.port, own)
    assert not plane.wait_serving("svc", deadline=0.4).final
    service.lifecycle.ended(Exit(1), 0.1, done=False)
    began = time.monotonic()
    health = plane.wait_serving("svc", deadline=10)
    assert time.monotonic() - began < 2
    assert (health.final, health.phase, health.exit_code) == (True, "FAILED", 1)


def test_logs_are_read_with_tail_and_follow(serve: Serve, own: Path) -> None:
    """Lines arrive with service, time, stream and text; following ends with the program."""
    service = serve()
    plane = ControlPlane(service.port, own)
    for stream in ("stdout", "stderr", "runner"):
        service.ring.append(stream, stream + "!")
    assert [(line.stream, line.text) for line in plane.logs("svc", tail=2)] == [
        ("stderr", "stderr!"),
        ("runner", "runner!"),
    ]
    stream_of_lines = plane.logs("svc", follow=True)
    first = next(stream_of_lines)
    assert (first.service, first.text) == ("svc", "stdout!")
    assert abs((dt.datetime.now(dt.UTC) - first.ts).total_seconds()) < 10
    service.ring.append("stdout", "more")
    service.ring.close()
    assert [line.text for line in stream_of_lines][-1] == "more"


def test_logs_of_nobody_are_an_error(serve: Serve, own: Path) -> None:
    """A service without a runner has no logs, and the error says why."""
    plane = ControlPlane(serve(runner=False).port, own)
    with pytest.raises(UnhealthyError, match="UNIMPLEMENTED"):
        list(plane.logs("svc"))


@contextmanager
def _accepting(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that hands each client to `handle`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client, suppress(OSError):
                        handle(client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _closing_server(answer: bytes = b"") -> AbstractContextManager[int]:
    """Closes after the first bytes, like a gateway that finds no upstream."""

    def close(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(answer)

    return _accepting(close)


def _openssl_server(
    folder: Path, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, demand: bool = False
) -> AbstractContextManager[int]:
    """Does the handshake and then waits for the client to leave, without a word."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(folder / "ca.crt")
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_NONE

    def handshake(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secure:
            while secure.recv(4096):
                pass

    return _accepting(handshake)
