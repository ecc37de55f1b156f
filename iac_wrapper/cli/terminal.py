"""Between our own terminal or pipes and a command in a container."""

from __future__ import annotations

import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iac_wrapper.adapters.engine_exec import Connection

_STDIN, _STDOUT = 0, 1


def is_one() -> bool:
    """Whether a command can have our terminal: both ends of it are ours."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def talk_in_pipes(connection: Connection) -> None:
    """Pass bytes on, the two streams of output apart, until the command has ended."""
    _start_input(connection)
    _pass_output(connection)


def talk_in_terminal(connection: Connection) -> None:
    """Give the command our terminal until it has ended: every key is its own, Ctrl-C as well.

    The terminal is restored also if this process is asked to end, or the terminal goes away.
    """
    with _raw(), _size_followed(connection):
        _start_input(connection)
        _pass_output(connection)


def _pass_output(connection: Connection) -> None:
    while True:
        stream, data = connection.read()
        if not data:
            return
        view = memoryview(data)
        while view:
            view = view[os.write(stream, view) :]


def _start_input(connection: Connection) -> None:
    # Nobody waits for it: it may sit in a read for ever.
    threading.Thread(target=_pass_input, args=(connection,), daemon=True).start()


def _pass_input(connection: Connection) -> None:
    try:
        while data := _read():
            connection.write(data)
    except OSError:  # it reads no more
        return
    connection.end_input()


def _read() -> bytes:
    """Some input; none at its end, or where there is none."""
    try:
        return os.read(_STDIN, 65536)
    except OSError:
        return b""


@contextmanager
def _raw() -> Iterator[None]:
    """Our terminal without echo, lines and signals of its own, for the length of a block."""
    before = termios.tcgetattr(_STDIN)
    hung_up = signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    try:
        tty.setraw(_STDIN)
        yield
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)
        signal.signal(signal.SIGHUP, hung_up)


@contextmanager
def _size_followed(connection: Connection) -> Iterator[None]:
    from iac_wrapper.adapters.engine_exec import TerminalSize

    def follow(*_: object) -> None:
        columns, rows = os.get_terminal_size(_STDOUT)
        connection.resize(TerminalSize(rows, columns))

    before = signal.signal(signal.SIGWINCH, follow)
    try:
        follow()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
