"""Envoy as a program: its command line, and its admin socket."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runner.sidecar.config import RUN

REPLACED_SECONDS = {"ingress": 600}
"""How long, by role, what a new listener replaces may go on with the requests that it has: a
certificate is renewed while somebody uploads. Others have listeners that never change."""

DRAIN_SECONDS = 5.0  # with KILL_SECONDS of `supervise` inside Docker's stop timeout of 10 s


def command(config: Path, role: str = "sidecar") -> list[str]:
    """The command line for one configuration file."""
    return [
        *("/usr/local/bin/envoy", "-c", str(config), "--disable-hot-restart"),
        *("--concurrency", "1", "--log-level", "warning"),
        *("--file-flush-interval-msec", "1000"),
        # Where it says at every start that a cluster's DNS settings will move; those of
        # sub-clusters have no other place yet.
        *("--component-log-level", "misc:error"),
        *("--drain-strategy", "immediate"),
        *("--drain-time-s", str(REPLACED_SECONDS.get(role, 1))),
    ]


def ask(method: str, target: str, path: Path = RUN / "admin.sock") -> str:
    """One request to Envoy's admin socket; the response as text, empty when nobody answers."""
    request = f"{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
    chunks = []
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        client.connect(str(path))
        client.sendall(request.encode())
        while chunk := client.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks).decode("utf-8", "replace")


def drain(
    question: Callable[[str, str], str] = ask, seconds: float = DRAIN_SECONDS, poll: float = 0.05
) -> None:
    """Tell clients to go elsewhere and wait until no call is in flight, at most `seconds`.

    For an ingress and a gateway. This one cannot see calls, so it waits for connections.
    ``skip_exit`` keeps the listener open: a client that has not heard yet is served.
    """
    question("POST", "/drain_listeners?graceful&inboundonly&skip_exit")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = question(
            "GET", "/stats?filter=(ingress.downstream_rq|^listener.*_15443.downstream_cx)_active$"
        )
        if not any(int(n) for n in re.findall(r"_active: (\d+)", text)):
            return
        time.sleep(poll)
