"""What programs send each other, through two real Envoys: carried whole, or refused in words."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runner.sidecar import envoy
from tests.support.envoy_lab import DOMAIN, Lab, Service, call, eventually, raw
from tests.support.running import running

pytestmark = pytest.mark.integration

OUTBOUND = 15001
WEBSOCKET = (
    "Host: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Program(http.server.BaseHTTPRequestHandler):
    """Says what it got; its name is its address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, number = self.path[1:].partition("/")
        if kind == "slow":
            time.sleep(float(number))
        if kind == "accept":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            self.end_headers()
            self.wfile.write(b"frame")
            return
        answer = {"by": self.connection.getsockname()[0], **dict(self.headers)}
        body = json.dumps(answer).encode()
        self.send_response(int(number) if kind == "status" else 200)
        for at in range(int(number) if kind == "many" else 0):
            self.send_header(f"x-{at}", "a")
        if kind == "to":
            self.send_header("Location", number)
        if kind == "big":
            self.send_header("x-big", "a" * int(number))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the base class asks for

    def log_message(self, *_: object) -> None:
        """No lines in the test's output."""


class Impatient(Program):
    """Closes a connection that has been idle for 2 ms after an answer."""

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.connection.settimeout(0.002)


@contextmanager
def serving(
    address: tuple[str, int], program: type[Program] = Program
) -> Iterator[http.server.ThreadingHTTPServer]:
    """A program at work."""
    server = http.server.ThreadingHTTPServer(address, program)
    with running(server):
        yield server


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("mesh"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def a(lab: Lab) -> Service:
    return lab.service("a")


@pytest.fixture(scope="module")
def b(lab: Lab) -> Iterator[Service]:
    made = lab.service("b")
    with serving(made.app):
        yield made


def logged(service: Service, **facts: Any) -> dict[str, Any]:
    """The line of the log that has these facts; Envoy writes it out within a second."""

    def found() -> list[dict[str, Any]]:
        return [line for line in service.lines() if facts.items() <= line.items()]

    eventually(found, 5, service.log.read_text)
    return found()[-1]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["b", "b:8080", "b.", "b.:8080", "B"])
def test_a_service_is_called_by_its_name(a: Service, b: Service, host: str) -> None:
    """With any port or none, with the final dot of a full name; the program sees its own name."""
    status, text, _ = call(a, host)
    assert (status, json.loads(text)["host"]) == (200, "b")
    assert json.loads(text)["x-forwarded-client-cert"].endswith(f"URI=spiffe://{DOMAIN}/a")
    assert "x-iac-peer" not in text


def test_a_service_whose_program_does_not_answer_is_told(lab: Lab, a: Service) -> None:
    """Which service, and where the cause is said; no words of Envoy's own."""
    lab.service("mute").has_no_program()
    status, text, _ = call(a, "mute")
    assert status == 503
    assert text.startswith("service mute does not answer: ")
    assert "iac health" in text


def test_the_control_planes_question_to_a_runner_is_no_line(lab: Lab, a: Service) -> None:
    """While a service starts there is none yet; whatever else it asks is, and who else asks."""
    silent, us = lab.service("silent"), lab.service("control-plane")
    path = "/iac.controlplane.v1.ControlPlane/HealthCheck"
    assert call(us, "silent", path)[0] == 503
    assert call(us, "silent", "/page")[0] == 503
    assert call(a, "silent", path)[0] == 403
    logged(silent, path="/page")
    asked = logged(silent, path=path)
    assert asked["peer"] == f"spiffe://{DOMAIN}/a"
    assert [line["path"] for line in silent.lines()].count(path) == 1


@pytest.mark.parametrize("host", ["nobody", "nobody:8080", "nobody."])
def test_a_name_that_is_no_service_is_told(a: Service, host: str) -> None:
    """Name and project, and how to list what there is."""
    status, text, _ = call(a, host)
    assert status == 503
    assert text.startswith("no service nobody in project shop: `iac health --project shop` lists")
    assert logged(a, authority="nobody")["flags"] == "UH"


def test_an_address_is_refused(a: Service, b: Service) -> None:
    """A peer without a name proves nothing; the line says who was meant."""
    assert call(a, f"{b.ip}:8080")[0] == 421
    assert logged(a, authority=b.ip)["service"] == "a"


def test_a_service_that_shows_anothers_certificate_is_refused(
    lab: Lab, a: Service, b: Service
) -> None:
    """DNS leads from imposter to b, which cannot prove that name."""
    lab.dns.names["imposter"] = [b.ip]
    assert call(a, "imposter")[0] == 503
    assert "verify" in logged(a, authority="imposter")["tls"].lower()


# --- several addresses ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[tuple[Service, Service]]:
    """Two Envoys of one service, both known under its name."""
    one, two = lab.service("twin"), lab.service("twin")
    lab.dns.names["twin"] = [one.ip, two.ip]
    with serving(one.app), serving(two.app):
        yield one, two


def test_calls_are_spread_over_the_addresses_of_a_name(
    a: Service, pair: tuple[Service, Service]
) -> None:
    """In turn; a dead one costs no call."""
    one, two = pair
    by = [json.loads(call(a, "twin")[1])["by"] for _ in range(20)]
    assert by.count(one.ip) == by.count(two.ip) == 10
    two.process.kill()
    two.process.wait()
    answers = [call(a, "twin") for _ in range(20)]
    assert [each for each in answers if each[0] != 200] == []
    assert {json.loads(text)["by"] for _, text, _ in answers} == {one.ip}


def test_a_rollout_moves_calls_there_and_back_and_loses_none(lab: Lab, a: Service) -> None:
    """200 requests a second while a candidate comes, and goes; slow calls end where they began."""
    old, new = lab.service("api"), lab.service("api")
    lab.dns.names["api"] = [old.ip]
    with serving(old.app), serving(new.app):
        load = Load(a, "api", 200)
        try:
            load.until(old.ip)
            slow = Later(lambda: call(a, "api", "/slow/2"))
            time.sleep(0.2)
            lab.dns.names["shop-api-live"] = [new.ip]
            load.until(new.ip)
            assert json.loads(slow.result()[1])["by"] == old.ip
            slow = Later(lambda: call(a, "api", "/slow/2"))
            time.sleep(0.2)
            del lab.dns.names["shop-api-live"]
            load.until(old.ip)
            assert json.loads(slow.result()[1])["by"] == new.ip
        finally:
            load.end()
    assert load.failed == []
    assert load.done > 300


class Later:
    """A result that is waited for elsewhere."""

    def __init__(self, work: Any) -> None:
        self._found: list[Any] = []
        self._thread = threading.Thread(target=lambda: self._found.append(work()))
        self._thread.start()

    def result(self) -> Any:
        self._thread.join(120)
        return self._found[0]


class Load:
    """Requests at a steady rate, each on a connection of its own, by four threads."""

    THREADS = 4

    def __init__(self, caller: Service, host: str, rate: float) -> None:
        self._caller, self._host, self._pause = caller, host, self.THREADS / rate
        self._ended = threading.Event()
        self.failed: list[object] = []
        self.done = 0
        self.last = ""
        self._threads = [threading.Thread(target=self._run) for _ in range(self.THREADS)]
        for each in self._threads:
            each.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            try:
                status, text, _ = call(self._caller, self._host, method="POST", body="x")
                if status != 200:
                    self.failed.append((status, text))
                else:
                    self.last = json.loads(text)["by"]
                self.done += 1
            except OSError as error:
                self.failed.append(error)
            due += self._pause
            time.sleep(max(0.0, due - time.monotonic()))

    def until(self, ip: str) -> None:
        """Wait until answers come from there, and see that they stay."""
        eventually(lambda: self.last == ip, 15)
        time.sleep(1)
        assert self.last == ip

    def end(self) -> None:
        self._ended.set()
        for each in self._threads:
            each.join()


def test_the_gateway_moves_with_the_candidate(lab: Lab) -> None:
    """The control plane's TLS ends at the candidate; a short id leads to one container alone."""
    gateway = lab.service("gateway", role="gateway")
    old, new = lab.service("door"), lab.service("door")
    lab.dns.names |= {"door": [old.ip], "012345678901": [old.ip], "0123456789ab": [new.ip]}

    def arrives_at(service: Service, sni: str) -> bool:
        count = r"listener\..*15000\.ssl\.handshake"
        before = service.stat(count)
        handshake(lab, gateway.ip, 15443, sni, "control-plane")
        return service.stat(count) == before + 1

    assert arrives_at(old, "door")
    assert arrives_at(old, "012345678901")
    assert arrives_at(new, "0123456789ab")
    lab.dns.names["shop-door-live"] = [new.ip]
    eventually(lambda: arrives_at(new, "door"), 5)
    assert arrives_at(old, "012345678901")
    del lab.dns.names["shop-door-live"]
    eventually(lambda: arrives_at(old, "door"), 5)


def handshake(lab: Lab, ip: str, port: int, sni: str, name: str = "") -> None:
    """TLS as `name`, or without a certificate; reads a byte, which is when a server has judged."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    leaf = lab.leaf(name or "control-plane")
    context.load_verify_locations(leaf / "ca.crt")
    if name:
        context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
    with (
        socket.create_connection((ip, port), 5) as raw_socket,
        context.wrap_socket(raw_socket, server_hostname=sni) as tls,
    ):
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        assert tls.recv(1)


# --- what HTTP allows -----------------------------------------------------------------------------


def test_a_program_that_closes_idle_connections_loses_no_request(lab: Lab, a: Service) -> None:
    """5,000 POSTs, which nobody may repeat, to one that closes after 2 ms, 0 to 4 ms apart."""
    service = lab.service("impatient")
    lost: list[int] = []

    def work(seed: int) -> None:
        connection = http.client.HTTPConnection(a.ip, OUTBOUND, timeout=10)
        for at in range(1250):
            connection.request("POST", "/", b"x", {"Host": "impatient"})
            response = connection.getresponse()
            response.read()
            lost.extend([response.status] if response.status != 200 else [])
            time.sleep((seed + at) % 5 / 1000)
        connection.close()

    with serving(service.app, Impatient):
        threads = [Later(lambda seed=seed: work(seed)) for seed in range(4)]
        for each in threads:
            each.result()
    assert lost == []


def test_http_1_0_clients_are_served(a: Service, b: Service) -> None:
    """ab and nginx speak it."""
    got = raw(a, b"GET / HTTP/1.0\r\nHost: b\r\n\r\n")
    assert got.startswith(b"HTTP/1.0 200 OK\r\n")


@pytest.mark.parametrize("offer", ["TLS/1.2", "h2c", "websocket-2"])
def test_an_offer_to_upgrade_may_be_ignored(a: Service, b: Service, offer: str) -> None:
    """The answer is the program's, as without it."""
    text = f"GET / HTTP/1.1\r\nHost: b\r\nUpgrade: {offer}\r\nConnection: Upgrade, close\r\n\r\n"
    assert raw(a, text.encode()).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_websocket_is_opened(a: Service, b: Service) -> None:
    """Across the HTTP/2 between two Envoys."""
    got = raw(a, f"GET /accept HTTP/1.1\r\n{WEBSOCKET}".encode())
    assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert got.endswith(b"frame")


def test_a_websocket_to_a_program_that_knows_none_is_refused_in_words(
    a: Service, b: Service
) -> None:
    """Its 200 would be a 101 on this side; other refusals are the program's own."""
    got = raw(a, f"GET / HTTP/1.1\r\n{WEBSOCKET}".encode())
    assert got.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert got.endswith(b"service b knows no WebSocket here: it gave an ordinary answer\n")
    got = raw(a, f"GET /status/401 HTTP/1.1\r\n{WEBSOCKET}".encode())
    assert got.startswith(b"HTTP/1.1 401 Unauthorized\r\n")


def test_trailers_and_early_hints_arrive(lab: Lab, a: Service) -> None:
    """Chunked on both ends, HTTP/2 in between."""
    service = lab.service("raw")
    got: list[bytes] = []
    with socket.create_server(service.app) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                text = b""
                while not text.endswith(b"x-sent: 42\r\n\r\n"):
                    text += client.recv(4096)
                got.append(text)
                client.sendall(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nx-back: 77\r\n\r\n"
                )

        program = Later(answer)
        text = (
            b"POST / HTTP/1.1\r\nHost: raw\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nx-sent: 42\r\n\r\n"
        )
        back = raw(a, text, seconds=2)
        program.result()
    assert got[0].endswith(b"3\r\nabc\r\n0\r\nx-sent: 42\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 103 ")
    assert back.endswith(b"3\r\nabc\r\n0\r\nx-back: 77\r\n\r\n")


# --- limits and refusals --------------------------------------------------------------------------


def test_headers_beyond_the_limit_are_refused_with_the_limit(a: Service, b: Service) -> None:
    """In a request; what is just below arrives."""
    words = "more than 100 headers and 60 KiB (IAC_MAX_HEADERS, IAC_MAX_HEADERS_KB)"
    assert call(a, "b", **{"x-big": "a" * 58_000})[0] == 200
    for headers in ({"x-big": "a" * 62_000}, {f"x-{at}": "a" for at in range(101)}):
        status, text, _ = call(a, "b", **headers)
        assert status == 431
        assert words in text
    for path in ("/big/62000", "/many/101"):
        status, text, _ = call(a, "b", path)
        assert status == 502
        assert "service b" in text
        assert words in text


def test_the_limits_are_a_setting(lab: Lab, a: Service) -> None:
    """Of the service that answers as of the one that asks."""
    small = lab.service("small", max_headers=20, max_headers_kb=4)
    with serving(small.app):
        assert "20 headers and 4 KiB" in call(a, "small", "/big/5000")[1]
        assert call(small, "small", **{"x-big": "a" * 5000})[0] == 431


@pytest.mark.parametrize("text", [b"\x16\x03\x01\x00\x05hello", b"*1\r\n$4\r\nPING\r\n"])
def test_bytes_that_are_no_http_get_a_sentence(a: Service, text: bytes) -> None:
    """TLS of a program's own, another protocol."""
    got = raw(a, text)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"call a service as http://NAME:PORT/, the sidecar encrypts" in got


def test_a_program_that_speaks_tls_itself_is_in_the_log(a: Service) -> None:
    """With the name that it meant: its TLS library shows no sentence."""
    context = ssl.create_default_context()
    with (
        socket.create_connection((a.ip, OUTBOUND), 5) as plain,
        pytest.raises(ssl.SSLError, match="WRONG_VERSION"),
    ):
        context.wrap_socket(plain, server_hostname="meant-b")
    assert logged(a, sni="meant-b")["status"] == 400


def test_a_refused_call_of_grpc_is_in_the_log(a: Service, b: Service) -> None:
    """An HTTP 200 like any other, but for its reason: who asked whom for what."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.default_authority", "b"))
    with grpc.insecure_channel(f"{a.ip}:{OUTBOUND}", options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert f"spiffe://{DOMAIN}/a may not call this on service b" in caught.value.details()
    line = logged(b, path="/grpc.health.v1.Health/Check")
    assert (line["peer"], line["service"], line["status"]) == (f"spiffe://{DOMAIN}/a", "b", 200)
    assert line["details"].startswith("rbac_access_denied")


def test_a_caller_without_a_certificate_is_in_the_log(lab: Lab, b: Service) -> None:
    """Once, and it never becomes a call. The control plane tries the same, so its line says that
    this is right; that of a caller who speaks no TLS does not. A proven caller is no line."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(lab, b.ip, 15000, "b")
    with socket.create_connection((b.ip, 15000), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(1)
    for reason, note in (
        (
            "PEER_DID_NOT_RETURN_A_CERTIFICATE",
            "no certificate, turned away as it must be; `iac deploy`, `iac health` and"
            " `iac admin serve` try this themselves, through the gateway",
        ),
        (
            "HTTP_REQUEST",
            "the handshake failed before it proved that it belongs to project shop",
        ),
    ):
        eventually(partial(_notes, b, reason), 5)
        assert _notes(b, reason) == [note]
    before = len(b.lines())
    handshake(lab, b.ip, 15000, "b", "a")
    time.sleep(1.5)
    assert len(b.lines()) == before


def _notes(service: Service, reason: str) -> list[str]:
    """What its log says of callers that were turned away for this reason, line by line."""
    return [line["note"] for line in service.lines() if reason in (line["tls"] or "")]


def test_an_envoy_holds_few_inotify_instances(b: Service) -> None:
    """The kernel gives 128 to a uid."""
    links = [each.readlink() for each in Path(f"/proc/{b.process.pid}/fd").iterdir()]
    assert sum("inotify" in str(each) for each in links) == 9


def test_a_gateway_that_is_stopped_lets_its_connections_end(lab: Lab, b: Service) -> None:
    """It passes on bytes, so its calls are its connections; Envoy's own numbers tell."""
    gateway = lab.service("gateway", role="gateway")
    ask = partial(envoy.ask, path=gateway.run / "admin.sock")
    leaf = lab.leaf("control-plane")
    context = ssl.create_default_context(cafile=str(leaf / "ca.crt"))
    context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
    plain = socket.create_connection((gateway.ip, 15443), 5)
    with context.wrap_socket(plain, server_hostname="b"):
        began = time.monotonic()
        envoy.drain(ask, seconds=0.5)
        assert time.monotonic() - began >= 0.5, "while a connection is open"
    began = time.monotonic()
    envoy.drain(ask, seconds=5)
    assert time.monotonic() - began < 2
