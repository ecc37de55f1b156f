"""What a stranger on the network and a program in a service can reach that is not theirs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from iac_wrapper.identity import handshake
from tests.e2e.conftest import Project
from tests.reliability.conftest import Record, address, stranger, until
from tests.reliability.test_leaf_rotation import port
from tests.support.intruder import INTRUDER, SCAN

pytestmark = pytest.mark.reliability

MTLS, GATEWAY = 15000, 15443


def _listening(project: Project, name: str) -> set[int]:
    """The TCP ports that anything in the namespace of a container listens on."""
    pid = project.engine.containers.get(f"{project.name}-{name}").attrs["State"]["Pid"]
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}


@pytest.mark.row(11)
def test_a_stranger_finds_no_port_but_those_that_ask_for_a_certificate(
    mesh: Project, record: Record
) -> None:
    """All ports of one service, and of the others those on which anything listens."""
    wanted: dict[str, Sequence[int]] = {"web-envoy": range(1, 65536)}
    for name in ("caller-envoy", "other-envoy", "gateway", "ingress"):
        wanted[name] = sorted(_listening(mesh, name))
    inside = sum(len(_listening(mesh, name)) for name in wanted)
    found = {}
    with stranger(mesh) as one:
        for name, ports in wanted.items():
            argv = ["python3", "-c", SCAN, address(mesh, name), f"{ports[0]}", f"{ports[-1]}"]
            argv += [] if isinstance(ports, range) else [",".join(map(str, ports))]
            code, said = one.exec_run(argv)
            assert code == 0, said
            found[name] = json.loads(said)
    allowed = {"gateway": [GATEWAY]}
    extra = {
        name: [p for p in ports if p not in allowed.get(name, [MTLS])]
        for name, ports in found.items()
    }
    record(
        "a foreign container on the network connects to every port",
        f"{sum(map(len, wanted.values()))} ports of {len(wanted)} containers, where {inside}"
        " sockets listen",
        f"{sum(map(len, extra.values()))} open beside {MTLS} of sidecars and ingress and"
        f" {GATEWAY} of the gateway",
    )
    assert found["web-envoy"] == [MTLS]
    assert not any(extra.values()), extra


@pytest.mark.row(11)
def test_a_program_reaches_nothing_that_is_not_its_own(mesh: Project, record: Record) -> None:
    """Admin interface, keys, the runner's memory and files, files of other users, the engine."""
    code, said = mesh.container("caller", "app").exec_run(["/venv/bin/python", "-c", INTRUDER])
    assert code == 0, said
    found = json.loads(said.splitlines()[-1])
    reached = [name for name, got in found["tried"].items() if got]
    record(
        "a program looks for admin, keys, the runner's memory, files of others, ptrace, the engine",
        f"{len(found['tried'])} tries, {found['files']} files looked at,"
        f" {len(found['own'])} controls",
        f"{len(reached)} reachable" + "".join(f"; {name}" for name in reached),
    )
    assert reached == []
    assert all(found["own"].values()), found["own"]


@contextmanager
def _swapped(project: Project, one: str, other: str) -> Iterator[None]:
    """Two containers have each other's address, and all neighbours learn it; what the engine knows
    and its name server says stays as it was."""
    network = project.engine.networks.list(filters=project.label)[0]
    length = ip_network(network.attrs["IPAM"]["Config"][0]["Subnet"]).prefixlen
    own = {name: f"{address(project, name)}/{length}" for name in (one, other)}
    wrong = {one: own[other], other: own[one]}
    _readdress(project, own, wrong)
    try:
        yield
    finally:
        _readdress(project, wrong, own)


def _readdress(project: Project, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for name in before:
        _ip(project, name, "addr", "flush", "dev", "eth0", "scope", "global")
        _ip(project, name, "addr", "add", after[name], "dev", "eth0")
        bridge = str(ip_interface(after[name]).network[1])
        _ip(project, name, "route", "replace", "default", "via", bridge)
    for name in (*before, "caller-envoy", "gateway", "ingress"):
        _ip(project, name, "neigh", "flush", "all")


def _ip(project: Project, name: str, *arguments: str) -> None:
    """As the kernel of the machine, in the network namespace of a container."""
    pid = project.engine.containers.get(f"{project.name}-{name}").attrs["State"]["Pid"]
    subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", *arguments], check=True)


ASK = """
import collections, http.client, json, sys, time
said, end = collections.Counter(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for name in ('web', 'other'):
        try:
            connection = http.client.HTTPConnection(name, 8080, timeout=1)
            connection.request('GET', '/')
            answer = connection.getresponse()
            text = answer.read().decode()
            said[f'{name}: {text if answer.status == 200 else answer.status}'] += 1
        except OSError as error:
            said[f'{name}: {type(error).__name__}'] += 1
        connection.close()
print(json.dumps(said))
"""


def _ask(project: Project, seconds: float) -> dict[str, int]:
    argv = ["/venv/bin/python", "-c", ASK, str(seconds)]
    code, said = project.container("caller", "app").exec_run(argv)
    assert code == 0, said
    answers: dict[str, int] = json.loads(said)
    return answers


@pytest.mark.row(12)
def test_a_service_at_the_address_of_another_is_not_taken_for_it(
    mesh: Project, record: Record
) -> None:
    """The names lead to the wrong one: a handshake shows whose certificate is there."""
    good = {"web: one", "other: other"}
    assert _ask(mesh, 1).keys() == good
    right = handshake.shown_certificate(port(mesh), "web", timeout=5)
    began = time.monotonic()
    with _swapped(mesh, "web-envoy", "other-envoy"):
        answers = _ask(mesh, 5)
        shown = handshake.shown_certificate(port(mesh), "web", timeout=5)
    took = time.monotonic() - began
    again = until(lambda: _ask(mesh, 0.2).keys() == good)
    wrong = {text: count for text, count in answers.items() if text in ("web: other", "other: one")}
    record(
        f"addresses of two services swapped for {took:.0f} s",
        f"{sum(answers.values())} calls",
        f"{sum(wrong.values())} answered by the wrong identity; {answers}; both right"
        f" {again:.1f} s after the end",
    )
    assert shown not in (None, right), "the names did not lead to the wrong one"
    assert not wrong
