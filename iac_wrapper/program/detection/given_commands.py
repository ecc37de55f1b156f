"""The command that the author gives to a group of commands, where its image is made."""

from __future__ import annotations

import re
from dataclasses import replace

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.author_commands import image_commands
from iac_wrapper.program.detection.command_groups import commands_of
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.scripts import scripts

_SERVES = re.compile(r"(run[-_]?)?(serve|server|web|daemon|worker|bot|start|run|up|listen|poll)")
"""Names of commands that are likely to stay."""


def with_given_command(project: Project, group: Entrypoint) -> Entrypoint | None:
    """The group with what the Dockerfile, or a script that it starts, gives to it; None if they
    start something else, or leave it bare."""
    names = _names(project, group)
    for name, words, where in image_commands(project.root):
        is_whole = not any("$" in word.replace("$PORT", "") for word in words)
        has_command = any(not word.startswith("-") for word in words)
        if name.removeprefix("/app/").removeprefix("./") in names and is_whole and has_command:
            reason = f"{group.reason}, with the command of {where}"
            return replace(group, args=tuple(words), reason=reason)
    return None


def _names(project: Project, group: Entrypoint) -> set[str]:
    """What starts it on a command line: the scripts that it is, its module, its package, its
    file."""
    _, _, table = scripts(project.root)
    named = {n for n, value in table.items() if value.replace(" ", "") == group.display}
    package = group.target.partition(".")[0] if group.kind == "module" else group.target
    return named | {group.target, package, f"{group.target.replace('.', '/')}.py"}


def without_command(project: Project, chosen: Entrypoint, relative: str) -> str:
    """What to say of a group that nothing gives a command to."""
    names = commands_of(project, relative)
    likely = next((name for name in names if _SERVES.fullmatch(name)), "COMMAND")
    has = f" ({', '.join(names)})" if names else ""
    return (
        f"{chosen.display} prints its usage and ends without a command{has}: `entrypoint:"
        f" {chosen.display} {likely}` in its entry gives one"
    )
