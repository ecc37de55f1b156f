"""UDP ports of servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import listeners, udp


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
