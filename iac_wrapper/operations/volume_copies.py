"""Backups of data volumes, and volumes made again from them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

from iac_wrapper.adapters import data_volumes, engine_changes
from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.operations import recording, volumes
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Copied:
    """What was copied: plain files and their bytes.

    `skipped`: sockets and pipes, which no copy has. `changed`: files that changed under a live
    copy. `stopped`: services that stood still meanwhile, for `seconds`.
    """

    volume: str
    files: int
    bytes: int
    skipped: int = 0
    changed: int = 0
    stopped: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "stopped": list(self.stopped), "seconds": round(self.seconds, 1)}


class NotEmptyError(ConfigError):
    """A restore would replace data, and nobody agreed to that; nothing has changed."""


def backup(
    workspace: Workspace, name: str, out: IO[bytes], *, packed: bool, live: bool = False
) -> Copied:
    """Write the files of a volume to `out` as a tar.

    Args:
        workspace: the project.
        name: the volume.
        out: where to.
        packed: whether gzip goes over it.
        live: copy while programs write; else those that run stand still for the copy.

    Raises:
        ConfigError: there is no such volume.
        CommandError: the copy failed; what stood still runs again.
    """
    with nullcontext() if live else workspace.hold("iac volumes backup"):
        volumes.named(workspace, name)
        begun = time.monotonic()
        with standing_still(workspace, () if live else (name,)) as stopped:
            arguments = {name: {"mode": "w|gz" if packed else "w|"}}
            said = volumes.helper(workspace).run("backup", arguments, stdout=out)
        seconds = time.monotonic() - begun if stopped else 0.0
        prove(workspace, stopped)
    return Copied(name, **said, stopped=stopped, seconds=seconds)


def restore(workspace: Workspace, name: str, source: IO[bytes], *, agreed: bool) -> Copied:
    """Replace the files of a volume by those of a tar, which is unpacked beside them first.

    Args:
        workspace: the project.
        name: the volume.
        source: the tar, as it is or compressed.
        agreed: whether files that are there may go.

    Raises:
        NotEmptyError: there are some, and they may not.
        ConfigError: there is no such volume.
        CommandError: the tar is damaged, or holds what could leave the volume; the old files stay.
    """
    with workspace.hold("iac volumes restore"):
        volume = volumes.named(workspace, name)
        owned = {"everything": volumes.is_of_one_user(workspace, volume)}
        helper, only = volumes.helper(workspace), {name: owned}
        if not agreed and (count := helper.run("entries", {name: {}})):
            raise NotEmptyError(
                f"volume {name} is not empty, and a restore replaces what is in it",
                found=f"{count} files and folders at its top",
                next_step=f"back it up first: `iac volumes backup {name} FILE`; --yes replaces it",
            )
        workspace.step(f"Unpacking beside the files of {name}")
        try:
            said = helper.run("unpack", only, stdin=source)
        except BaseException:
            with suppress(CommandError):
                helper.run("discard", {name: {}})
            raise
        begun = time.monotonic()
        with standing_still(workspace, (name,)) as stopped:
            helper.run("swap", {name: {}})
            text = f"volume {name}: its files replaced by {said['files']} of a backup"
            recording.note(workspace, "restore-volume", [text])
        seconds = time.monotonic() - begun if stopped else 0.0
        prove(workspace, stopped)
    return Copied(name, **said, stopped=stopped, seconds=seconds)


@contextmanager
def standing_still(workspace: Workspace, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Stop what writes to these volumes while a block runs; yields its services. They are to be
    proven (`prove`) afterwards."""
    engine = workspace.engine
    found = {each.id: each for name in names for each in data_volumes.users(engine, name)}
    running = [each for each in found.values() if each.running and each.role != "helper"]
    try:
        for each in running:
            workspace.progress(f"{each.service}: stopped for the copy")
            engine_changes.stop(engine, each)
        yield tuple(sorted({each.service for each in running}))
    finally:
        for each in running:
            engine.start(each)
            workspace.progress(f"{each.service}: started again")


def prove(workspace: Workspace, services: tuple[str, ...]) -> None:
    """Say which of the services are not good since they run again."""
    lock = workspace.applied_lock()
    if not services or lock is None:
        return
    apps = tuple(app for app in lock.apps if app.name in services)
    report = verify(workspace, replace(lock, apps=apps), wait=workspace.settings.health_timeout)
    for failed in report.failed:
        workspace.warn(f"{failed.app.name} is not healthy since it runs again: `iac health`")
