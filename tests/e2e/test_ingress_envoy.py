"""What people send through an ingress: a real one before the real Envoys of services."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.model.exposure import LOCAL, Exposure, PublicPorts, routes
from iac_wrapper.model.ingress import Ingress, Shown
from iac_wrapper.model.mesh import ENTRANCES
from tests.support.envoy_lab import eventually
from tests.support.ingress_lab import IngressLab, IngressService, certificate, serial

pytestmark = pytest.mark.integration

EXPOSED = (
    ("web", LOCAL),
    (
        "api",
        (
            Exposure("app.example.com", "/api"),
            Exposure("app.example.com", "/api/v2/deep", hsts=31_536_000),
            Exposure("plain.example.com", tls="off"),
            Exposure("bare.example.com"),
        ),
    ),
    ("web", (Exposure("app.example.com", hsts=600),)),
    ("hidden", LOCAL),
)
"""`hidden` has a route, but its sidecar does not let the ingress in."""


class Program(http.server.BaseHTTPRequestHandler):
    """Says what it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/socket":
            self.send_response(101)
            for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
                self.send_header(name, value)
            self.send_header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            self.end_headers()
            self.wfile.write(self.rfile.read(5))
            return
        if self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(3):
                self.wfile.write(f"data: {number}\n\n".encode())
                time.sleep(0.3)
            return
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path[6:]))
        self._say({"path": self.path, **{n.lower(): v for n, v in self.headers.items()}})

    def do_POST(self) -> None:
        length, got = int(self.headers.get("Content-Length", 0)), 0
        while got < length:
            got += len(self.rfile.read(min(65_536, length - got)))
        self._say({"got": got})

    def _say(self, what: dict[str, Any]) -> None:
        body = json.dumps({"by": self.connection.getsockname()[0], **what}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressLab]:
    made = IngressLab(tmp_path_factory.mktemp("lab"))
    servers = []
    try:
        for name in ("web", "api", "hidden"):
            service = made.service(name, exposed=name != "hidden")
            servers.append(http.server.ThreadingHTTPServer(service.app, Program))
            threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        yield made
    finally:
        made.close()
        for server in servers:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def ingress() -> Ingress:
    return Ingress("shop", routes(EXPOSED), PublicPorts(8000, 8080, 8443))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("public")
    return Shown({"app.example.com": certificate(folder, "app.example.com")})


@pytest.fixture(scope="module")
def edge(lab: IngressLab, ingress: Ingress, shown: Shown) -> IngressService:
    return lab.ingress(ingress, shown)


def curl(edge: IngressService, url: str, *more: str) -> tuple[int, str, str]:
    """Status, headers and body of what a client gets."""
    host, _, port = url.split("/")[2].partition(":")
    argv = ["curl", "-ski", "-m", "20", "--resolve", f"{host}:{port}:{edge.ip}", url, *more]
    done = subprocess.run(argv, capture_output=True, check=False)
    head, _, body = done.stdout.decode().rpartition("\r\n\r\n")
    last = head.split("\r\n\r\n")[-1]
    return int((last.split() or ["0", "0"])[1]), last.lower(), body


def answered(client: socket.socket) -> int:
    """The status of the next answer on a connection, which is read to its end."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    answer.read()
    return answer.status


def got(edge: IngressService, url: str, *more: str) -> dict[str, str]:
    """What the program got."""
    status, head, body = curl(edge, url, *more)
    assert status == 200, (head, body)
    found: dict[str, str] = json.loads(body)
    return found


WEB = f"http://web.localhost:{ENTRANCES['local']}"
PLAIN, TLS = f"app.example.com:{ENTRANCES['http']}", f"https://app.example.com:{ENTRANCES['https']}"


def test_a_client_cannot_say_where_it_comes_from(edge: IngressService) -> None:
    """The program gets the name that people used and one address, also if headers were sent; those
    with an underscore, which WSGI takes for others, are gone."""
    forged = (
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Host",
        "Forwarded",
        "X-Forwarded-Port",
    )
    said = [word for name in forged for word in ("-H", f"{name}: 6.6.6.6")]
    found = got(edge, f"{WEB}/a?b=1", *said, "-H", "X-Forwarded-Proto: https")
    assert found["path"] == "/a?b=1"
    assert found["host"] == found["x-forwarded-host"] == f"web.localhost:{ENTRANCES['local']}"
    assert found["x-forwarded-proto"] == "http"
    assert "6.6.6.6" not in str(found)
    assert "," not in found["x-forwarded-for"]
    assert not [name for name in found if "envoy" in name or "_" in name or name == "forwarded"]
    assert found["x-forwarded-client-cert"].endswith("URI=spiffe://iacnet-lab/ingress")


def test_a_proxy_that_is_trusted_is_believed(
    edge: IngressService, ingress: Ingress, shown: Shown
) -> None:
    """On public hosts only, and only from its network."""
    said = ("-H", "X-Forwarded-For: 192.0.2.7", "-H", "X-Forwarded-Proto: https")
    url = f"http://plain.example.com:{ENTRANCES['http']}/"
    try:
        edge.serve(replace(ingress, trusted_proxies=("127.0.0.0/8",)), shown)
        eventually(lambda: got(edge, url, *said)["x-forwarded-proto"] == "https", 5)
        assert got(edge, url, *said)["x-forwarded-for"].split(",")[0] == "192.0.2.7"
        assert "192.0.2.7" not in str(got(edge, f"{WEB}/", *said))
        edge.serve(replace(ingress, trusted_proxies=("198.51.100.0/24",)), shown)
        eventually(lambda: got(edge, url, *said)["x-forwarded-proto"] == "http", 5)
    finally:
        edge.serve(ingress, shown)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("web.localhost", 200),
        ("WEB.localhost", 200),
        (f"web.localhost:{ENTRANCES['local']}", 200),
        ("web.localhost:1", 421),
        ("other.localhost", 421),
        ("evil.example", 421),
        ("app.example.com", 421),
        ("127.0.0.1", 421),
        ("hidden.localhost", 403),
    ],
)
def test_the_host_is_checked_exactly(edge: IngressService, host: str, status: int) -> None:
    """A page of another site whose name leads here (DNS rebinding) gets a sentence; so does who
    asks for a service that does not let the ingress in."""
    found, head, body = curl(edge, f"{WEB}/", "-H", f"Host: {host}")
    assert found == status
    assert "envoy" not in head + body.lower().replace("x-envoy", "")
    assert body.endswith(("}", "\n"))


def test_what_a_browser_needs(edge: IngressService) -> None:
    """100 MB with Expect, HTTP/1.0, a WebSocket, and events as they come."""
    upload = ("--data-binary", f"@{_file(edge, 100)}")
    assert (
        json.loads(curl(edge, f"{WEB}/", *upload, "-H", "Expect: 100-continue")[2])["got"]
        == 100 << 20
    )
    assert json.loads(curl(edge, f"{TLS}/", *upload)[2])["got"] == 100 << 20
    assert got(edge, f"{WEB}/", "--http1.0")["path"] == "/"
    assert curl(edge, f"{WEB}/", "--http1.0", "-H", "Host:")[0] == 400
    with socket.create_connection((edge.ip, ENTRANCES["local"]), 5) as client:
        client.sendall(
            b"GET /socket HTTP/1.1\r\nHost: web.localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " in client.recv(4096)
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    connection = http.client.HTTPConnection(edge.ip, ENTRANCES["local"], timeout=5)
    connection.request("GET", "/events", headers={"Host": "web.localhost"})
    begun, response = time.monotonic(), connection.getresponse()
    assert response.read(9) == b"data: 0\n\n"
    assert time.monotonic() - begun < 0.25
    assert response.read() == b"data: 1\n\ndata: 2\n\n"
    connection.close()


def _file(edge: IngressService, megabytes: int) -> Path:
    path = edge.files.parent / "upload"
    path.write_bytes(bytes(megabytes << 20))
    return path


@pytest.mark.parametrize(
    ("headers", "status"), [(["-H", "x-a: " + "a" * 70_000], 431), (["-H", "Host: a b"], 400)]
)
def test_errors_have_words_of_ours(edge: IngressService, headers: list[str], status: int) -> None:
    """A status, a sentence, no name of a product."""
    found, head, body = curl(edge, f"{WEB}/", *headers)
    assert found == status
    assert body.startswith(f"{status}: ")
    assert "server:" not in head
    assert "envoy" not in head + body


def test_paths_lead_to_services_the_longest_first(edge: IngressService, lab: IngressLab) -> None:
    """By whole segments; the rest of the host is another service's."""
    by = {service.ip: service.name for service in lab.services}
    for path, name in {"/": "web", "/apix": "web", "/api": "api", "/api/v2/deep/x": "api"}.items():
        assert by[got(edge, f"{TLS}{path}")["by"]] == name
    assert "max-age=31536000" in curl(edge, f"{TLS}/api/v2/deep")[1]
    assert "max-age=600" in curl(edge, f"{TLS}/")[1]
    assert "strict-transport" not in curl(edge, f"{TLS}/api")[1]
    assert by[got(edge, f"{TLS}/api/../x")["by"]] == "web"
    bare = f"http://bare.example.com:{ENTRANCES['http']}"
    assert curl(edge, bare + "/x")[0] == 503
    assert curl(edge, f"http://plain.example.com:{ENTRANCES['http']}/")[0] == 200


def test_plain_http_leads_to_https(edge: IngressService) -> None:
    """With the same path, at the port that people see."""
    status, head, _ = curl(edge, f"http://{PLAIN}/a/b?c=d")
    assert status == 308
    assert f"location: {TLS}/a/b?c=d\r" in head + "\r"


def test_https_is_as_it_should_be(edge: IngressService) -> None:
    """HTTP/2 by ALPN, TLS 1.2 at least, a certificate for the host asked for and no other."""
    assert got(edge, f"{TLS}/")["x-forwarded-proto"] == "https"
    assert curl(edge, f"{TLS}/", "--http2")[1].startswith("http/2 ")
    assert curl(edge, f"{TLS}/", "--http1.1")[1].startswith("http/1.1 ")
    assert curl(edge, f"{TLS}/", "--tls-max", "1.2")[0] == 200
    assert curl(edge, f"{TLS}/", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")[0] == 0
    assert curl(edge, f"https://bare.example.com:{ENTRANCES['https']}/")[0] == 0
    assert curl(edge, f"{TLS}/", "-H", "Host: evil.example")[0] == 421


def test_a_challenge_is_answered_before_there_is_a_certificate(
    edge: IngressService, ingress: Ingress, shown: Shown
) -> None:
    """On the HTTP port of every public host; withdrawn, it is gone."""
    bare = f"http://bare.example.com:{ENTRANCES['http']}"
    asked = f"{bare}/.well-known/acme-challenge/tok_1"
    edge.serve(ingress, replace(shown, challenges={"tok_1": "tok_1.key"}))
    eventually(lambda: curl(edge, asked)[::2] == (200, "tok_1.key"), 5)
    status, _, body = curl(edge, bare + "/")
    assert (status, body) == (
        503,
        "bare.example.com has no certificate yet, so it does not answer over HTTPS\n",
    )
    edge.serve(ingress, shown)
    eventually(lambda: curl(edge, asked)[0] == 503, 5)


def test_changes_of_others_cut_nobody_off(
    edge: IngressService, ingress: Ingress, shown: Shown, tmp_path: Path
) -> None:
    """A connection of another host, and a request that is under way, live on while a host gets a
    certificate, another one is renewed, and a service comes and goes; the renewed one is served."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection((edge.ip, ENTRANCES["https"]), 10)
    client = context.wrap_socket(raw, server_hostname="app.example.com")
    first = client.getpeercert(binary_form=True)
    ask = b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
    client.sendall(ask.replace(b" / ", b" /slow/2.0 "))

    more = {**shown.certificates, "bare.example.com": certificate(tmp_path, "bare.example.com")}
    wider = replace(ingress, routes=routes([*EXPOSED, ("new", LOCAL)]))
    edge.serve(wider, replace(shown, certificates=more))
    bare = f"https://bare.example.com:{ENTRANCES['https']}/"
    eventually(lambda: curl(edge, bare)[0] == 200, 5)
    renewed = {**more, "bare.example.com": certificate(tmp_path, "bare.example.com", 2)}
    edge.serve(ingress, replace(shown, certificates=renewed))
    assert answered(client) == 200
    client.sendall(ask)
    assert answered(client) == 200
    assert client.getpeercert(binary_form=True) == first
    client.close()
    at = edge.ip, ENTRANCES["https"], "bare.example.com"
    eventually(lambda: serial(*at) == 2, 5)
    edge.serve(ingress, shown)
