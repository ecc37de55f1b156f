"""The one door to other programs. Commands are argv lists, never shell text."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.errors import CommandError

TAIL_LINES = 40
"""How much of a failed program's output an error carries."""


@dataclass(frozen=True)
class Command:
    """A program to run: `argv`, where, with which additions to the environment.

    `env` adds to (or, with a None value, removes from) this process's environment.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str | None] | None = None
    stdin: str | None = None

    @property
    def name(self) -> str:
        """The program's own name, for sentences."""
        return Path(self.argv[0]).name


@dataclass(frozen=True)
class Completed:
    """A command that ended: exit code (negative = signal), stdout and stderr as text."""

    command: Command
    returncode: int
    stdout: str
    stderr: str

    def check(self, message: str, *, next_step: str | None = None) -> Completed:
        """Return self, or raise CommandError with `message` and the tail of the output."""
        if self.returncode == 0:
            return self
        output = (self.stderr.strip() or self.stdout.strip()).splitlines()[-TAIL_LINES:]
        raise CommandError(
            message,
            found=f"{self.command.name} exited with {self.returncode}",
            next_step=next_step,
            detail="\n".join(output),
        )


def run(command: Command, *, timeout: float | None = None) -> Completed:
    """Run a command to its end and return what it printed.

    Raises:
        CommandError: the program cannot be started, or ran longer than `timeout` seconds.
    """
    try:
        done = subprocess.run(
            command.argv,
            cwd=command.cwd,
            env=_environment(command),
            input=command.stdin,
            stdin=subprocess.DEVNULL if command.stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(
            f"cannot start {command.name}", found=str(error), next_step="make bootstrap"
        ) from None
    except subprocess.TimeoutExpired:
        raise CommandError(
            f"{command.name} did not end within {timeout:g} s", retryable=True
        ) from None
    return Completed(command, done.returncode, done.stdout, done.stderr)


def stream(command: Command, on_line: Callable[[str], None]) -> Completed:
    """Run a command and hand each line of its output (both streams, merged) to `on_line`.

    The program runs in a process group of its own, so that Ctrl-C on the terminal reaches it only
    through us: one SIGINT, so that Terraform can stop in order and save its state; then the
    KeyboardInterrupt goes on once the program has ended. A second Ctrl-C kills the group.
    """
    try:
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=_environment(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise CommandError(
            f"cannot start {command.name}", found=str(error), next_step="make bootstrap"
        ) from None
    lines: list[str] = []

    def pump() -> None:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for above
        for line in process.stdout:
            lines.append(line)
            on_line(line.rstrip("\n"))

    try:
        pump()
        process.wait()
    except KeyboardInterrupt:
        _stop(process, pump)
        raise
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return Completed(command, process.returncode, "".join(lines), "")


def _stop(process: subprocess.Popen[str], pump: Callable[[], None]) -> None:
    """Ask once, drain what the program still says, kill on impatience."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        pump()
        process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def argv(*parts: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """Flatten strings, paths and lists into an argv tuple."""
    flat: list[str] = []
    for part in parts:
        if isinstance(part, str | Path):
            flat.append(str(part))
        else:
            flat.extend(str(item) for item in part)
    return tuple(flat)


def _environment(command: Command) -> dict[str, str]:
    merged: dict[str, str] = dict(os.environ)
    for key, value in (command.env or {}).items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged
