from __future__ import annotations

from dataclasses import replace

from iac_wrapper.model.event import Event
from iac_wrapper.model.health import Health
from iac_wrapper.operations.narrator import Narrator

NOBODY = Health(
    "web",
    "UNREACHABLE",
    message="the gateway closed the connection",
    cause="unreachable",
    seconds=0.1,
)
NO_RUNNER = replace(NOBODY, status="NOT_SERVING", message="no runner", cause="no-runner")
EARLY = Health(
    "web",
    "NOT_SERVING",
    "STARTING",
    seconds=1.0,
    message="alive for less than 5 s and not listening anywhere",
)
ANSWERS = Health(
    "web",
    "SERVING",
    "RUNNING",
    listening="127.0.0.1:5000",
    seconds=2.0,
    evidence="200 in 4 ms on 5000",
)


def _said(*seen: Health, result: Health, limit: float = 0.0) -> list[str]:
    told = _told(*seen, result=result, limit=limit)
    return [event.message for event in told if event.kind == "progress"]


def _told(*seen: Health, result: Health, limit: float = 0.0) -> list[Event]:
    events: list[Event] = []
    narrator = Narrator("web", events.append, limit)
    for health in seen:
        narrator.changed(health)
    narrator.result(result)
    return events


def test_each_event_says_what_is_being_done() -> None:
    """Started, asked, and how it ended, also where that was said before."""
    waits = replace(EARLY, cause="own-health", message="not ready")
    assert [e.stage for e in _told(NOBODY, waits, result=ANSWERS)] == [
        *("start", "prove", "done", "done")
    ]
    failed = _told(waits, result=waits)[-1]
    assert (failed.kind, failed.service, failed.stage) == ("stage", "web", "failed")


def test_what_every_start_looks_like_is_one_line() -> None:
    """Nobody there yet, no runner yet, nothing listens yet: none of them is a failure."""
    started = replace(EARLY, message="started")
    assert _said(NOBODY, NO_RUNNER, started, EARLY, ANSWERS, result=ANSWERS) == [
        "web: starting",
        "web: SERVING after 2.0 s: 200 in 4 ms on 5000",
    ]


def test_a_change_that_means_something_is_said() -> None:
    """An end, a long silence of a program, and a runner that was there and is gone."""
    ended = Health("web", "NOT_SERVING", "FAILED", message="exited with code 1", failures=1)
    late = replace(
        EARLY, message="alive for more than 5 s and not listening anywhere", cause="no-listener"
    )
    assert _said(NOBODY, ended, EARLY, late, NO_RUNNER, result=NO_RUNNER) == [
        "web: starting",
        "web: NOT_SERVING after 0.0 s: exited with code 1",
        "web: starting",
        "web: NOT_SERVING after 1.0 s: alive for more than 5 s and not listening anywhere",
        "web: NOT_SERVING after 0.1 s: no runner",
    ]


def test_a_start_that_came_to_nothing_says_what_it_was() -> None:
    """When time is up, or waiting is pointless, the last state is the result."""
    assert _said(NOBODY, result=NOBODY)[1:] == [
        "web: UNREACHABLE after 0.1 s: the gateway closed the connection"
    ]
    stuck = replace(NOBODY, message="its Envoy does not start", hopeless=True)
    assert _said(stuck, result=stuck) == ["web: UNREACHABLE after 0.1 s: its Envoy does not start"]


def test_a_program_that_ended_well_is_not_called_serving() -> None:
    """The same words as in the verdict."""
    done = Health("job", "SERVING", "COMPLETED", evidence="exited with code 0")
    assert _said(result=done) == ["web: COMPLETED after 0.0 s: exited with code 0"]


def test_what_is_waited_for_is_said_meanwhile() -> None:
    """A program that calls itself not ready: what it says, and for how long; not in the result."""
    words = "its own grpc.health.v1 says NOT_SERVING"
    waits = Health("web", "NOT_SERVING", "STARTING", message=words, cause="own-health")
    assert _said(NOBODY, waits, result=replace(waits, seconds=60.0), limit=60) == [
        "web: starting",
        f"web: NOT_SERVING after 0.0 s: {words}; waiting up to 60 s",
    ]
    assert _said(waits, result=ANSWERS, limit=60)[1:] == [
        "web: SERVING after 2.0 s: 200 in 4 ms on 5000"
    ]
