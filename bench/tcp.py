"""What TCP by name costs: through two sidecars, beside the same client without them.

Services on a network of their own, started without Terraform and removed afterwards::

    python -m bench.tcp                  # all of it, about five minutes; `make bench` is the same
    python -m bench.tcp bytes --mib 256  # one of: bytes, postgres, redis

`direct` is the client inside the server's namespace, `plain` (bytes alone) another container on the
same network, neither with a sidecar. Each round takes one way after the other, so that all have the
same machine; the numbers are medians of the rounds, and the ratio is mesh to direct.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from tests.support import foreign_images, mesh_lab
from tests.support.mesh_lab import Lab, eventually

SERVER = """
import socket, threading
def take(connection):
    with connection:
        buffer = bytearray(1 << 20)
        while connection.recv_into(buffer):
            pass
        connection.sendall(b"x")
def echo(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)
def serve(port, talk):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()
threading.Thread(target=serve, args=(7000, take)).start()
serve(7001, echo)
"""

CLIENT = """
import json, socket, sys, time
host, mib = sys.argv[1], int(sys.argv[2])
piece = bytes(1 << 20)
with socket.create_connection((host, 7000), 5) as connection:
    connection.settimeout(300)
    begin = time.monotonic()
    for _ in range(mib):
        connection.sendall(piece)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
    rate = mib / (time.monotonic() - begin)
with socket.create_connection((host, 7001), 5) as connection:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin = time.monotonic()
    for _ in range(2000):
        connection.sendall(b"x")
        connection.recv(1)
    trip = (time.monotonic() - begin) / 2000
print(json.dumps([rate, trip * 1e6]))
"""

PASSWORD = "bench"  # noqa: S105 - of a server that lives as long as the bench

BYTES = ("MiB/s one way", "µs a round trip of one byte")

COST = ("  processors busy, %", "  both Envoys, µs of a processor for each")


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    benches = {"bytes": bytes_alone, "postgres": postgres, "redis": redis}
    parser.add_argument("what", nargs="*", metavar="|".join(benches), default=[*benches])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--seconds", type=int, default=15, help="of each run of pgbench")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    if unknown := set(wanted.what) - set(benches):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        lab = mesh_lab.start(Path(folder) / "secrets")
        try:
            lab.leaf("control-plane", os.geteuid())
            lab.sidecar("a", "a", "a")
            for name in wanted.what:
                benches[name](lab, wanted)
        finally:
            lab.close()


def bytes_alone(lab: Lab, wanted: argparse.Namespace) -> None:
    """MiB a second one way, and round trips."""
    lab.sidecar("db", "db", "db", "db_tcp", IAC_TCP="7000,7001", IAC_TCP_ONLY="1")
    lab.program("db", SERVER)
    lab.program("a", "import time; time.sleep(3600)")
    lab.python("plain-server", SERVER, **lab.on_network("plain-server"))
    lab.python("plain", "import time; time.sleep(3600)", **lab.on_network())
    ways = (("db-app", "127.0.0.1"), ("a-app", "db"), ("plain", "plain-server"))
    for name, host in ways:
        eventually(partial(lab.execute, name, CLIENT, host, "1"), 30)
    measured = [
        [lab.execute(name, CLIENT, host, str(wanted.mib)) for name, host in ways]
        for _ in range(wanted.rounds)
    ]
    show(BYTES, measured)


def postgres(lab: Lab, wanted: argparse.Namespace) -> None:
    """Transactions a second of pgbench: its default script, and reading alone."""
    secret = {"POSTGRES_PASSWORD": PASSWORD, "PGPASSWORD": PASSWORD}
    server_and_client(lab, "postgres", "5432", ["docker-entrypoint.sh", "postgres"], secret)

    def pgbench(way: tuple[str, str], *options: str) -> str:
        return run(lab, way, "pgbench", "-h", way[1], "-U", "postgres", *options, "postgres")

    ways = (("postgres-app", "127.0.0.1"), ("postgres-client", "postgres"))
    # A branch for each client, as the manual asks: else they wait for one row most of the time.
    eventually(lambda: pgbench(ways[0], "-i", "-q", "-s", str(wanted.clients)), 60)
    eventually(lambda: pgbench(ways[1], "-t", "1"), 30)
    load = ("-c", str(wanted.clients), "-j", "2", "-T", str(wanted.seconds))
    for title, script in (("pgbench default, tps", ()), ("pgbench -S, tps", ("-S",))):
        measured: list[list[list[float]]] = []
        for _ in range(wanted.rounds):
            measured.append([])
            for way in ways:
                before = used(lab, "postgres")
                text = pgbench(way, *load, *script)
                done = int(re.findall(r"actually processed: (\d+)", text)[0])
                spent = [
                    now - then for now, then in zip(used(lab, "postgres"), before, strict=True)
                ]
                tps = float(re.findall(r"tps = ([0-9.]+)", text)[0])
                busy = 100 * spent[0] / (spent[0] + spent[1])
                measured[-1].append([tps, busy, spent[2] / done * 1e6])
        show((title, *COST), measured)


def redis(lab: Lab, wanted: argparse.Namespace) -> None:
    """Requests a second of redis-benchmark, one by one and sixteen at a time on a connection."""
    command = ["redis-server", "--save", "", "--protected-mode", "no"]
    server_and_client(lab, "redis", "6379", command, {})
    ways = (("redis-app", "127.0.0.1"), ("redis-client", "redis"))

    def benchmark(way: tuple[str, str], *options: str) -> list[float]:
        text = run(lab, way, "redis-benchmark", "-h", way[1], "--csv", "-t", "set,get", *options)
        return [float(number) for number in re.findall(r'^"[SG]ET","([0-9.]+)"', text, re.M)]

    for way in ways:
        eventually(partial(benchmark, way, "-n", "10"), 30)
    clients = str(wanted.clients)
    for pipeline, count in (("1", "50000"), ("16", "400000")):
        measured = [
            [benchmark(way, "-c", clients, "-n", count, "-P", pipeline) for way in ways]
            for _ in range(wanted.rounds)
        ]
        show([f"redis {verb} -P {pipeline}, a second" for verb in ("SET", "GET")], measured)


def server_and_client(
    lab: Lab, name: str, port: str, command: list[str], environment: dict[str, str]
) -> None:
    """Start a service NAME with its program, and a client's container of the same image at `a`."""
    image = foreign_images.built(name)
    lab.sidecar(name, name, name, f"{name}_tcp", IAC_TCP=port, IAC_TCP_ONLY="1")
    for short, place, words in (
        (f"{name}-app", name, command),
        (f"{name}-client", "a", ["sleep", "3600"]),
    ):
        namespace = f"container:{lab.containers[place].id}"
        lab.run(
            short,
            image,
            words[1:],
            entrypoint=words[:1],
            environment=environment,
            network_mode=namespace,
        )


def run(lab: Lab, way: tuple[str, str], *command: str) -> str:
    """What a command in the container of a way prints; OSError if it fails."""
    status, output = lab.containers[way[0]].exec_run(command)
    if status:
        raise OSError(output.decode())
    return str(output.decode())


def used(lab: Lab, server: str) -> tuple[float, float, float]:
    """So far: busy and idle time of all processors in ticks (proc(5), /proc/stat), and the seconds
    of a processor that the sidecars of client and server have had."""
    user, nice, system, idle, wait, *rest = map(int, Path("/proc/stat").read_text().split()[1:9])
    found = (lab.containers[name].stats(stream=False, one_shot=True) for name in ("a", server))
    envoys = sum(each["cpu_stats"]["cpu_usage"]["total_usage"] for each in found) / 1e9
    return user + nice + system + sum(rest), idle + wait, envoys


def show(titles: Sequence[str], measured: list[list[list[float]]]) -> None:
    """A line for each title: medians of the rounds; `measured` is by round, way and title."""
    for number, title in enumerate(titles):
        ways = [median(row[way][number] for row in measured) for way in range(len(measured[0]))]
        named = zip(("direct", "mesh", "plain"), ways, strict=False)
        text = "  ".join(f"{name} {value:9.1f}" for name, value in named)
        ratio = f"  ratio {ways[1] / ways[0]:5.2f}" if ways[0] else ""
        print(f"{title:42} {text}{ratio}", flush=True)


if __name__ == "__main__":
    main()
