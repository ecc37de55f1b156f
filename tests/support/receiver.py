"""A web server that notifications are sent to, and what a receiver does to prove them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from admin.webhooks import signature
from iac_wrapper.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@dataclass
class Receiver:
    """Keeps what it gets and answers with `status`, after `delay` seconds."""

    url: str = ""
    status: int = 204
    delay: float = 0.0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Settings by which it is told."""
        return {"IAC_NOTIFY_URL": self.url, "IAC_NOTIFY_SECRET": SECRET}

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it got, proven as if it came this moment."""
        for headers, body in self.got:
            prove(headers, body, at=float(headers["webhook-timestamp"]))
        return [json.loads(body) for _, body in self.got]


def prove(headers: dict[str, str], body: bytes, *, at: float, secret: str = SECRET) -> None:
    """As the admin API proves what GitLab sends, by the same specification.

    Args:
        headers: by lower-case name.
        body: as received.
        at: when, seconds since 1970.
        secret: what is shared.

    Raises:
        Problem: it is not from who has the secret, or too old.
    """
    signature.check("gl", headers, body, Settings(GITLAB_WEBHOOK_TOKEN=secret), now=at)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback, with a token in its path."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(made.delay)
            self.send_response(made.status)
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}/token-in-the-path"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
