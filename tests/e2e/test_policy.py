"""Who may call whom: in repos.yaml, told to sidecars that run, and what becomes of connections.

The tests share one project and run in order.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.identity import handshake
from iac_wrapper.identity.http2_client import Http2Client
from iac_wrapper.model.proof import ProofRequest
from tests.e2e.conftest import ROOT, Project
from tests.support.git_server import GitServer, Repository

pytestmark = pytest.mark.integration

API = """
import http.server, socket, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *a): pass
def echo(connection):
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)
def serve():
    listener = socket.create_server(("0.0.0.0", 7000))
    while True:
        threading.Thread(target=echo, args=listener.accept()[:1], daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""

IDLE = "import time\nwhile True: time.sleep(1)\n"

KEPT = """
import http.client, json, socket, time
http_to = http.client.HTTPConnection("api", 80, timeout=5)
http_to.connect()
http_to.auto_open = 0
tcp_to, open_until = socket.create_connection(("api", 7000), 5), None
def ask(path):
    http_to.request("GET", path)
    response = http_to.getresponse()
    response.read()
    return response.status
def echoes():
    try:
        tcp_to.sendall(b"x")
        return tcp_to.recv(1) == b"x"
    except OSError:
        return False
first, end = [ask("/"), ask("/api/x"), echoes()], time.monotonic() + 60
print("ready", flush=True)
while (now := ask("/")) == 200 and time.monotonic() < end:
    time.sleep(0.02)
end = time.monotonic() + 6
while echoes() and time.monotonic() < end:
    time.sleep(0.1)
print(json.dumps([first, now, ask("/api/x"), echoes()]))
"""
"""On one HTTP connection and one TCP connection, until the answer is another."""

ENTRIES = """\
- {slug: gh:acme/shop, name: api, entrypoint: api.py, port: 8080, tcp: [7000]ALLOW}
- {slug: gh:acme/shop, name: web, entrypoint: idle.py, run: worker, egress: deny}
"""
GONE = "- {slug: gh:acme/shop, name: gone, entrypoint: idle.py, run: worker}\n"


def entries(allow: str = "", more: str = "") -> str:
    return ENTRIES.replace("ALLOW", allow and f", allow: {allow}") + more


@pytest.fixture(scope="module")
def first(project: Project, git_server: GitServer) -> dict[str, Any]:
    project.environment["IAC_PROBATION"] = "2"
    git_server.repository("acme/shop").commit({"api.py": API, "idle.py": IDLE})
    project.file.write_text(entries(more=GONE))
    return project.deploy()


def policy(project: Project) -> dict[str, Any]:
    said = json.loads(project.iac("policy", "--json").stdout)
    return {row["service"]: row for row in said["services"]}


def _plan(project: Project) -> dict[str, Any]:
    said = project.iac("plan", "--file", str(project.file), "--json").stdout
    planned: dict[str, Any] = json.loads(said)
    return planned


def _port(project: Project) -> int:
    lock = json.loads(project.file.with_name("repos.lock.json").read_text())
    return int(lock["gateway_port"])


def status(port: int, tls: Path, service: str, path: str = "/") -> int | str:
    """What the holder of a leaf is answered through the gateway."""
    client = Http2Client()
    try:
        with handshake.meet(port, service, tls, timeout=5, hello=client.hello) as met:
            client.attach(met.secure, met.first)
            return client.call(ProofRequest("GET", path), authority=service, timeout=5).status
    except handshake.HandshakeError as error:
        return str(error)


def test_everybody_may_call_where_nothing_is_said(first: dict[str, Any], project: Project) -> None:
    """All services of the project. Another list is no new container, another port is one."""
    rows = policy(project)
    assert [caller["name"] for caller in rows["api"]["callers"]] == ["api", "gone", "web"]
    assert {row["sidecar"] for row in rows.values()} == {"current"}
    assert _plan(project)["empty"]
    project.file.write_text(entries("[web]", GONE).replace("8080", "8081"))
    (change,) = _plan(project)["services"]
    assert (change["service"], change["action"]) == ("api", "replace")
    assert [reason["text"] for reason in change["reasons"]] == [
        "port: 8080 → 8081",
        "allow: all services → [web]",
    ]


def test_a_removed_service_is_refused_at_once(
    first: dict[str, Any], project: Project, git_server: GitServer, tmp_path: Path
) -> None:
    """Its certificate is as good as it was: every peer refuses its identity, over TCP as well; also
    peers whose new versions, tried in the same deploy, had the traffic for a while."""
    port = _port(project)
    kept = tmp_path / "gone"
    shutil.copytree(ROOT / "secrets" / project.name / "gone", kept)

    def by_tcp() -> bool:
        return handshake.connects(
            port, "api", kept, tcp_port=7000, caller="gone", timeout=5
        ).accepted

    assert (status(port, kept, "api"), by_tcp()) == (200, True)
    before = project.container_ids()
    project.file.write_text(entries())
    Repository(git_server.folder / "acme" / "shop").commit({"api.py": f"{API}# 2\n"})

    project.deploy("--prune")

    assert (status(port, kept, "api"), status(port, kept, "web"), by_tcp()) == (403, 403, False)
    after = project.container_ids()
    sidecars = {name for name in after if name.endswith("-envoy")}
    assert {name: after[name] for name in sidecars} == {name: before[name] for name in sidecars}


def test_a_list_is_followed_on_kept_connections_and_by_no_new_container(
    first: dict[str, Any], project: Project
) -> None:
    """A path stays open, another is refused on the same connection, a TCP connection ends."""
    before, program = project.container_ids(), project.container("web", "app")
    project.file.write_text(entries("[{web: [/api/*]}]"))
    with ThreadPoolExecutor(1) as pool:
        talk = pool.submit(program.exec_run, ["python", "-c", KEPT])
        project.deploy()
        code, said = talk.result(70)

    assert code == 0, said
    assert json.loads(said.splitlines()[-1]) == [[200, 200, True], 403, 200, False]
    assert project.container_ids() == before
    port, tls = _port(project), ROOT / "secrets" / project.name / "web"
    around = ("/api/../x", "/api/%2e%2e/x", "/api/..%2fx", "/api//../../x", "/Api/x", "/api")
    assert {status(port, tls, "api", path) for path in around} <= {400, 403}
    assert status(port, tls, "api", "/api/x?y=/../..") == 200
    web = {caller["name"]: caller for caller in policy(project)["api"]["callers"]}["web"]
    assert web["rules"] == ["/api/*"]
    assert web["calls"] > 0
    assert policy(project)["api"]["refused"] > 0
    told = "sidecar: GET http://api/ was refused: `allow:` of service api "
    assert told in project.iac("logs", "web").stdout
    table = project.iac("policy").stdout
    assert "/api/*" in table
    assert "web: may reach nothing outside of the project" in table
    outside = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    assert b"ConnectionRefusedError" in program.exec_run(["python", "-c", outside]).output
