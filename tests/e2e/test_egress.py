"""What a program reaches outside of its project: beside each refusal a service that may."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.support import mesh_lab
from tests.support.mesh_lab import Lab, eventually

pytestmark = pytest.mark.integration

OUTSIDE = """
import socket, threading
def serve(port):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        one, _ = listener.accept()
        one.sendall(b"hello %d" % port)
        one.close()
for port in (80, 443, 5432, 9000, 9001):
    threading.Thread(target=serve, args=[port]).start()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 9000))
while True:
    packet, client = udp.recvfrom(100)
    udp.sendto(packet, client)
"""

TRY = """
import json, socket, sys, time
def tcp(host, port):
    with socket.create_connection((host, port), 5) as one:
        return one.recv(100).decode()
def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(3)
        one.connect((host, port))
        one.send(b"echo")
        return one.recv(100).decode()
def name(host, port):
    return socket.gethostbyname(host)
found, began = {}, time.monotonic()
for kind, host, port in json.loads(sys.argv[1]):
    try:
        found[f"{kind} {host}:{port}"] = globals()[kind](host, port)
    except OSError as error:
        found[f"{kind} {host}:{port}"] = type(error).__name__
found["seconds"] = time.monotonic() - began
print(json.dumps(found))
"""

HIDDEN = """
import json, socket
rows = [row.split() for row in open("/proc/net/udp").readlines()[1:]]
port = next(int(at[9:], 16) for _, at, *_ in rows if at[:8] == "0B00007F")
query = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3api\\7example\\3com\\0\\0\\1\\0\\1"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.settimeout(2)
    one.connect(("127.0.0.11", port))
    try:
        one.send(query)
        print(json.dumps(one.recv(500)[7]))
    except OSError as error:
        print(json.dumps(type(error).__name__))
"""
"""Asks the engine's name server at the port behind 53, past PID 1: how many answers it has."""


class Outside:
    """A host on another network, known as api.example.com, db.example.com and other.example.com."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.network = lab, lab.client.networks.create(f"{lab.prefix}-outside")
        lab.python("outside", OUTSIDE)
        names = ("api.example.com", "db.example.com", "other.example.com")
        self.network.connect(lab.containers["outside"], aliases=list(names))
        lab.containers["outside"].reload()
        found = lab.containers["outside"].attrs["NetworkSettings"]["Networks"]
        self.address = found[self.network.name]["IPAddress"]

    def service(self, name: str, egress: str | None) -> None:
        """Start a service whose containers are on that network, too: so its names are the engine's
        to answer, and its addresses are reached by a route of their own."""
        told = {} if egress is None else {"IAC_EGRESS": egress}
        self.lab.sidecar(name, name, name, **told)
        self.network.connect(self.lab.containers[name])
        self.lab.program(name, mesh_lab.APP)

    def attempts(self, name: str, *wanted: tuple[str, str, int]) -> dict[str, Any]:
        """What the program of `name` gets."""
        found: dict[str, Any] = self.lab.execute(f"{name}-app", TRY, json.dumps(wanted))
        return found

    def close(self) -> None:
        for each in self.lab.containers.values():
            each.remove(force=True)
        self.lab.containers.clear()
        self.network.remove()
        self.lab.close()


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """A service that may reach some hosts, one that may reach none, one that nothing is said of."""
    made = Outside(mesh_lab.start(tmp_path_factory.mktemp("egress") / "secrets"))
    try:
        made.lab.leaf("control-plane", os.geteuid())
        listed = f"api.example.com,db.example.com:5432,{made.address}:9000"
        made.service("a", listed)
        made.service("b", "deny")
        made.service("both", None)
        for name in ("a", "b", "both"):
            eventually(partial(reaches_both, made.lab, name), 15)
        yield made
    finally:
        made.close()


def reaches_both(lab: Lab, name: str) -> None:
    status, text = lab.fetch("http://both:8080/", name=f"{name}-app")
    assert status == 200, text


def test_a_list_opens_its_hosts_and_addresses_alone(outside: Outside) -> None:
    """By name at its ports, by address at its own over TCP and UDP; peers as ever."""
    at = outside.address
    good = [("tcp", "api.example.com", 443), ("tcp", "api.example.com", 80)]
    good += [("tcp", "db.example.com", 5432), ("tcp", at, 9000), ("udp", at, 9000)]
    bad = [("name", "other.example.com", 0), ("tcp", at, 443), ("tcp", at, 9001), ("udp", at, 9001)]
    answers = ["hello 443", "hello 80", "hello 5432", "hello 9000", "echo"]
    refusals = ["gaierror", *["ConnectionRefusedError"] * 2, "PermissionError"]
    found = outside.attempts("a", *good, *bad, ("tcp", "db.example.com", 443))
    assert found.pop("seconds") < 3
    assert list(found.values()) == [*answers, *refusals, ""], "another port of a host is closed"
    open_to_all = outside.attempts("both", *good, *bad[:-1])
    assert list(open_to_all.values())[:-1] == [*answers, at, "hello 443", "hello 9001"]
    for name in ("a", "b"):
        reaches_both(outside.lab, name)


def test_deny_opens_nothing_and_tells_at_once(outside: Outside) -> None:
    """Neither a name nor an address."""
    at = outside.address
    found = outside.attempts(
        "b", ("name", "api.example.com", 0), ("tcp", at, 80), ("udp", at, 9000)
    )
    assert found.pop("seconds") < 2
    assert list(found.values()) == ["gaierror", "ConnectionRefusedError", "PermissionError"]


def test_no_question_gets_past_pid_1(outside: Outside) -> None:
    """The engine would ask other name servers for any name, and a name can carry what is in it."""
    assert outside.lab.execute("both-app", HIDDEN) > 0
    assert outside.lab.execute("b-app", HIDDEN) != 1
    assert isinstance(outside.lab.execute("a-app", HIDDEN), str)


def test_each_refusal_is_a_line_of_the_log(outside: Outside) -> None:
    """Once a minute, by name or address."""
    for _ in range(3):
        outside.attempts("b", ("name", "api.example.com", 0), ("tcp", outside.address, 80))
    time.sleep(0.5)
    log = outside.lab.containers["b"].logs().decode()
    assert log.count("the name api.example.com was refused: `egress:` of service b") == 1
    assert log.count(f"TCP to {outside.address}:80 was refused") == 1
    assert f"UDP to {outside.address}:9000 was refused" in log
    log = outside.lab.containers["a"].logs().decode()
    assert "`egress:` of service a in repos.yaml does not allow this port of db.example.com" in log
    assert "refused" not in outside.lab.containers["both"].logs().decode()
