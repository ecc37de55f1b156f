"""An HTTP server on a Unix socket that answers as a Docker engine was recorded to answer."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from provider.engine import EngineApi
from provider.resource import ProviderContext
from tests.support.running import running

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - what Docker calls every address; compared, not bound

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Any:
    """An inspect answer of Docker 20.10 for a resource of the official provider's sample."""
    return json.loads((RECORDED / f"{name}.json").read_text())


class StandIn(socketserver.ThreadingUnixStreamServer):
    """Answers from `answers`, ``"GET /path"`` to (status, JSON); keeps what it was sent.

    To a call with status 0 it hangs up without an answer.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.host = f"unix://{path}"
        self.answers: dict[str, tuple[int, Any]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.newest_api = "1.41"
        self.apis: set[str] = set()

    def answer(self, call: str, body: Any = None, status: int = 200) -> None:
        """Set the answer to a call."""
        self.answers[call] = (status, body)

    def sent(self, call: str) -> Any:
        """The body of the last request to `call`."""
        return [body for name, _, body in self.calls if name == call][-1]


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        if self.path == "/_ping":
            self._answer(200, b"OK")
            return
        api, _, rest = self.path.removeprefix("/v").partition("/")
        self.server.apis.add(api)
        path, _, query = f"/{rest}".partition("?")
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_json = self.headers.get("Content-Type") == "application/json"
        call = f"{self.command} {path}"
        self.server.calls.append((call, query, json.loads(data) if is_json else data))
        missing = (404, {"message": f"no answer to {call}"})
        status, body = self.server.answers.get(call, missing)
        if not status:  # hang up
            self.close_connection = True
            return
        self._answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def _answer(self, status: int, payload: bytes) -> None:
        self.send_response(status)
        self.send_header("Api-Version", self.server.newest_api)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the base class looks for these

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def address_string(self) -> str:
        return "unix"


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    server = StandIn(tmp_path / "engine.sock")
    with running(server):
        yield server


@pytest.fixture
def context(stand_in: StandIn) -> ProviderContext:
    return ProviderContext(EngineApi(stand_in.host))
