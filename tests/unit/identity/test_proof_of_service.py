"""Health with a question: the program's answer, over the connection whose peer was verified."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hyperframe.frame import GoAwayFrame

from iac_wrapper.identity import service_call
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.identity.control_plane import ControlPlane
from iac_wrapper.model.health import Health
from iac_wrapper.model.proof import ProofQuestion
from runner.child import Exit
from runner.readiness_verdict import ReadinessVerdict
from tests.support import h2_service
from tests.support.h2_service import BREAK, H2Service, Reply

LISTENS = ReadinessVerdict(True, "listens on 127.0.0.1:5000", "127.0.0.1:5000", "HTTP")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[H2Service]:
    """The service `svc`, whose program listens on 5000."""
    with h2_service.serving(leaf(tmp_path, "svc")) as found:
        found.lifecycle.judged(found.lifecycle.started(), LISTENS, 1.0)
        yield found


def leaf(folder: Path, name: str) -> Path:
    return ensure_leaf(
        ensure_ca(folder / "ca"),
        folder / name,
        name=name,
        trust_domain="iacnet",
        owner_uid=folder.stat().st_uid,
    ).directory


@pytest.fixture
def plane(service: H2Service, tmp_path: Path) -> ControlPlane:
    return ControlPlane(service.port, leaf(tmp_path, "control-plane"))


def test_the_programs_answer_is_the_evidence(service: H2Service, plane: ControlPlane) -> None:
    """Asked as the service it is, after its runner said SERVING."""
    health = plane.health("svc", ProofQuestion("/up", exact=True))
    assert health.serving
    assert health.evidence.startswith("200 in ")
    assert health.evidence.endswith(" ms on 5000")
    [asked] = service.asked
    assert (asked[":path"], asked[":authority"], asked["user-agent"]) == (
        "/up",
        "svc",
        "iac-health",
    )


def test_a_peer_that_is_going_away_still_answers(service: H2Service, plane: ControlPlane) -> None:
    """Envoy says so of itself while it drains, or has too little memory; its answers come after."""
    service.farewell = GoAwayFrame(last_stream_id=2**31 - 1)
    assert plane.health("svc", ProofQuestion()).evidence.startswith("200 in ")


@pytest.mark.parametrize(
    "farewell",
    [GoAwayFrame(last_stream_id=0), GoAwayFrame(last_stream_id=2**31 - 1, error_code=11)],
    ids=["before the request", "by an error"],
)
def test_a_peer_that_does_not_answer_any_more_is_not_serving(
    service: H2Service, plane: ControlPlane, farewell: GoAwayFrame
) -> None:
    service.farewell = farewell
    health = plane.health("svc", ProofQuestion())
    assert not health.serving
    assert "the peer is going away" in str(health.message)


def test_who_is_not_serving_is_not_asked(service: H2Service, plane: ControlPlane) -> None:
    """Nor is one that serves nothing: its life is the evidence."""
    start = service.lifecycle.started()
    assert not plane.health("svc", ProofQuestion()).serving
    service.lifecycle.judged(start, ReadinessVerdict(True, "alive for more than 3 s"), 3.0)
    assert plane.health("svc", ProofQuestion()).evidence == "alive for more than 3 s"
    assert service.asked == []


def test_an_error_of_the_program_is_not_serving(service: H2Service, plane: ControlPlane) -> None:
    """Though its runner says so; port and protocol stay known."""
    service.program = lambda _: ({":status": "500"}, b"", {})
    health = plane.health("svc", ProofQuestion())
    assert (health.status, health.cause, health.port) == ("NOT_SERVING", "no-answer", 5000)
    assert health.message == "GET / on port 5000: 500"


def test_an_endless_body_is_an_answer(service: H2Service, plane: ControlPlane) -> None:
    """An event stream answers with its status."""
    service.program = lambda _: ({":status": "200"}, b"data: 1\n\n", None)
    assert plane.health("svc", ProofQuestion()).serving


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            ({":status": "200"}, b"<html", BREAK),
            "the connection broke (200, broken off after 5 bytes)",
        ),
        (({":status": "200", "content-length": "50"}, b"<html", None), "no answer within 0.5 s"),
    ],
    ids=["reset", "shorter than stated"],
)
def test_a_body_that_breaks_off_is_no_answer(
    service: H2Service,
    plane: ControlPlane,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
    said: str,
) -> None:
    """Whoever reads it gets an error, not a page."""
    monkeypatch.setattr(service_call, "ANSWER_SECONDS", 0.5)
    service.program = lambda _: reply
    health = plane.health("svc", ProofQuestion())
    assert (health.serving, health.message) == (False, f"GET / on port 5000: {said}")


def test_silence_is_none(
    service: H2Service, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has not answered in time is not serving."""
    monkeypatch.setattr(service_call, "ANSWER_SECONDS", 0.2)
    service.program = lambda _: None
    health = plane.health("svc", ProofQuestion())
    assert health.message == "GET / on port 5000: no answer within 0.2 s"


def test_a_grpc_program_is_called(service: H2Service, plane: ControlPlane) -> None:
    """UNIMPLEMENTED, in the headers or after them, is its own word."""
    start = service.lifecycle.started()
    service.lifecycle.judged(start, replace(LISTENS, protocol="GRPC"), 1.0)
    service.program = lambda _: ({":status": "200"}, b"", {"grpc-status": "12"})
    assert plane.health("svc", ProofQuestion()).evidence.startswith("gRPC UNIMPLEMENTED in ")
    assert service.asked[0]["content-type"] == "application/grpc"


def test_proven_is_who_answers_twice(service: H2Service, plane: ControlPlane) -> None:
    """A start between two answers begins the proof anew."""
    lifecycle = service.lifecycle

    def crash() -> None:
        lifecycle.ended(Exit(1), 60.0, done=False)
        lifecycle.judged(lifecycle.started(), LISTENS, 11.0)

    threading.Timer(0.5, crash).start()
    seen: list[Health] = []
    health = plane.wait_serving("svc", ProofQuestion(), deadline=20, on_change=seen.append)
    assert health.serving
    assert len(service.asked) == 3
    assert [one.status for one in seen] == ["SERVING"], "said once it is proven"


def test_a_pair_is_found_under_another_name(service: H2Service, plane: ControlPlane) -> None:
    """The gateway's name for it is the SNI; its certificate must be the service's all the same."""
    assert plane.health("svc", ProofQuestion(), sni="0123456789ab").serving
    assert plane.probe_without_certificate("svc", sni="0123456789ab").refused
    assert set(service.names) == {"0123456789ab"}
    other = plane.health("other", ProofQuestion(), sni="0123456789ab")
    assert other.status == "UNREACHABLE"
    assert "is not that of other" in other.message
    assert plane.probe_without_certificate("other", sni="0123456789ab").refused is None
