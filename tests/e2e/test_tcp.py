"""TCP by name on a real engine: a database's ports, reached and proven like HTTP, or refused."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.identity import handshake
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from tests.support import mesh_lab
from tests.support.mesh_lab import DOMAIN, ENVOY_UID, Lab, eventually

pytestmark = pytest.mark.integration

SERVER = """
import hashlib, http.server, socket, threading
name = socket.gethostname()
def serve(host, port, talk):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=500)
    while True:
        threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()
def speaks_first(connection):
    with connection:
        connection.sendall(name.encode() + b"\\n")
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.sendall(b"end")
def digests(connection):
    digest, count = hashlib.sha256(), 0
    with connection:
        while data := connection.recv(1 << 20):
            digest.update(data)
            count += len(data)
        connection.sendall(f"{count} {digest.hexdigest()}".encode())
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(name.encode())
for each in (("0.0.0.0", 5432, speaks_first), ("::1", 6379, digests)):
    threading.Thread(target=serve, args=each).start()
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
"""Speaks first on 5432, only after its client on 6379, and HTTP on 8080."""

TALK = """
import json, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as connection:
    first = connection.recv(100).decode()
    connection.sendall(b"12345")
    connection.shutdown(socket.SHUT_WR)
    rest = b""
    while data := connection.recv(100):
        rest += data
print(json.dumps([first, rest.decode()]))
"""

REFUSED = """
import json, socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as connection:
        print(json.dumps(connection.recv(100).decode()))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""

SEND = """
import hashlib, json, os, socket, sys, time
piece, digest, count = os.urandom(1 << 20), hashlib.sha256(), int(sys.argv[2])
with socket.create_connection(("db", 6379), 5) as connection:
    connection.settimeout(100)
    begin = time.monotonic()
    for _ in range(count):
        connection.sendall(piece)
    connection.shutdown(socket.SHUT_WR)
    answer = connection.recv(200).decode()
    seconds = time.monotonic() - begin
for _ in range(count):
    digest.update(piece)
print(json.dumps([answer == f"{count << 20} {digest.hexdigest()}", seconds]))
"""

QUIET = """
import json, socket, time
with socket.create_connection(("db", 5432), 5) as connection:
    first = connection.recv(100).decode()
    time.sleep(12)
    connection.sendall(b"still here")
    print(json.dumps([first, connection.recv(100).decode()]))
"""
"""Silent for longer than it takes until keepalive asks (10 s)."""

MANY = """
import json, socket, sys, threading
address, count, seen = socket.gethostbyname("db"), int(sys.argv[1]), []
opened = [socket.create_connection((address, 5432), 10) for _ in range(count)]
for each in opened:
    seen.append(each.recv(100).decode())
print(json.dumps([len(seen), sorted(set(seen))]))
"""

CONNECT = """
import json, socket, sys, time
seen, end = [], time.monotonic() + 5
while time.monotonic() < end:
    for name in sys.argv[1:]:
        try:
            with socket.create_connection((name, 5432), 1) as connection:
                seen.append([name, connection.recv(100).decode()])
        except OSError:
            seen.append([name, ""])
print(json.dumps(seen))
"""

HOLD = """
import json, socket, sys, time
connection = socket.create_connection(("db", 5432), 5)
first = connection.recv(100)
print("open", end="", flush=True)
connection.settimeout(100)
begin = time.monotonic()
connection.recv(100)
print(json.dumps(time.monotonic() - begin), flush=True)
"""

ASK = """
import json, socket, struct, sys, time
def query(name, kind, number=1):
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    head, tail = struct.pack(">HHHHHH", number, 256, 1, 0, 0, 0), struct.pack(">HH", kind, 1)
    return head + labels + b"\\0" + tail
def told(packet):
    return [packet[3] & 15, packet[7], packet[-4:].hex() if packet[7] else ""]
def over_tcp(name, kind):
    with socket.create_connection(("127.0.0.11", 53), 5) as server:
        question = query(name, kind)
        server.sendall(len(question).to_bytes(2, "big") + question)
        size = int.from_bytes(server.recv(2), "big")
        return told(server.recv(size))
def over_udp(name, kind):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(6)
        server.connect(("127.0.0.11", 53))
        server.send(query(name, kind))
        return told(server.recv(512))
def burst(name, count, most):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        server.connect(("127.0.0.11", 53))
        server.setblocking(False)
        begin, answers, sent = time.monotonic(), 0, 0
        while time.monotonic() < begin + 20 and answers < count:
            while sent < min(count, answers + most):
                server.send(query(name, 1, sent & 65535))
                sent += 1
            try:
                while True:
                    server.recv(512)
                    answers += 1
            except BlockingIOError:
                time.sleep(0.001)
        return [sent, answers, time.monotonic() - begin]
def addresses(name, count):
    found = [over_udp(name, 1)[2] for _ in range(count)]
    return sum(64 <= int(each[2:4], 16) < 128 and each[:2] == "7f" for each in found)
print(json.dumps(eval(sys.argv[1])))
"""

BOUND = """
import json, socket
taken = [socket.create_server(("0.0.0.0", port)) for port in (5432, 6379)]
print(json.dumps([each.getsockname()[1] for each in taken]))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A database of TCP ports alone, one with HTTP beside, a caller, a gateway and a stranger."""
    made = mesh_lab.start(tmp_path_factory.mktemp("tcp") / "secrets")
    try:
        made.leaf("control-plane", os.geteuid())
        made.sidecar("db", "db", "db", "db_tcp", IAC_TCP="5432,6379", IAC_TCP_ONLY="1")
        made.program("db", SERVER)
        made.sidecar("both", "both", "both", "both_tcp", IAC_TCP="5432")
        made.program("both", SERVER)
        made.service("a")
        made.envoy("gateway", ports={15443: ("127.0.0.1", 0)}, **made.on_network())
        made.python("stranger", "import time; time.sleep(3600)", **made.on_network())
        made.containers["gateway"].reload()
        made.port = int(made.containers["gateway"].ports["15443/tcp"][0]["HostPort"])
        eventually(lambda: check(made.fetch("http://both:8080/")[0] == 200), 15)
        eventually(lambda: check(talk(made, "db") == ["db\n", "12345end"]), 10)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", autouse=True)
def quiet(lab: Lab) -> Iterator[Future[Any]]:
    """A connection on which nothing is said while the other tests run."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(lab.execute, "a-app", QUIET)


def check(condition: bool) -> None:
    """An assertion that `eventually` can repeat."""
    assert condition


def talk(lab: Lab, name: str, port: int = 5432) -> Any:
    """What a program of service a and a server that speaks first say to each other."""
    return lab.execute("a-app", TALK, name, str(port))


def ask(lab: Lab, expression: str) -> Any:
    """What the name server of service a's program says."""
    return lab.execute("a-app", ASK, expression)


def logged(lab: Lab, name: str, **facts: str) -> None:
    """An Envoy's log has a line with these facts; Envoy writes it out within a second."""

    def found() -> None:
        text = lab.containers[name].logs().decode()
        lines = [json.loads(line) for line in text.splitlines() if line[:1] == "{"]
        assert any(facts.items() <= line.items() for line in lines), text

    eventually(found, 4)


def test_a_server_that_speaks_first_is_reached_and_each_direction_ends_by_itself(lab: Lab) -> None:
    """The client ends its half, the server still answers; so it is beside HTTP of the same name."""
    assert talk(lab, "db") == ["db\n", "12345end"]
    assert talk(lab, "both") == ["both\n", "12345end"]
    assert lab.fetch("http://both:8080/") == (200, "both")
    assert lab.fetch("http://both/") == (200, "both")


def test_much_goes_through_a_port_of_which_the_program_has_the_ipv6_loopback_alone(
    lab: Lab, record_property: Any
) -> None:
    """1 GiB, unchanged; bench/tcp.py says how fast."""
    unchanged, seconds = lab.execute("a-app", SEND, "db", "1024")
    assert unchanged
    record_property("MiB/s", 1024 / seconds)


def test_many_connections_are_open_at_once(lab: Lab) -> None:
    """300, each with the peer that was meant."""
    assert lab.execute("a-app", MANY, "300") == [300, ["db\n"]]


def test_names_are_answered_over_udp_and_tcp(lab: Lab) -> None:
    """An address of the mesh's own for programs, no IPv6 one, nobody's name unknown as before."""
    for over in ("over_udp", "over_tcp"):
        status, count, address = ask(lab, f"{over}('db', 1)")
        assert (status, count) == (0, 1)
        assert 64 <= int(address[2:4], 16) < 128
        assert address[:2] == "7f"
        assert ask(lab, f"{over}('db', 28)") == [0, 0, ""]
        assert ask(lab, f"{over}('nobody', 1)")[1:] == [0, ""]
    assert not ask(lab, "over_udp('a', 1)")[2].startswith("7f"), "no TCP ports, so the real one"


def test_of_a_thousand_names_none_is_lost(lab: Lab, record_property: Any) -> None:
    """Up to 50 questions at a time, for a service with TCP ports and for one without."""
    for name in ("db", "a"):
        sent, answers, seconds = ask(lab, f"burst({name!r}, 1000, 50)")
        record_property(f"{name}: seconds for 1000", seconds)
        assert (sent, answers) == (1000, 1000)


def test_no_question_of_a_program_goes_the_way_of_one_of_the_sidecar(lab: Lab) -> None:
    """The kernel keeps the way of a question by its ports, also when another asks from these: of
    800, each from a port of its own after three questions of the sidecar's, some had that luck."""
    assert ask(lab, "addresses('db', 800)") == 800


def test_another_port_is_refused_and_logged_with_the_caller(lab: Lab) -> None:
    """By the caller's own sidecar; the callee's refuses who asks it all the same."""
    assert lab.execute("a-app", REFUSED, "db", "9999") in ("", "ConnectionResetError")
    logged(lab, "a", direction="out", service="a", authority="db:9999", flags="NC")
    seen = handshake.connects(
        lab.port, "db", lab.secrets / "p/control-plane", tcp_port=9999, timeout=5
    )
    assert not seen.accepted
    logged(lab, "db", direction="in", peer=f"spiffe://{DOMAIN}/control-plane", flags="NC")


def test_who_is_not_of_the_mesh_or_is_the_ingress_gets_no_connection(
    lab: Lab, tmp_path: Path
) -> None:
    """Another authority's leaf, and the ingress, which passes on HTTP alone."""

    def taken(leaf: Path) -> bool:
        return handshake.connects(lab.port, "db", leaf, tcp_port=5432, timeout=5).accepted

    uid = os.geteuid()
    ingress = lab.leaf("ingress", uid)
    strange = ensure_leaf(
        ensure_ca(tmp_path), tmp_path / "x", name="a", trust_domain=DOMAIN, owner_uid=uid
    ).directory
    (tmp_path / "mixed").mkdir()
    for name, place in (("tls.crt", strange), ("tls.key", strange), ("ca.crt", ingress.directory)):
        (tmp_path / "mixed" / name).write_bytes((place / name).read_bytes())
    assert taken(lab.secrets / "p/control-plane")
    assert not taken(ingress.directory)
    assert not taken(tmp_path / "mixed")


def test_a_stranger_on_the_network_reaches_no_port_of_a_database(lab: Lab) -> None:
    """Its program listens on all addresses, and nobody gets at it past the sidecar."""
    lab.containers["db"].reload()
    address = lab.containers["db"].attrs["NetworkSettings"]["Networks"][lab.prefix]["IPAddress"]
    assert lab.execute("stranger", REFUSED, address, "5432") == "TimeoutError"
    assert lab.execute("a-app", REFUSED, address, "5432") != "db\n"


def test_no_port_is_taken_from_a_program(lab: Lab) -> None:
    """The caller's program binds all addresses of the ports that it calls elsewhere."""
    assert lab.execute("a-app", BOUND) == [5432, 6379]


def test_a_program_that_does_not_listen_is_logged_with_the_caller(lab: Lab) -> None:
    """The verdict's connection is closed at once, and so is a caller's."""
    lab.sidecar("idle", "idle", "idle", "idle_tcp", IAC_TCP="5432", IAC_TCP_ONLY="1")
    lab.program("idle", "import time; time.sleep(3600)")
    refused = ("", "ConnectionResetError")
    eventually(lambda: check(lab.execute("a-app", REFUSED, "idle", "5432") in refused), 10)
    logged(lab, "idle", direction="in", peer=f"spiffe://{DOMAIN}/a", flags="UF,URX")
    seen = handshake.connects(
        lab.port, "idle", lab.secrets / "p/control-plane", tcp_port=5432, timeout=5
    )
    assert not seen.accepted


def test_a_connection_may_be_quiet(quiet: Future[Any]) -> None:
    """It is the same one afterwards: whole, and with the peer that was meant."""
    assert quiet.result() == ["db\n", "still here"]


def test_services_that_swap_addresses_are_never_taken_for_each_other(lab: Lab) -> None:
    """Two containers change places on the network while a program connects to both."""
    names = ("db", "both")
    containers = [lab.containers[name] for name in names]
    seen: list[list[str]] = []
    caller = threading.Thread(target=lambda: seen.extend(lab.execute("a-app", CONNECT, *names)))
    caller.start()
    network = lab.client.networks.get(lab.prefix)
    addresses = []
    for each in containers:
        each.reload()
        addresses.append(each.attrs["NetworkSettings"]["Networks"][lab.prefix]["IPAddress"])
        network.disconnect(each)
    for name, each, address in zip(names, containers, reversed(addresses), strict=True):
        network.connect(each, aliases=[name, f"{name}_tcp"], ipv4_address=address)
    caller.join()
    answered = [(name, first) for name, first in seen if first]
    assert [name for name, first in answered if first != f"{name}\n"] == []
    assert {name for name, _ in answered[-100:]} == set(names), "both are back"


def test_a_dropped_authority_ends_connections_within_a_minute(
    lab: Lab, tmp_path: Path, record_property: Any
) -> None:
    """At the callee alone: its leaf and authority are of another, the caller's are as before."""
    command = ["python3", "-u", "-c", HOLD]
    run = lab.client.api.exec_create(lab.containers["a-app"].id, command)
    output = lab.client.api.exec_start(run["Id"], stream=True)
    assert next(output) == b"open"
    other = ensure_ca(tmp_path)
    ensure_leaf(
        other, lab.secrets / "p/db", name="db", trust_domain=DOMAIN, owner_uid=ENVOY_UID, force=True
    )
    seconds = json.loads(b"".join(output))
    record_property("seconds", seconds)
    assert seconds < 60
    assert lab.execute("a-app", REFUSED, "db", "5432") != "db\n"
    lab.leaf("db", force=True)
    eventually(lambda: check(talk(lab, "db")[0] == "db\n"), 20)
