from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from admin.jobs import ticker
from admin.jobs.errors import AlreadyEndedError, UnknownJobError
from admin.jobs.job import Job, JobRequest
from admin.jobs.store import Store
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError, CommandError, ConfigError
from iac_wrapper.files import file_lock
from tests.support.jobs_lab import ALICE, DESTROY, Lab, ended, events, lab, until

pytestmark = pytest.mark.slow


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("GITHUB_TOKEN", "sentinel-of-a-token")
    with lab(tmp_path, monkeypatch) as found:
        yield found


def test_a_job_runs_in_its_own_process_and_tells_everything(made: Lab) -> None:
    """Events are numbered from 1; the end is in the log, in the job, on disk and told."""
    made.engine.networks = [{"Id": "n1", "Name": "x", "Labels": {"org.karstkit.project": "demo"}}]
    jobs = made.open()
    job, replayed = jobs.submit(DESTROY, ALICE)
    assert (job.status, replayed, job.actor["name"]) == ("running", False, "alice@example.org")
    assert jobs.running() == [job]
    found = events(jobs, job)
    assert [entry.id for entry in found] == list(range(1, len(found) + 1))
    kinds = [entry.kind for entry in found]
    assert kinds[:2] + kinds[-1:] == ["queued", "started", "finished"]
    assert "step" in kinds
    last = jobs.get(job.id)
    assert last.status == "succeeded"
    assert last.destroyed
    assert last.destroyed["resources"] == 0
    assert len(last.destroyed["swept"]) == 1
    assert last.finished_at == found[-1].at
    assert found[-1].data == {"status": "succeeded", "destroyed": last.destroyed, "release": 1}
    assert made.worker(job) != os.getpid()
    until(lambda: made.changes == [(job.id, "running"), (job.id, "succeeded")])
    assert jobs.running() == []
    _assert_closed_to_others(made.folder(job))


def _assert_closed_to_others(folder: Path) -> None:
    """Plans and reports name what runs."""
    modes = {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()}
    names = ("job.json", "events.jsonl", "worker.lock", "worker.log")
    assert modes == dict.fromkeys(names, 0o600)
    assert {p.stat().st_mode & 0o777 for p in (folder, folder.parent)} == {0o700}


def test_who_sees_the_end_may_ask_for_the_next_at_once(made: Lab) -> None:
    """The project is free before the last event can be read."""
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    assert ended(jobs, job).status == "succeeded"
    jobs.cancel(jobs.submit(DESTROY, ALICE)[0].id)


def test_a_failure_carries_the_error_without_secrets(made: Lab) -> None:
    """The operation's own error is the job's, and no value of a secret setting is in any file."""
    jobs = made.open()
    request = JobRequest("deploy", "demo", slugs=("./sentinel-of-a-token",), owner=True)
    job, _ = jobs.submit(request, ALICE)
    last = ended(jobs, job)
    assert last.status == "failed"
    assert last.error
    assert last.error["error"] == "SourceError"
    assert "[redacted]" in last.error["found"]
    events_text = made.folder(job).joinpath("events.jsonl").read_text()
    assert "sentinel-of-a-token" not in events_text + json.dumps(last.error)


def test_the_worker_checks_again_what_its_caller_may_name(made: Lab) -> None:
    """A path that is not open is refused by the worker, whoever let the request in."""
    jobs = made.open()
    job, _ = jobs.submit(JobRequest("plan", "demo", slugs=("./app",)), ALICE)
    error = ended(jobs, job).error
    assert error
    assert (error["error"], error["where"]) == ("ConfigError", "/slugs/0")


def test_a_bug_is_not_shown_to_callers(made: Lab) -> None:
    """The job says where to look; the traceback is in the worker's own log only."""
    state = made.layout.state("demo")
    state.parent.mkdir(parents=True)
    state.write_text("[]")
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    last = ended(jobs, job)
    assert last.error
    assert last.error["error"] == "InternalError"
    assert "Traceback" not in json.dumps(last.error)
    assert "AttributeError" in made.folder(job).joinpath("worker.log").read_text()


def test_of_two_at_once_one_is_told_who_is_first(made: Lab) -> None:
    """The error names the job, its caller and since when; another project is not concerned."""
    made.block()
    jobs = made.open()
    results: list[Job | BusyError] = []
    barrier = threading.Barrier(2)

    def post() -> None:
        barrier.wait()
        try:
            results.append(jobs.submit(DESTROY, ALICE)[0])
        except BusyError as error:
            results.append(error)

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = next(result for result in results if isinstance(result, Job))
    error = next(result for result in results if isinstance(result, BusyError))
    assert "by alice@example.org (process " in (error.found or "")
    events(jobs, job, "started")
    held = workspace_lock.holder(made.layout.project("demo"))
    assert held
    assert (held.pid, held.command, held.by) == (
        made.worker(job),
        f"iac admin: destroy {job.id}",
        "alice@example.org",
    )
    other, _ = jobs.submit(JobRequest("destroy", "other"), ALICE)
    assert other.status == "running"
    with pytest.raises(BusyError, match="demo is busy"):
        jobs.submit(DESTROY, ALICE)


def test_cancel_ends_a_running_job(made: Lab) -> None:
    """The worker stops in order and says so; asking twice is harmless, asking too late an error."""
    made.block()
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    events(jobs, job, "started")
    assert jobs.cancel(job.id).cancel_requested
    with suppress(AlreadyEndedError):  # a fast worker
        assert jobs.cancel(job.id).cancel_requested
    last = ended(jobs, job)
    assert (last.status, last.resumable) == ("cancelled", True)
    assert last.error
    assert last.error["error"] == "Interrupted"
    with pytest.raises(AlreadyEndedError, match="cancelled"):
        jobs.cancel(job.id)


def test_cancel_before_the_worker_listens_ends_it_too(made: Lab) -> None:
    """A signal in the first moments kills the worker; the job is cancelled all the same."""
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    jobs.cancel(job.id)
    assert ended(jobs, job).status == "cancelled"


def test_a_worker_that_is_asked_to_stop_by_others_is_interrupted(made: Lab) -> None:
    """SIGTERM without a cancel, as at shutdown: in order, but not what the caller wanted."""
    made.block()
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    events(jobs, job, "started")
    os.kill(made.worker(job), signal.SIGTERM)
    last = ended(jobs, job)
    assert last.status == "interrupted"
    assert last.error
    assert "asked to stop" in last.error["message"]


def test_a_killed_worker_is_noticed(made: Lab) -> None:
    """Kill -9: the server writes the last event; the project is free."""
    made.block()
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    events(jobs, job, "started")
    os.kill(made.worker(job), signal.SIGKILL)
    last = ended(jobs, job)
    assert (last.status, last.resumable) == ("interrupted", True)
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        pass
    until(lambda: made.changes[-1:] == [(job.id, "interrupted")])


def test_a_worker_killed_after_a_cancel_counts_as_cancelled(made: Lab) -> None:
    """It did not react, somebody killed it: what the caller wanted has happened."""
    made.block()
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    events(jobs, job, "started")
    os.kill(made.worker(job), signal.SIGSTOP)
    jobs.cancel(job.id)
    os.kill(made.worker(job), signal.SIGKILL)
    assert ended(jobs, job).status == "cancelled"


def test_a_callback_that_fails_stops_nothing(made: Lab) -> None:
    """Jobs go on being watched, and told of."""
    told: list[str] = []

    def fail(job: Job) -> None:
        told.append(job.id)
        raise RuntimeError

    jobs = made.open(fail)
    with workspace_lock.hold(made.layout.project("demo"), "iac deploy"):
        waiting = [jobs.submit(DESTROY, ALICE, wait=60)[0].id for _ in range(2)]
        for job_id in waiting:
            jobs.cancel(job_id)
        until(lambda: told == waiting)


def test_a_worker_that_cannot_start_fails_the_job(
    made: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is freed, the job says why."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    jobs = made.open()
    job, _ = jobs.submit(DESTROY, ALICE)
    assert job.status == "failed"
    assert job.error
    assert job.error["message"] == "the worker cannot be started"
    with workspace_lock.hold(made.layout.project("demo"), "x"):
        pass


@pytest.mark.parametrize("job_id", ["", "..", "20260101T000000-00000000", "x" * 5000, "a/../b"])
def test_unknown_jobs(made: Lab, job_id: str) -> None:
    """Whatever is asked for by a name that no job has is unknown."""
    jobs = made.open()
    for ask in (jobs.get, jobs.cancel, jobs.events):
        with pytest.raises(UnknownJobError):
            ask(job_id)


def test_a_project_name_is_checked_before_a_folder_is_made(made: Lab) -> None:
    """No job can reach outside the projects' folder."""
    with pytest.raises(ConfigError, match="bad project name"):
        made.open().submit(JobRequest("destroy", "../x"), ALICE)


def test_a_stopped_server_takes_no_jobs(made: Lab) -> None:
    """A request that comes in the last moment is refused, and may be repeated elsewhere."""
    jobs = made.open()
    jobs.close()
    with pytest.raises(BusyError, match="takes no jobs"):
        jobs.submit(DESTROY, ALICE)


def test_a_folder_that_cannot_be_used_is_an_error(
    made: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and for a job that waited until it could start."""

    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    made.layout.data.joinpath("projects").mkdir(parents=True)
    made.layout.project("demo").touch()
    jobs = made.open()
    with pytest.raises(CommandError, match="folder cannot be used"):
        jobs.submit(DESTROY, ALICE)
    directory = made.layout.project("other")
    with workspace_lock.hold(directory, "iac deploy"):
        job, _ = jobs.submit(JobRequest("destroy", "other"), ALICE, wait=60)
        monkeypatch.setattr(file_lock, "acquire", refuse)
        last = ended(jobs, job)
    assert last.error
    assert last.error["message"] == "the project's folder cannot be used"


def test_a_job_whose_folder_was_removed_holds_nobody_up(
    made: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of once; the others are followed."""
    made.block()
    jobs = made.open()
    job, _ = jobs.submit(JobRequest("destroy", "other"), ALICE)
    events(jobs, job, "started")
    pid = made.worker(job)
    shutil.rmtree(made.folder(job))
    os.kill(pid, signal.SIGKILL)
    until(lambda: "cannot be followed" in caplog.text)
    next_job, _ = jobs.submit(DESTROY, ALICE)
    events(jobs, next_job, "started")
    made.let_go()
    assert ended(jobs, next_job).status == "succeeded"
    assert caplog.text.count("cannot be followed") == 1


def test_an_end_that_cannot_be_stored_is_known_all_the_same(
    made: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The event log has it; the next server reads it there."""
    jobs = made.open()

    def full(_store: Store, _job: Job) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "save", full)
        job, _ = jobs.submit(DESTROY, ALICE)
        assert ended(jobs, job).status == "succeeded"
    assert "No space left" in caplog.text
    jobs.close()
    assert made.open().get(job.id).status == "succeeded"


def test_a_job_that_cannot_be_stored_leaves_no_lock(
    made: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told, the project is free."""
    jobs = made.open()

    def full(_store: Store, _job: Job, _event: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "create", full)
    with pytest.raises(CommandError, match="cannot be stored"):
        jobs.submit(DESTROY, ALICE)
    assert jobs.list() == []
    with workspace_lock.hold(made.layout.project("demo"), "x"):
        pass


def test_a_look_that_fails_is_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in one look does not end the watching."""
    monkeypatch.setattr(ticker, "RETRY", 0.01)
    looked = threading.Event()
    looks = iter([RuntimeError("once")])

    def look() -> bool:
        for error in looks:
            raise error
        looked.set()
        return False

    watcher = ticker.Ticker(look)
    watcher.start()
    assert looked.wait(5)
    watcher.stop()
    assert "RuntimeError: once" in caplog.text
