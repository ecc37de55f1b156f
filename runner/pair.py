"""The runner's end of the word between the two halves of a service; see `runner/sidecar/pair.py`.

The program shares this network namespace: who answers must be the Envoy container's uid.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from contextlib import suppress

from runner.listeners import MESH_PORTS, listening

NAME = "\0iac-pair"
"""The abstract Unix socket of PID 1 of the Envoy container."""

AGAIN_SECONDS = 0.5
"""Between two tries to connect; PID 1 there has been up for a while when we start."""

OUTBOUND_SECONDS = 10.0
"""How long a program waits for its Envoy at most: measured 0.3 s, seconds on a busy machine."""

_UCRED = struct.Struct("3i")


def await_outbound(port: int = MESH_PORTS["outbound"], seconds: float = OUTBOUND_SECONDS) -> bool:
    """Wait until Envoy takes what the program sends to other services; whether it does.

    The two containers start side by side, and a program may call before it does anything else.
    Ends early when a signal waits for us.
    """
    end = time.monotonic() + seconds
    while not any(each.port == port for each in listening()):
        if time.monotonic() > end or signal.sigpending():
            return False
        time.sleep(0.02)
    return True


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end of a Unix socket, as the kernel says."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(found)[1]
    return uid


class Pair:
    """The connection to PID 1 of the Envoy container, made again whenever it ends.

    `drained` and `stop` are what was heard; each wakes the supervisor up with SIGCHLD. When nobody
    is left to say ``drained``, it counts as said.

    Args:
        uid: who must be at the other end.
        name: of the socket.
    """

    def __init__(self, uid: int, name: str = NAME) -> None:
        self._uid, self._name = uid, name
        self._connection: socket.socket | None = None
        self.drained = self.stop = False

    def follow(self) -> None:
        """Listen on a thread that ends with the process."""
        threading.Thread(target=self._run, daemon=True).start()

    def say(self, word: str) -> bool:
        """Say ``drain`` or ``ended``; returns whether somebody hears it."""
        connection = self._connection
        if connection is None:
            return False
        try:
            connection.sendall(f"{word}\n".encode())
        except OSError:
            return False
        return True

    def _run(self) -> None:
        while True:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self._name)
                self._listen(connection)
            self._connection = None
            time.sleep(AGAIN_SECONDS)

    def _listen(self, connection: socket.socket) -> None:
        if peer_uid(connection) != self._uid:
            return
        self.drained = False
        self._connection = connection
        with connection.makefile("r") as lines:
            for line in lines:
                self.drained |= line == "drained\n"
                self.stop |= line == "stop\n"
                _wake()
        self.drained = True
        _wake()


def _wake() -> None:
    os.kill(os.getpid(), signal.SIGCHLD)
