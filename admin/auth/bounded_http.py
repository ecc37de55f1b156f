"""GET with a bound on everything: total seconds, bytes, calls at once. No redirects, no cookies.

It must not know what is asked or what the answers mean.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from admin.auth.errors import Unavailable
from iac_wrapper.adapters.own_headers import OwnHeaders

TIMEOUT = 3.0
"""Seconds from the call to the last byte of the answer."""

MAX_BYTES = 256 * 1024
"""Largest body. A user with many identities is about 10 KiB, a key set 1 KiB."""

MAX_CALLS = 16
"""At once. More wait, within their seconds."""

_HEADERS = {"User-Agent": "karstkit", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Answer:
    """Status and whole body."""

    status: int
    body: bytes


class BoundedHttp:
    """Sends each request on a connection and a thread of its own.

    The timeouts of sockets are about single reads: a server that sends a byte a second keeps a
    reader for ever, and name resolution has no timeout at all. So the caller waits for a thread
    for `timeout` seconds, and then takes its socket away.
    """

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        self._slots = threading.BoundedSemaphore(MAX_CALLS)

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever its status.

        Raises:
            Unavailable: none within `timeout` seconds, or one too large.
        """
        deadline = time.monotonic() + self.timeout
        if not self._slots.acquire(timeout=self.timeout):
            raise Unavailable
        call = _Call()
        thread = threading.Thread(target=self._run, args=(call, url, headers), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads
            self._slots.release()
            raise Unavailable from None
        if not call.done.wait(max(0.0, deadline - time.monotonic())):
            call.abort()
        if call.answer is None:
            raise Unavailable
        return call.answer

    def _run(self, call: _Call, url: str, headers: Mapping[str, str]) -> None:
        try:
            # Whatever goes wrong is no answer; its text may hold the headers, so nobody sees it.
            with contextlib.suppress(Exception):
                _current.call = call
                call.answer = self._fetch(url, headers)
        finally:
            self._slots.release()
            call.done.set()

    def _fetch(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        with requests.Session() as session:
            session.mount("http://", _Adapter(None))
            if url.startswith("https:"):
                session.mount("https://", _Adapter(self._trust))
            response = session.get(
                url,
                auth=OwnHeaders({**_HEADERS, **headers}),
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            )
            body: bytes = response.raw.read(MAX_BYTES + 1, decode_content=False)
        return Answer(response.status_code, body) if len(body) <= MAX_BYTES else None

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """What the system (SSL_CERT_FILE) trusts, as git does; loading it takes about 20 ms."""
        return ssl.create_default_context()


class _Call:
    """One request under way, and the handle to stop it."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.done = threading.Event()
        self._socket: socket.socket | None = None
        self._aborted = False
        self._lock = threading.Lock()

    def hold(self, connected: socket.socket | None) -> None:
        """Called by the connection, before it sends anything."""
        with self._lock:
            self._socket = connected
            if self._aborted:
                raise TimeoutError

    def abort(self) -> None:
        """Wake the thread, wherever it reads."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own shutdown: that one is not for use from another thread.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current = threading.local()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _current.call.hold(self.sock)


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _current.call.hold(self.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """Connections that can be aborted, also through a proxy."""

    def __init__(self, trust: ssl.SSLContext | None) -> None:
        self._trust = trust
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._trust, **kwargs)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, ssl_context=self._trust, **kwargs)
        _use_our_pools(manager)
        return manager


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
