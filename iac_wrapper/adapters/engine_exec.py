"""Commands in containers: both directions of one, its terminal, and how it ended.

The engine's answer to an exec or an attach becomes a connection of bytes. It must not know where
these come from or go to.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CommandError

STDERR = 2

_HEADER = 8
"""Bytes before each piece of output without a terminal: the stream, three of nothing, the length
(Docker's API, "Attach to a container")."""

_SETTLE_SECONDS = 5.0
"""For how long an exec may count as running after its output has ended."""


_RESIZE_TRIES, _RESIZE_SECONDS = 10, 0.02
"""How often a size is given, and the time between: the docker CLI does much the same."""


class TerminalSize(NamedTuple):
    """Of a terminal, in characters."""

    rows: int
    columns: int


class Connection:
    """Input and output of a command in a container, with one reader and one writer.

    Args:
        taken_over: what the SDK made of the engine's answer.
        terminal: whether the command has one; else its output comes in pieces with a header.
        resize: gives that terminal another size.
    """

    def __init__(
        self, taken_over: Any, *, terminal: bool, resize: Callable[[TerminalSize], None]
    ) -> None:
        # What came in one packet with the response's header lies in this buffer, not in the socket.
        self._output = taken_over._response.raw._fp.fp
        self._socket = getattr(taken_over, "_sock", taken_over)
        self._socket.settimeout(None)  # a command may be silent for hours
        self._terminal = terminal
        self._resize = resize

    def read(self) -> tuple[int, bytes]:
        """The stream (1 or 2) and what came on it next; no bytes: the command has ended."""
        if self._terminal:
            return 1, self._output.read1(65536)
        header = self._output.read(_HEADER)
        if len(header) < _HEADER:
            return 1, b""
        return header[0], self._output.read(int.from_bytes(header[4:], "big"))

    def write(self, data: bytes) -> None:
        """Send input; a command that has ended gets none.

        Raises:
            OSError: it is not read any more.
        """
        self._socket.sendall(data)

    def end_input(self) -> None:
        """Pass the end of input on."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def resize(self, size: TerminalSize) -> None:
        """Give the command's terminal another size.

        The engine refuses while the command is just starting, and once it has ended.
        """
        for _ in range(_RESIZE_TRIES):
            try:
                self._resize(size)
            except CommandError:
                time.sleep(_RESIZE_SECONDS)
            else:
                return

    def close(self) -> None:
        """Let go of it; the command may go on."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Exec(NamedTuple):
    """A command that was started in a running container."""

    id: str
    connection: Connection


def start_exec(  # noqa: PLR0913 - keywords
    engine: Engine,
    container: str,
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    terminal: bool,
    user: str = "",
) -> Exec:
    """Start a command as `user` (``uid:gid``; empty: the container's own), in its own folder.

    Raises:
        CommandError: the engine refused, for instance because the container is not running.
    """

    def create(api: Any) -> str:
        made = api.exec_create(
            container,
            list(argv),
            stdin=True,
            tty=terminal,
            environment=dict(environment),
            user=user,
        )
        return str(made["Id"])

    made = engine.call(create)
    taken_over = engine.call(lambda api: api.exec_start(made, tty=terminal, socket=True))

    def resize(size: TerminalSize) -> None:
        engine.call(lambda api: api.exec_resize(made, height=size.rows, width=size.columns))

    return Exec(made, Connection(taken_over, terminal=terminal, resize=resize))


def exit_code(engine: Engine, exec_id: str) -> int:
    """How an exec ended whose output has; the engine may notice a moment later."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        found = engine.call(lambda api: api.exec_inspect(exec_id))
        if not found["Running"] or time.monotonic() > deadline:
            return int(found["ExitCode"] or 0)
        time.sleep(0.02)


def run_exec(
    engine: Engine, container: str, argv: Sequence[str], *, user: str = ""
) -> tuple[int, str]:
    """Run a short command in a container to its end: its exit code and all that it said.

    `user` is a uid, empty for the container's own.
    """

    def act(api: Any) -> tuple[int, str]:
        made = api.exec_create(container, list(argv), user=user)["Id"]
        said = api.exec_start(made).decode(errors="replace")
        return int(api.exec_inspect(made)["ExitCode"] or 0), said

    return engine.call(act)


def attach(engine: Engine, container: str, *, terminal: bool) -> Connection:
    """Input and output of a container's own command; call it before the start to miss nothing."""
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    taken_over = engine.call(lambda api: api.attach_socket(container, params=params))

    def resize(size: TerminalSize) -> None:
        engine.call(lambda api: api.resize(container, height=size.rows, width=size.columns))

    return Connection(taken_over, terminal=terminal, resize=resize)


def wait(engine: Engine, container: str) -> int:
    """Wait for a container to end: its exit code.

    Raises:
        CommandError: there is none (any more).
    """
    return int(engine.call(lambda api: api.wait(container, timeout=None))["StatusCode"])


def entrypoint_and_labels(engine: Engine, container: str) -> tuple[list[str], dict[str, str]]:
    """What a container starts, whatever its command is, and its labels."""
    found = engine.call(lambda api: api.inspect_container(container))["Config"]
    return list(found.get("Entrypoint") or ()), dict(found.get("Labels") or {})


def image_entrypoint(engine: Engine, image: str) -> list[str]:
    """What containers of an image start, whatever their command is."""
    found = engine.call(lambda api: api.inspect_image(image))
    return list(found["Config"].get("Entrypoint") or ())
