"""Where requests go: the file for Envoy follows the program's listeners."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from runner import listeners
from runner.listeners import Listener
from runner.sidecar import endpoint
from runner.sidecar.endpoint import Endpoint, Follower


class Program:
    """Listeners that a test opens and closes."""

    def __init__(self, path: Path, *, declared: bool = False) -> None:
        self.now: list[Listener] = []
        self.path = path
        self.follower = Follower(8080, declared, path, lambda: self.now)

    def listens_on(self, *addresses: tuple[str, int]) -> tuple[str, int]:
        """Open those alone; the endpoint that Envoy is told then."""
        self.now = [Listener(port, host) for host, port in addresses]
        self.follower.step()
        return self.served

    @property
    def served(self) -> tuple[str, int]:
        """What the file says."""
        (group,) = self.hosts
        (host,) = group["lb_endpoints"]
        address = host["endpoint"]["address"]["socket_address"]
        return address["address"], address["port_value"]

    @property
    def hosts(self) -> list[Any]:
        """The groups of endpoints in it."""
        (resource,) = json.loads(self.path.read_text())["resources"]
        found: list[Any] = resource["endpoints"]
        return found


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "app.json")


def test_the_only_port_is_served_and_kept(program: Program) -> None:
    """From $PORT to where it really listens; a port that opens later changes nothing."""
    assert program.served == ("127.0.0.1", 8080)
    assert program.listens_on(("127.0.0.1", 5000)) == ("127.0.0.1", 5000)
    assert program.listens_on(("127.0.0.1", 5000), ("127.0.0.1", 9000)) == ("127.0.0.1", 5000)
    assert program.listens_on() == ("127.0.0.1", 5000), "kept while the program restarts"
    assert program.listens_on(("::1", 7000)) == ("::1", 7000)


def test_no_endpoint_while_nothing_listens_or_none_is_wanted(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart at once is waited for; after a second, and while draining, calls are refused."""
    monkeypatch.setattr(endpoint, "ABSENT_SECONDS", 0.05)
    program.listens_on(("127.0.0.1", 5000))
    assert program.listens_on() == ("127.0.0.1", 5000)
    time.sleep(0.06)
    program.follower.step()
    assert program.hosts == []
    assert program.listens_on(("127.0.0.1", 5000)) == ("127.0.0.1", 5000)
    program.follower.close()
    program.now = [Listener(6000, "127.0.0.1")]
    program.follower.step()
    assert program.hosts == []
    program.follower.open()
    assert program.served == ("127.0.0.1", 6000)


def test_several_ports_are_no_choice(program: Program) -> None:
    """Requests go where they went; $PORT is chosen as soon as it is there."""
    assert program.listens_on(("127.0.0.1", 5000), ("127.0.0.1", 6000)) == ("127.0.0.1", 8080)
    assert program.listens_on(("127.0.0.1", 6000), ("::1", 8080)) == ("::1", 8080)


def test_a_helper_that_opens_first_is_left(program: Program) -> None:
    """The real port takes over, also while the helper stays; a later helper changes nothing."""
    helper = ("127.0.0.1", listeners.client_ports()[0])
    assert program.listens_on(helper) == helper
    assert program.listens_on(helper, ("127.0.0.1", 5000)) == ("127.0.0.1", 5000)
    assert program.listens_on(helper) == ("127.0.0.1", 5000), "kept while the program restarts"


def test_a_declared_port_is_served_whatever_listens(tmp_path: Path) -> None:
    """Only the address is looked for."""
    program = Program(tmp_path / "app.json", declared=True)
    assert program.listens_on(("127.0.0.1", 5000)) == ("127.0.0.1", 8080)
    assert program.listens_on(("172.20.0.3", 8080)) == ("172.20.0.3", 8080)


def test_the_file_is_replaced_only_when_something_changes(program: Program) -> None:
    """Envoy reloads at each rename."""
    program.listens_on(("127.0.0.1", 5000))
    before = program.path.stat().st_ino
    program.listens_on(("127.0.0.1", 5000), ("127.0.0.1", 9000))
    assert program.path.stat().st_ino == before
    program.listens_on(("127.0.0.2", 5000))
    assert program.path.stat().st_ino != before


def test_an_ipv6_endpoint_reads_like_one() -> None:
    """In the line of the log."""
    assert str(Endpoint("::1", 80)) == "[::1]:80"
