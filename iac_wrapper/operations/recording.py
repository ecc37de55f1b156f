"""What the ledger of a project records: releases, which hold the project, and events.

A release has two lines, so that one that was killed is seen: it is closed as ``interrupted`` by the
next that holds the project. An event is told in one line, when it is over. What cannot be written
at the beginning is an error, as nothing has changed yet; later it is a warning.
"""

from __future__ import annotations

import os
import pwd
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from iac_wrapper import __version__
from iac_wrapper.adapters import state
from iac_wrapper.errors import CertificateError, ConfigError, IacError
from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.ledger import Ledger, digest_of
from iac_wrapper.model.ledger import Caller, LedgerEntry, Verdict, entries, rfc3339
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.lock_difference import differences
from iac_wrapper.model.plain import plain
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations.workspace import Workspace

LONGEST = 500
"""Characters of a sentence; what programs print must not fill the ledger."""

REPEATED_SECONDS = 3600.0
"""For so long the same event is told once: what is mended again and again without anybody must not
fill the ledger either."""


def ledger_of(workspace: Workspace) -> Ledger:
    """The project's ledger."""
    return Ledger(workspace.layout.ledger(workspace.project))


def kept_lock(workspace: Workspace, digest: str) -> LockFile:
    """The lock that the ledger keeps under `digest`.

    Raises:
        ConfigError: it cannot be read.
    """
    text = ledger_of(workspace).lock_text(digest)
    return lock_file.parse_lock(text, where=f"lock {digest[:12]}")


class Release:
    """A release under way. Its block tells what it learns: `plan_hash`, `report`, `moved`, and what
    its first line says `of` it besides. `verdict` is None until its last line."""

    def __init__(self, workspace: Workspace, kind: str) -> None:
        self.workspace = workspace
        self.kind = kind
        self.number = 0
        self.verdict: Verdict | None = None
        self.plan_hash: str | None = None
        self.report: ProjectReport | None = None
        self.moved: Sequence[str] = ()
        self.of: Mapping[str, Any] = {}
        self._ledger = ledger_of(workspace)
        self._began = time.monotonic()
        self._before: str | None = None

    def start(self) -> None:
        """Give it its number: from here on the project may change.

        What was done without a line, or without its last one, gets that first.

        Raises:
            ConfigError: the ledger cannot be read.
            CommandError: it cannot be written.
        """
        known = entries(self._ledger.read().lines)
        here = _deployed(self.workspace)
        for entry in known:
            if not entry.ended:
                facts = {"verdict": "interrupted", **here, **_to_tell(self.workspace)}
                self._ledger.append(_line("ended", **facts), number=entry.number)
        if all(entry.ended for entry in known) and is_unrecorded(known, here):
            by = {"source": "terraform"}
            at = state_changed_at(self.workspace)
            facts = {"kind": "apply", "by": by, "verdict": "unproven", "applied_at": at, **here}
            self._ledger.append(_line("event", **facts, **_to_tell(self.workspace)))
        self._before = before = here.get("lock", recorded_lock(known))
        head = {"kind": self.kind, **self.of, **_head(self.workspace.caller), "before": before}
        self.number = self._ledger.append(_line("started", **head))

    def end(self, verdict: Verdict | None = None, **more: Any) -> None:
        """Write its last line, once; the verdict is the report's, else `good`."""
        if not self.number or self.verdict:
            return
        self.verdict = verdict or _verdict(self.report)
        facts: dict[str, Any] = {
            "verdict": self.verdict,
            "seconds": round(time.monotonic() - self._began, 3),
            "plan": self.plan_hash,
            "moved": list(self.moved),
            **more,
        }
        if self.report:
            facts["failed"] = [service.app.name for service in self.report.failed]
            facts["broken"] = [service.app.name for service in self.report.broken_before]
        with _said(self.workspace):
            facts |= {**_deployed(self.workspace), **_to_tell(self.workspace)}
            facts |= _changed(self.workspace, self._before, facts.get("lock"))
            self._ledger.append(_line("ended", **facts), number=self.number)

    def fail(self, error: BaseException) -> None:
        """The same of one that ended with an error."""
        told = _error(self.workspace, error)
        self.end("failed" if told else "interrupted", **told)

    def note_hook(self, **facts: Any) -> None:
        """Write a line on a hook that was run for it."""
        with _said(self.workspace):
            add(self.workspace, self.number, "hook", **facts)

    def entry(self) -> LedgerEntry:
        """What the ledger says of it so far."""
        known = entries(self._ledger.read().lines)
        (found,) = (entry for entry in known if entry.number == self.number)
        return found.judged(self.verdict or "running")

    @contextmanager
    def recorded(self) -> Iterator[Release]:
        """Record what a block does to the project, which is held. The block calls `start`; what is
        refused before that has changed nothing, and is no release."""
        try:
            yield self
        except BaseException as error:
            self.fail(error)
            raise
        self.end()


def release(workspace: Workspace, kind: str) -> AbstractContextManager[Release]:
    """A release of this kind, recorded while a block runs."""
    return Release(workspace, kind).recorded()


def note(
    workspace: Workspace, kind: str, done: Sequence[str], *, verdict: Verdict = "good"
) -> None:
    """Record an event, in sentences; nothing without any, nor what repeats itself."""
    if not done:
        return
    told = [_text(workspace, sentence) for sentence in done]
    ledger = ledger_of(workspace)
    with _said(workspace):
        if workspace.caller.is_automatic and _is_repeated(ledger, kind, told):
            return
        head = {"kind": kind, **_head(workspace.caller), **_to_tell(workspace)}
        ledger.append(_line("event", **head, verdict=verdict, done=told))


def add(workspace: Workspace, number: int, type_: str, **facts: Any) -> None:
    """Write one more line on a release or event.

    Raises:
        ConfigError: the ledger cannot be read.
        CommandError: it cannot be written.
    """
    ledger_of(workspace).append(_line(type_, **facts), number=number)


def number_of_job(layout: Layout, project: str, job: str) -> int | None:
    """The release that a job of the API made; None: it came to none."""
    with suppress(ConfigError):
        for entry in reversed(entries(Ledger(layout.ledger(project)).read().lines)):
            if entry.facts.get("by", {}).get("job") == job:
                return entry.number
    return None


def recorded_lock(known: Sequence[LedgerEntry]) -> str | None:
    """The digest of the lock that was applied last, as far as the ledger knows; None: none is."""
    return next((entry.facts["lock"] for entry in reversed(known) if entry.has_lock), None)


def is_unrecorded(known: Sequence[LedgerEntry], here: Mapping[str, Any]) -> bool:
    """Whether Terraform's state holds another lock than the ledger knows of."""
    return "lock" in here and here["lock"] != recorded_lock(known)


def applied_digest(workspace: Workspace) -> dict[str, str | None]:
    """``lock``: the digest of what is deployed, None for nothing; empty if no state says."""
    try:
        text = state.applied_text(workspace.layout.state(workspace.project))
    except ConfigError:
        return {}
    return {"lock": digest_of(text) if text is not None else None}


def _deployed(workspace: Workspace) -> dict[str, Any]:
    """What is deployed now, for a line; the lock itself is kept beside the ledger."""
    path = workspace.layout.state(workspace.project)
    try:
        text = state.applied_text(path)
    except ConfigError:
        return {}
    if text is None:
        return {"lock": None}
    found: dict[str, Any] = {"lock": ledger_of(workspace).keep_lock(text)}
    with suppress(ConfigError):  # of another version: its text is kept all the same
        lock = lock_file.parse_lock(text, where=str(path))
        found["commits"] = {app.name: app.commit for app in lock.all_apps}
    with suppress(CertificateError, OSError, ValueError):
        found["authority"] = _authorities(workspace)
    return found


def _changed(workspace: Workspace, before: str | None, after: str | None) -> dict[str, Any]:
    """By service what became of it: ``added``, ``removed`` or ``changed``; nothing if a lock cannot
    be read."""
    with suppress(ConfigError):
        old, new = (kept_lock(workspace, each) if each else None for each in (before, after))
        return {"changed": {each.name: each.kind for each in differences(old, new)}}
    return {}


def _authorities(workspace: Workspace) -> list[str]:
    """SHA-256 of the certificate (DER) of each authority that counts, hexadecimal."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - 0.1 s for `iac releases`

    from iac_wrapper.identity import issuers  # noqa: PLC0415

    stored = issuers.deployed_issuer(workspace.layout.secrets, workspace.settings.cert_command)
    return [root.fingerprint(hashes.SHA256()).hex() for root in stored.roots().values()]


def _to_tell(workspace: Workspace) -> dict[str, bool]:
    """The field that says that a line is to be told to the receiver of notifications."""
    if not workspace.settings.notify_url:
        return {}
    workspace.outbox.add(workspace.project)
    return {"notify": True}


def _line(type_: str, **facts: Any) -> dict[str, Any]:
    return {"type": type_, "at": rfc3339(datetime.now(UTC)), **facts}


def state_changed_at(workspace: Workspace) -> str | None:
    """When Terraform last wrote the state: an apply was not later. None: there is no state."""
    with suppress(FileNotFoundError):
        changed = workspace.layout.state(workspace.project).stat().st_mtime
        return rfc3339(datetime.fromtimestamp(changed, UTC))
    return None


def _head(caller: Caller) -> dict[str, Any]:
    by = {"user": _user(), "uid": os.getuid(), "host": socket.gethostname(), **caller.to_dict()}
    return {"by": by, "tool": __version__, "pid": os.getpid()}


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a uid without a name
        return f"uid {os.getuid()}"


def _verdict(report: ProjectReport | None) -> Verdict:
    return "unhealthy" if report and not report.good else "good"


def _error(workspace: Workspace, error: BaseException) -> dict[str, Any]:
    """The field ``error``; empty for what a person or a signal ended."""
    if not isinstance(error, Exception):
        return {}
    if not isinstance(error, IacError):
        return {"error": {"error": type(error).__name__}}
    known = {"error": type(error).__name__, "exit_code": error.exit_code}
    texts = {"message": error.message, "where": error.where, "found": error.found}
    told = {name: _text(workspace, text) for name, text in texts.items() if text}
    return {"error": {**known, **told}}


def _text(workspace: Workspace, text: str) -> str:
    clean = workspace.redactor()(plain(text))  # first: half a secret is not recognised
    return clean if len(clean) <= LONGEST else clean[:LONGEST] + "…"


def _is_repeated(ledger: Ledger, kind: str, done: Sequence[str]) -> bool:
    since = datetime.now(UTC) - timedelta(seconds=REPEATED_SECONDS)
    return any(
        entry.kind == kind and entry.facts.get("done") == done and entry.at > since
        for entry in entries(ledger.read().lines)
    )


@contextmanager
def _said(workspace: Workspace) -> Iterator[None]:
    """A line that is lost is a warning: what it is about has happened."""
    try:
        yield
    except (IacError, OSError) as error:
        workspace.warn(f"the ledger of releases lacks a line: {error}")
