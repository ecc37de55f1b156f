"""The word between the two halves of a service: the runner beside the program, and PID 1 here.

They share a network namespace and nothing else, so they speak over an abstract Unix socket in it.
The program shares the namespace, too: the kernel says who is at the other end, and nobody but the
runner's uid is listened to. The runner says ``drain`` and ``ended`` (the program has), PID 1 says
``drained`` and ``stop``. A runner that comes anew has a program that takes requests again.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Protocol

from runner.pair import NAME, peer_uid
from runner.sidecar import threads
from runner.sidecar.log import say

PROGRAM_SECONDS = 3.5
"""For a program to end after ``stop``: what the runner gives it, and a moment for the word."""


class Requests(Protocol):
    """What lets requests reach the program, or not."""

    def open(self) -> None:
        """Let them through again."""

    def drain(self) -> None:
        """Refuse new ones; return when those in flight have ended, or are given up."""


class Pair:
    """Serves the runner of one program.

    Args:
        uid: the runner's.
        requests: what a ``drain`` is about.
        name: of the socket.
    """

    def __init__(self, uid: int, requests: Requests, name: str = NAME) -> None:
        self._uid, self._requests = uid, requests
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(name)
        self._listener.listen()
        self._runner: socket.socket | None = None
        self._ended = threading.Event()
        self._leaving = False

    def serve(self) -> None:
        """Listen to runners, on threads that end with the process."""
        threads.keep(self._accept)

    def leave(self, seconds: float = PROGRAM_SECONDS) -> None:
        """No new requests, then no program: what has to happen before Envoy is ended."""
        self._leaving = True
        self._requests.drain()
        self._ended.clear()
        if self._say("stop"):
            self._ended.wait(seconds)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        if peer_uid(connection) != self._uid:
            connection.close()
            return
        self._runner = connection
        if not self._leaving:
            self._requests.open()
        threading.Thread(target=self._listen, args=(connection,), daemon=True).start()

    def _listen(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("r") as lines:
            for line in lines:
                self._take(line.strip())
        if self._runner is connection:
            self._runner = None
            self._ended.set()
        connection.close()

    def _take(self, word: str) -> None:
        if word == "ended":
            self._ended.set()
        elif word == "drain":
            self._requests.drain()
            self._say("drained")
        else:
            say(f"the runner says {word[:20]!r}, which has no meaning here")

    def _say(self, word: str) -> bool:
        runner = self._runner
        if runner is None:
            return False
        try:
            runner.sendall(f"{word}\n".encode())
        except OSError:
            return False
        return True
