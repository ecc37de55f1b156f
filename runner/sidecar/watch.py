"""How a program without a runner is, as far as its network namespace shows: asked over mTLS.

Envoy passes such questions on for the control plane only. Who asks knows the container, and says
which start of the program it means and how old that is; the answer is that of the runner's own
judgement, so both kinds of program are held to the same rules.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runner import http2
from runner.listeners import MESH_PORTS, Listener
from runner.readiness import Choice, Readiness
from runner.readiness_verdict import Protocol, ReadinessVerdict
from runner.settings import RunnerSettings

PATH = "/iac.sidecar/readiness"


class PlainOpinion:
    """What a port speaks, told by its bytes alone: the process behind it cannot be seen here."""

    def __init__(self) -> None:
        self._protocol: Protocol = "NONE"

    def on(self, host: str, port: int) -> ReadinessVerdict:
        """The verdict on a program that listens there; it is asked once."""
        at = str(Listener(port, host))
        if self._protocol == "NONE":
            self._protocol = http2.told_by_bytes(host, port)
        return ReadinessVerdict(True, f"listens on {at}", at, self._protocol)


class Watch:
    """Judges starts of one program.

    Args:
        settings: what a runner would be told.
        find: the program's listeners now.
    """

    def __init__(self, settings: RunnerSettings, find: Callable[[], list[Listener]]) -> None:
        self._settings = settings
        self._find = find
        self._choice = Choice(settings.port)
        self._start: int | None = None
        self._readiness = self._new()
        self._lock = threading.Lock()

    def verdict(self, start: int, age: float) -> ReadinessVerdict:
        """On the start number `start`, which is `age` seconds old."""
        with self._lock:
            if start != self._start:
                self._start, self._readiness = start, self._new()
            return self._readiness.verdict(age)

    def _new(self) -> Readiness:
        return Readiness(self._settings, PlainOpinion, self._choice, self._find)


def serve(watch: Watch) -> None:
    """Answer on the port that a runner would have, on threads that end with the process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            words = parse_qs(asked.query) if asked.path == PATH else {}
            try:
                start, age = int(words["start"][0]), float(words["age"][0])
            except (KeyError, ValueError):
                self.send_error(400)
                return
            body = json.dumps(asdict(watch.verdict(start, age))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads that it was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", MESH_PORTS["runner"]), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
