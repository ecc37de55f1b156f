"""The policy's document: read, kept, made into what Envoy is told, and the socket it comes by."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from runner.sidecar import control, policy_files, policy_store
from runner.sidecar import policy as policies
from runner.sidecar.control import Answer, Asked
from runner.sidecar.policy import Policy
from runner.sidecar.policy_files import Admission
from runner.sidecar.policy_store import PolicyStore
from runner.sidecar.refused import Refused

TEXT = (
    '{"callers":{"web":[],"worker":["/api/*","/shop.v1.Orders/Get","tcp:5432"]},'
    '"ingress":false,"services":["db","web","worker"]}'
)


def test_a_document_has_one_canonical_text() -> None:
    """By which both sides of the wall come to the same digest."""
    found = policies.read(json.dumps(json.loads(TEXT), indent=2))
    assert found.text == TEXT
    assert found.digest == policies.read(TEXT).digest
    assert found.callers["worker"] == ("/api/*", "/shop.v1.Orders/Get", "tcp:5432")


@pytest.mark.parametrize(
    "rule",
    ["", "api", "/a?b", "/a b", "/*/x", "*", "/ä", "/a\n", "tcp:0", "tcp:65536", "tcp:05", 1],
)
def test_a_rule_that_is_none_is_refused(rule: object) -> None:
    with pytest.raises(Refused, match="expected /PATH, /PREFIX\\* or tcp:PORT"):
        policies.read(
            json.dumps({"callers": {"web": [rule]}, "ingress": False, "services": ["web"]})
        )


def test_ports_are_for_callers_without_rules_and_for_those_whose_rules_name_them() -> None:
    """And for the service itself, the control plane, and an operator with a lease."""
    admission = Admission("db", "iacnet", policies.read(TEXT))
    assert admission.tcp((5432, 6379)) == (
        (5432, "control-plane"),
        (5432, "db"),
        (5432, "web"),
        (5432, "worker"),
        (6379, "control-plane"),
        (6379, "db"),
        (6379, "web"),
    )
    assert (1, "operator") in Admission("db", "iacnet", Policy(), operator=True).tcp((1,))


@pytest.mark.parametrize(
    ("path", "ambiguous"),
    [
        ("/api/..", True),
        ("/api/./x", True),
        ("/api/..;/x", True),
        ("/api/%2E%2e/x", True),
        ("/api/x%2fy", True),
        ("/api/x%5Cy", True),
        ("/api/x\\y", True),
        ("/api/...", False),
        ("/api/.well-known", False),
        ("/api/a.b/..c", False),
        ("/api/x%20y", False),
    ],
)
def test_what_a_server_may_take_for_another_path(path: str, ambiguous: bool) -> None:
    assert bool(re.fullmatch(policy_files.AMBIGUOUS, path)) == ambiguous


def test_what_is_kept_belongs_to_one_base(tmp_path: Path) -> None:
    """Another base begins with itself; the newest few files stay."""
    store = PolicyStore(policies.read(TEXT), tmp_path / "kept")
    store.prepare()
    assert store.load() == policies.read(TEXT)
    pushed = Policy({"db": ()}, services=("db",))
    assert store.save(pushed)
    assert store.load() == pushed
    for number in range(policy_store.MOST + 2):
        base = Policy(services=(f"s{number}",))
        other = PolicyStore(base, tmp_path / "kept")
        assert other.load() == base
        assert other.save(pushed)
    assert len(list((tmp_path / "kept").iterdir())) == policy_store.MOST


@pytest.mark.parametrize("text", ["", "{", TEXT.replace("false", "1"), "\xff"])
def test_a_kept_file_that_is_none_is_left_aside(
    tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The container's own policy is in effect, and a line says so."""
    store = PolicyStore(policies.read(TEXT), tmp_path / "kept")
    store.prepare()
    store.save(Policy())
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(text, encoding="latin-1")
    assert store.load() == policies.read(TEXT)
    assert "is of no use" in capfd.readouterr().err


def test_without_a_volume_a_policy_is_not_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = PolicyStore(Policy(), tmp_path / "none/kept")
    store.prepare()
    assert not store.save(Policy())
    assert "will not outlive a restart" in capfd.readouterr().err


@pytest.fixture
def ask(tmp_path: Path) -> object:
    """Sends bytes to a socket that answers with what it was asked."""

    def echo(asked: Asked) -> Answer:
        return Answer(200, {"query": asked.query, "body": asked.body})

    control.serve(tmp_path / "s", {("PUT", "echo"): echo})

    def send(request: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))

    return send


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"PUT /iac.sidecar/echo?q HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b'"body": "abc"'),
        (
            b"PUT /iac.sidecar/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b'"body": "abc"',
        ),
        (b"GET /iac.sidecar/echo HTTP/1.1\r\n\r\n", b"a sidecar has no GET /iac.sidecar/echo\n"),
        (b"nonsense\r\n\r\n", b"this is no request"),
        (b"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"this is no request"),
        (b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"a body of more than"),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", b"a body of more than"),
        (b"", b"this is no request"),
    ],
)
def test_the_socket_speaks_what_envoy_does(ask: object, request_: bytes, answer: bytes) -> None:
    assert answer in ask(request_)  # type: ignore[operator]
