"""Logs of one-offs by their ids: from the engine while they run, else what is kept of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.log_filter import LogFilter
from iac_wrapper.model.one_off import Record
from iac_wrapper.operations import one_offs, run_folder
from iac_wrapper.operations.log_source import LogQuery, LogRecord, engine_lines
from iac_wrapper.operations.workspace import Workspace

ROLE = "run"
"""The role of these lines; their service is the one-off's id."""


def logs(
    workspace: Workspace,
    identifiers: Sequence[str],
    *,
    tail: int | None,
    follow: bool = False,
    wanted: LogFilter,
) -> Iterator[LogRecord]:
    """The last `tail` lines of each, one after the other, those with the `wanted` words; with
    `follow` all to come as well.

    What has ended begins with a line that says how.

    Raises:
        ConfigError: there is no such one-off, or times are asked for; at the call.
    """
    if wanted.has_times:
        raise ConfigError(
            "the lines of runs have no times",
            found=f"a time, and {', '.join(identifiers)}",
            next_step="leave --since and --until out; a run has one beginning and one end",
        )
    known = {record.id: record for record in run_folder.records(workspace)}
    for identifier in identifiers:
        if identifier not in known:
            raise ConfigError(
                f"no run {identifier} in project {workspace.project}",
                expected=", ".join(known) or "the id of a run; there are none",
                next_step="name one of these; of old ones nothing is kept",
            )
    found = [_lines(workspace, known[name], tail, follow) for name in identifiers]
    return (record for each in found for record in each if wanted.keeps(record.line))


def _lines(
    workspace: Workspace, record: Record, tail: int | None, follow: bool
) -> Iterator[LogRecord]:
    app = one_offs.app_of(one_offs.pairs(workspace).get(record.id, {}))
    record = run_folder.folder(workspace, record.id).load() or record
    if app and not record.ended:
        redact = workspace.redactor().lines()
        for text, time in engine_lines(workspace, app.id, LogQuery(tail, follow=follow)):
            yield LogRecord(record.id, ROLE, redact(text), time=time)
        return
    title = workspace.redactor()(f"--- {ending(record)} ---")
    yield LogRecord(record.id, ROLE, title)
    log = run_folder.folder(workspace, record.id).log
    lines = log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []
    for line in lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]:
        yield LogRecord(record.id, ROLE, line)


def ending(record: Record) -> str:
    """A command and how it ended, for people."""
    command = shlex.join(record.command)
    if record.ended is None:
        return f"{command}: nobody saw it end"
    how = "removed before it ended" if record.exit_code is None else f"exit code {record.exit_code}"
    return f"{command}: {how} at {record.ended:%Y-%m-%d %H:%M:%S} UTC"
