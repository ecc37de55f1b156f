"""Notifications: ends of releases and events, sent to a web server of the operator's choice.

The ledger is the queue and the log: a line that is to be told says so, and each attempt is a line.
So nothing is lost with a process, and what is not delivered is sent by whoever comes next.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from iac_wrapper import __version__
from iac_wrapper.errors import BusyError, ConfigError, IacError
from iac_wrapper.files import file_lock
from iac_wrapper.model import webhook
from iac_wrapper.model.ledger import entries
from iac_wrapper.model.notification import Notification, is_delivered, notifications
from iac_wrapper.operations import recording
from iac_wrapper.operations.workspace import Workspace

if TYPE_CHECKING:
    import requests

SECONDS = 5.0
"""A command waits at most so long for the receiver, when all else is done."""

ANSWER_SECONDS = 4.0
"""For a connection, and for an answer on it."""

LOOK_SECONDS = 10.0
"""Between two looks of the keeper: the first attempt after a failure is due after 5 s."""


@dataclass(frozen=True)
class Told:
    """The notifications of a project, newest first, and where they go (scheme, host and port);
    empty: nowhere."""

    notifications: Sequence[Notification]
    receiver: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        told = [each.to_dict() for each in self.notifications]
        return {"receiver": self.receiver or None, "notifications": told}


def told(workspace: Workspace, *, limit: int | None = None) -> Told:
    """What was told, and what is to be told, the newest `limit` (None: all).

    Raises:
        ConfigError: the ledger cannot be read.
    """
    known = _known(workspace)[::-1]
    return Told(known if limit is None else known[:limit], receiver(workspace))


def receiver(workspace: Workspace) -> str:
    """Where notifications go, without what may be a token; empty: nowhere."""
    parts = urlsplit(workspace.settings.notify_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


def send(workspace: Workspace) -> None:
    """At the end of a command: send what it has noted and what else is due in the projects that it
    changed. What is not delivered within `SECONDS` is a warning, and for whoever comes next."""
    projects = [replace(workspace, project=name) for name in sorted(workspace.outbox)]
    workspace.outbox.clear()
    if not projects:
        return
    until = time.monotonic() + SECONDS
    # Nobody waits for one that hangs: the attempt is made again, by its id the same.
    sender = threading.Thread(target=_send_all, args=(projects, until), daemon=True)
    sender.start()
    sender.join(SECONDS)
    for one in projects:
        with suppress(IacError):
            left = [each for each in _known(one) if each.state == "waiting"]
            if left:
                faults = (each.fault for each in reversed(left))
                fault = next(filter(None, faults), f"no answer within {SECONDS:g} s")
                numbers = ", ".join(str(each.entry.number) for each in left[-3:])
                one.warn(
                    f"{receiver(one)} was not told of {numbers}: {fault}; it is tried again"
                    " (`iac notifications`)"
                )


def send_due(workspace: Workspace, *, until: float | None = None, everything: bool = False) -> bool:
    """Send what is due, one after the other, until one gets no answer: a receiver that is down is
    not asked for each.

    Args:
        workspace: the project.
        until: when to stop, by `time.monotonic`.
        everything: all that is not delivered, due or not.

    Returns:
        Whether something is still waiting for its time.

    Raises:
        ConfigError: the ledger cannot be read.
        CommandError: it cannot be written.
        BusyError: another process sends.
    """
    folder = recording.ledger_of(workspace).folder
    if not folder.is_dir():
        return False
    fd = file_lock.acquire(folder / "notify.lock")
    if fd is None:
        raise BusyError(
            f"another process sends the notifications of project {workspace.project}",
            next_step="wait some seconds, then run the command again",
        )
    try:
        now = datetime.now(UTC)
        for each in _known(workspace):
            is_wanted = each.state != "delivered" if everything else each.is_due(now)
            if not is_wanted:
                continue
            if until is not None and time.monotonic() > until:
                break
            if not _attempt(workspace, each):
                break
        return any(each.state == "waiting" for each in _known(workspace))
    finally:
        file_lock.release(fd)


def send_everything(workspace: Workspace) -> Told:
    """Send all that is not delivered, also what was given up, and say how that went.

    Raises:
        ConfigError: there is no receiver, or the ledger cannot be read.
        CommandError, BusyError: as `send_due`.
    """
    if not receiver(workspace):
        raise ConfigError(
            "there is nobody to notify",
            where="IAC_NOTIFY_URL",
            found="nothing",
            expected="https://host/path",
            next_step="set IAC_NOTIFY_URL and IAC_NOTIFY_SECRET in .env",
        )
    before = [each.entry.number for each in _known(workspace) if each.state != "delivered"]
    send_due(workspace, everything=True)
    after = told(workspace)
    sent = [each for each in after.notifications if each.entry.number in before]
    return replace(after, notifications=sent)


@contextmanager
def retried(workspace: Workspace) -> Iterator[None]:
    """Send what is due while a block runs, from a thread: nothing waits for it."""
    stop = threading.Event()
    if receiver(workspace):
        threading.Thread(target=_retry, args=(workspace, stop), daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _retry(workspace: Workspace, stop: threading.Event) -> None:
    path, seen = recording.ledger_of(workspace).path, (0, 0)
    while not stop.wait(LOOK_SECONDS):
        with suppress(IacError, OSError):
            found = path.stat()
            now = (found.st_mtime_ns, found.st_size)
            # A ledger that nobody wrote to, and of which all is delivered, is not read again.
            if now != seen:
                seen = (0, 0) if send_due(workspace) else now


def _send_all(projects: Sequence[Workspace], until: float) -> None:
    for one in projects:
        with suppress(IacError, OSError):
            send_due(one, until=until)


def _known(workspace: Workspace) -> list[Notification]:
    return notifications(entries(recording.ledger_of(workspace).read().lines))


def _attempt(workspace: Workspace, one: Notification) -> bool:
    """Send one and note how that went; whether somebody answered."""
    body, began = json.dumps(one.body(workspace.project)).encode(), time.monotonic()
    status, fault = _post(workspace, one.identity(workspace.project), body)
    facts: dict[str, Any] = {
        "attempt": len(one.attempts) + 1,
        "to": receiver(workspace),
        "status": status,
    }
    facts |= {"fault": fault} if fault else {}
    seconds = round(time.monotonic() - began, 3)
    recording.add(workspace, one.entry.number, "delivery", seconds=seconds, **facts)
    return status is not None


def _post(workspace: Workspace, identity: str, body: bytes) -> tuple[int | None, str]:
    """The status of the answer, and what is wrong; its words are ours, as those of the library have
    the whole address."""
    import requests  # noqa: PLC0415 - 0.1 s that only those pay who have a receiver

    settings = workspace.settings
    headers = {"content-type": "application/json", "user-agent": f"KarstKit/{__version__}"}
    headers |= webhook.headers(settings.notify_key, identity, int(time.time()), body)
    try:
        answer = requests.post(
            settings.notify_url,
            data=body,
            headers=headers,
            timeout=ANSWER_SECONDS,
            allow_redirects=False,
            stream=True,  # what it says is not read
            auth=_as_it_is,
        )
        answer.close()
    except requests.Timeout:
        return None, f"no answer within {ANSWER_SECONDS:g} s"
    except requests.exceptions.SSLError:
        return None, "untrusted certificate"
    except requests.ConnectionError:
        return None, "it cannot be reached"
    except requests.RequestException as error:
        return None, f"failed ({type(error).__name__})"
    status = answer.status_code
    return status, "" if is_delivered(status) else f"it answered {status}"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without it, the library would add a password for the host from ~/.netrc."""
    return request
