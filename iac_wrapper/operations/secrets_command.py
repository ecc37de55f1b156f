"""Values for ``${NAME}`` from a secret manager: a command of the person's that prints them.

Nothing that it prints is shown, in an error neither. It must not know which manager it is.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from iac_wrapper.adapters.process import Command, run_bounded
from iac_wrapper.errors import CommandError
from iac_wrapper.files import env_text

SECONDS = 60.0
"""How long the command may take; a manager that is asked over a network needs a few."""

PRINTED = 1_000_000
"""Bytes that it may print: half of what all variables of a program may have (`app_rules`)."""

SETTING = "IAC_SECRETS_COMMAND"


def values(command: str, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """What `command`, split as a shell does and run without one, prints: a JSON object or a `.env`.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environ: its environment, over that of this process.

    Raises:
        CommandError: it fails, takes too long, or prints something else.
    """
    try:
        argv = Command(tuple(shlex.split(command)), cwd=folder, env=environ)
        done = run_bounded(argv, timeout=SECONDS, limit=PRINTED)
    except ValueError as error:  # quotes that do not end
        raise _bad(str(error)) from None
    except CommandError as error:
        raise _bad(error.found or error.message) from None
    if done.returncode:
        raise _bad(f"exit code {done.returncode}")
    if "\ufffd" in done.stdout:
        raise _bad("bytes that are not UTF-8")
    return _of_json(done.stdout) if done.stdout.lstrip().startswith("{") else _of_env(done.stdout)


def _of_json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        raise _bad("`{`, but no JSON") from None
    for name, value in found.items():
        if not isinstance(value, str):
            raise _bad(f"JSON whose {name!r} is no text")
    return dict(found)


def _of_env(text: str) -> dict[str, str]:
    try:
        return env_text.parse(text, {})
    except env_text.EnvTextError as error:
        raise _bad(f"line {error.line}: {error}") from None


def _bad(found: str) -> CommandError:
    return CommandError(
        "the command for secret values gave none",
        where=SETTING,
        found=found,
        expected=f"NAME=value lines or a JSON object of texts on standard output, exit code 0,"
        f" within {SECONDS:g} s",
        next_step="run it yourself in the project folder, as nothing that it prints is shown here",
    )
