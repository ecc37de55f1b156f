"""Project hooks: programs of the project that are run before and after a deploy or a rollback.

They run on this machine; what they are told and what they said is in the ledger.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError, IacError
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.plain import plain
from iac_wrapper.model.release_news import document
from iac_wrapper.operations import history
from iac_wrapper.operations.hook_files import Hook, find
from iac_wrapper.operations.recording import Release
from iac_wrapper.operations.workspace import Workspace

SHOWN_LINES = 100
"""Lines of a hook that are shown as they come."""

KEPT_CHARACTERS = 4000
"""Of the end of its output, in the ledger."""

ERROR_LINES = 10
"""Of the end of its output, in the error of a hook that stops a deploy."""

_LINE_BYTES = 65_536
"""After which the rest of a line is left out."""

_LINE_CHARACTERS = 500
"""Of a line that are shown and kept; secrets are masked in all of it before."""


class HookError(CommandError):
    """The hook ``pre-deploy`` stopped a deploy; nothing has changed."""


class Hooks:
    """The hooks of one release, found and looked at when it begins.

    Args:
        release: whose they are; it has not begun.
        beside: the folder of the list that is deployed; None: of the one that was deployed last,
            and without one the project folder.
    """

    def __init__(self, release: Release, beside: Path | None) -> None:
        self._release = release
        self._workspace = release.workspace
        self._beside = beside
        self._found: Mapping[Hook, Path] = {}

    def start(self, lock: LockFile | None) -> None:
        """Begin the release of `lock` (None: nobody knows what), and run ``pre-deploy``.

        Raises:
            ConfigError: a hook may not be run, or the ledger not be read; nothing has changed.
            HookError: ``pre-deploy`` failed; nothing has changed.
            CommandError: the ledger cannot be written.
        """
        self._found = find(self._workspace, self._beside or list_folder(self._workspace))
        self._release.start()
        if path := self._found.get("pre-deploy"):
            commits = {app.name: app.commit for app in lock.all_apps} if lock else {}
            fault, said = self._run("pre-deploy", path, commits)
            if fault:
                raise HookError(
                    f"the hook pre-deploy stopped the {self._release.kind}; nothing has changed",
                    where=str(path),
                    found=fault,
                    expected="exit code 0",
                    next_step="correct what it reports, or do without hooks: IAC_HOOKS=off",
                    detail="\n".join(said.splitlines()[-ERROR_LINES:]),
                )

    def end(self) -> None:
        """Run what is due after the release, if that has begun; a failure is a warning."""
        good = self._release.verdict in ("good", "unproven")
        hook: Hook = "post-deploy" if good else "on-failure"
        path = self._found.get(hook) if self._release.number else None
        if path is None:
            return
        try:
            fault, _said = self._run(hook, path)
        except IacError as error:  # the ledger cannot be read
            fault = f"was not run: {error.message}"
        if fault:
            self._workspace.warn(
                f"the hook {hook} {fault}; release {self._release.number} stays"
                f" {self._release.verdict}"
            )

    def _run(
        self, hook: Hook, path: Path, commits: Mapping[str, str | None] | None = None
    ) -> tuple[str, str]:
        """Run a hook and note it; what is wrong, empty for nothing, and the end of what it said."""
        workspace, limit = self._workspace, self._workspace.settings.hook_timeout
        workspace.step(f"Hook {hook}")
        news = {"hook": hook, **document(workspace.project, self._release.entry(), commits)}
        # A hook that calls `iac` means this project, and begins no other hooks.
        told = {"IAC_PROJECT": workspace.project, "IAC_HOOKS": "off"}
        command = Command((str(path),), cwd=path.parents[1], env=told, stdin=json.dumps(news))
        output, began = _Output(workspace, hook), time.monotonic()
        fault: str | None = "was interrupted"
        code: int | None = None
        try:
            code = process.watch(command, output.add, timeout=limit)
            fault = _fault(code, limit)
        except CommandError as error:
            fault = f"cannot be started: {error.found}; does it begin with #!/bin/sh or the like?"
        finally:
            output.end()
            facts: dict[str, Any] = {"hook": hook, "path": str(path), "exit_code": code}
            facts |= {"seconds": round(time.monotonic() - began, 3), "output": output.kept}
            self._release.note_hook(**facts, **({"fault": fault} if fault else {}))
        return fault, output.kept


def list_folder(workspace: Workspace) -> Path:
    """The folder of the list that was deployed last; without one the project folder.

    Raises:
        ConfigError: the ledger cannot be read.
    """
    lock = history.list_lock(workspace)
    return lock.parent if lock else workspace.layout.root


@contextmanager
def hooked(
    workspace: Workspace, kind: str, beside: Path | None = None
) -> Iterator[tuple[Release, Hooks]]:
    """A release of this kind, and its hooks as `Hooks` has them. What is due after it is run after
    the block, which lets go of the project before."""
    release = Release(workspace, kind)
    hooks = Hooks(release, beside)
    try:
        yield release, hooks
    finally:
        hooks.end()


class _Output:
    """What a hook prints: its first lines as they come, and the end of all of it."""

    def __init__(self, workspace: Workspace, hook: Hook) -> None:
        self._workspace = workspace
        self._hook = hook
        self._redact = workspace.redactor().lines()
        self._rest = b""
        self._count = 0
        self._last: deque[str] = deque(maxlen=KEPT_CHARACTERS)

    def add(self, data: bytes) -> None:
        """Some more of it."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LINE_BYTES]
        for line in lines:
            self._line(line)

    def end(self) -> None:
        """It has ended."""
        if self._rest:
            self._line(self._rest)
        self._rest = b""

    @property
    def kept(self) -> str:
        """The end of it, for the ledger."""
        return "\n".join(self._last)[-KEPT_CHARACTERS:]

    def _line(self, line: bytes) -> None:
        text = self._redact(plain(line[:_LINE_BYTES].decode(errors="replace")))
        text = text if len(text) <= _LINE_CHARACTERS else text[:_LINE_CHARACTERS] + "…"
        self._last.append(text)
        self._count += 1
        if self._count <= SHOWN_LINES:
            self._workspace.progress(f"{self._hook}: {text}")
        elif self._count == SHOWN_LINES + 1:
            self._workspace.progress(f"{self._hook}: … (`iac show` has the end of it)")


def _fault(code: int | None, limit: float) -> str:
    if code is None:
        return f"did not end within {limit:g} s (IAC_HOOK_TIMEOUT) and was ended"
    if code < 0:
        return f"was ended by signal {-code}"
    return f"exited with {code}" if code else ""
