"""The one door to other programs. Commands are argv lists, never shell text."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from iac_wrapper.errors import CommandError
from iac_wrapper.files.machine_home import setup_command

TAIL_LINES = 40
"""How much of a failed program's output an error carries."""

_POLL_SECONDS = 0.02

_LOOK_SECONDS = 0.05
"""Between two looks at whether a watched program has ended."""

_READ_BYTES = 65_536
"""What a pipe holds (pipe(7))."""

_LAST_READS = 16
"""After the end of a watched program: a pipe holds 1 MiB at most."""

_END_SECONDS = 5.0
"""From SIGTERM to SIGKILL for one that took too long."""


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


LOOK = "fix what the lines below report, then run the command again"
"""The next step where a program that failed says itself what is wrong."""


@dataclass(frozen=True)
class CommandResult:
    """A command that ended: exit code (negative = signal), stdout and stderr as text."""

    command: Command
    returncode: int
    stdout: str
    stderr: str

    def check(self, message: str, *, next_step: str = LOOK) -> CommandResult:
        """Return self, or raise CommandError with `message` and the tail of the output."""
        if self.returncode == 0:
            return self
        output = (self.stderr.strip() or self.stdout.strip()).splitlines()[-TAIL_LINES:]
        code = self.returncode
        how = f"exited with {code}" if code > 0 else f"was ended by signal {-code}"
        raise CommandError(
            message,
            found=f"{self.command.name} {how}",
            next_step=next_step,
            detail="\n".join(output),
        )


def run(command: Command, *, timeout: float | None = None) -> CommandResult:
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
    except OSError as error:
        raise _cannot_start(command, error) from None
    except subprocess.TimeoutExpired:
        raise _too_slow(command, timeout) from None
    return CommandResult(command, done.returncode, done.stdout, done.stderr)


def run_bounded(command: Command, *, timeout: float, limit: int) -> CommandResult:
    """`run` for a program of the user's, which may do anything.

    It gets a session of its own, so that all that it started ends with it when it takes too long or
    prints too much. What it leaves running when it ends by itself is not waited for, though that
    may hold its output open.

    Args:
        timeout: seconds.
        limit: bytes that it may print.

    Raises:
        CommandError: the program cannot be started, or exceeded a bound.
    """
    try:
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write((command.stdin or "").encode())
            given.seek(0)
            program = subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=_environment(command),
                stdin=given,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            _wait(program, command, timeout, limit, (out, err))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read(limit).decode(errors="replace"))
    except OSError as error:
        raise _cannot_start(command, error) from None
    return CommandResult(command, program.returncode, texts[0], texts[1])


def _wait(
    program: subprocess.Popen[bytes],
    command: Command,
    timeout: float,
    limit: int,
    files: Sequence[IO[bytes]],
) -> None:
    deadline = time.monotonic() + timeout
    try:
        while True:
            has_ended = program.poll() is not None  # before the look at what it printed until then
            if sum(os.fstat(file.fileno()).st_size for file in files) > limit:
                raise CommandError(
                    f"{command.name} printed more than {limit} bytes", next_step=LOOK
                )
            if has_ended:
                return
            if time.monotonic() > deadline:
                raise _too_slow(command, timeout)
            time.sleep(_POLL_SECONDS)
    finally:
        if program.returncode is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()


def _too_slow(command: Command, timeout: float | None) -> CommandError:
    return CommandError(
        f"{command.name} did not end within {timeout:g} s",
        next_step="run the command again; a slow network or a busy machine can be the cause",
        retryable=True,
    )


def pipe(
    command: Command, *, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> CommandResult:
    """Run a command with its input and output connected to files; what is not given is nothing.

    Raises:
        CommandError: the program cannot be started.
    """
    nothing = subprocess.DEVNULL
    try:
        with subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=_environment(command),
            stdin=nothing if stdin is None else stdin,
            stdout=nothing if stdout is None else stdout,
            stderr=subprocess.PIPE,
        ) as program:
            try:
                _, said = program.communicate()
            except BaseException:
                program.send_signal(signal.SIGINT)  # `docker run` hands it on
                raise
    except OSError as error:
        raise _cannot_start(command, error) from None
    return CommandResult(command, program.returncode, "", said.decode(errors="replace"))


def stream(command: Command, on_line: Callable[[str], None]) -> CommandResult:
    """`stream_all` of one command."""
    return stream_all([command], lambda _, line: on_line(line))[0]


def stream_all(
    commands: Sequence[Command],
    on_line: Callable[[Command, str], None],
    *,
    at_once: int | None = None,
) -> list[CommandResult]:
    """Run commands side by side and hand each line of their output (both streams, merged) over.

    Every program runs in a process group of its own, so that Ctrl-C on the terminal reaches it
    only through us: one SIGINT, so that Terraform can stop in order and save its state; then the
    KeyboardInterrupt goes on once all have ended. A second Ctrl-C kills them.

    Args:
        commands: what to run.
        on_line: called with one line at a time, from other threads. If it raises, its program is
            asked to stop (never killed: Terraform must save its state) and the exception goes on
            once all have ended.
        at_once: how many run at a time; None for all.

    Raises:
        CommandError: a program cannot be started.
    """
    slots = threading.Semaphore(at_once or max(len(commands), 1))
    running: list[_Running] = []
    guard = threading.Lock()

    def handle(command: Command, line: str) -> None:
        with guard:
            on_line(command, line)

    try:
        for command in commands:
            slots.acquire()
            running.append(_Running(command, handle, slots.release))
        for program in running:
            program.join()
    except BaseException:
        _interrupt(running)
        raise
    return [program.completed() for program in running]


def watch(command: Command, on_output: Callable[[bytes], None], *, timeout: float) -> int | None:
    """Run a program in a session of its own and hand over what it prints (both streams) as it
    comes. What it leaves running in the background is not waited for.

    Args:
        command: what to run; its standard input is empty if it has none.
        on_output: called with some bytes at a time.
        timeout: seconds after which the program and all that it started are ended.

    Returns:
        Its exit code (negative = signal); None: it took too long.

    Raises:
        CommandError: it cannot be started.
    """
    with TemporaryFile() as told:
        told.write((command.stdin or "").encode())
        told.seek(0)
        try:
            program = subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=_environment(command),
                stdin=told,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise _cannot_start(command, error) from None
    assert program.stdout is not None  # noqa: S101 - PIPE was asked for above
    deadline = time.monotonic() + timeout
    with program.stdout as printed:
        try:
            while program.poll() is None:
                if time.monotonic() > deadline:
                    _end(program)
                    return None
                _hand_over(printed, on_output, within=_LOOK_SECONDS)
            for _ in range(_LAST_READS):  # what is in the pipe; another may write on
                _hand_over(printed, on_output, within=0)
        except BaseException:
            _end(program)
            raise
    return program.returncode


def _hand_over(printed: IO[bytes], on_output: Callable[[bytes], None], *, within: float) -> None:
    """Read once, if there is something to read within so many seconds."""
    if not select.select([printed], (), (), within)[0]:
        return
    if data := os.read(printed.fileno(), _READ_BYTES):
        on_output(data)
    else:  # it closed its output
        time.sleep(within)


def _end(program: subprocess.Popen[bytes]) -> None:
    """End a program and what it started, in order if it can."""
    try:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(program.pid, signal.SIGTERM)
            program.wait(_END_SECONDS)
    finally:  # at once if a person is impatient
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def attach(command: Command, *, keep_open: int) -> int:
    """Run a program on the terminal of this process, as if it were this process.

    Ctrl-C on the terminal reaches it by itself, a SIGTERM is handed on; this process waits for it
    all the same, and is there after it.

    Args:
        keep_open: a file that it holds open as well: a lock on that goes on until it ends.

    Returns:
        Its exit code, as a shell says it: 128 and the number of a signal that ended it.

    Raises:
        CommandError: it cannot be started.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, lambda _number, _frame: None)  # SIG_IGN would be inherited
        program = subprocess.Popen(
            command.argv, cwd=command.cwd, env=_environment(command), pass_fds=(keep_open,)
        )
        signal.signal(signal.SIGTERM, lambda _number, _frame: program.terminate())
        code = program.wait()
    except OSError as error:
        raise _cannot_start(command, error) from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def start_alone(command: Command, *, keep_open: int | None = None) -> None:
    """Start a program that outlives this process; it says nothing, and nobody waits for it.

    Args:
        keep_open: a file that it holds open as well: a lock on that goes on until it ends.

    Raises:
        CommandError: it cannot be started.
    """
    try:
        subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=_environment(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=() if keep_open is None else (keep_open,),
        )
    except OSError as error:
        raise _cannot_start(command, error) from None


class _Running:
    """A started program whose output a thread reads."""

    def __init__(
        self,
        command: Command,
        on_line: Callable[[Command, str], None],
        on_end: Callable[[], None],
    ) -> None:
        self._command = command
        self._on_line = on_line
        self._on_end = on_end
        self._lines: list[str] = []
        self._error: BaseException | None = None
        try:
            self.process = subprocess.Popen(
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
        except OSError as error:
            raise _cannot_start(command, error) from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Wait until the program has ended and all it said is read."""
        self._reader.join()
        self.process.wait()

    def join(self) -> None:
        """`wait`, then raise what the reader of its lines raised."""
        self.wait()
        if self._error:
            raise self._error

    def completed(self) -> CommandResult:
        """How it ended."""
        return CommandResult(self._command, self.process.returncode, "".join(self._lines), "")

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - PIPE was asked for above
        try:
            for line in self.process.stdout:
                self._lines.append(line)
                if self._error is None:
                    self._handle(line.rstrip("\n"))
        finally:
            self._on_end()

    def _handle(self, line: str) -> None:
        try:
            self._on_line(self._command, line)
        except Exception as error:  # it goes on in the thread that waits
            self._error = error
            _signal([self], signal.SIGINT)


def _interrupt(running: Sequence[_Running]) -> None:
    """Ask once and wait for the programs to end in order; kill on impatience."""
    _signal(running, signal.SIGINT)
    try:
        for program in running:
            program.wait()
    except KeyboardInterrupt:
        _signal(running, signal.SIGKILL)
        raise


def _signal(running: Sequence[_Running], number: signal.Signals) -> None:
    for program in running:
        if program.process.poll() is None:
            os.killpg(program.process.pid, number)


def _cannot_start(command: Command, error: OSError) -> CommandError:
    return CommandError(f"cannot start {command.name}", found=str(error), next_step=setup_command())


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
