"""Which programs are a project's hooks, and whether they may be run: they run on this machine, as
who runs `iac`, so nobody else may have a hand in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from iac_wrapper.errors import ConfigError
from iac_wrapper.operations.workspace import Workspace

Hook = Literal["pre-deploy", "post-deploy", "on-failure"]
"""``pre-deploy``: when all is resolved, before anything changes; ``post-deploy``: when it is good;
``on-failure``: when it is not."""

HOOKS: tuple[Hook, ...] = ("pre-deploy", "post-deploy", "on-failure")

FOLDER = "hooks"
"""Beside the list."""

_SCRIPTS = ("", ".sh", ".bash", ".py", ".rb", ".pl", ".js")
"""Ends of names that are taken for a hook with a misspelt name; ``.sample`` is none."""


def find(workspace: Workspace, beside: Path) -> dict[Hook, Path]:
    """The hooks in the folder `beside`, by name; none with ``IAC_HOOKS=off``.

    Raises:
        ConfigError: one may not be run, or cannot be.
    """
    folder = beside / FOLDER
    if workspace.settings.hooks == "off" or not folder.is_dir():
        return {}
    for path in _misspelt(folder):
        workspace.warn(f"{path} is no hook: these are named {', '.join(HOOKS)}")
    found: dict[Hook, Path] = {hook: folder / hook for hook in HOOKS if _is_there(folder / hook)}
    for path in found.values():
        _check(path, beside, _trusted(workspace))
    return found


def _misspelt(folder: Path) -> Iterator[Path]:
    wanted = {hook.replace("-", "") for hook in HOOKS}
    for path in sorted(folder.iterdir()):
        plain = path.stem.lower().replace("-", "").replace("_", "")
        if plain in wanted and path.suffix in _SCRIPTS and path.name not in HOOKS:
            yield path


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _trusted(workspace: Workspace) -> set[int]:
    """Whose programs are run: those of this process's user and of root; of a command under sudo
    also of who called it, as git has it (`safe.directory`)."""
    trusted = {os.geteuid(), 0}
    called_by = workspace.settings.environment.get("SUDO_UID", "")
    if workspace.caller.source == "cli" and os.geteuid() == 0 and called_by.isdecimal():
        trusted.add(int(called_by))
    return trusted


def _check(path: Path, beside: Path, trusted: Collection[int]) -> None:
    """Refuse a hook that is not a program in the folder `beside`, or that others can change."""
    top = beside.resolve()
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        real = path
    if not real.is_relative_to(top):
        raise _refused(
            path,
            f"a link to {real}",
            f"a program below {top}",
            f"put a program there that calls it (exec {real})",
        )
    if not real.is_file():
        found = "a folder" if real.is_dir() else "nothing that is there"
        raise _refused(path, found, "a program", f"correct or remove {path}")
    for each in (real, path.parent, *real.parents[: len(real.relative_to(top).parts)]):
        there = each.stat()
        if there.st_uid not in trusted:
            raise _refused(
                path,
                f"{each} is of uid {there.st_uid}",
                f"of uid {' or '.join(map(str, sorted(trusted)))}: it runs as who runs iac",
                f"sudo chown {os.geteuid()} {each}",
            )
        if there.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _refused(
                path,
                f"others can write {each} (mode {stat.S_IMODE(there.st_mode):04o})",
                "a program that its owner alone can change: it runs as who runs iac",
                f"chmod go-w {each}",
            )
    if not real.stat().st_mode & stat.S_IXUSR:
        raise _refused(path, "not executable", "a program", f"chmod +x {path}")


def _refused(path: Path, found: str, expected: str, step: str) -> ConfigError:
    return ConfigError(
        f"the hook {path.name} cannot be run; nothing has changed",
        where=str(path),
        found=found,
        expected=expected,
        next_step=f"{step}; IAC_HOOKS=off does without hooks",
    )
