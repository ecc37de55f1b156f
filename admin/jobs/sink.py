"""Where a worker's words go: into the event log, without secrets."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from admin.jobs.log_writer import LogWriter
from admin.jobs.outcome import Outcome
from admin.scrub import scrub
from iac_wrapper.files import env_files
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.model.redact import Redactor


class Sink:
    """Writes events of a job on `project`; what was once a secret stays one until the end."""

    def __init__(self, writer: LogWriter, layout: Layout, project: str) -> None:
        self._writer = writer
        self._values = layout.project_env_files(project)
        self._secrets: set[str] = set()
        self._redact = Redactor()
        self._finished = False

    def learn(self, secrets: Iterable[str] = ()) -> None:
        """Hide `secrets` from now on, and the values of `env:` that are on disk by now."""
        on_disk: list[str] = []
        with suppress(OSError, UnicodeError):
            on_disk = env_files.values(self._values)
        self._secrets = self._secrets.union(on_disk, secrets)
        self._redact = Redactor(self._secrets)

    def begin(self, message: str) -> None:
        """Write that the worker began."""
        with suppress(OSError):
            self._writer.append("started", self.text(message))

    def emit(self, event: Event) -> None:
        """Write one event; a full disk must not end a deploy half-way. What is a line on no
        terminal is none here.

        A thread that comes late, after an interrupt, is not heard any more.
        """
        if self._finished or event.kind == "stage":
            return
        if event.kind == "step":
            self.learn()
        with suppress(OSError):
            self._writer.append(event.kind, self.text(event.message))

    def finish(self, outcome: Outcome) -> None:
        """Write the last event, to the disk itself.

        Raises:
            OSError: it could not be written; whoever watches the worker will write one.
        """
        self._finished = True
        self.learn()
        self._writer.append(
            "finished", self.text(outcome.message), scrub(outcome.to_data(), self.text)
        )
        self._writer.sync()

    def text(self, text: str) -> str:
        """`text` without secrets, and with nothing in it that UTF-8 cannot say."""
        return self._redact(text).encode("utf-8", "replace").decode()
