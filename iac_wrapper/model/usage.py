"""A command-line program that was started without arguments: it prints its usage and ends. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from iac_wrapper.model.entrypoint import Entrypoint

COMMAND_LINE = "command-line"
"""The code of this cause."""

CAUSE = "a command-line program: it printed its usage and ended"

_USAGE = re.compile(
    r"""
    \s*usage:\s+\S+(\s.*)?[\[<{].*  # argparse, click, typer: usage: tool [-h] {serve,show} …
    |\s*usage:\s*                   # docopt, where the forms are lines of their own
    |SYNOPSIS                        # fire
    """,
    re.X | re.I,
)

_ENDS = (0, 1, 2)
"""Exit codes of a program that only tells how it is used (2: argparse, and click from 8.2 on)."""

_STAYS = ("serve", "server", "runserver", "start", "run", "web", "api", "up", "worker")
"""Words by which subcommands that stay are called, the likeliest first."""


def usage_line(lines: Sequence[str], exit_code: int | None) -> str:
    """The line in which a run that ended so tells how the program is used, empty without one."""
    if exit_code not in _ENDS:
        return ""
    return next((line.strip() for line in lines if _USAGE.fullmatch(line.rstrip())), "")


def arguments(entrypoint: Entrypoint, lines: Sequence[str]) -> str:
    """What to write to start it with arguments, of which `lines` may name the first."""
    words = {word for line in lines for word in re.findall(r"(?<![\w-])[a-z]+(?![\w-])", line)}
    first = next((word for word in _STAYS if word in words), "serve")
    return f"`entrypoint: {_command(entrypoint)} {first} --port $PORT`"


def _command(entrypoint: Entrypoint) -> str:
    """How a person starts it."""
    target = entrypoint.target
    if entrypoint.function:
        return f"{target}:{entrypoint.function}"
    start = {"script": "python ", "module": "python -m "}.get(entrypoint.kind, "")
    return f"{start}{target.removeprefix('/app/')}"
