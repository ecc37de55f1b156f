"""The last lines of versions whose containers are gone, or will be: of the one that failed last,
and of the one that a rollout replaced last."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import get_args

from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.layout import KeptLog
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.log_filter import LogFilter
from iac_wrapper.operations.last_lines import last_lines
from iac_wrapper.operations.log_source import LogRecord
from iac_wrapper.operations.workspace import Workspace

LINES = 1000
"""How many lines of a version's program are kept."""

KINDS: tuple[KeptLog, ...] = get_args(KeptLog)

_WHAT: dict[KeptLog, str] = {
    "failed": "a version that failed",
    "previous": "the version before",
}


def keep(
    workspace: Workspace, kind: KeptLog, app: ResolvedApp, container: Container | None
) -> None:
    """Write what the program of a version printed last, redacted; replaces an older one."""
    lines = [_title(kind, app), *last_lines(workspace, container, LINES)]
    path = workspace.layout.kept_log(workspace.project, kind, app.name)
    write_text(path, "\n".join(lines) + "\n", mode=0o600)


def forget(workspace: Workspace, kind: KeptLog, service: str) -> None:
    """Remove what is kept; nothing is fine."""
    workspace.layout.kept_log(workspace.project, kind, service).unlink(missing_ok=True)


def records(
    workspace: Workspace,
    kind: KeptLog,
    services: Sequence[str],
    *,
    tail: int | None,
    wanted: LogFilter,
) -> Iterator[LogRecord]:
    """Of each named service (of all, if none is) a title and the last `tail` lines (None: all),
    those with the `wanted` words; nobody knows the times of these lines."""
    for service in () if wanted.has_times else sorted(kept(workspace, kind)):
        if not services or service in services:
            for line in _lines(workspace, kind, service, tail):
                if wanted.keeps(line):
                    yield LogRecord(service, kind, line)


def previous(
    workspace: Workspace, services: Sequence[str], *, tail: int | None, wanted: LogFilter
) -> Iterator[LogRecord]:
    """`records` of versions that a rollout replaced.

    Raises:
        ConfigError: there is none of a named service, or times are asked for; at the call.
    """
    if wanted.has_times:
        raise ConfigError(
            "the lines of a version before have no times",
            next_step="leave --since and --until out",
        )
    there = kept(workspace, "previous")
    if missing := sorted({*services} - there):
        raise ConfigError(
            f"no lines of a version before of {', '.join(missing)} are kept",
            where=f"project {workspace.project}",
            found=f"those of {', '.join(sorted(there))}" if there else "none of any service",
            expected="a service that a deploy or a rollback gave another version",
            next_step="leave --previous out: that is what runs now",
        )
    return records(workspace, "previous", services, tail=tail, wanted=wanted)


def kept(workspace: Workspace, kind: KeptLog) -> set[str]:
    """The services that have such a log."""
    folder = workspace.layout.kept_log(workspace.project, kind, "x").parent
    return {path.stem for path in folder.glob("*.log")}


def only(workspace: Workspace, services: Collection[str]) -> None:
    """Remove the logs of other services."""
    for kind in KINDS:
        for service in kept(workspace, kind) - set(services):
            forget(workspace, kind, service)
        if not kept(workspace, kind):
            folder = workspace.layout.kept_log(workspace.project, kind, "x").parent
            shutil.rmtree(folder, ignore_errors=True)


def _lines(workspace: Workspace, kind: KeptLog, service: str, tail: int | None) -> Iterator[str]:
    path = workspace.layout.kept_log(workspace.project, kind, service)
    title, *lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    yield title
    yield from lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]


def _title(kind: KeptLog, app: ResolvedApp) -> str:
    version = f"commit {app.commit[:12]}" if app.commit else f"tree {app.tree[7:19]}"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"--- the last lines of {_WHAT[kind]} ({version}, {now}) ---"
