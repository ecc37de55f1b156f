"""The whole admin API in this process: real server, real workers; Supabase and Docker are doubles.

Clients speak real HTTP to its port or its Unix socket, as one of some users.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.transport import UnixHTTPAdapter
from jsonschema import Draft202012Validator

from admin import contract
from admin.app import create_app
from admin.backend import Backend
from admin.jobs import worker_lock
from admin.wsgi.server import HttpServer
from iac_wrapper import settings
from iac_wrapper.files.layout import Layout
from tests.support.auth_server import AuthServer
from tests.support.docker_daemon import Daemon, daemon
from tests.support.jobs_lab import until

PROJECT = "demo"
USERS = {"reader": "=read", "deployer": "=read+deploy", "boss": ""}
"""Users on the allow-list; ``stranger`` is a user who is not on it."""

SECONDS = 20


class Client(requests.Session):
    """Paths instead of URLs; the answer's problem, if it is one, must fit the document."""

    def __init__(self, base: str, token: str | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.base = base
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: Any, url: Any, *args: Any, **more: Any) -> requests.Response:
        more.setdefault("timeout", SECONDS)
        more.setdefault("allow_redirects", False)
        answer = super().request(method, f"{self.base}{url}", *args, **more)
        if answer.status_code >= 400 and method != "HEAD":
            check_problem(answer)
        return answer


def check_problem(answer: requests.Response) -> None:
    """Fail unless the answer is a problem as the document has it."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    check_schema("Problem", answer.json())
    assert answer.json()["status"] == answer.status_code


def check_schema(name: str, value: Any) -> None:
    """Fail unless `value` fits a schema of the document."""
    _validator(name).validate(value)


@cache
def _validator(name: str) -> Draft202012Validator:
    components = contract.document()["components"]
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": components},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def code(answer: requests.Response) -> str:
    """Which problem an answer is."""
    return str(answer.json()["type"]).rpartition(":")[2]


@dataclass
class Api:
    """A running API; `root` is its project folder."""

    root: Path
    backend: Backend
    server: HttpServer
    auth: AuthServer
    engine: Daemon
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        return self.backend.layout

    @property
    def url(self) -> str:
        assert self.server.address
        return "http://{}:{}".format(*self.server.address)

    def http(self, who: str | None = None) -> Client:
        """A client of the port: nobody, one of the users, or ``service``."""
        return Client(self.url, self.token(who) if who else None)

    def socket(self, who: str | None = None) -> Client:
        """A client of the Unix socket."""
        client = Client("http+docker://localhost", self.token(who) if who else None)
        path = f"http+unix://{self.server.socket}"
        client.mount("http+docker://", UnixHTTPAdapter(path, timeout=SECONDS))
        return client

    def token(self, who: str) -> str:
        if who == "service":
            return self.auth.service_key
        if who not in self.tokens:
            self.tokens[who] = self.auth.sign_in(self.auth.add_user(f"{who}@example.org"))
        return self.tokens[who]

    def block(self) -> None:
        """Hold up every worker that starts from now on; see `jobs_lab`."""
        os.mkfifo(self.root / ".env")

    def let_go(self) -> None:
        """Let all workers go on."""
        pipe = self.root / ".env"
        fd = os.open(pipe, os.O_RDWR)  # one that comes later finds the pipe gone
        pipe.unlink()
        os.close(fd)

    def audit(self) -> list[dict[str, Any]]:
        """The lines of the audit log."""
        path = self.layout.data / "admin" / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def audited(self, **facts: Any) -> dict[str, Any]:
        """The first line of the audit log with these facts, once it is there."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [line for line in self.audit() if facts.items() <= line.items()]
            return bool(found)

        until(look)
        return found[0]

    def streams(self) -> int:
        """How many streams the metrics say are open."""
        text = self.backend.metrics.render()[0].decode()
        lines = [line for line in text.splitlines() if line.startswith("iac_streams_open{")]
        return int(sum(float(line.rpartition(" ")[2]) for line in lines))


@contextmanager
def admin_api(root: Path, *, start: bool = True, **environment: str) -> Iterator[Api]:
    """The API over the project folder `root`, with these settings besides or instead of its own."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        short = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(daemon(short / "docker.sock"))
        auth = stack.enter_context(AuthServer("ES256"))
        values = {
            "DOCKER_HOST": engine.host,
            "IAC_PROJECT": PROJECT,
            "SUPABASE_URL": auth.url,
            "SUPABASE_SERVICE_ROLE_KEY": auth.service_key,
            "IAC_ADMIN_USERS": ",".join(f"{n}@example.org{s}" for n, s in USERS.items()),
            **environment,
        }
        for name, value in values.items():
            patch.setenv(name, value)
        backend = Backend.open(Layout(root), settings.load_settings(root))
        for name in (PROJECT, "other"):  # so that there is something to destroy
            backend.layout.certificates(name).mkdir(parents=True, exist_ok=True)
        server = HttpServer(create_app(backend), bind=("127.0.0.1", 0), socket=short / "api.sock")
        server.start()
        stack.callback(kill_workers, backend.layout)
        stack.callback(server.stop, 1.0)
        stack.callback(backend.close)
        if start:
            backend.start()
        yield Api(root, backend, server, auth, engine)


def kill_workers(layout: Layout) -> None:
    """End the workers that a test left."""
    for path in layout.data.glob("jobs/*/worker.lock"):
        if worker_lock.is_held(path.parent):
            os.killpg(int(path.read_text()), signal.SIGKILL)


def events(text: str) -> list[dict[str, str]]:
    """Server-sent events as a browser would see them: comments are skipped."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            found.append(dict(line.split(": ", 1) for line in lines))
    return found


def wait_for(client: Client, deployment: dict[str, Any]) -> dict[str, Any]:
    """A deployment once it has ended."""
    client.get(deployment["links"]["events"])
    ended: dict[str, Any] = client.get(deployment["links"]["self"]).json()
    return ended
