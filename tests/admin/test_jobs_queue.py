from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.jobs.job import JobRequest
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError
from tests.support.jobs_lab import ALICE, DESTROY, Lab, ended, events, lab, until

pytestmark = pytest.mark.slow


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with lab(tmp_path, monkeypatch) as found:
        yield found


def test_jobs_that_wait_are_started_in_their_order(made: Lab) -> None:
    """One after the other, each as soon as the one before has freed the project."""
    made.block()
    jobs = made.open()
    first, _ = jobs.submit(DESTROY, ALICE)
    waiting = [jobs.submit(DESTROY, ALICE, wait=60)[0] for _ in range(2)]
    assert {job.status for job in waiting} == {"queued"}
    assert jobs.events(waiting[0].id).read(0)[0][0].message.startswith("Waiting until 20")
    assert [job.id for job in jobs.list()] == [job.id for job in (*waiting[::-1], first)]
    for job in (first, *waiting):
        events(jobs, job, "started")
        assert [running.id for running in jobs.running()] == [job.id]
        made.let_go()
        assert ended(jobs, job).status == "succeeded"
    begun = [job_id for job_id, status in made.changes if status == "running"]
    assert begun == [job.id for job in (first, *waiting)]


def test_who_does_not_wait_is_not_let_in_before_those_who_do(made: Lab) -> None:
    """While a job is queued, the project is busy for new ones; the error names both."""
    jobs = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        waiting, _ = jobs.submit(DESTROY, ALICE, wait=60)
        with pytest.raises(BusyError, match="is busy") as caught:
            jobs.submit(DESTROY, ALICE)
    assert "`iac deploy` (process " in (caught.value.found or "")
    assert f"waiting for it: `iac admin: destroy {waiting.id}`" in (caught.value.found or "")
    assert ended(jobs, waiting).status == "succeeded"


def test_a_job_waits_for_the_command_line_too(made: Lab) -> None:
    """It starts by itself when the command has ended, with a start of its own."""
    jobs = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        job, _ = jobs.submit(DESTROY, ALICE, wait=60)
        other, _ = jobs.submit(JobRequest("destroy", "other"), ALICE, wait=60)
        assert ended(jobs, other).status == "succeeded"
        assert jobs.get(job.id).status == "queued"
    last = ended(jobs, job)
    assert last.status == "succeeded"
    assert last.started_at
    assert last.started_at > job.created_at


def test_waiting_ends(made: Lab) -> None:
    """After its time a queued job fails as a busy one: by whom, since when."""
    jobs = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        job, _ = jobs.submit(DESTROY, ALICE, wait=0.1)
        last = ended(jobs, job)
    assert last.status == "failed"
    assert last.error
    assert last.error["error"] == "BusyError"
    assert "`iac deploy`" in last.error["found"]


def test_a_queued_job_is_cancelled_at_once(made: Lab) -> None:
    """It never starts; the next one in the queue does."""
    jobs = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        gone, _ = jobs.submit(DESTROY, ALICE, wait=60)
        stays, _ = jobs.submit(DESTROY, ALICE, wait=60)
        assert jobs.cancel(gone.id).status == "cancelled"
        assert [entry.kind for entry in events(jobs, gone)] == ["queued", "finished"]
    assert ended(jobs, stays).status == "succeeded"
    until(lambda: (gone.id, "cancelled") in made.changes)
    assert (gone.id, "running") not in made.changes


def test_lists_are_narrowed_and_paged(made: Lab) -> None:
    """Newest first, by project, by status, older than a given one."""
    jobs = made.open()
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        made_jobs = [jobs.submit(DESTROY, ALICE, wait=60)[0] for _ in range(5)]
        ids = [job.id for job in made_jobs][::-1]
        assert [job.id for job in jobs.list(limit=2)] == ids[:2]
        assert [job.id for job in jobs.list(limit=2, before=ids[1])] == ids[2:4]
        assert jobs.list(project="other") == []
        jobs.cancel(ids[0])
        assert [job.id for job in jobs.list(status="cancelled")] == ids[:1]
        assert len(jobs.list(project="demo", status="queued")) == 4
        for job in made_jobs[:-1]:
            jobs.cancel(job.id)
