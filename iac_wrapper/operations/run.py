"""Run: one command as a service, in containers of its own that are gone afterwards.

Who waits for a command holds its lock. Whatever killed that process, the next command on the
project removes what it left; a detached command goes on, and its log is kept when it has ended.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from iac_wrapper.adapters import engine_changes, engine_exec, process
from iac_wrapper.adapters.engine_exec import Connection
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError
from iac_wrapper.model.one_off import Purpose, Record
from iac_wrapper.operations import one_offs, run_folder
from iac_wrapper.operations.log_source import LogQuery, engine_lines
from iac_wrapper.operations.one_offs import Recipe
from iac_wrapper.operations.workspace import Workspace

Talk = Callable[[Connection], None]
"""Passes input and output of a command on until it has ended."""


@dataclass(frozen=True)
class Captured:
    """A command that ran to its end without input; `timed_out`: it was ended for taking too long.

    Its exit code is None where its container is gone.
    """

    record: Record
    timed_out: bool


def run(
    workspace: Workspace, service: str, command: Sequence[str], *, terminal: bool, talk: Talk
) -> int:
    """Run a command as `service` while `talk` passes on what it reads and prints.

    Returns:
        Its exit code.

    Raises:
        ConfigError: no such service.
        CommandError: the engine refused, or somebody removed the containers meanwhile.
    """
    recipe = one_offs.recorded(workspace, service)
    tidy(workspace)
    with one_offs.lasting(workspace, recipe, command, terminal=terminal) as running:
        assert running.connection is not None  # noqa: S101 - it is talked to
        talk(running.connection)
        return engine_exec.wait(workspace.engine, running.app)


def detach(workspace: Workspace, service: str, command: Sequence[str]) -> str:
    """Start a command as `service` and leave it to a process that keeps its log; return its id.

    Raises:
        ConfigError, CommandError: as `run`.
    """
    recipe = one_offs.recorded(workspace, service)
    tidy(workspace)
    with _recorded(workspace, recipe, command, "detached") as (record, lock):
        one_offs.start(workspace, recipe, record, terminal=False, attached=False)
        module = "iac_wrapper.operations.run_watch"
        argv = process.argv(
            sys.executable, "-P", "-m", module, workspace.layout.root, workspace.project, record.id
        )
        process.start_alone(Command(argv), keep_open=lock)
    return record.id


def capture(  # noqa: PLR0913 - keywords that differ for each caller
    workspace: Workspace,
    recipe: Recipe,
    command: Sequence[str],
    purpose: Purpose,
    *,
    limit: float,
    told: Callable[[str], None] = lambda _: None,
    begun: Callable[[Record], None] = lambda _: None,
) -> Captured:
    """Run a command without input; its output goes to `told`, line by line, and is kept.

    Args:
        limit: seconds after which it is ended.
        begun: is told of it before it starts.
    """
    with _recorded(workspace, recipe, command, purpose) as (record, _):
        begun(record)
        running = one_offs.start(workspace, recipe, record, terminal=False, attached=False)
        ended, timed_out = follow(workspace, record, running.app, limit=limit, told=told)
    return Captured(ended, timed_out)


def follow(
    workspace: Workspace,
    record: Record,
    app: str,
    *,
    limit: float | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[Record, bool]:
    """Keep what a one-off prints until it ends, then remove its containers and say how it ended.

    Returns:
        The record, and whether it was ended after `limit` seconds.
    """
    timed_out = threading.Event()
    engine, own = workspace.engine, run_folder.folder(workspace, record.id)

    def end() -> None:
        timed_out.set()
        with suppress(CommandError):
            if container := engine.container(app):
                engine_changes.stop(engine, container)

    timer = threading.Timer(limit or 0, end)
    timer.daemon = True
    if limit is not None:
        timer.start()
    try:
        redact = workspace.redactor().lines()
        query = LogQuery(0, follow=True, since=record.started.timestamp() - 1)
        with os.fdopen(os.open(own.log, _FRESH, 0o600), "w", encoding="utf-8") as log:
            for line in engine_lines(workspace, app, query):
                told(text := redact(line.text))
                log.write(f"{text}\n")
                log.flush()
        code = engine_exec.wait(engine, app) if engine.container(app) else None
        ended = replace(record, ended=datetime.now(UTC), exit_code=code)
        own.save(ended)  # while the containers are there: who looks for the log finds one of both
    finally:
        timer.cancel()
        one_offs.stop(workspace, record.id)
    run_folder.prune(workspace, record)
    return ended, timed_out.is_set()


_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def tidy(workspace: Workspace) -> None:
    """Remove one-offs whose process is gone; of a detached one that has ended, the log stays."""
    for identifier, pair in one_offs.pairs(workspace).items():
        own = run_folder.folder(workspace, identifier)
        lock = own.take()
        if lock is None:
            continue
        try:
            record, app = own.load(), one_offs.app_of(pair)
            if record and record.purpose == "detached" and app:
                if not app.running:
                    follow(workspace, record, app.id)
                continue
            workspace.progress(f"removing {identifier}, whose process has ended")
            one_offs.remove(workspace, identifier)
            own.remove()
        finally:
            run_folder.let_go(lock)


@contextmanager
def _recorded(
    workspace: Workspace, recipe: Recipe, command: Sequence[str], purpose: Purpose
) -> Iterator[tuple[Record, int]]:
    """A one-off whose log is kept; what fails before its command has run leaves none."""
    record, lock = run_folder.begin(workspace, recipe.service, command, purpose)
    try:
        yield record, lock
    except BaseException:
        one_offs.stop(workspace, record.id)
        run_folder.folder(workspace, record.id).remove()
        raise
    finally:
        run_folder.let_go(lock)
