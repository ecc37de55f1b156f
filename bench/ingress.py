"""Requests to one exposed service at a steady rate while hosts beside it come, change and go.

Real Envoys on loopback addresses, an ingress before a service's sidecar, TLS in and mTLS between::

    python -m bench.ingress --rate 1000 --seconds 20

Every half second the ingress's files are replaced as a deploy does: another host with a certificate
comes, its path changes, it goes. Open loop: a request's time counts from the moment it was due.
`direct` is the same client at the program itself in the same run, without TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles

import aiohttp

from iac_wrapper.model.exposure import Exposure, PublicPorts, routes
from iac_wrapper.model.ingress import Ingress, ServedCertificate, Shown
from iac_wrapper.model.mesh import ENTRANCES
from tests.support.ingress_lab import IngressLab, IngressService, certificate

PROGRAM = """
import asyncio, sys
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
class Static(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER * data.count(b"\\r\\n\\r\\n"))
async def main():
    server = await asyncio.get_running_loop().create_server(Static, sys.argv[1], int(sys.argv[2]))
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

HOST, BESIDE = "web.example.com", "late.example.com"
CONNECTIONS = 16
MOST_RATE, MOST_SECONDS = 2000, 60


def main() -> None:
    """Print how many requests failed and how long they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=1000, help="requests a second")
    parser.add_argument("--seconds", type=int, default=20)
    wanted = parser.parse_args()
    if not (0 < wanted.rate <= MOST_RATE and 0 < wanted.seconds <= MOST_SECONDS):
        parser.error(f"at most {MOST_RATE} a second for {MOST_SECONDS} s")
    with tempfile.TemporaryDirectory() as folder:
        lab = IngressLab(Path(folder))
        service = lab.service("web", exposed=True)
        argv = [sys.executable, "-c", PROGRAM, service.app[0], str(service.app[1])]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as program:
            try:
                if program.stdout:
                    program.stdout.readline()  # it listens
                asyncio.run(compare(lab, Path(folder), service.app, wanted))
            finally:
                program.kill()
                lab.close()


async def compare(
    lab: IngressLab, folder: Path, program: tuple[str, int], wanted: argparse.Namespace
) -> None:
    """The program itself first, then through the ingress whose files change."""
    shapes = [Changes.shape(folder / "public", number) for number in range(3)]
    edge = lab.ingress(*shapes[0])
    direct = Load(f"http://{program[0]}:{program[1]}/", wanted)
    show("direct", await direct.run())
    load = Load(f"https://{edge.ip}:{ENTRANCES['https']}/", wanted)
    changes = Changes(edge, shapes)
    show("ingress", await load.run(changes.run))
    print(f"{'':8} its files changed {changes.done} times")


class Changes:
    """Replaces the ingress's files again and again."""

    def __init__(self, edge: IngressService, shapes: list[tuple[Ingress, Shown]]) -> None:
        self._edge, self._shapes, self.done = edge, shapes, 0

    @staticmethod
    def shape(folder: Path, number: int) -> tuple[Ingress, Shown]:
        """Without a host beside (0), with one (1), with another path and certificate of it (2)."""
        found: dict[str, ServedCertificate] = {HOST: certificate(folder / str(number), HOST)}
        exposures = [Exposure(HOST)]
        if number:
            exposures.append(Exposure(BESIDE, "/" if number == 1 else "/other"))
            found[BESIDE] = certificate(folder / str(number), BESIDE, number)
        ports = PublicPorts(None, 8080, 8443)
        return Ingress("shop", routes([("web", tuple(exposures))]), ports), Shown(found)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(0.5)
            self.done += 1
            await asyncio.to_thread(self._edge.serve, *self._shapes[self.done % 3])


class Load:
    """Requests at a steady rate."""

    def __init__(self, url: str, wanted: argparse.Namespace) -> None:
        self._url, self._rate, self._count = url, wanted.rate, wanted.rate * wanted.seconds
        self._times: list[float] = []
        self.failed: list[str] = []

    async def run(self, beside: Callable[[], Awaitable[None]] | None = None) -> Load:
        """Send them all, with `beside` going on."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=False)
        async with aiohttp.ClientSession(connector=connector) as session:
            other = asyncio.ensure_future(beside()) if beside else None
            begin, running = time.monotonic(), []
            for number in range(self._count):
                due = begin + number / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                running.append(asyncio.create_task(self._request(session, due)))
            await asyncio.gather(*running)
            if other:
                other.cancel()
        return self

    async def _request(self, session: aiohttp.ClientSession, due: float) -> None:
        try:
            async with session.get(self._url, headers={"Host": HOST}, server_hostname=HOST) as got:
                if got.status != 200 or await got.read() != b"ok":
                    self.failed.append(str(got.status))
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(type(error).__name__)
        self._times.append((time.monotonic() - due) * 1000)

    def percentile(self, wanted: int) -> float:
        """Milliseconds that so many of a hundred requests stayed below."""
        return quantiles(self._times, n=100)[wanted - 1]


def show(name: str, load: Load) -> None:
    """One line."""
    print(
        f"{name:8} {len(load._times)} requests, {len(load.failed)} failed,"
        f" p50 {load.percentile(50):.1f} ms, p99 {load.percentile(99):.1f} ms,"
        f" slowest {max(load._times):.0f} ms",
        *sorted(set(load.failed)),
    )


if __name__ == "__main__":
    main()
