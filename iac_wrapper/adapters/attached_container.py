"""A container that lives as long as this process is attached to its standard input.

The engine closes the input when the connection is gone, however this process ended; the container
ends by itself then, and the engine removes it. Nothing is left to clean up, even after SIGKILL.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from iac_wrapper.adapters.engine import Engine

GONE_SECONDS = 5.0
"""How long a container may take to end after its input; then it is killed."""

_HEADER = 8
"""Bytes before each piece of output: the stream, and how long it is (Docker API, attach)."""

_TAIL = 4096


class AttachedContainer:
    """Made, attached to and started; or nothing is left.

    Args:
        engine: where.
        name: of the container.
        body: of the API's create call; what makes it end with its input is added here.

    Raises:
        CommandError: the engine refused.
    """

    def __init__(self, engine: Engine, name: str, body: Mapping[str, Any]) -> None:
        self._engine = engine
        self._received = b""
        self._output = b""
        whole = {
            **body,
            **dict.fromkeys(("OpenStdin", "StdinOnce", "AttachStdin"), True),
            **dict.fromkeys(("AttachStdout", "AttachStderr"), True),
            "HostConfig": {**body["HostConfig"], "AutoRemove": True},
        }
        self._id: str = engine.call(lambda api: api.create_container_from_config(whole, name)["Id"])
        try:
            self._socket = engine.call(self._attach)  # first: what nobody is attached to never ends
            engine.call(lambda api: api.start(self._id))
        except BaseException:
            self._remove()
            raise

    def fileno(self) -> int:
        """What becomes readable when there is output, or the container has ended."""
        return self._socket.fileno()

    @property
    def output(self) -> str:
        """The end of what it has printed, both streams."""
        return self._output.decode(errors="replace")

    def send(self, line: bytes) -> None:
        """Write to its standard input. One that has ended is noticed by `receive`."""
        with suppress(OSError):
            self._socket.sendall(line)

    def receive(self) -> bool:
        """Take the output that is there, waiting for some; False: the container has ended."""
        try:
            chunk = self._socket.recv(65_536)
        except OSError:
            return False
        self._received += chunk
        while len(self._received) >= _HEADER:
            size = int.from_bytes(self._received[4:_HEADER], "big")
            if len(self._received) < _HEADER + size:
                break
            self._output += self._received[_HEADER : _HEADER + size]
            self._received = self._received[_HEADER + size :]
        self._output = self._output[-_TAIL:]
        return bool(chunk)

    def end(self) -> None:
        """Close its input and see it go."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        deadline = time.monotonic() + GONE_SECONDS
        while self._engine.container(self._id):
            if time.monotonic() > deadline:
                self._remove()
                return
            time.sleep(0.05)

    def _attach(self, api: Any) -> socket.socket:
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        reader = api.attach_socket(self._id, params=streams)
        # The SDK gives a reader of the connection, which itself is what can be written to.
        found: socket.socket = getattr(reader, "_sock", reader)
        self._reader = reader  # closes the connection when it is forgotten
        found.settimeout(None)
        return found

    def _remove(self) -> None:
        if container := self._engine.container(self._id):
            self._engine.remove(container)
