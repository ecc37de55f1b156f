"""The worker: a process that does one job and ends. It outlives the server that started it.

Called as ``python -m admin.jobs.worker <job folder> <fd> <fd>`` with two inherited locks: the
project's, and the one that says that this worker lives.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from admin.jobs import outcome, store
from admin.jobs.job import Job, JobRequest
from admin.jobs.log_writer import LogWriter
from admin.jobs.outcome import Outcome
from admin.jobs.sink import Sink
from iac_wrapper import settings
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.workspace_lock import Lock
from iac_wrapper.errors import IacError, file_error
from iac_wrapper.files import file_lock
from iac_wrapper.files.layout import Layout
from iac_wrapper.model import references
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller
from iac_wrapper.model.redact import is_masked

if TYPE_CHECKING:
    from iac_wrapper.model.intent import Intent
    from iac_wrapper.operations.workspace import Workspace

_VERBS = {
    "deploy": "Deploying",
    "plan": "Planning",
    "destroy": "Destroying",
    "remove": "Removing services of",
    "rollback": "Rolling back",
}


def command_of(job: Job) -> str:
    """What the project's lock says about a job."""
    return f"iac admin: {job.request.kind} {job.id}"


def caller_of(job: Job) -> str:
    """Who asked for it, for people."""
    return str(job.actor.get("name") or job.actor.get("id") or "")


class _Interrupt:
    """Turns the first SIGINT or SIGTERM into KeyboardInterrupt and swallows all others.

    With `late` set, the first as well: the work is done. The handlers are functions, not SIG_IGN:
    the programs that are started here must get the default back.
    """

    def __init__(self) -> None:
        self.came = False
        self.late = False
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _handle(self, _number: int, _frame: object) -> None:
        first, self.came = not self.came, True
        if first and not self.late:
            raise KeyboardInterrupt


def main(folder: Path, workspace_fd: int, alive_fd: int) -> None:
    """Do the job in `folder`."""
    interrupt = _Interrupt()
    os.set_inheritable(alive_fd, False)
    file_lock.note_pid(alive_fd, os.getpid())
    layout = Layout(folder.parents[2])
    os.chdir(layout.root)
    job = store.read_job(folder)
    if job is None:
        sys.exit("the job's record cannot be read")
    directory = layout.project(job.request.project)
    lock = workspace_lock.adopt(directory, workspace_fd, command_of(job), by=caller_of(job))
    sink = Sink(LogWriter(store.events_path(folder)), layout, job.request.project)
    with ExitStack() as after:
        result = _outcome(lambda: _perform(job, layout, lock, sink, after), interrupt, folder, sink)
        interrupt.late = True
        lock.release()  # first: who reads the end may at once ask for the next job
        sink.finish(_numbered(result, layout, job))


def _outcome(
    work: Callable[[], Outcome], interrupt: _Interrupt, folder: Path, sink: Sink
) -> Outcome:
    """What `work` returns, or what its error means."""
    try:
        result = work()
        interrupt.late = True
    except KeyboardInterrupt:
        result = outcome.stopped(requested=_cancel_requested(folder))
    except IacError as error:
        result = outcome.failed(error)
    except (OSError, UnicodeError) as error:
        _report(sink)
        result = outcome.failed(file_error(error))
    except Exception:
        _report(sink)
        result = outcome.unforeseen()
    if interrupt.came and result.status == "failed":
        # A program that was asked to stop together with us was quicker.
        return outcome.stopped(requested=_cancel_requested(folder))
    return result


def _numbered(result: Outcome, layout: Layout, job: Job) -> Outcome:
    """With the number that the project's ledger has for it."""
    from iac_wrapper.operations.recording import number_of_job  # noqa: PLC0415 - see `_operate`

    number = number_of_job(layout, job.request.project, job.id)
    return replace(result, results={**result.results, "release": number}) if number else result


def _perform(job: Job, layout: Layout, lock: Lock, sink: Sink, after: ExitStack) -> Outcome:
    """Do the job; `after` gets what nobody need wait for."""
    request = job.request
    sink.begin(f"{_VERBS[request.kind]} project {request.project}")
    chosen = settings.load_settings(layout.root)
    sink.learn(chosen.secrets)
    chosen.check()
    workspace = _workspace(job, layout, chosen, lock, sink)
    after.callback(_tell, workspace)
    return _operate(job, workspace, sink)


def _workspace(
    job: Job, layout: Layout, chosen: settings.Settings, lock: Lock, sink: Sink
) -> Workspace:
    from iac_wrapper.bootstrap.pythons import MachinePythons  # noqa: PLC0415
    from iac_wrapper.operations.workspace import Workspace  # noqa: PLC0415

    pythons = MachinePythons(chosen, lambda line: sink.emit(Event("progress", line)))
    caller = Caller("api", str(job.actor.get("id") or ""), caller_of(job), job.id)
    return Workspace(
        layout,
        chosen,
        job.request.project,
        sink.emit,
        held_lock=lock,
        pythons=pythons,
        caller=caller,
    )


def _tell(workspace: Workspace) -> None:
    """Send notifications. The log of events has ended: the ledger says how that went."""
    if workspace.outbox:
        from iac_wrapper.operations import notifications  # noqa: PLC0415

        notifications.send(replace(workspace, emit=lambda _event: None))


def _operate(job: Job, workspace: Workspace, sink: Sink) -> Outcome:
    """Run the operation. Each is imported when it is wanted: that takes up to half a second."""
    operations = {
        "destroy": _destroy,
        "plan": _plan,
        "deploy": _deploy,
        "remove": _remove,
        "rollback": _rollback,
    }
    return operations[job.request.kind](workspace, job.request, sink)


def _destroy(workspace: Workspace, request: JobRequest, _sink: Sink) -> Outcome:
    from iac_wrapper.operations.destroy import destroy  # noqa: PLC0415

    return outcome.destroyed(request.project, destroy(workspace, volumes=request.volumes))


def _remove(workspace: Workspace, request: JobRequest, _sink: Sink) -> Outcome:
    from iac_wrapper.operations.remove import RemoveUnhealthyError, remove  # noqa: PLC0415

    try:
        return outcome.removed(remove(workspace, request.services))
    except RemoveUnhealthyError as error:
        return outcome.removed_unhealthy(error.removed, error)


def _plan(workspace: Workspace, request: JobRequest, sink: Sink) -> Outcome:
    intent = _intent(workspace, request, sink)
    from iac_wrapper.operations.plan import plan  # noqa: PLC0415

    return outcome.planned(plan(workspace, intent))


def _deploy(workspace: Workspace, request: JobRequest, sink: Sink) -> Outcome:
    intent = _intent(workspace, request, sink)
    from iac_wrapper.operations.deploy import DeployUnhealthyError, deploy  # noqa: PLC0415

    try:
        return outcome.deployed(deploy(workspace, intent, everything=request.all))
    except DeployUnhealthyError as error:
        return outcome.unhealthy(error.deployed, error)


def _rollback(workspace: Workspace, request: JobRequest, _sink: Sink) -> Outcome:
    from iac_wrapper.operations import rollback  # noqa: PLC0415
    from iac_wrapper.operations.deploy import DeployUnhealthyError  # noqa: PLC0415

    if request.dry_run:
        return outcome.planned(rollback.plan(workspace, request.services, to=request.to))
    try:
        return outcome.deployed(rollback.rollback(workspace, request.services, to=request.to))
    except DeployUnhealthyError as error:
        return outcome.unhealthy(error.deployed, error)


def _intent(workspace: Workspace, request: JobRequest, sink: Sink) -> Intent:
    """What is wanted; the values that its references stand for are secret from now on."""
    from admin.jobs import intents  # noqa: PLC0415
    from iac_wrapper.files import env_files  # noqa: PLC0415

    intent = intents.intent(workspace, request)
    environment = workspace.settings.environment
    for spec in intent.specs:
        for variable, names in env_files.referring(spec.env).items():
            known = {name: environment[name] for name in names if name in environment}
            values = {*known.values()}
            if len(known) == len(names):
                values.add(references.fill(spec.env[variable], known))
            sink.learn(value for value in values if is_masked(value))
    return intent


def _cancel_requested(folder: Path) -> bool:
    job = store.read_job(folder)
    return job is not None and job.cancel_requested


def _report(sink: Sink) -> None:
    """The traceback, for the worker's own log."""
    sys.stderr.write(sink.text(traceback.format_exc()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
