"""Who gets in: by Host, by Origin, over the socket, and when the auth server is not there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.access import peer_actor
from admin.wsgi.peer import PeerProcess
from tests.support.admin_api import PROJECT, Api, Client, admin_api, code
from tests.support.auth_server import JWKS, USER, Fault

DESTROY = {"confirm": PROJECT}


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    hosts = "deploy.example.org,.internal.example"
    with admin_api(tmp_path_factory.mktemp("api"), TRUSTED_HOSTS=hosts) as made:
        yield made


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost:8080",
        "127.0.0.1",
        "127.0.0.2:1",
        "[::1]",
        "[::1]:8080",
        "deploy.example.org",
        "Deploy.Example.org:443",
        "a.internal.example",
    ],
)
def test_hosts_that_are_ours(trusting: Api, host: str) -> None:
    """Loopback by any spelling, and what TRUSTED_HOSTS names."""
    assert trusting.http().get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example@localhost",
        "localhost@evil.example",
        "localhost.evil.example",
        "evil.example:8080",
        "localhost:x",
        "localhost:99999",
        "localhost/evil.example",
        "",
        "::1",
        "localhost#evil.example",
        "10.0.0.1",
        "0.0.0.0:80",
        "[::]",
        "2130706433",
        "deploy.example.org.evil",
        "x.deploy.example.org",
        "evil.example, localhost",
        "localhost evil.example",
    ],
)
def test_hosts_that_are_not(trusting: Api, host: str) -> None:
    """A name that somebody else points at this machine (DNS rebinding) reaches nothing."""
    answer = trusting.http("service").get("/health", headers={"Host": host})
    assert answer.status_code == 400
    assert code(answer) in ("host-refused", "bad-request")


def test_no_host_at_all(trusting: Api) -> None:
    """HTTP/1.0 may leave it out, and is refused over TCP; the socket has no names."""
    data = b"GET /health HTTP/1.0\r\n\r\n"
    assert trusting.server.address
    with socket.create_connection(trusting.server.address, timeout=5) as sock:
        sock.sendall(data)
        assert sock.recv(100).split()[1] == b"400"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(trusting.server.socket))
        sock.sendall(data)
        assert sock.recv(100).split()[1] == b"200"
    any_host = trusting.socket().get("/health", headers={"Host": "docker"})
    assert any_host.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": origin} for origin in ("https://evil.example", "null", "http://localhost:8080", "")]
    + [{"Sec-Fetch-Mode": "navigate"}],
    ids=str,
)
def test_pages_of_a_browser_are_refused(trusting: Api, headers: dict[str, str]) -> None:
    """Whatever the origin, also with a token, also on the socket, before anything is done."""
    for client in (trusting.http("service"), trusting.socket()):
        answer = client.post("/destroy", json=DESTROY, headers=headers)
        assert (answer.status_code, code(answer)) == (403, "origin-refused")
    assert trusting.socket().get("/deployments").json() == {"deployments": []}


def test_the_socket_knows_its_peer(api: Api) -> None:
    """No token is needed; the uid is in the audit, whatever the caller claims."""
    answer = api.socket().post("/destroy", json=DESTROY, headers={"X-Forwarded-For": "10.0.0.1"})
    assert answer.status_code == 202
    actor = answer.json()["actor"]
    assert (actor["kind"], actor["id"], actor["via"]) == ("peer", f"uid:{os.getuid()}", "socket")
    line = api.audited(action="destroy")
    assert line["actor"] == actor
    assert line["peer"] == f"pid {os.getpid()} uid {os.getuid()}"


def test_other_users_of_the_socket_own_nothing() -> None:
    """Members of its group may deploy, but not name any path of the server's user."""
    other = peer_actor(PeerProcess(1, 4_000_000_000, 1))
    assert (other.id, other.name, other.owner) == ("uid:4000000000", "", False)
    assert "deploy" in other.scopes
    assert peer_actor(PeerProcess(1, os.geteuid(), 1)).owner
    assert peer_actor(PeerProcess(1, 0, 0)).owner


def test_the_socket_can_demand_a_token(tmp_path: Path) -> None:
    """The same tokens and scopes as over HTTP; its peers own nothing then."""
    with admin_api(tmp_path, IAC_SOCKET_REQUIRE_JWT="1") as api:
        assert api.socket().get("/services").status_code == 401
        assert api.socket("reader").get("/services").status_code == 200
        assert api.socket("reader").post("/destroy", json=DESTROY).status_code == 403
        answer = api.socket("service").post("/plan", json={"slugs": ["./x"]})
        assert (answer.status_code, answer.json()["where"]) == (422, "/slugs/0")
        line = api.audited(action="plan")
        assert (line["actor"]["kind"], line["actor"]["via"]) == ("service_role", "socket")


def test_without_supabase_only_the_socket_works(tmp_path: Path) -> None:
    """HTTP says what is to be set; what needs no token answers."""
    with admin_api(tmp_path, SUPABASE_URL="", SUPABASE_SERVICE_ROLE_KEY="") as api:
        answer = Client(api.url, "x.y.z").get("/services")
        assert (answer.status_code, code(answer)) == (503, "auth-not-configured")
        assert "SUPABASE_URL" in answer.json()["next_step"]
        assert api.http().get("/health").status_code == 200
        assert api.socket().get("/services").status_code == 200


@pytest.mark.parametrize("path", [USER, JWKS])
def test_nobody_gets_in_while_the_auth_server_is_down(api: Api, path: str) -> None:
    """503, and nothing is started."""
    boss = api.http("boss")
    api.auth.faults[path] = Fault(status=500)
    answer = boss.post("/destroy", json=DESTROY)
    assert (answer.status_code, code(answer)) == (503, "auth-unavailable")
    assert answer.headers["Retry-After"]
    assert api.socket().get("/deployments").json() == {"deployments": []}
    assert api.audited(action="destroy", status=503)["actor"] is None


def test_a_log_out_counts_at_once_for_what_changes_things(api: Api) -> None:
    """Reading may go on for the seconds that an answer is remembered."""
    boss = api.http("boss")
    assert boss.get("/services").status_code == 200
    api.auth.sessions.clear()
    assert boss.post("/destroy", json=DESTROY).status_code == 401


def test_failures_are_counted_by_peer(api: Api) -> None:
    """After ten bad tokens in a minute even good ones wait; the service role and the socket do
    not."""
    bad = Client(api.url, "not.a.token")
    assert [bad.get("/services").status_code for _ in range(10)] == [401] * 10
    answer = bad.get("/services")
    assert (answer.status_code, code(answer)) == (429, "too-many-failures")
    assert int(answer.headers["Retry-After"]) > 0
    assert api.http("reader").get("/services").status_code == 429
    assert api.http("service").get("/services").status_code == 200
    assert api.socket().get("/services").status_code == 200
    assert api.audited(outcome="too-many-failures")["peer"] == "127.0.0.1"


def test_a_trusted_proxy_names_its_clients(tmp_path: Path) -> None:
    """Only as many entries of X-Forwarded-For are believed as there are proxies."""
    with admin_api(tmp_path, IAC_TRUSTED_PROXIES="1") as api:
        client = Client(api.url, "not.a.token")
        client.get("/services", headers={"X-Forwarded-For": "10.0.0.9, 192.0.2.1"})
        assert api.audited(status=401)["peer"] == "192.0.2.1"


def test_nobody_else_is_believed(api: Api) -> None:
    """Without a proxy, X-Forwarded-For and its kin say nothing."""
    names = ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-Host")
    Client(api.url, "not.a.token").get("/services", headers=dict.fromkeys(names, "192.0.2.1"))
    assert api.audited(status=401)["peer"] == "127.0.0.1"
