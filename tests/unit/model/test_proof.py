"""Which answers prove that a service serves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.model import proof
from iac_wrapper.model.health import Health
from iac_wrapper.model.options import Options
from iac_wrapper.model.proof import ProofQuestion, ServiceAnswer
from tests.support.deployed import app

HTTP = Health("web", "SERVING", "RUNNING", listening="[::1]:5000", protocol="HTTP")
GRPC = replace(HTTP, protocol="GRPC")
TCP = replace(HTTP, protocol="TCP")


def answer(status: int, body: bytes = b"", **headers: str) -> ServiceAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ServiceAnswer(status, named, body, 0.0042)


def test_tcp_ports_are_part_of_the_evidence() -> None:
    """Beside an answer over HTTP, or alone."""
    both = proof.accepted(replace(HTTP, evidence="200 in 4 ms on 5000"), (5432, 6379))
    assert both.evidence == "200 in 4 ms on 5000; accepts on 5432, 6379 (TCP)"
    alone = proof.accepted(replace(TCP, listening="127.0.0.1:5432"), (5432, 6379))
    assert alone.evidence == "accepts on 5432, 6379 (TCP)"
    assert ProofQuestion.about(replace(app("db"), options=Options(tcp=(5432,)))).tcp == (5432,)


@pytest.mark.parametrize("status", [200, 302, 401, 404, 499])
def test_http_below_500_is_an_answer(status: int) -> None:
    """Redirects and refusals come from the program, too."""
    found = proof.judge(HTTP, ProofQuestion(), answer(status))
    assert (found.serving, found.evidence) == (True, f"{status} in 4 ms on 5000")
    assert found.answer == status


def test_a_redirect_to_https_is_told_from_others() -> None:
    """Only to itself: elsewhere it may be right."""
    for location, shown in {
        f"https://{HTTP.name}/": "301 to https in 4 ms on 5000",
        "https://elsewhere.example/": "301 in 4 ms on 5000",
        "/login": "301 in 4 ms on 5000",
    }.items():
        found = proof.judge(HTTP, ProofQuestion(), answer(301, location=location))
        assert (found.evidence, found.to_https) == (shown, "https in" in shown)


@pytest.mark.parametrize(
    ("status", "exact"), [(500, False), (503, False), (404, True), (400, True)]
)
def test_errors_are_none(status: int, exact: bool) -> None:
    """A server error never; of a declared path nothing but success and redirects."""
    found = proof.judge(HTTP, ProofQuestion("/up", exact=exact), answer(status))
    assert (found.status, found.cause) == ("NOT_SERVING", "no-answer")
    assert found.message == f"GET /up on port 5000: {status}"


def test_what_the_sidecar_says_is_passed_on() -> None:
    """Its sentence, not a program's page."""
    said = answer(503, b"upstream connect error\n", content_type="text/plain")
    assert "503 (upstream connect error)" in proof.judge(HTTP, ProofQuestion(), said).message
    page = answer(500, b"<html>", content_type="text/html")
    assert proof.judge(HTTP, ProofQuestion(), page).message.endswith(": 500")


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (500, b"", True),
        (503, b"upstream connect error or disconnect/reset before headers. reset reason: x", True),
        (503, b"warming up", False),
        (404, b"", False),
    ],
)
def test_a_fault_is_told_from_not_yet(status: int, body: bytes, fault: bool) -> None:
    """What the request made fail, and a connection that was dropped, as Envoy says it."""
    said = answer(status, body, content_type="text/plain")
    assert proof.judge(HTTP, ProofQuestion("/up", exact=True), said).fault == fault
    called = answer(200, grpc_status="14", grpc_message=body.decode())
    assert proof.judge(GRPC, ProofQuestion(), called).fault == body.startswith(b"upstream")


def test_any_grpc_status_but_the_sidecars_is_an_answer() -> None:
    """Nobody has the method that is called: UNIMPLEMENTED shows that the server is there."""
    found = proof.judge(GRPC, ProofQuestion(), answer(200, grpc_status="12"))
    assert found.evidence == "gRPC UNIMPLEMENTED in 4 ms on 5000"
    assert not proof.judge(GRPC, ProofQuestion(), answer(200, grpc_status="14")).serving
    assert not proof.judge(GRPC, ProofQuestion(), answer(502)).serving


def test_other_protocols_are_proven_by_the_open_port() -> None:
    """Such a server is not asked; whatever an HTTP server answers with, its 502 is no proof."""
    assert proof.request(TCP, ProofQuestion()) is None
    assert proof.judge(TCP, ProofQuestion(), None).evidence == "accepts on 5000 (TCP)"
    garbage = answer(502, b"the answer of service web is no valid HTTP, or its headers")
    assert not proof.judge(HTTP, ProofQuestion(), garbage).serving


def test_a_declared_path_is_what_is_asked() -> None:
    """Of whatever protocol; without one it is / or, of a gRPC server, a call."""
    declared = ProofQuestion.about(replace(app("web"), options=Options(health="/up?deep=1")))
    for health in (HTTP, GRPC, TCP):
        asked = proof.request(health, declared)
        assert asked
        assert (asked.method, asked.path) == ("GET", "/up?deep=1")
    said = replace(app("web"), run="web", options=Options(run="web"))
    assert ProofQuestion.about(said) == ProofQuestion("/", exact=False, http=True)
    plain = ProofQuestion.about(replace(app("web"), run="web"))
    assert plain == ProofQuestion("/", exact=False, http=False), "detected only"
    call = proof.request(GRPC, plain)
    assert call
    assert (call.method, call.body) == ("POST", b"\0\0\0\0\0")
