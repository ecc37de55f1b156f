"""What the kernel tells about the container: OOM kills, interfaces, listening sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from runner.listeners import inodes, listening, of_program


def test_listening_sockets_are_found_and_filtered() -> None:
    """A listening socket shows with its address, unless its port is hidden."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"127.0.0.1:{port}" in map(str, of_program(os.getuid(), without=[]))
        assert f"127.0.0.1:{port}" not in map(str, of_program(os.getuid(), without=[port]))


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
