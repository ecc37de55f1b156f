"""A command in the place of the service's program: its user, environment, secrets and folder.

    python -m runner.execute -- PROGRAM ARG…
    python -m runner.execute --end ID

In a running container it becomes the command. As PID 1 of a container of its own it stays above
it: a program that is PID 1 ignores every signal that it does not handle. ``--end`` ends what was
started under `ID` and lives on though nobody reads what it says.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runner.child import Exit, reap, why_not_started
from runner.settings import child_environment

ID_VARIABLE = "IAC_EXEC_ID"
"""The variable by which ``--end`` finds what was started under an id."""

END_SECONDS = 2.0
"""From SIGTERM to SIGKILL for what is ended."""

_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def main(argv: Sequence[str]) -> int:
    """Run the command after ``--``, or end one; returns the exit code."""
    if len(argv) == 2 and argv[0] == "--end":
        end(argv[1])
        return 0
    if len(argv) < 2 or argv[0] != "--":
        sys.stderr.write("usage: python -m runner.execute -- PROGRAM [ARGUMENT ...]\n")
        return 2
    run = _supervise if os.getpid() == 1 else _become
    try:
        return run(argv[1:], child_environment())
    except OSError as error:
        sys.stderr.write(f"{why_not_started(argv[1], error)[0]}\n")
        return 126 if isinstance(error, PermissionError) else 127


def _become(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that is inherited
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(argv[0], list(argv), environment)  # noqa: S606 - it is the user's command


def _supervise(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command as a child; the container ends with it, and all that it left with both."""
    signals = (*_PASSED_ON, signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    # Found on our own PATH, which is the image's, as a shell would.
    child = os.posix_spawnp(
        argv[0],
        list(argv),
        environment,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )
    while True:
        received = signal.sigwaitinfo(signals)
        if received.si_signo == signal.SIGCHLD:
            for pid, status in reap():
                if pid == child:
                    return Exit.of_wait_status(status).code
        elif received.si_code <= 0:  # the kernel sends a terminal's signals to the command as well
            os.kill(child, received.si_signo)


def end(identifier: str) -> None:
    """End what was started under `identifier`, and its children, in order or after 2 s by force."""
    deadline = time.monotonic() + END_SECONDS
    for pid in _started_under(identifier):
        _signal(pid, signal.SIGHUP)  # an interactive shell ignores SIGTERM
        _signal(pid, signal.SIGTERM)
    while left := _started_under(identifier):
        if time.monotonic() > deadline:
            for pid in left:
                _signal(pid, signal.SIGKILL)
        time.sleep(0.05)


def _started_under(identifier: str) -> list[int]:
    said = f"{ID_VARIABLE}={identifier}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if said in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
