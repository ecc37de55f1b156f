"""The last lines of versions that failed: their containers are gone, or will be."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from iac_wrapper.adapters.engine import Container
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.operations.last_lines import last_lines
from iac_wrapper.operations.workspace import Workspace

LINES = 1000
"""How many lines of a failed version's program are kept."""


def keep(workspace: Workspace, app: ResolvedApp, container: Container | None) -> None:
    """Write what the program of a failed version printed last, redacted; replaces an older one."""
    lines = [_title(app), *last_lines(workspace, container, LINES)]
    path = workspace.layout.failed_log(workspace.project, app.name)
    write_text(path, "\n".join(lines) + "\n", mode=0o600)


def read_failed_log(workspace: Workspace, service: str, *, tail: int | None) -> Iterator[str]:
    """The title and the last `tail` lines (None: all) of the version of `service` that failed last,
    if any."""
    path = workspace.layout.failed_log(workspace.project, service)
    if not path.exists():
        return
    title, *lines = path.read_text(encoding="utf-8").splitlines()
    yield title
    yield from lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]


def services(workspace: Workspace) -> set[str]:
    """The services that have such a log."""
    folder = workspace.layout.failed_log(workspace.project, "x").parent
    return {path.stem for path in folder.glob("*.log")}


def only(workspace: Workspace, kept: Collection[str]) -> None:
    """Remove the logs of services that are not among `kept`."""
    folder = workspace.layout.failed_log(workspace.project, "x").parent
    for service in services(workspace) - set(kept):
        workspace.layout.failed_log(workspace.project, service).unlink(missing_ok=True)
    if folder.is_dir() and not services(workspace):
        shutil.rmtree(folder, ignore_errors=True)


def _title(app: ResolvedApp) -> str:
    version = f"commit {app.commit[:12]}" if app.commit else f"tree {app.tree[7:19]}"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"--- the last lines of a version that failed ({version}, {now}) ---"
