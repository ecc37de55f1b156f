"""What the kernel tells about the container: OOM kills, interfaces, listening sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from runner import listeners, udp
from runner.listeners import inodes, listening, of_program
from runner.memory import RECENT_SECONDS, KernelKills, oom_kills
from runner.namespace import Namespace


@pytest.mark.parametrize(
    ("file", "text", "count"),
    [
        ("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0),
    ],
    ids=["cgroup v2", "cgroup v1", "old kernel"],
)
def test_oom_kills_are_counted(tmp_path: Path, file: str, text: str, count: int) -> None:
    """Both cgroup versions give the number; a kernel without it gives 0."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert oom_kills(tmp_path) == count


def test_no_cgroup_is_no_oom(tmp_path: Path) -> None:
    """Without a cgroup file nothing was killed."""
    assert oom_kills(tmp_path) == 0


def test_killed_processes_are_those_of_the_current_start() -> None:
    """Each is new once; what fails soon after one fails for it, what fails later does not."""
    count, now = 4, 100.0
    kernel = KernelKills(lambda: count, lambda: now)
    assert not kernel.look()
    assert not kernel.recent
    count = 6
    assert (kernel.look(), kernel.look(), kernel.killed) == (True, False, 2)
    now += RECENT_SECONDS
    assert kernel.recent
    now += 0.1
    assert not kernel.recent
    kernel.started()
    assert (kernel.look(), kernel.killed, kernel.recent) == (False, 0, False)


def test_namespace_is_lost_when_its_interfaces_go() -> None:
    """eth0 there at the start and gone later is a dead namespace."""
    now = {"lo", "eth0", "tunl0"}
    namespace = Namespace(lambda: now)
    assert not namespace.lost()
    now.remove("eth0")
    assert namespace.lost()


def test_namespace_without_an_interface_is_never_lost() -> None:
    """Network mode none, or a namespace with lo only, must not trigger."""
    assert not Namespace(lambda: {"lo"}).lost()


def test_disconnecting_one_of_two_networks_is_no_loss() -> None:
    """As long as one interface of the start stays, the namespace lives."""
    now = {"lo", "eth0", "eth1"}
    namespace = Namespace(lambda: now)
    now.remove("eth1")
    assert not namespace.lost()


def test_real_interfaces_are_read() -> None:
    """On this machine nothing is lost between two looks."""
    assert not Namespace().lost()


def test_listening_sockets_are_found_and_filtered() -> None:
    """A listening socket shows with its address, unless its port is hidden."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"127.0.0.1:{port}" in map(str, of_program(os.getuid(), without=[]))
        assert f"127.0.0.1:{port}" not in map(str, of_program(os.getuid(), without=[port]))


def test_udp_ports_of_servers_are_told_from_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port below the range for clients, or the one that is wanted; no peer, and of this uid."""
    monkeypatch.setattr(listeners, "client_ports", lambda: range(32768, 61000))
    rest = "00000000:00000000 00:00000000 00000000"
    (tmp_path / "udp").write_text(
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        f" 10: 0100007F:14E9 00000000:0000 07 {rest} 7 0 1 2 0 0\n"
        f" 11: 0100007F:14EA 0100007F:0035 01 {rest} 7 0 1 2 0 0\n"
        f" 12: 0100007F:14EB 00000000:0000 07 {rest} 8 0 1 2 0 0\n"
        f" 13: 0100007F:9C40 00000000:0000 07 {rest} 7 0 1 2 0 0\n"
    )
    assert udp.ports(7, 50051, net=tmp_path) == [5353]
    assert udp.ports(7, 40000, net=tmp_path) == [5353, 40000]
    assert udp.ports(7, 40000, net=tmp_path / "none") == []


def test_kernel_tables_are_read(tmp_path: Path) -> None:
    """IPv6 shows in brackets; other states and Docker's resolver do not show."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when uid timeout inode\n"
    rest = "00000000:00000000 00:00000000 00000000 0 0"
    (tmp_path / "tcp").write_text(
        head
        + f"   0: 0B00007F:9D2B 00000000:0000 0A {rest} 1\n"
        + f"   1: 0100007F:1F90 0100007F:9999 01 {rest} 2 1\n"
        + f"   2: 00000000:0050 00000000:0000 0A {rest} 3 1\n"
    )
    (tmp_path / "tcp6").write_text(
        head
        + f"   0: {'0' * 32}:1F91 {'0' * 32}:0000 0A {rest} 4 1\n"
        + f"   1: {'0' * 32}:0050 {'0' * 32}:0000 0A {rest} 5 1\n"
    )
    assert [str(each) for each in listening(tmp_path)] == ["0.0.0.0:80", "[::]:80", "[::]:8081"]
    assert inodes(80, proc=tmp_path) == {3, 5}
    assert inodes(8080, proc=tmp_path) == set()
    assert listening(tmp_path / "missing") == []
