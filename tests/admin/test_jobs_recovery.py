from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from admin.jobs import clock, registry, worker_lock
from admin.jobs.errors import KeyReusedError, UnknownJobError
from admin.jobs.job import Job, JobRequest
from admin.jobs.registry import Registry
from admin.jobs.store import Store
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError
from tests.support.jobs_lab import ALICE, DESTROY, Lab, ended, events, lab, until

pytestmark = pytest.mark.slow


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with lab(tmp_path, monkeypatch) as found:
        yield found


def _stored(made: Lab, **facts: object) -> Job:
    """A job whose server was killed before it started a worker."""
    job = Job(clock.new_id(None), DESTROY, ALICE.to_dict(), "running", clock.now())
    job = replace(job, **facts)  # type: ignore[arg-type]
    store = Registry(Store(made.layout.data / "jobs"))
    store.load()
    store.add(job, '{"id": 1, "at": "", "kind": "queued", "message": "Accepted"}\n')
    return job


def test_a_worker_goes_on_without_its_server(made: Lab) -> None:
    """The next server finds it at work, may cancel it, and reads every event to the end."""
    made.block()
    first = made.open()
    one, _ = first.submit(DESTROY, ALICE)
    two, _ = first.submit(JobRequest("destroy", "other"), ALICE)
    seen = events(first, one, "started")
    events(first, two, "started")
    assert {job.id for job in first.close()} == {one.id, two.id}
    assert first.events(one.id).wait(len(seen), 60) == ([], False)  # let go, not ended

    second = made.open()
    assert {job.id for job in second.running()} == {one.id, two.id}
    until(lambda: made.changes[-2:] == [(one.id, "running"), (two.id, "running")])
    second.cancel(two.id)
    assert ended(second, two).status == "cancelled"
    made.let_go()
    assert ended(second, one).status == "succeeded"
    found = events(second, one)
    assert found[: len(seen)] == seen
    assert [entry.id for entry in found] == list(range(1, len(found) + 1))


def test_what_ended_meanwhile_is_known_and_told(made: Lab) -> None:
    """The event log says how, though no server wrote it down."""
    made.block()
    first = made.open()
    job, _ = first.submit(DESTROY, ALICE)
    events(first, job, "started")
    first.close()
    made.let_go()
    until(lambda: not worker_lock.is_held(made.folder(job)))

    second = made.make()
    assert second.recover() == []
    assert second.get(job.id).status == "succeeded"
    assert second.events(job.id).read(0)[1] is True
    until(lambda: made.changes[-1:] == [(job.id, "succeeded")])


def test_what_was_killed_meanwhile_is_interrupted(made: Lab) -> None:
    """Worker and server gone: the next start reports it, once."""
    made.block()
    first = made.open()
    job, _ = first.submit(DESTROY, ALICE)
    seen = events(first, job, "started")
    first.close()
    os.kill(made.worker(job), signal.SIGKILL)
    until(lambda: not worker_lock.is_held(made.folder(job)))

    second = made.make()
    assert [found.id for found in second.recover()] == [job.id]
    last = second.events(job.id).read(len(seen))[0]
    assert [entry.id for entry in last] == [len(seen) + 1]
    second.close()
    third = made.make()
    assert third.recover() == []
    assert third.get(job.id).resumable


def test_a_request_to_stop_is_not_lost_with_the_server(made: Lab) -> None:
    """Killed between writing it down and passing it on: the next server passes it on."""
    made.block()
    first = made.open()
    job, _ = first.submit(DESTROY, ALICE)
    events(first, job, "started")
    first.close()
    Store(made.layout.data / "jobs").save(replace(first.get(job.id), cancel_requested=True))
    assert ended(made.open(), job).status == "cancelled"


def test_queued_jobs_wait_for_the_next_server(made: Lab) -> None:
    """They keep their order and their time."""
    first = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        waiting = [first.submit(DESTROY, ALICE, wait=60)[0] for _ in range(2)]
        late, _ = first.submit(DESTROY, ALICE, wait=0.1)
        assert first.close() == []
        until(lambda: clock.is_past(late.wait_until or ""))
        second = made.open()
        assert [job.status for job in second.list()] == ["failed", "queued", "queued"]
    assert [ended(second, job).status for job in waiting] == ["succeeded"] * 2
    begun = [job_id for job_id, status in made.changes if status == "running"]
    assert begun == [job.id for job in waiting]


def test_a_job_that_never_got_a_worker_is_interrupted(made: Lab) -> None:
    """Its caller may have given up, so it is not started late."""
    job = _stored(made)
    second = made.make()
    assert [found.id for found in second.recover()] == [job.id]
    assert ended(second, job).status == "interrupted"


def test_a_job_that_may_wait_is_started_by_the_next_server(made: Lab) -> None:
    """It had the lock, but no worker: its time is not over, so it is queued again."""
    job = _stored(made, wait_until=clock.later(60), started_at=clock.now())
    second = made.make()
    assert second.recover() == []
    assert ended(second, job).status == "succeeded"


def test_one_server_per_folder(made: Lab) -> None:
    """A second one would start queued jobs twice; it is told which process is there."""
    first = made.open()
    with pytest.raises(BusyError, match="another server") as caught:
        made.open()
    assert caught.value.found == f"process {os.getpid()}"
    first.close()
    made.open()


def test_a_key_gets_the_same_job_again(made: Lab) -> None:
    """Also after a restart and after its end; another caller's equal key is another key."""
    first = made.open()
    request = JobRequest("destroy", "demo", apps=())
    job, replayed = first.submit(request, ALICE, key="k1")
    assert not replayed
    assert first.submit(request, ALICE, key="k1") == (first.get(job.id), True)
    last = ended(first, job)
    first.close()
    second = made.open()
    assert second.submit(request, ALICE, key="k1", wait=5) == (last, True)
    with pytest.raises(KeyReusedError, match="another request") as caught:
        second.submit(JobRequest("destroy", "other"), ALICE, key="k1")
    assert caught.value.found == f"deployment {job.id}"
    with pytest.raises(KeyReusedError):
        second.submit(request, ALICE, key="k1", resumes=job.id)
    bob = replace(ALICE, id="another")
    other, replayed = second.submit(request, bob, key="k1", resumes=job.id)
    assert (replayed, other.id != job.id, other.resumes) == (False, True, job.id)
    ended(second, other)


def test_the_oldest_ended_jobs_go(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Per project, and never one that has not ended."""
    monkeypatch.setattr(registry, "KEPT", 2)
    jobs = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        lives, _ = jobs.submit(DESTROY, ALICE, wait=60)
        ids = [jobs.submit(DESTROY, ALICE, wait=60)[0].id for _ in range(4)]
        for job_id in ids:
            jobs.cancel(job_id)
        assert [job.id for job in jobs.list()] == [ids[3], ids[2], lives.id]
        with pytest.raises(UnknownJobError):
            jobs.get(ids[0])
        assert Store(made.layout.data / "jobs").ids() == [lives.id, ids[2], ids[3]]
        jobs.cancel(lives.id)


def test_what_a_killed_server_left_half_made_is_cleared_away(made: Lab) -> None:
    """No job is seen before it is whole; damaged records are passed over."""
    folder = made.layout.data / "jobs"
    (folder / ".new-20260101T000000-00000001").mkdir(parents=True)
    damaged = folder / "20260101T000000-00000002"
    damaged.mkdir()
    damaged.joinpath("job.json").write_text('{"id": 1')
    jobs = made.open()
    assert jobs.list() == []
    assert sorted(p.name for p in folder.iterdir()) == [damaged.name, "server.lock"]


def test_an_id_that_is_taken_is_not_taken_twice(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another id is drawn; the job that has it is not touched."""
    taken = clock.new_id(None)
    (made.layout.data / "jobs" / taken).mkdir(parents=True)
    (made.layout.data / "jobs" / taken / "events.jsonl").write_text("theirs")
    drawn = iter([taken, clock.new_id(taken)])
    monkeypatch.setattr(clock, "new_id", lambda _after: next(drawn))
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    assert job.id > taken
    assert made.layout.data.joinpath("jobs", taken, "events.jsonl").read_text() == "theirs"
    ended(jobs, job)


def test_ids_sort_as_they_were_drawn() -> None:
    """Also within one second, and after the clock was set back."""
    ids = [clock.new_id(None)]
    for _ in range(2000):
        ids.append(clock.new_id(ids[-1]))
    assert ids == sorted(set(ids))
    assert all(map(clock.is_id, ids))
    future = "20991231T235959-f423fabc"
    assert clock.new_id(future).startswith("21000101T000000-00000")
