"""Phases over starts, failures and recoveries."""

from __future__ import annotations

from runner.child import Exit
from runner.lifecycle import Lifecycle, LifecycleState, Phase
from runner.readiness_verdict import ReadinessVerdict

READY = ReadinessVerdict(True, "accepts")
NOT_READY = ReadinessVerdict(False, "nothing accepts")
CRASH = Exit(139, 11)


def test_readiness_makes_and_unmakes_serving() -> None:
    """Ready: RUNNING and SERVING; no longer ready: still RUNNING, not SERVING."""
    life = Lifecycle(probation=10)
    start = life.started()
    life.judged(start, NOT_READY, 0.1)
    assert (life.report.phase, life.report.serving) == (Phase.STARTING, False)
    life.judged(start, READY, 0.2)
    assert (life.report.phase, life.report.serving) == (Phase.RUNNING, True)
    life.judged(start, NOT_READY, 0.3)
    assert (life.report.phase, life.report.serving) == (Phase.RUNNING, False)


def test_failures_in_a_row_are_counted_until_one_lives_long_enough() -> None:
    """A start that lived through the probation begins the count anew when it fails."""
    life = Lifecycle(probation=10)
    life.started()
    assert [life.ended(CRASH, age, done=False) for age in (0.1, 0.1, 60.0)] == [1, 2, 1]


def test_probation_hides_serving_and_then_forgets_the_failure() -> None:
    """After a crash a ready program is not SERVING before the probation ends."""
    life = Lifecycle(probation=10)
    life.started()
    life.ended(CRASH, 1.0, done=False)
    start = life.started()
    life.judged(start, NOT_READY, 0.1)
    assert "signal 11" in life.report.message
    assert "nothing accepts" in life.report.message
    life.judged(start, READY, 9.9)
    assert not life.report.serving
    life.judged(start, READY, 10.0)
    assert life.report.serving
    assert (life.report.exit, life.report.failures, life.report.restarts) == (None, 0, 1)


def test_judgement_of_an_earlier_start_is_ignored() -> None:
    """A late answer about the dead process must not make the new one SERVING."""
    life = Lifecycle(probation=0)
    old = life.started()
    life.ended(CRASH, 1.0, done=False)
    life.judged(old, READY, 1.0)
    assert life.report.phase is Phase.FAILED
    life.started()
    life.judged(old, READY, 1.0)
    assert not life.report.serving


def test_stopping_is_never_serving() -> None:
    """Between SIGTERM and the end the program may still be ready, the service is not."""
    life = Lifecycle(probation=0)
    start = life.started()
    life.stopping()
    life.judged(start, READY, 1.0)
    assert not life.report.serving


def test_subscriber_sees_changes_only() -> None:
    """The same verdict twice is one change, and `since` moves with the status only."""
    seen: list[LifecycleState] = []
    life = Lifecycle(probation=0)
    life.subscribe(seen.append)
    start = life.started()
    life.judged(start, READY, 0.1)
    life.judged(start, READY, 0.2)
    life.judged(start, ReadinessVerdict(True, "other words"), 0.3)
    assert [report.message for report in seen] == ["started", "accepts", "other words"]
    assert seen[1].since == seen[2].since


def test_exits_read_as_sentences() -> None:
    """Exit code, signal and memory are told apart."""
    assert str(Exit(3)) == "exited with code 3"
    assert str(Exit(137, 9)) == "killed by signal 9 (Killed)"
    assert "out of memory" in str(Exit(137, 9, oom=True))


def test_killed_processes_are_told_while_the_program_lives() -> None:
    """They do not change what is SERVING, and a new start begins at none."""
    life = Lifecycle(probation=10)
    life.judged(life.started(), READY, 0.1)
    life.killed(2)
    assert (life.report.serving, life.report.oom_kills) == (True, 2)
    life.started()
    assert life.report.oom_kills == 0
