"""Which port is the program's: read from the kernel's table, chosen by a few rules."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import listeners
from runner.listeners import Listener

TABLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def row(local: str, uid: int, *, state: str = "0A", inode: int = 7) -> str:
    return f"   0: {local} 00000000:0000 {state} 0:0 00:0 0 {uid} 0 {inode} 1 0 100 0 0 10 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A program (uid 10001) on 5000 and ::1, the runner, Envoy, Docker's resolver, a connection."""
    (tmp_path / "tcp").write_text(
        TABLE
        + row("00000000:1388", 10001, inode=1)
        + row("0100007F:3AAC", 10001)
        + row("00000000:3A98", 20000)
        + row("0B00007F:9C40", 0)
        + row("0100007F:1F90", 10001, state="01")
    )
    (tmp_path / "tcp6").write_text(
        TABLE
        + row("00000000000000000000000001000000:1F40", 10001)
        + row("0000000000000000FFFF00000100007F:1F41", 10001)
    )
    return tmp_path


def test_a_programs_listeners_are_told_from_ours(proc: Path) -> None:
    """By uid and port; a mapped IPv4 address is an IPv4 address, a connection is no listener."""
    mine = listeners.of_program(10001, without=[15020], proc=proc)
    assert [str(each) for each in mine] == ["0.0.0.0:5000", "[::1]:8000", "127.0.0.1:8001"]
    assert listeners.inodes(5000, proc=proc) == {1}


def test_a_missing_table_is_an_empty_one(tmp_path: Path) -> None:
    """A kernel without IPv6 has no tcp6."""
    assert listeners.listening(tmp_path) == []


@pytest.mark.parametrize(
    ("ports", "previous", "chosen"),
    [
        ([], 8080, 8080),
        ([5000], 8080, 5000),
        ([], 5000, 5000),
        ([5000, 9000], 5000, 5000),
        ([9000], 5000, 9000),
        ([9000, 9001], 5000, 5000),
        ([9000, 9001], 8080, 8080),
        ([8080, 9000], 8080, 8080),
        ([8080, 9000], 9000, 8080),
    ],
)
def test_the_only_port_is_served_and_kept(ports: list[int], previous: int, chosen: int) -> None:
    """$PORT (8080) first, then the one before, then the only one; never a guess among several."""
    found = [Listener(port, "0.0.0.0") for port in ports]  # noqa: S104
    assert listeners.choose(found, 8080, declared=False, previous=previous) == chosen
    assert listeners.choose(found, 8080, declared=True, previous=8080) == 8080


@pytest.fixture
def few_client_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that hands out 40000 to 40999."""
    monkeypatch.setattr(listeners, "client_ports", lambda: range(40000, 41000))


LOCAL, ALL = "127.0.0.1", "0.0.0.0"  # noqa: S104


@pytest.mark.usefixtures("few_client_ports")
@pytest.mark.parametrize(
    ("found", "previous", "chosen"),
    [
        ([(40001, LOCAL)], 8080, 40001),  # it may be the service: there is nothing better
        ([(40001, LOCAL), (5000, LOCAL)], 8080, 5000),
        ([(40001, LOCAL), (5000, LOCAL)], 40001, 5000),  # takes over from a helper
        ([(40001, "::1"), (40001, LOCAL), (5000, ALL)], 40001, 5000),
        ([(40001, ALL), (5000, LOCAL)], 40001, 40001),  # not on loopback only: no helper
        ([(40001, LOCAL), (40001, ALL), (5000, LOCAL)], 40001, 40001),
        ([(31999, LOCAL), (5000, LOCAL)], 31999, 31999),  # not a port that the kernel gives
        ([(40001, LOCAL), (40002, LOCAL)], 40001, 40001),
        ([(40001, LOCAL), (40002, LOCAL)], 8080, 8080),
        ([(40001, LOCAL), (5000, ALL), (9000, ALL)], 40001, 40001),  # two that may be it
        ([(40001, LOCAL), (5000, ALL), (9000, ALL)], 9000, 9000),
        ([(40001, LOCAL)], 5000, 5000),  # started again, and opens its helper first again
        ([(40002, LOCAL)], 40001, 40002),
        ([(8080, LOCAL), (40001, LOCAL), (5000, ALL)], 40001, 8080),
    ],
)
def test_a_helpers_port_gives_way(found: list[tuple[int, str]], previous: int, chosen: int) -> None:
    """Loopback and a port from the kernel: what a manager, a debugger or a kernel opens."""
    mine = [Listener(port, host) for port, host in found]
    assert listeners.choose(mine, 8080, declared=False, previous=previous) == chosen


@pytest.mark.usefixtures("few_client_ports")
def test_the_port_that_a_program_was_told_is_no_helpers() -> None:
    """$PORT is 50051 by default, which is among those that the kernel hands out."""
    mine = [Listener(40500, LOCAL), Listener(40600, LOCAL)]
    assert listeners.foremost(mine, 40500) == [Listener(40500, LOCAL)]
    assert listeners.foremost(mine[1:], 40500) == mine[1:]
    assert listeners.has_only_helpers(mine[1:], 40500)
    assert not listeners.has_only_helpers(mine, 40500)
    assert not listeners.has_only_helpers([], 40500)


def test_a_port_from_the_kernel_is_known_as_one() -> None:
    """The range is the one that the kernel itself keeps to."""
    with socket.create_server((LOCAL, 0)) as server:
        assert server.getsockname()[1] in listeners.client_ports()
    assert 8080 not in listeners.client_ports()


@pytest.mark.parametrize(
    ("hosts", "reached"),
    [
        ([], None),
        (["0.0.0.0"], "127.0.0.1"),  # noqa: S104
        (["127.0.0.1", "172.20.0.3"], "127.0.0.1"),
        (["::1"], "::1"),
        (["172.20.0.3"], "172.20.0.3"),
        (["127.0.0.5"], "127.0.0.5"),
    ],
)
def test_a_listener_is_reached_where_it_listens(hosts: list[str], reached: str | None) -> None:
    """On 127.0.0.1 where that will do, else on its own address; another port's do not count."""
    found = [*(Listener(80, host) for host in hosts), Listener(81, "127.0.0.9")]
    assert listeners.address(found, 80) == reached


@pytest.fixture(params=[False, True], ids=["both families", "IPv6 only"])
def on_any_v6(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, bool]]:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, request.param)
        try:
            server.bind(("::", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen()
        yield server, request.param


def test_a_real_listener_on_every_ipv6_address_is_found(
    on_any_v6: tuple[socket.socket, bool],
) -> None:
    """``::`` takes IPv4 as well or not: a connection tells."""
    server, only_v6 = on_any_v6
    port = server.getsockname()[1]
    mine = [each for each in listeners.of_program(os.getuid(), without=[]) if each.port == port]
    assert [each.host for each in mine] == ["::"]
    assert listeners.address(mine, port) == ("::1" if only_v6 else "127.0.0.1")


def test_the_kernels_answer_is_what_its_tables_say(on_any_v6: tuple[socket.socket, bool]) -> None:
    """Asked for listeners only, the kernel tells of each what its text tables tell."""
    port = on_any_v6[0].getsockname()[1]
    told, read = (
        [each for each in found if each.port == port]
        for found in (listeners.listening(), listeners.listening(Path("/proc/net")))
    )
    assert told == read
    assert [(each.uid, each.inode > 0) for each in told] == [(os.getuid(), True)]


def test_the_tables_stand_in_where_the_kernel_may_not_be_asked(
    on_any_v6: tuple[socket.socket, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some sandboxes have no netlink."""
    port = on_any_v6[0].getsockname()[1]
    monkeypatch.setattr(socket, "AF_NETLINK", 9999)
    assert port in {each.port for each in listeners.listening()}
