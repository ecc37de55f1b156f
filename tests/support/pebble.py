"""Pebble, the ACME server that Let's Encrypt tests clients with: strict, and refusing at random.

It resolves every name to this machine and fetches proofs from `Answering`, a small web server, or
from the port that it is told. Go builds it once into `.iac/test-tools`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from iac_wrapper.files import file_lock
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.model.public_host import Answers

ROOT = Path(__file__).parents[2]
VERSION = "v2.10.3"
TOOLS = ROOT / ".iac" / "test-tools" / f"pebble-{VERSION}"
BINDING = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


@dataclass
class Answering:
    """What `answers` were given is served over HTTP, as the ingress does; `asked` counts proofs."""

    port: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    wrong: bool = False

    @property
    def answers(self) -> Answers:
        return Answers(self._publish, self.texts.__delitem__)

    def _publish(self, token: str, text: str) -> None:
        self.asked += 1
        self.texts[token] = "something else" if self.wrong else text


@dataclass(frozen=True)
class Pebble:
    """A running server: its directory, the bundle that it is checked against, and its log.

    `names` and `management` are the addresses at which its name service and it itself are managed.
    """

    directory: str
    bundle: Path
    log: Path
    web: Answering
    names: str
    management: str

    def settings(self, **more: str) -> dict[str, str]:
        return {"IAC_ACME_DIRECTORY": self.directory, "IAC_ACME_CA": str(self.bundle), **more}

    @property
    def orders(self) -> int:
        """How many were ever made."""
        return self.log.read_text().count("Added order ")

    def lose(self, host: str) -> None:
        """Let the name service fail for `host`."""
        requests.post(f"{self.names}/set-servfail", json={"host": host}, timeout=5)

    def root(self) -> bytes:
        """The authority that its certificates end at, PEM."""
        url, bundle = f"{self.management}/roots/0", str(self.bundle)
        return requests.get(url, timeout=5, verify=bundle).content


def tools() -> Path:
    """The folder with the two programs. Where there is no Go, the tests that ask are skipped."""
    if shutil.which("go") is None:
        pytest.skip("Go is missing, which builds Pebble: ACME is not tested here")
    TOOLS.parent.mkdir(parents=True, exist_ok=True)
    with file_lock.hold(os.open(TOOLS.parent, os.O_RDONLY)):  # one worker builds for all
        if not (TOOLS / "pebble-challtestsrv").exists():
            for name in ("pebble", "pebble-challtestsrv"):
                module = f"github.com/letsencrypt/pebble/v2/cmd/{name}@{VERSION}"
                environ = {**os.environ, "GOBIN": str(TOOLS)}
                subprocess.run(["go", "install", module], check=True, env=environ, timeout=300)
    return TOOLS


@contextmanager
def pebble(
    folder: Path, *, binding: bool = False, http_port: int | None = None
) -> Iterator[Pebble]:
    """A server of its own.

    Args:
        binding: it wants an external account binding.
        http_port: where it fetches proofs; None: from `Pebble.web`.
    """
    built = tools()
    leaf = ensure_leaf(
        ensure_ca(folder / "ca"),
        folder / "tls",
        name="localhost",
        trust_domain="pebble",
        owner_uid=os.geteuid(),
    )
    with answering() as web:
        port, dns, manage, roots = (free_port() for _ in range(4))
        config: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{roots}",
            "certificate": str(leaf.certificate),
            "privateKey": str(leaf.key),
            "httpPort": http_port or web.port,
            "tlsPort": 1,
            "externalAccountBindingRequired": binding,
            "externalAccountMACKeys": BINDING if binding else {},
            "retryAfter": {"authz": 0, "order": 1},
            "profiles": {"default": {"description": "90 days", "validityPeriod": 90 * 86400}},
            "keyAlgorithm": "ecdsa",
        }
        (folder / "config.json").write_text(json.dumps({"pebble": config}))
        environ = {
            **os.environ,
            "PEBBLE_WFE_NONCEREJECT": "30",  # per cent; its own number is 5
            "PEBBLE_AUTHZREUSE": "50",
            "PEBBLE_VA_ALWAYS_VALID": "0",
            "PEBBLE_VA_NOSLEEP": "1",
        }
        off = [f"-{name}=" for name in ("http01", "https01", "doh", "tlsalpn01", "defaultIPv6")]
        names = f"-dnsserver=127.0.0.1:{dns}"
        commands: tuple[list[str | Path], ...] = (
            [built / "pebble-challtestsrv", *off, names, f"-management=127.0.0.1:{manage}"],
            [built / "pebble", "-strict", "-config", folder / "config.json", names],
        )
        log = folder / "pebble.log"
        with log.open("wb") as file:
            running = [
                subprocess.Popen(each, env=environ, stdout=file, stderr=file) for each in commands
            ]
            try:
                for each in (port, manage, roots):
                    _wait(each)
                yield Pebble(
                    f"https://localhost:{port}/dir",
                    leaf.trusted,
                    log,
                    web,
                    names=f"http://127.0.0.1:{manage}",
                    management=f"https://localhost:{roots}",
                )
            finally:
                for process in running:
                    process.kill()
                    process.wait()


@contextmanager
def answering() -> Iterator[Answering]:
    web = Answering()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = web.texts.get(self.path.rpartition("/")[2])
            self.send_response(200 if text else 404)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None: ...

    with serving(Handler) as port:
        web.port = port
        yield web


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A web server on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def free_port() -> int:
    """One of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")
