"""The user's program as a process: start it, signal it, capture what it says, see how it ended."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner import processes
from runner.line_splitter import LineSplitter
from runner.log_ring import LogRing, StreamName
from runner.starter import Starter

PARTIAL_SECONDS = 0.3
"""A line without its end is passed on after this silence: prompts and progress must show."""


@dataclass(frozen=True)
class Exit:
    """How a process ended: exit code as a shell shows it (128 + signal), signal number or 0.

    `why` is the sentence where more is known than the numbers say, `cause` that of HealthStatus.
    """

    code: int
    signal: int = 0
    oom: bool = False
    why: str = ""
    cause: str = ""

    @classmethod
    def of_wait_status(cls, status: int) -> Exit:
        """From what waitpid returned."""
        if os.WIFSIGNALED(status):
            return cls(128 + os.WTERMSIG(status), os.WTERMSIG(status))
        return cls(os.WEXITSTATUS(status))

    def __str__(self) -> str:
        if self.why:
            return self.why
        if self.oom:
            return "killed by the kernel: out of memory"
        if self.signal:
            return f"killed by signal {self.signal} ({signal.strsignal(self.signal)})"
        return f"exited with code {self.code}"


class Child:
    """A started program, in a session of its own so that its whole group can be signalled.

    Args:
        starter: starts it.
        ring: where its lines go; the bytes go to our own stdout and stderr, unchanged.

    Raises:
        OSError: it cannot be executed.
        StarterGoneError: there is nobody to start it.
    """

    def __init__(self, starter: Starter, ring: LogRing) -> None:
        self.pid, out, err = starter.start()
        self.started = time.monotonic()
        self._pumps = [
            threading.Thread(target=_pump, args=(source, sink, name, ring), daemon=True)
            for source, sink, name in ((out, 1, "stdout"), (err, 2, "stderr"))
        ]
        for pump in self._pumps:
            pump.start()

    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def ended_with(self, pid: int) -> bool:
        """Whether the end of `pid` is that of the program."""
        return pid == self.pid

    def send(self, number: int) -> None:
        """Signal the program itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill_group(self) -> None:
        """End what is left of the program's process group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def drain(self, timeout: float) -> None:
        """Wait until its output is read to the end; a surviving grandchild may hold it open."""
        deadline = time.monotonic() + timeout
        for pump in self._pumps:
            pump.join(max(0.0, deadline - time.monotonic()))


def reap() -> list[tuple[int, int]]:
    """Collect every ended child, orphans included: (pid, wait status) each."""
    ended: list[tuple[int, int]] = []
    with suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended.append(one)
    return ended


class Background:
    """What goes on when the program has forked and ended: the processes that came to us.

    Takes the place of a `Child`; it ends with the last of them.
    """

    def __init__(self, started: float, starter: Starter) -> None:
        self._started, self._starter = started, starter

    def __str__(self) -> str:
        orphans = self._starter.orphans()
        return " and ".join(f"pid {pid} ({processes.name(pid)})" for pid in orphans[:3])

    def age(self) -> float:
        """Seconds since the start of the program."""
        return time.monotonic() - self._started

    def ended_with(self, pid: int) -> bool:
        """Whether nothing is left now that `pid` has ended."""
        del pid
        return not self._starter.orphans()

    def send(self, number: int) -> None:
        """Signal them all."""
        for pid in self._starter.orphans():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_group(self) -> None:
        """End them all, at once."""
        self._starter.kill_orphans()

    def drain(self, timeout: float) -> None:
        """Their output is read as that of the program was."""


def why_not_started(program: str, error: OSError) -> tuple[str, str]:
    """A sentence for people, and a cause of HealthStatus or none."""
    name = Path(program).name
    try:
        with Path(program).open("rb") as file:
            first = file.readline(200)
    except OSError:
        first = b""
    if first.startswith(b"#!") and first.endswith(b"\r\n"):
        return f"{name} has Windows line ends (CR LF)", "windows-lines"
    if first.startswith(b"#!") and isinstance(error, FileNotFoundError):
        interpreter = first[2:].decode(errors="replace").strip()
        return f"{name} is for {interpreter}, which is not in the image", "no-interpreter"
    return f"cannot start {program}: {error.strerror}", ""


def _pump(source: int, sink: int, name: StreamName, ring: LogRing) -> None:
    """Copy `source` to `sink` unchanged and to the ring as lines, until it ends."""
    lines = LineSplitter(lambda text: ring.append(name, text))
    try:
        while True:
            wait = PARTIAL_SECONDS if lines.pending else None
            if not select.select([source], [], [], wait)[0]:
                lines.flush()
                continue
            data = os.read(source, 65536)
            if not data:
                return
            _write(sink, data)
            lines.feed(data)
    finally:
        lines.flush()
        os.close(source)


def _write(sink: int, data: bytes) -> None:
    """Write all of it; without a reader at the other end, output is only kept in the ring."""
    view = memoryview(data)
    with suppress(OSError):
        while view:
            view = view[os.write(sink, view) :]
