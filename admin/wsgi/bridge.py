"""One listener's requests: read and answered by the event loop, the application called in threads.

What waits for a client holds no thread.
"""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
import traceback
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import aclosing
from typing import IO, Any, TypeVar

from aiohttp import HttpVersion11, web
from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app

from admin.wsgi.environ import environ_of
from admin.wsgi.limits import ListenerLimits
from admin.wsgi.refusal import refusal

Application = Callable[..., Iterable[bytes]]
T = TypeVar("T")

_LOG = logging.getLogger("iac.admin")
_ORIGIN_FORM = re.compile(r"/(?!/)[^#]*")  # RFC 9112, 3.2.1; other forms name a second host
_PIECE = 64 * 1024  # bytes of a body in memory, beyond that it is a file; bytes sent at a time


class Bridge:
    """Answers aiohttp's requests by a WSGI application.

    Args:
        stopping: set once each answer is to be the last one of its connection.
    """

    def __init__(self, app: Application, limits: ListenerLimits, stopping: asyncio.Event) -> None:
        self._app = app
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.requests, "iac-http")
        self._calls: set[Future[Any]] = set()
        self._stopping = stopping
        self._busy = 0

    def close(self, seconds: float) -> bool:
        """Let the threads end; whether the application has let go of all within `seconds`."""
        self._pool.shutdown(wait=False)
        return not wait(self._calls, seconds).not_done

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Read one request, call the application, answer.

        Raises:
            ConnectionError: the client has left or is too slow; the connection is to be closed.
        """
        if request.transport is None:
            raise ConnectionResetError
        request.transport.set_write_buffer_limits(high=0)  # "sent" means that the kernel has it
        misfit = self._misfit(request)
        if misfit:
            return refusal(misfit)
        with tempfile.SpooledTemporaryFile(max_size=_PIECE) as body:
            status = await self._read(request, body)
            if status:
                return refusal(status)
            if self._busy >= self._limits.requests:
                return refusal(503)
            self._busy += 1
            try:
                return await self._answer(request, body)
            finally:
                self._busy -= 1

    def _misfit(self, request: web.BaseRequest) -> int | None:
        if not _ORIGIN_FORM.fullmatch(request.raw_path):
            return 400
        coding = request.headers.get("Transfer-Encoding")
        if coding is not None and (coding.lower() != "chunked" or request.version < HttpVersion11):
            return 400
        names = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
        return 431 if len(request.raw_path) + names > self._limits.head_bytes else None

    async def _read(self, request: web.BaseRequest, body: IO[bytes]) -> int | None:
        """Read the body into `body`; the status if it is refused."""
        if (request.content_length or 0) > self._limits.body_bytes:
            return 413
        if request.can_read_body and request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for part in request.content.iter_any():
                    body.write(part)
                    if body.tell() > self._limits.body_bytes:
                        return 413
        except web.RequestPayloadError:  # chunks that are none
            return 400
        except TimeoutError:
            return 408
        return None

    async def _answer(self, request: web.BaseRequest, body: IO[bytes]) -> web.StreamResponse:
        response: web.StreamResponse | None = None
        try:
            environ = environ_of(request, body)
            parts, status, headers = await self._in_thread(self._call, environ)
            response = self._begun(status, headers)
            async with aclosing(self._parts(parts)) as found:
                await self._send(request, response, found)
        except (_FaultError, RuntimeError) as error:  # RuntimeError: the system gives no thread
            if response and response.prepared:
                raise ConnectionResetError from None  # no proper end: the reader sees the fault
            return refusal(500 if isinstance(error, _FaultError) else 503)
        return response

    def _begun(self, status: str, headers: Headers) -> web.StreamResponse:
        code, _, phrase = status.partition(" ")
        fields = [*headers.items(), ("Server", "iac")]
        response = web.StreamResponse(status=int(code), reason=phrase, headers=fields)
        if self._stopping.is_set():
            response.force_close()
        return response

    def _call(self, environ: dict[str, Any]) -> tuple[Iterable[bytes], str, Headers]:
        """Call the application: all parts if it knows their length, else an iterator."""
        parts, status, headers = run_wsgi_app(self._app, environ)
        if "Content-Length" not in headers:
            return parts, status, headers
        try:
            return [b"".join(parts)], status, headers
        finally:
            getattr(parts, "close", lambda: None)()

    async def _parts(self, parts: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
        if isinstance(parts, list):
            for part in parts:
                yield part
            return
        try:
            while (part := await self._in_thread(next, parts, None)) is not None:
                yield part
        finally:
            await self._in_thread(getattr(parts, "close", lambda: None))

    async def _send(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        parts: AsyncGenerator[bytes, None],
    ) -> None:
        transport = request.transport
        try:
            async for part in parts:
                await self._in_time(response.prepare(request))
                for begin in range(0, len(part) if request.method != "HEAD" else 0, _PIECE):
                    await self._in_time(response.write(part[begin : begin + _PIECE]))
                    await self._in_time(request.writer.drain())
            await self._in_time(response.prepare(request))
            await self._in_time(response.write_eof())
        except TimeoutError:
            if transport:
                transport.abort()
            raise ConnectionResetError from None

    async def _in_time(self, sending: Any) -> None:
        async with asyncio.timeout(self._limits.send_seconds):
            await sending

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Call it.

        Raises:
            _FaultError: it raised something.
            RuntimeError: the system gives no thread.
        """
        call = self._pool.submit(_logged, function, *args)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        # Shielded: a call that waits for a thread is made although its connection was cut off.
        return await asyncio.shield(asyncio.wrap_future(call))


class _FaultError(Exception):
    """The application ended with an exception; it is logged."""


def _logged(function: Callable[..., T], *args: Any) -> T:
    """Call it; a fault is logged without its message, which may hold a secret."""
    try:
        return function(*args)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = "".join(f"\n  {at.filename}:{at.lineno} in {at.name}" for at in frames)
        _LOG.error("a request ended with %s%s", type(error).__name__, place)
        raise _FaultError from None
