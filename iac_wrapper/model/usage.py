"""Command-line programs that were started without arguments: they print their usage and end. Pure.

Such a program would count as completed, and so as good, though it has done nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.crash_patterns import TRACEBACK, Finding
from iac_wrapper.model.entrypoint import script_of
from iac_wrapper.model.health import Health

CAUSE = "command-line"

_USAGE = re.compile(r"\W*usage:(?: |$)", re.I)
"""argparse, click, docopt and getopt programs, also within the frame that rich draws."""

_COMPLAINT = re.compile(r"\S.*\berror: |Error: ")
"""How argparse and click say which argument is missing."""

_FIRST_LINES = 10
"""A usage text begins the output; a program that worked before it was more than its usage."""

_CODES = (0, 1, 2, 64)
"""Exit codes: help was printed; arguments are wrong (docopt and many scripts; argparse, click);
EX_USAGE of sysexits.h."""

_STAYS = ("serve", "server", "runserver", "start", "run", "web", "api", "up", "worker")
"""Words by which subcommands that stay are called, the likeliest first."""


def usage_line(lines: Sequence[str]) -> str:
    """The line that shows that a program printed its usage; empty if it did not."""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("runner: ")]
    if TRACEBACK in said:  # a program that printed its usage and crashed has another fault
        return ""
    found = next((line for line in said[:_FIRST_LINES] if _USAGE.match(line)), "")
    return said[-1] if found and _COMPLAINT.match(said[-1]) else found


def may_be_usage(app: ResolvedApp, health: Health) -> bool:
    """Whether it ended in a way in which a command line ends that had no arguments.

    A job may print what it likes, and the author of a foreign image chose its command.
    """
    return health.exit_code in _CODES and not health.oom and not app.foreign and app.run != "job"


def not_completed(health: Health) -> Health:
    """`health` of a program whose end was no success."""
    said = f"it printed its usage and ended ({health.message})"
    return replace(health, status="NOT_SERVING", cause=CAUSE, message=said, hopeless=True)


def usage_finding(app: ResolvedApp, line: str, lines: Sequence[str]) -> Finding:
    """The verdict on a program that printed its usage, shown by `line`; `lines` are all it said."""
    words = {word for said in lines for word in re.findall(r"(?<![\w-])[a-z]+(?![\w-])", said)}
    first = next((word for word in _STAYS if word in words), _STAYS[0])
    step = f"give it arguments, such as `entrypoint: {_command(app)} {first} --port $PORT`"
    if served := app.entrypoint.web_object:
        step += f"; or write `entrypoint: {served}` to have that served"
    text = "a command-line program: it printed its usage and ended"
    return Finding(CAUSE, text, line, f"{step}; `run: job` in its entry if that is all it is to do")


def _command(app: ResolvedApp) -> str:
    """The words that start the same program, to which arguments can be added."""
    program = app.entrypoint
    if program.command:
        return program.command
    if script := script_of(program):
        return script
    if program.function:  # nothing in the file calls it
        return f"{program.target}:{program.function}"
    if program.kind == "script":
        return f"python {program.target}"
    if program.kind == "module":
        return f"python -m {program.target}"
    return program.target.replace("/app/", "./", 1)
