"""Routes of the machine, from both sources."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from iac_wrapper.adapters import process, routes
from iac_wrapper.adapters.process import Command, CommandResult

JSON = json.dumps(
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.9.8.0/24", "dev": "tun0", "table": "51820"},
        {"dst": "10.1.2.3", "dev": "tun0"},
        {"type": "blackhole", "dst": "172.30.0.0/16"},
        {"type": "local", "dst": "172.17.0.1", "dev": "docker0", "table": "local"},
        {"type": "broadcast", "dst": "172.17.255.255", "dev": "docker0", "table": "local"},
        {"dst": "128.0.0.0/1", "dev": "tun0"},
    ]
)
TABLE = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "tun0\t0008090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
)


def _answer(monkeypatch: pytest.MonkeyPatch, text: str, code: int = 0) -> None:
    def run(command: Command, **_options: object) -> CommandResult:
        return CommandResult(command, code, text, "")

    monkeypatch.setattr(process, "run", run)


def test_routes_of_every_table_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VPN's policy table, single hosts and dead ends; not the default, in one part or two."""
    _answer(monkeypatch, JSON)
    assert [(str(route.subnet), route.device) for route in routes.read_routes()] == [
        ("10.9.8.0/24", "tun0"),
        ("10.1.2.3/32", "tun0"),
        ("172.30.0.0/16", ""),
    ]


@pytest.mark.parametrize(("text", "code"), [("", 1), ("Usage: ip", 0), ('[{"dev": 1}]', 0)])
def test_without_a_useful_ip_the_kernels_table_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, code: int
) -> None:
    """Busybox's ip knows no JSON, and small machines have none."""
    table = tmp_path / "route"
    table.write_text(TABLE)
    monkeypatch.setattr(routes, "_TABLE", table)
    _answer(monkeypatch, text, code)
    assert [(str(route.subnet), route.device) for route in routes.read_routes()] == [
        ("10.9.8.0/24", "tun0")
    ]


@pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")
def test_both_sources_agree_on_this_machine() -> None:
    """What the kernel's main table holds is what ip shows of it."""
    shown = subprocess.run(
        ["ip", "-json", "-4", "route", "show"], capture_output=True, text=True, check=True
    )
    by_ip = routes.parse_json(shown.stdout) or []
    by_kernel = routes.parse_table(Path("/proc/net/route").read_text())
    assert {r for r in by_kernel if r.subnet.prefixlen} == {r for r in by_ip if r.device}
