"""GET with a bound on everything: total seconds, bytes, calls at once. No redirects, no cookies.

It must not know what is asked or what the answers mean.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import aiohttp
from requests.utils import get_environ_proxies, select_proxy

from admin.auth.errors import AuthUnavailableError

TIMEOUT = 3.0
"""Seconds from the call to the last byte of the answer."""

MAX_BYTES = 256 * 1024
"""Largest body. A user with many identities is about 10 KiB, a key set 1 KiB."""

MAX_CALLS = 16
"""At once. More wait, within their seconds."""

_HEADERS = {"User-Agent": "karstkit", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class HttpAnswer:
    """Status and whole body."""

    status: int
    body: bytes


class BoundedHttp:
    """Sends each request on a connection of its own; any thread may use it.

    An event loop does it, because only there a time holds for all of a request: the timeouts of
    sockets are about single reads.
    """

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        self._slots = asyncio.Semaphore(MAX_CALLS)

    def get(self, url: str, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer, whatever its status.

        Raises:
            AuthUnavailableError: none within `timeout` seconds, or one too large.
        """
        try:
            loop = _loop()
            asked = asyncio.run_coroutine_threadsafe(self._get(url, headers, self.timeout), loop)
            return asked.result()
        except Exception:  # no answer, whatever it was; its text may hold the headers
            raise AuthUnavailableError from None

    async def _get(self, url: str, headers: Mapping[str, str], seconds: float) -> HttpAnswer:
        async with (
            asyncio.timeout(seconds),
            self._slots,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.get(
                url,
                headers={**_HEADERS, **headers},
                allow_redirects=False,
                # Not `trust_env`, which would look for credentials in ~/.netrc, too.
                proxy=select_proxy(url, get_environ_proxies(url)),
            ) as response,
        ):
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > MAX_BYTES:
                    raise AuthUnavailableError
            return HttpAnswer(response.status, bytes(body))

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """What the system (SSL_CERT_FILE) trusts, as git does; loading it takes about 20 ms."""
        return ssl.create_default_context()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One that runs in a thread of its own, for as long as the process.

    Raises:
        RuntimeError: the system gives no thread.
    """
    loop = asyncio.new_event_loop()
    try:
        threading.Thread(target=loop.run_forever, name="iac-auth", daemon=True).start()
    except RuntimeError:
        loop.close()
        raise
    return loop
