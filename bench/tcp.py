"""What TCP by name costs: through two sidecars, beside a client inside the server's namespace.

Two services on a network of their own, started without Terraform and removed afterwards::

    python -m bench.tcp                                # 1 GiB one way, and round trips of one byte
    python -m bench.tcp --postgres IMAGE --seconds 20  # pgbench besides, default script and -S

IMAGE has PostgreSQL's programs and the entrypoint of the official image (POSTGRES_PASSWORD). Each
pair of numbers is of one run, direct and mesh in turn, `--rounds` times; the ratio is of the best.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support import mesh_lab
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
begin = time.monotonic()
for _ in range(200):
    socket.create_connection((host, 7001), 5).close()
print(json.dumps([rate, trip * 1e6, (time.monotonic() - begin) / 200 * 1e6]))
"""

PASSWORD = "bench"  # noqa: S105 - of a server that lives as long as the bench


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--postgres", metavar="IMAGE")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lab = mesh_lab.start(Path(folder) / "secrets")
        try:
            bytes_alone(lab, wanted.mib, wanted.rounds)
            if wanted.postgres:
                postgres(lab, wanted)
        finally:
            lab.close()


def bytes_alone(lab: Lab, mib: int, rounds: int) -> None:
    """MiB a second one way, round trips, new connections."""
    lab.leaf("control-plane", os.geteuid())
    lab.sidecar("db", "db", "db", "db_tcp", IAC_TCP="7000,7001", IAC_TCP_ONLY="1")
    lab.program("db", SERVER)
    lab.sidecar("a", "a", "a")
    lab.program("a", "import time; time.sleep(3600)")
    eventually(lambda: lab.execute("a-app", CLIENT, "db", "1"), 15)
    measured = [
        [lab.execute(name, CLIENT, host, str(mib)) for name, host in _WAYS] for _ in range(rounds)
    ]
    _show("MiB/s one way", measured, lambda found: found[0], max)
    _show("µs a round trip", measured, lambda found: found[1], min)
    _show("µs a new connection (accepted)", measured, lambda found: found[2], min)


_WAYS = (("db-app", "127.0.0.1"), ("a-app", "db"))


def _show(
    what: str,
    measured: list[list[list[float]]],
    pick: Callable[[list[float]], float],
    best: Callable[[list[float]], float],
) -> None:
    direct, mesh = (best([pick(each[way]) for each in measured]) for way in (0, 1))
    print(
        f"{what:32} direct {direct:9.1f}  mesh {mesh:9.1f}  ratio {mesh / direct:5.2f}", flush=True
    )


def _envoy_seconds(lab: Lab) -> float:
    """Processor time of the two sidecars so far."""
    found = (lab.containers[name].stats(stream=False, one_shot=True) for name in ("a", "pg"))
    return sum(each["cpu_stats"]["cpu_usage"]["total_usage"] for each in found) / 1e9


def _processor_time() -> tuple[int, int]:
    """Busy and idle time of all processors so far, in ticks (proc(5), /proc/stat)."""
    user, nice, system, idle, wait, *rest = map(int, Path("/proc/stat").read_text().split()[1:9])
    return user + nice + system + sum(rest), idle + wait


def postgres(lab: Lab, wanted: argparse.Namespace) -> None:
    """Transactions a second of pgbench."""
    secret = {"POSTGRES_PASSWORD": PASSWORD, "PGPASSWORD": PASSWORD}
    lab.sidecar("pg", "pg", "pg", "pg_tcp", IAC_TCP="5432", IAC_TCP_ONLY="1")
    for name, command in (("pg", ["docker-entrypoint.sh", "postgres"]), ("a", ["sleep", "3600"])):
        namespace = f"container:{lab.containers[name].id}"
        lab.run(
            f"{name}-pg",
            wanted.postgres,
            command[1:],
            entrypoint=command[:1],
            environment=secret,
            network_mode=namespace,
        )
    ways = (("pg-pg", "127.0.0.1"), ("a-pg", "pg"))

    def bench(name: str, host: str, *options: str) -> str:
        command = ["pgbench", "-h", host, "-U", "postgres", *options, "postgres"]
        status, output = lab.containers[name].exec_run(command, user="postgres")
        if status:
            raise OSError(output.decode())
        return output.decode()

    eventually(lambda: bench(*ways[0], "-i", "-q"), 60)
    seconds, clients = str(wanted.seconds), str(wanted.clients)
    for title, script in (("pgbench default", ()), ("pgbench -S", ("-S",))):
        measured = []
        for _ in range(wanted.rounds):
            row = []
            for way in ways:
                before, envoys = _processor_time(), _envoy_seconds(lab)
                text = bench(*way, "-c", clients, "-j", "2", "-T", seconds, *script)
                spent = [now - then for now, then in zip(_processor_time(), before, strict=True)]
                tps = float(re.findall(r"tps = ([0-9.]+)", text)[0])
                done = int(re.findall(r"actually processed: (\d+)", text)[0])
                used = (_envoy_seconds(lab) - envoys) / done * 1e6
                row.append([tps, 100 * spent[0] / sum(spent), used])
            measured.append(row)
        _show(f"{title}, {clients} clients, tps", measured, lambda found: found[0], max)
        _show("  processors busy, %", measured, lambda found: found[1], min)
        print(
            f"  both Envoys, µs of a processor for each: {min(row[1][2] for row in measured):.0f}"
        )


if __name__ == "__main__":
    main()
