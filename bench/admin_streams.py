"""Load on a running admin API: many idle event streams, and short requests at a steady rate beside.

Open loop: a request's time counts from the moment it was due, so waiting behind others counts, too.
Loopback only, bounded in time and number::

    python bench/admin_streams.py --url http://127.0.0.1:8080 --token T --server-pid PID \\
        --stream-path /deployments/ID/events --request-path /services \\
        --streams 1000 --rate 50 --seconds 20

Memory per stream is the growth of the server's resident set, from /proc/PID/status.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

MAX_STREAMS, MAX_RATE, MAX_SECONDS = 5000, 1000, 300
REQUEST_TIMEOUT = 30.0
OPEN_AT_ONCE = 50  # connections being opened at the same time

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Target:
    """Where and how to send requests."""

    host: str
    port: int
    unix: str
    token: str

    async def connect(self) -> Link:
        """A new connection."""
        if self.unix:
            return await asyncio.open_unix_connection(self.unix)
        return await asyncio.open_connection(self.host, self.port)

    def request(self, path: str, accept: str) -> bytes:
        """The bytes of a GET."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Accept: {accept}"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Result:
    """What was measured."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """Milliseconds below which `share` of the requests lie (nearest rank)."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def read_head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """Status and Content-Length (None if there is none) of a response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    length = fields.get("content-length")
    return int(head[0].split()[1]), int(length) if length else None


async def exchange(link: Link, request: bytes) -> None:
    """Send one request and read its whole answer."""
    reader, writer = link
    writer.write(request)
    status, length = await read_head(reader)
    if length is not None:
        await reader.readexactly(length)
    else:
        await reader.readuntil(b"0\r\n\r\n")
    if status != 200:
        raise ValueError(f"status {status}")


class Streams:
    """The idle ones: open, read, never asked for anything more."""

    def __init__(self, target: Target, path: str) -> None:
        self._target = target
        self._path = path
        self._readers: list[asyncio.Task[None]] = []
        self.errors: Counter[str] = Counter()

    async def open(self, count: int) -> None:
        """Open `count` streams and wait until each has answered."""
        gate = asyncio.Semaphore(OPEN_AT_ONCE)

        async def one() -> None:
            async with gate:
                await self._open_one()

        await asyncio.gather(*(one() for _ in range(count)))

    async def _open_one(self) -> None:
        try:
            reader, writer = await self._target.connect()
            writer.write(self._target.request(self._path, "text/event-stream"))
            status, _ = await asyncio.wait_for(read_head(reader), REQUEST_TIMEOUT)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.errors[type(error).__name__] += 1
            return
        if status == 200:
            self._readers.append(asyncio.create_task(self._read(reader, writer)))
        else:
            self.errors[f"status {status}"] += 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                pass
            self.errors["ended"] += 1
        except OSError as error:
            self.errors[type(error).__name__] += 1
        finally:
            writer.close()

    @property
    def alive(self) -> int:
        """How many are still open."""
        return sum(not task.done() for task in self._readers)

    async def close(self) -> None:
        """Hang up."""
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


class Requests:
    """The short ones, on time whether or not earlier ones have been answered."""

    def __init__(self, target: Target, path: str, *, keep_alive: bool) -> None:
        self._target = target
        self._request = target.request(path, "application/json")
        self._keep_alive = keep_alive
        self._links: list[Link] = []
        self.result = Result()

    async def run(self, rate: float, seconds: float) -> None:
        """Send `rate` requests a second for `seconds`."""
        begin = time.monotonic()
        tasks = []
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(due)))
        await asyncio.gather(*tasks)
        for _, writer in self._links:
            writer.close()

    async def _one(self, due: float) -> None:
        link = None
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                link = self._links.pop() if self._links else await self._target.connect()
                await exchange(link, self._request)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.result.errors[str(error) or type(error).__name__] += 1
            if link:
                link[1].close()
            return
        self.result.seconds.append(time.monotonic() - due)
        if self._keep_alive:
            self._links.append(link)
        else:
            link[1].close()


def resident_kib(pid: int) -> int:
    """Resident set size of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError(f"no VmRSS of process {pid}")


async def measure(options: argparse.Namespace, target: Target) -> bool:
    """Run it all and print; True if nothing failed."""
    pid = options.server_pid
    try:
        await exchange(await target.connect(), target.request(options.request_path, "*/*"))
    except (OSError, EOFError, ValueError) as error:
        print(f"the first request failed: {error}")
        return False
    before = resident_kib(pid) if pid else 0
    streams = Streams(target, options.stream_path)
    begin = time.monotonic()
    await streams.open(options.streams)
    print(f"streams: {streams.alive} open after {time.monotonic() - begin:.1f} s")
    after = resident_kib(pid) if pid else 0

    requests = Requests(target, options.request_path, keep_alive=options.keep_alive)
    await requests.run(options.rate, options.seconds)
    result = requests.result
    if result.seconds:
        quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        text = ", ".join(f"{name} {result.quantile(q):.1f} ms" for name, q in quantiles.items())
        print(f"requests: {len(result.seconds)} answered, {text}")
    print(f"errors: requests {dict(result.errors)}, streams {dict(streams.errors)}")
    print(f"streams: {streams.alive} still open")
    if pid and options.streams:
        end = resident_kib(pid)
        each = (after - before) / options.streams
        print(f"server: {before} KiB, then {after} KiB ({each:.1f} KiB a stream), now {end} KiB")
    healthy = not result.errors and not streams.errors and streams.alive == options.streams
    await streams.close()
    return healthy


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, Target]:
    """The options, within their bounds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--unix", default="", help="socket to use instead of the URL's address")
    parser.add_argument("--stream-path", required=True)
    parser.add_argument("--request-path", default="/services")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--keep-alive", action="store_true", help="reuse connections")
    parser.add_argument("--token", default=os.environ.get("IAC_TOKEN", ""))
    parser.add_argument("--server-pid", type=int, default=0)
    options = parser.parse_args(argv)
    url = urlsplit(options.url)
    host = url.hostname or ""
    if host != "localhost" and not _is_loopback(host):
        parser.error("loopback addresses only: this is a load test of your own server")
    if not (0 <= options.streams <= MAX_STREAMS and 0 < options.rate <= MAX_RATE):
        parser.error(f"at most {MAX_STREAMS} streams and {MAX_RATE} requests a second")
    if not 0 < options.seconds <= MAX_SECONDS:
        parser.error(f"at most {MAX_SECONDS} seconds")
    return options, Target(host, url.port or 80, options.unix, options.token)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if every request and stream went well."""
    options, target = parse(argv)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 0 if asyncio.run(measure(options, target)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
