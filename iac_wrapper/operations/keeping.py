"""The process that keeps a project running: one per project, whoever started it.

It holds a lock for as long as it lives, so nothing stale stays. A deploy starts one in the
background where nobody keeps the project yet.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.adapters import process, state
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import BusyError
from iac_wrapper.files import file_lock, log_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.operations.keeper import keep
from iac_wrapper.operations.notifications import retried
from iac_wrapper.operations.workspace import Workspace

PROJECTS_SECONDS = 5.0
"""Between two looks for projects that nobody keeps."""

END_SECONDS = 5.0
"""How long a background process may take to end when told to; then it is killed."""

QUIET_SECONDS = 120.0
"""After so long without a look a process keeps nothing. One look takes some seconds, but an engine
that hangs is waited for, for 60."""

_KEPT = ("IAC_", "KARSTKIT_", "DOCKER_", "XDG_")
_KEPT_NAMES = frozenset({"HOME", "PATH", "LANG", "LC_ALL", "TZ"})
"""What a process in the background needs of the environment; the rest may be secret."""


def ensure(workspace: Workspace) -> None:
    """Have a process of the newest code keep the project, where a person has not arranged it.

    Not for an engine on another machine: its services are asked through its own loopback.

    Raises:
        CommandError: it cannot be started.
    """
    if workspace.settings.keeper == "off" or not workspace.engine_is_local:
        return
    known = _note(workspace)
    if known and not end(workspace):
        return
    argv = (sys.executable, "-P", "-m", __name__, workspace.layout.root, workspace.project)
    names = {*workspace.settings.environment} - _KEPT_NAMES
    unwanted = {name: None for name in names if not name.startswith(_KEPT)}
    process.start_alone(Command(process.argv(*argv), env=unwanted))
    if not known:
        workspace.progress(
            "from now on a process in the background starts again what dies or hangs (`iac keep`;"
            " IAC_KEEPER=off: none)"
        )


def end(workspace: Workspace) -> bool:
    """End the background process of the project, if there is one; False: a person's keeps it."""
    note = _note(workspace)
    if not note:
        return True
    if not note.get("background"):
        return False
    deadline = time.monotonic() + END_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        os.kill(note["pid"], signal.SIGTERM)
        os.kill(note["pid"], signal.SIGCONT)  # one that is stopped takes no other signal
        while _note(workspace) == note and time.monotonic() < deadline:
            time.sleep(0.05)
        if _note(workspace) == note:
            os.kill(note["pid"], signal.SIGKILL)
            time.sleep(0.1)
    return not _note(workspace)


def is_kept(workspace: Workspace) -> bool:
    """Whether a process keeps the project now."""
    return bool(_note(workspace))


def quiet(workspace: Workspace) -> tuple[int, float] | None:
    """The process that keeps the project but has not looked for `QUIET_SECONDS`, and how many
    seconds it has not: it is stopped, or hangs. None: there is no such process."""
    note = _note(workspace)
    with suppress(OSError):
        seconds = time.time() - workspace.layout.keeper(workspace.project).stat().st_mtime
        if note and seconds > QUIET_SECONDS:
            return note["pid"], seconds
    return None


def keep_one(workspace: Workspace, *, background: bool = False) -> None:
    """Keep a project until nothing is deployed in it.

    Raises:
        BusyError: another process does.
    """
    with _held(workspace, background=background) as looked, retried(workspace):
        keep(workspace, looked)


def keep_all(workspace: Workspace) -> None:
    """Keep every project of the folder, for ever; those that another process keeps are its."""
    while True:
        for project in state.projects(workspace.layout):
            one = replace(workspace, project=project)
            if not is_kept(one):
                threading.Thread(target=_keep_quietly, args=(one,), daemon=True).start()
        time.sleep(PROJECTS_SECONDS)


def _keep_quietly(workspace: Workspace) -> None:
    with suppress(BusyError, OSError):
        keep_one(workspace)


@contextmanager
def _held(workspace: Workspace, *, background: bool) -> Iterator[Callable[[], None]]:
    """Be the one who keeps the project; what is given is called at each look."""
    path = workspace.layout.keeper(workspace.project)
    try:
        fd = file_lock.acquire(path)
    except FileNotFoundError:  # nothing was ever deployed
        yield lambda: None
        return
    if fd is None:
        pid = _read(path).get("pid")
        raise BusyError(
            f"project {workspace.project} is kept already",
            found=f"process {pid}",
            next_step="nothing has to be done; end that process to keep it from here",
        )
    try:
        text = json.dumps({"pid": os.getpid(), "background": background}).encode()
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
        yield lambda: os.utime(fd)
    finally:
        os.ftruncate(fd, 0)  # whoever holds it next has not said so yet
        file_lock.release(fd)


def _note(workspace: Workspace) -> dict[str, int]:
    """What the process that keeps the project says of itself; empty: there is none."""
    path = workspace.layout.keeper(workspace.project)
    if not path.exists():
        return {}
    with suppress(OSError):
        fd = file_lock.acquire(path)
        if fd is None:
            return _read(path)
        file_lock.release(fd)
    return {}


def _read(path: Path) -> dict[str, int]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("pid"), int):
            return found
    return {}


def _logging(workspace: Workspace) -> Workspace:
    """The workspace, telling what happens in a file of the project."""
    path = workspace.directory / "log" / "keeper.log"
    redact = workspace.redactor()

    def emit(event: Event) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            log_file.append(path, redact(f"{now} {event.kind}: {event.message}\n"))

    return replace(workspace, emit=emit)


def _main(folder: str, project: str) -> None:
    """The process in the background."""
    root = Path(folder)
    workspace = Workspace(Layout(root), settings.load_settings(root), project, emit=lambda _: None)
    with suppress(BusyError):  # another was quicker
        keep_one(_logging(workspace), background=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
