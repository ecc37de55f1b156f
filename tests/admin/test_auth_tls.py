"""The way to the auth server in production: TLS, also through a proxy."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.auth_lab import lab
from tests.support.auth_server import JWKS, USER, AuthServer, Fault
from tests.support.running import running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody trusts by default, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(certificate: Path) -> Iterator[AuthServer]:
    with AuthServer("ES256", certificate=certificate) as server:
        yield server


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("_trusted")
def test_server_with_a_trusted_certificate_is_asked(server: AuthServer) -> None:
    """Key set and user endpoint work over TLS."""
    user = server.add_user("ann@example.org")
    gated = lab(server, user.id)
    assert gated.ask(server.sign_in(user), mutating=True).id == user.id
    assert [item.path for item in server.requests] == [JWKS, USER]


def test_server_with_another_certificate_gets_no_token(server: AuthServer) -> None:
    """Nobody else is asked: 503, and nothing was sent."""
    user = server.add_user("ann@example.org")
    assert lab(server, user.id).refusal(server.sign_in(user)).status == 503
    assert server.requests == []


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(drip="headers"), Fault(drip="body")])
def test_slow_server_is_given_up_in_time(server: AuthServer, fault: Fault) -> None:
    """The time holds over TLS as well."""
    user = server.add_user("ann@example.org")
    gated = lab(server, user.id, timeout=0.1)
    server.faults[JWKS] = fault
    started = time.monotonic()
    assert gated.refusal(server.sign_in(user)).status == 503
    assert time.monotonic() - started < 1.5


class _Tunnel(socketserver.BaseRequestHandler):
    """A proxy for one CONNECT."""

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.request.recv(1)
            if not byte:
                return
            head += byte
        seen = self.server.__dict__.setdefault("seen", [])
        seen.append(head.decode())
        host, port = head.split()[1].decode().split(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, self.request), daemon=True)
            back.start()
            _pump(self.request, upstream)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.usefixtures("_trusted")
def test_proxy_of_the_machine_is_used(server: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY leads to the server; the proxy sees a host name, no token."""
    user = server.add_user("ann@example.org")
    proxy = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Tunnel)
    proxy.daemon_threads = True
    with running(proxy):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
        gated = lab(server, user.id)
        token = server.sign_in(user)
        assert gated.ask(token, mutating=True).id == user.id
    seen = "".join(proxy.__dict__["seen"])
    assert seen.count("CONNECT localhost:") == 2
    assert token not in seen
    assert server.service_key not in seen
