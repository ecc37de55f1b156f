"""The audit log: who did what, from where, and how it went; one JSON object a line.

It must not know Flask or jobs: callers say what happened.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from admin.actor import Actor
from admin.scrub import scrub
from iac_wrapper.model.redact import Redactor

LONGEST = 2_000
"""Characters of one value; what callers send must not fill the disk."""

log = logging.getLogger("iac.admin")


class Audit:
    """An append-only file, 0600, that may be rotated at any time.

    Each line is one write to a file opened for appending, so lines of several threads and
    processes do not mix. A line that cannot be written is lost, and the log of the server says so
    once: an audit that stops the service would be a way to stop the service.

    Args:
        path: the file.
        redactor: applied to every value.
    """

    def __init__(self, path: Path, redactor: Redactor | None = None) -> None:
        self._path = path
        self._redact = redactor or Redactor()
        self._lock = threading.Lock()
        self._torn = False
        self._failing = False

    def record(  # noqa: PLR0913 - one keyword for each fact an auditor looks for
        self,
        action: str,
        *,
        actor: Actor | Mapping[str, Any] | None = None,
        project: str | None = None,
        deployment: str | None = None,
        plan_hash: str | None = None,
        outcome: str | None = None,
        request_id: str | None = None,
        status: int | None = None,
        **extra: Any,
    ) -> None:
        """Write one line.

        Args:
            action: what, such as ``deploy.requested``, ``deploy.finished``, ``auth.refused``.
            actor: who, or `Actor.to_dict` of them; None if nobody proved to be anybody.
            project: on which project.
            deployment: id of the job.
            plan_hash: the plan that was applied.
            outcome: how it went, in a word.
            request_id: of the HTTP request.
            status: of the HTTP answer.
            extra: more facts; what JSON does not know becomes text.
        """
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "action": action,
            "actor": actor.to_dict() if isinstance(actor, Actor) else actor,
            "project": project,
            "deployment": deployment,
            "plan_hash": plan_hash,
            "outcome": outcome,
            "request_id": request_id,
            "status": status,
            **extra,
        }
        line = json.dumps(scrub(entry, self._clean), default=self._text) + "\n"
        with self._lock:
            self._write(line.encode("ascii"))

    def _text(self, value: object) -> str:
        return self._clean(str(value))

    def _clean(self, text: str) -> str:
        text = self._redact(text)  # first: half a secret is not recognised
        return text if len(text) <= LONGEST else text[:LONGEST] + "…"

    def _write(self, line: bytes) -> None:
        try:
            descriptor = self._open()
            try:
                # After a line that a full disk cut off, the next one begins on its own line.
                data = b"\n" + line if self._torn else line
                written = os.write(descriptor, data)
                self._torn = written < len(data)
                if self._torn:
                    raise OSError(f"{written} of {len(data)} bytes were written")
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._failing:
                log.error("%s cannot be written: %s", self._path, error)  # noqa: TRY400
            self._failing = True
        else:
            self._failing = False

    def _open(self) -> int:
        """Anew for each line (20 µs): the file may have been rotated away."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, flags, 0o600)
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        return descriptor
