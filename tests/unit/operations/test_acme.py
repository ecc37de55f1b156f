"""Certificates from a real ACME server: Pebble, strict, refusing nonces at random."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from iac_wrapper.files.layout import Layout
from iac_wrapper.identity import public_certificates as store
from iac_wrapper.identity.acme import backoff, order
from iac_wrapper.identity.acme.problem import AcmeError, AcmeUnreachableError
from iac_wrapper.model.event import Event
from iac_wrapper.model.public_host import Answers, CertificateResult, PublicHost
from iac_wrapper.operations.public_certificates import due, ensure
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.certificate_lab import Issuer
from tests.support.pebble import BINDING, Pebble, pebble, serving

pytestmark = pytest.mark.slow  # Go builds Pebble first
HOST = "app.example.com"
ME = os.geteuid()
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture(autouse=True)
def _right(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        web = request.getfixturevalue("server").web
        web.wrong, web.asked = False, 0


def project(folder: Path, settings: dict[str, str], events: list[Event] | None = None) -> Workspace:
    emit = (events if events is not None else []).append
    return Workspace(Layout(folder), Settings(environment=None, **settings), "demo", emit)


def one(
    workspace: Workspace, server: Pebble, *, host: str = HOST, force: bool = False
) -> CertificateResult:
    (result,) = ensure(workspace, [PublicHost(host)], server.web.answers, force=force)
    return result


def installed(workspace: Workspace, host: str = HOST) -> Path:
    found = store.current(workspace.layout, workspace.project, host)
    assert found
    return found.directory


def issued(server: Pebble) -> int:
    """How many certificates the server has made."""
    return server.log.read_text().count("Issued certificate serial")


def test_a_certificate_is_asked_for_once(
    server: Pebble, tmp_path: Path, events: list[Event]
) -> None:
    """It is good and complete, nobody else can read its key, and the next call asks nothing."""
    workspace = project(tmp_path, server.settings(IAC_ACME_EMAIL="ops@example.com"), events)
    assert due(workspace, [PublicHost(HOST)]) == [HOST]
    result = one(workspace, server)
    assert (result.action, result.error, result.good) == ("obtained", None, True)
    assert result.certificate
    assert result.certificate.names == (HOST,)
    assert "Pebble" in result.certificate.issuer
    key = serialization.load_pem_private_key(result.certificate.key.read_bytes(), None)
    leaf, *above = x509.load_pem_x509_certificates(result.certificate.cert.read_bytes())
    assert leaf.public_key() == key.public_key()
    assert above
    leaf.verify_directly_issued_by(above[0])
    assert server.web.texts == {}

    account = next(workspace.layout.acme("demo").iterdir())
    closed = [result.certificate.key, *(path for path in account.rglob("*") if path.is_file())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in closed} == {0o600}
    assert not (account / "orders" / HOST).exists()
    said = "\n".join(event.message for event in events)
    assert said.count("terms of service") == 1
    assert "PRIVATE KEY" not in said

    asked = server.web.asked
    again = one(project(tmp_path, server.settings(), events), server)
    assert (again.action, again.certificate) == ("kept", result.certificate)
    assert server.web.asked == asked
    assert due(workspace, [PublicHost(HOST)]) == []


def test_a_third_of_its_life_before_the_end_it_is_renewed(
    server: Pebble, tmp_path: Path, events: list[Event]
) -> None:
    """One day earlier nothing is asked. The account is the same, and agrees to nothing again."""
    workspace = project(tmp_path, server.settings(), events)
    for days, action in (((-59, 31), "kept"), ((-61, 29), "renewed")):
        pair = replace(Issuer("old").pair(HOST, days=days), source=server.directory)
        store.install(workspace.layout, "demo", HOST, pair, owner_uid=ME)
        before = installed(workspace)
        assert one(workspace, server).action == action
    assert installed(workspace).name == str(int(before.name) + 1)
    assert (before / "cert.pem").exists()  # Envoy may be about to open it
    assert one(workspace, server, force=True).action == "renewed"
    assert not before.exists()
    assert sum("terms of service" in event.message for event in events) == 1


def test_another_server_is_asked_at_once(server: Pebble, tmp_path: Path) -> None:
    """A certificate of a server for trials, or of files, does not stay for its whole life."""
    workspace = project(tmp_path, server.settings())
    for source in ("https://staging.example/directory", ""):
        pair = replace(Issuer("old").pair(HOST), source=source)
        store.install(workspace.layout, "demo", HOST, pair, owner_uid=ME)
        assert due(workspace, [PublicHost(HOST)]) == [HOST]
        assert one(workspace, server).action == "renewed"


def test_a_failed_proof_keeps_the_old_one_and_waits(server: Pebble, tmp_path: Path) -> None:
    """The error has the server's words; then nobody asks until the time comes, or --force."""
    workspace = project(tmp_path, server.settings())
    pair = Issuer("old").pair(HOST, days=(-80, 10))
    store.install(workspace.layout, "demo", HOST, pair, owner_uid=ME)
    before = installed(workspace)
    server.web.wrong = True
    failed = one(workspace, server)
    assert (failed.action, failed.good) == ("failed", False)
    assert isinstance(failed.error, AcmeError)
    text = failed.error.render()
    assert failed.error.code == "unauthorized"
    assert "something else" in text  # what it found at the address
    assert f"http://{HOST}/ on port 80" in text
    assert installed(workspace) == before
    assert server.web.texts == {}

    asked, server.web.wrong = server.web.asked, False
    waiting = one(workspace, server)
    assert (waiting.action, waiting.good, server.web.asked) == ("waiting", True, asked)
    assert waiting.error
    assert waiting.error.found == failed.error.found
    assert waiting.until
    assert timedelta(minutes=14) < waiting.until - datetime.now(UTC) < timedelta(minutes=15)
    assert due(workspace, [PublicHost(HOST)]) == []
    assert one(workspace, server, force=True).action == "renewed"
    assert one(workspace, server).action == "kept"


def test_pauses_grow_up_to_a_day(tmp_path: Path) -> None:
    """From a quarter of an hour, doubled by each failure; a server that says later is obeyed."""
    error = AcmeError("no", where=HOST, found="x", next_step="y", code="dns")

    def pause(until: datetime | None = None, *, limited: bool = False) -> timedelta:
        found = backoff.record(tmp_path, HOST, error, limited=limited, until=until)
        return found.until - datetime.now(UTC)

    minutes = [round(pause().total_seconds() / 60) for _ in range(9)]
    assert minutes == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    later = datetime.now(UTC) + timedelta(days=3)
    assert pause(later) > timedelta(days=2)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert pause(soon, limited=True) < timedelta(minutes=1)


def test_who_is_killed_before_the_installation_loses_no_certificate(
    server: Pebble, tmp_path: Path
) -> None:
    """kill -9 between finalize and install: the next run takes up the order, and asks no proof."""
    script = f"""
import os, signal
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from iac_wrapper.identity import public_certificates
from tests.support.pebble import answering
from tests.unit.operations.test_acme import project
from iac_wrapper.model.public_host import PublicHost
from iac_wrapper.operations.public_certificates import ensure
from iac_wrapper.model.public_host import Answers
public_certificates.install = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
folder = Path({str(tmp_path)!r})
def publish(token, text):
    Path({str(tmp_path)!r}, "token").write_text(token + " " + text)
    os.write(1, b"published\\n")
    os.read(0, 1)
ensure(project(folder, {server.settings()!r}), [PublicHost({HOST!r})], Answers(publish, print))
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1) as child:
        assert child.stdin
        assert child.stdout
        if child.stdout.readline():  # nothing, if the server knew a proof still
            token, text = (tmp_path / "token").read_text().split()
            server.web.texts[token] = text
            child.stdin.write(b"x")
            child.stdin.flush()
        assert child.wait(60) == -signal.SIGKILL
    server.web.texts.clear()
    workspace = project(tmp_path, server.settings())
    folder = next(workspace.layout.acme("demo").iterdir()) / "orders" / HOST
    key = (folder / "key.pem").read_bytes()
    assert store.current(workspace.layout, "demo", HOST) is None
    before = issued(server)

    result = one(workspace, server)
    assert (result.action, server.web.asked, issued(server)) == ("obtained", 0, before)
    assert result.certificate
    assert result.certificate.key.read_bytes() == key
    assert not folder.exists()


def test_two_at_once_ask_once(server: Pebble, tmp_path: Path) -> None:
    """The second waits for the first, and finds its certificate."""
    before = issued(server)
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(one, project(tmp_path, server.settings()), server) for _ in range(2)]
        assert sorted(call.result().action for call in calls) == ["kept", "obtained"]
    assert issued(server) == before + 1


def test_hosts_that_the_server_does_not_take_leave_the_others_alone(
    server: Pebble, tmp_path: Path
) -> None:
    """Each host has a result; one account is made for all."""
    workspace = project(tmp_path, server.settings())
    hosts = [PublicHost("*.example.com"), PublicHost("b.example.com")]
    wild, good = ensure(workspace, hosts, server.web.answers)
    assert good.action == "obtained"
    assert wild.error
    assert "HTTP-01" in wild.error.message
    assert "dns-01" in str(wild.error.found)


@pytest.mark.parametrize("trust", ["another", ""])
def test_an_untrusted_server_is_not_asked(server: Pebble, tmp_path: Path, trust: str) -> None:
    """Whoever answers there is not the authority; no pause follows, as nobody was asked."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Issuer("another").certificate.public_bytes(serialization.Encoding.PEM))
    settings = server.settings(IAC_ACME_CA=str(bundle) if trust else "")
    workspace = project(tmp_path, settings)
    for _ in range(2):
        result = one(workspace, server)
        assert result.action == "failed"
        assert isinstance(result.error, AcmeUnreachableError)
        assert "certificate verify failed" in str(result.error)
        assert "IAC_ACME_CA" in str(result.error)


def test_no_server_is_an_error_and_no_pause(server: Pebble, tmp_path: Path) -> None:
    """After the first host nobody waits for it again."""
    workspace = project(tmp_path, {"IAC_ACME_DIRECTORY": "http://127.0.0.1:1/directory"})
    hosts = [PublicHost(HOST), PublicHost("b.example.com")]
    results = ensure(workspace, hosts, server.web.answers)
    assert {each.action for each in results} == {"failed"}
    assert results[0].error is results[1].error
    assert "Connection refused" in str(results[0].error)
    assert due(workspace, hosts) == [HOST, "b.example.com"]


def test_an_external_account_binding(tmp_path: Path) -> None:
    """A server that wants one says so; with the two settings it takes us."""
    (name, key), *_ = BINDING.items()
    with pebble(tmp_path, binding=True) as server:
        refused = one(project(tmp_path / "a", server.settings()), server)
        assert refused.error
        assert "externalAccountRequired" in str(refused.error)
        assert "IAC_ACME_EAB_KID" in str(refused.error)
        more = {"IAC_ACME_EAB_KID": name, "IAC_ACME_EAB_KEY": key}
        assert one(project(tmp_path / "b", server.settings(**more)), server).good


class Limits(BaseHTTPRequestHandler):
    """A server that has had enough, or that never gets ready: what Pebble cannot play."""

    asked: ClassVar[list[str]] = []
    slow = False
    status = 200

    def do_GET(self) -> None:
        at = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        names = ("newNonce", "newAccount", "newOrder")
        if self.status == 200:
            self._answer(200, {name: f"{at}/{name}" for name in names})
        else:
            self.send_error(self.status)  # with a page of HTML

    def do_HEAD(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        at = f"http://127.0.0.1:{self.server.server_port}{self.path}"  # type: ignore[attr-defined]
        if self.path == "/newAccount":
            self._answer(201, {"status": "valid"}, Location=f"{at}/1")
        elif self.slow:
            made = {"status": "processing", "authorizations": [], "finalize": at}
            self._answer(201, made, Location=at)
        else:
            error = {
                "type": "urn:ietf:params:acme:error:rateLimited",
                "detail": "too many certificates (5) already issued for this exact set",
            }
            self._answer(429, error, **{"Retry-After": "7200"})

    def _answer(self, status: int, data: Mapping[str, object], **headers: str) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        kind = "application/problem+json" if status == 429 else "application/json"
        sent = {"Content-Type": kind, "Replay-Nonce": "abcd", "Content-Length": str(len(body))}
        for name, value in {**sent, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def limits() -> Iterator[dict[str, str]]:
    Limits.asked, Limits.slow, Limits.status = [], False, 200
    with serving(Limits) as port:
        yield {"IAC_ACME_DIRECTORY": f"http://127.0.0.1:{port}/directory"}


def test_a_rate_limit_is_obeyed(limits: dict[str, str], tmp_path: Path) -> None:
    """Nothing is asked before the server's Retry-After, whoever asks; nor for other hosts now."""
    workspace = project(tmp_path, limits)
    nobody = Answers(lambda _token, _text: None, lambda _token: None)
    hosts = [PublicHost(HOST), PublicHost("b.example.com")]
    limited, other = ensure(workspace, hosts, nobody)
    assert limited.error
    assert "too many certificates (5) already issued" in str(limited.error)
    assert limited.until
    assert timedelta(minutes=119) < limited.until - datetime.now(UTC) < timedelta(minutes=121)
    assert (other.action, other.until) == ("failed", None)
    assert Limits.asked == ["/newAccount", "/newOrder"]
    (waiting,) = ensure(workspace, hosts[:1], nobody)
    assert (waiting.action, waiting.until) == ("waiting", limited.until.replace(microsecond=0))
    assert Limits.asked == ["/newAccount", "/newOrder"]


@pytest.mark.parametrize(
    ("status", "message", "step"),
    [(404, "makes no sense", "IAC_ACME_DIRECTORY"), (503, "in trouble", "asks again")],
)
def test_what_is_no_acme_server(
    limits: dict[str, str], tmp_path: Path, status: int, message: str, step: str
) -> None:
    """A wrong address is the user's to correct, a server that is down is not."""
    Limits.status = status
    workspace = project(tmp_path, limits)
    nobody = Answers(lambda _token, _text: None, lambda _token: None)
    (result,) = ensure(workspace, [PublicHost(HOST)], nobody)
    assert result.error
    assert message in result.error.message
    assert f"HTTP {status} from {limits['IAC_ACME_DIRECTORY']}" in str(result.error.found)
    assert step in str(result.error.next_step)


def test_an_order_that_is_never_done(
    limits: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said how far it came; what was begun stays for the next time."""
    Limits.slow = True
    monkeypatch.setattr(order.obtain, "__kwdefaults__", {"patience": 0.3})
    nobody = Answers(lambda _token, _text: None, lambda _token: None)
    workspace = project(tmp_path, limits)
    (result,) = ensure(workspace, [PublicHost(HOST)], nobody)
    assert result.error
    assert "the order is processing after" in str(result.error)
    assert "takes up the same order" in str(result.error)
    folder = next(workspace.layout.acme("demo").iterdir()) / "orders" / HOST
    begun = {path.name: path.read_bytes() for path in folder.iterdir()}
    ensure(workspace, [PublicHost(HOST)], nobody, force=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == begun
    assert begun.keys() == {"key.pem", "order.json"}
