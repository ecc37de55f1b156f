"""Readiness against real sockets and servers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from runner import listeners, opinion
from runner.listeners import MESH_PORTS, Listener
from runner.opinion import Opinion
from runner.readiness import FIRM_SECONDS, Choice, OwnListeners, Readiness
from runner.settings import RunnerSettings
from tests.unit.runner.conftest import free_port

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def declared(port: int) -> Readiness:
    """Readiness of a program that must listen on `port`."""
    return Readiness(RunnerSettings(port=port, port_declared=True), Opinion)


@contextmanager
def grpc_server(port: int, servicer: health.HealthServicer | None) -> Iterator[None]:
    """A gRPC server, with a health service or none."""
    server = grpc.server(ThreadPoolExecutor(2))
    if servicer:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait(2)


@contextmanager
def tcp_server(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers the first bytes of each client with `answer`, or never (None)."""
    seen: list[bytes] = []
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the test ended: its sockets are closed
                while True:
                    client, _ = server.accept()
                    kept.append(client)
                    if answer is not None:
                        data = client.recv(100)
                        if data:
                            seen.append(data)
                            client.sendall(answer)
                        client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)
    for client in kept:
        client.close()


def test_grpc_without_health_service_is_ready() -> None:
    """UNIMPLEMENTED leaves the decision to the open port."""
    port = free_port()
    with grpc_server(port, None):
        verdict = declared(port).verdict(0.1)
    assert (verdict.ready, verdict.protocol) == (True, "GRPC")
    assert (verdict.message, verdict.listening) == (
        f"listens on 127.0.0.1:{port}",
        f"127.0.0.1:{port}",
    )


def test_own_health_service_decides_both_ways() -> None:
    """Its NOT_SERVING and its SERVING count, at each look."""
    port, servicer = free_port(), health.HealthServicer()
    ready = declared(port)
    with grpc_server(port, servicer):
        servicer.set("", NOT_SERVING)
        assert not ready.verdict(0.1).ready
        servicer.set("", SERVING)
        assert ready.verdict(0.2).ready
    verdict = ready.verdict(0.3)
    assert not verdict.ready
    assert "no longer listens" in verdict.message


def test_health_service_for_single_names_only_is_ready() -> None:
    """NOT_FOUND for the whole server is no opinion on the whole server."""
    port = free_port()

    class OnlyNames(health.HealthServicer):  # type: ignore[misc] # untyped base
        def Check(self, request: object, context: grpc.ServicerContext) -> None:  # noqa: N802
            del request
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown")

    with grpc_server(port, OnlyNames()):
        assert declared(port).verdict(0.1).ready


def test_http_server_is_asked_once() -> None:
    """A server that is not gRPC sees one health call and one request, not one a second."""
    with tcp_server(b"HTTP/1.1 400 Bad\r\n\r\n") as (port, seen):
        ready = declared(port)
        assert [ready.verdict(0.1).ready for _ in range(4)] == [True] * 4
    assert len(seen) <= 2


def test_a_port_for_other_protocols_is_asked_nothing() -> None:
    """A database would log each request of a stranger's protocol."""
    with tcp_server(None) as (port, seen):
        settings = RunnerSettings(port=port, port_declared=True, tcp=(port,))
        said = Readiness(settings, Opinion).verdict(0.1)
        assert (said.ready, said.protocol, said.listening) == (True, "TCP", f"127.0.0.1:{port}")
    assert seen == []


def test_ports_for_other_protocols_are_not_where_requests_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTP beside them is found as if they were not there."""
    own = [Listener(5432, "127.0.0.1", inode=1), Listener(8000, "127.0.0.1", inode=2)]
    monkeypatch.setattr(listeners, "listening", lambda _: own)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr("runner.processes.held_below", lambda _, sockets: sockets)
    found = OwnListeners(RunnerSettings(port=50051, tcp=(5432,)))()
    assert [each.port for each in found] == [8000]


def test_silent_server_is_ready_after_some_silences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that accepts and never answers is first "not yet", then taken as it is."""
    monkeypatch.setattr(opinion, "GRPC_SECONDS", 0.05)
    with tcp_server(None) as (port, _):
        ready = declared(port)
        verdicts = [ready.verdict(0.1).ready for _ in range(opinion.SILENCES + 1)]
    assert verdicts == [False] * opinion.SILENCES + [True]


def test_health_service_that_falls_silent_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has spoken, silence means trouble."""
    monkeypatch.setattr(opinion, "GRPC_SECONDS", 0.3)
    port, silent = free_port(), threading.Event()

    class Stalls(health.HealthServicer):  # type: ignore[misc] # untyped base
        def Check(self, request: object, context: object) -> object:  # noqa: N802
            del request, context
            if silent.is_set():
                threading.Event().wait(0.6)
            return health_pb2.HealthCheckResponse(status=SERVING)

    ready = declared(port)
    with grpc_server(port, Stalls()):
        assert ready.verdict(0.1).ready
        silent.set()
        verdict = ready.verdict(0.2)
    assert not verdict.ready
    assert "DEADLINE_EXCEEDED" in verdict.message


def test_a_server_that_speaks_first_is_neither_grpc_nor_http() -> None:
    """A banner is TCP; what waits for its client is taken for HTTP until it is asked."""
    with banner_server() as port:
        assert declared(port).verdict(0.1).protocol == "TCP"
    with tcp_server(b"") as (port, _):
        assert declared(port).verdict(0.1).protocol == "HTTP"


@contextmanager
def banner_server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].sendall(b"220 ready\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


class Lab:
    """Readiness of a program whose ports, and the time, are the test's."""

    def __init__(self, choice: Choice | None = None, **settings: object) -> None:
        self.ports: list[int] = []
        self.helpers: list[int] = []
        self.now = 0.0
        self.choice = choice or Choice(8080)
        self.readiness = Readiness(
            RunnerSettings(**{"port": 8080, **settings}),  # type: ignore[arg-type]
            Opinion,
            self.choice,
            lambda: [
                *(Listener(port, "0.0.0.0") for port in self.ports),  # noqa: S104
                *(Listener(port, "127.0.0.1") for port in self.helpers),
            ],
            lambda: self.now,
        )

    def at(self, now: float, *ports: int) -> tuple[bool, str, str, bool]:
        """What is said at a time, with these ports open."""
        self.now, self.ports = now, list(ports)
        said = self.readiness.verdict(now)
        return said.ready, said.cause or said.listening, said.next_step, said.final


def test_a_listener_elsewhere_is_said_at_once_and_final_soon() -> None:
    """With `port:` the right one is written out; after three seconds nobody waits any longer."""
    lab = Lab(port_declared=True)
    step = "write `port: 9000` in its entry of repos.yaml, or delete `port: 8080`"
    wrong = (False, "wrong-port", step, False)
    assert lab.at(1.0, 9000) == wrong
    assert lab.at(3.9, 9000) == wrong
    assert lab.at(4.0, 9000) == (*wrong[:3], True)
    assert "listens on 0.0.0.0:9000, requests go to 8080" in lab.readiness.verdict(5.0).message
    assert lab.at(5.0, 8080, 9000) == (True, "127.0.0.1:8080", "", False)


def test_the_only_port_is_served_and_later_ones_change_nothing() -> None:
    """Without `port:`: ready where it listens; a port for metrics that comes later is extra."""
    lab = Lab()
    served = (True, "127.0.0.1:5000", "", False)
    assert lab.at(1.0, 5000) == served
    assert lab.at(1.0 + FIRM_SECONDS, 5000) == served
    assert lab.at(3.0, 5000, 9000) == served
    again = Lab(lab.choice)
    assert again.at(0.1, 5000, 9000) == served, "a restart of the program changes nothing either"


@pytest.mark.parametrize("first", [(5000, 9000), (9000,)])
def test_several_ports_are_no_guess(first: tuple[int, ...]) -> None:
    """Opened together, or one within a second of the other: listed, with what to write; $PORT's
    among them is the program's."""
    lab = Lab()
    lab.at(0.1, *first)
    step = "write `port: 5000` or `port: 9000` in its entry of repos.yaml"
    several = (False, "several-ports", step, False)
    assert lab.at(0.5, 5000, 9000) == several
    assert lab.at(4.0, 5000, 9000) == (*several[:3], True)
    assert lab.at(5.0, 5000, 8080, 9000) == (True, "127.0.0.1:8080", "", False)


def test_who_must_serve_is_not_ready_without_a_port() -> None:
    """`run: web` and a declared port wait for a listener, whose lack is a cause once they had time;
    others are alive or done."""
    web, declared_port, nothing_said = Lab(run="web"), Lab(port_declared=True), Lab()
    for lab in (web, declared_port):
        assert lab.at(0.1) == (False, "", "", False)
        assert lab.at(9.0) == (False, "no-listener", "", False)
    assert nothing_said.at(9.9)[0] is False
    assert nothing_said.at(10.0)[0] is True
    assert nothing_said.at(10.1, 5000) == (True, "127.0.0.1:5000", "", False), "later than most"
    assert Lab(Choice(5000, served=True)).at(9.0)[0] is False, "it has served before a restart"


def test_workers_and_jobs_need_no_port() -> None:
    """What they listen on is nobody's business."""
    for run in ("worker", "job"):
        lab = Lab(run=run)
        assert lab.at(9.9, 5000, 9000)[0] is False
        assert lab.at(10.0, 5000, 9000) == (True, "", "", False)


def test_other_ports_are_named_unless_one_was_written_down() -> None:
    """What opens later gets no request: its author is to know. Helpers are nobody's business."""
    lab = Lab()
    lab.at(1.0, 9000)
    lab.at(3.0, 9000)
    assert lab.at(4.0, 8000, 9000) == (True, "127.0.0.1:9000", "", False)
    lab.helpers = [CLIENT_PORT]
    assert lab.readiness.verdict(5.0).others == (8000,)
    told = Lab(port_declared=True)
    told.at(1.0, 8080, 9000)
    assert told.readiness.verdict(1.0).others == ()


CLIENT_PORT = listeners.client_ports()[0]
BESIDE = listeners.client_ports()[1]


def test_a_helper_that_opens_first_is_no_service() -> None:
    """Time tells: the real port takes over at once, whenever it opens."""
    lab = Lab(run="web")
    lab.helpers = [CLIENT_PORT]
    assert lab.at(1.0) == lab.at(9.9) == (False, "", "", False)
    assert lab.readiness.verdict(5.0).message.endswith(f"listens on 127.0.0.1:{CLIENT_PORT} only")
    assert lab.at(12.0, 5000) == (True, "127.0.0.1:5000", "", False)
    assert lab.readiness.verdict(13.0).others == ()
    again = Lab(lab.choice, run="web")
    again.helpers = [BESIDE]
    assert again.at(5.0)[1] == "no-listener", "it is known where it serves"


def test_a_helper_alone_is_no_wrong_port() -> None:
    """With `port:`, what opens it may still be starting: it has as long as any other."""
    lab = Lab(port_declared=True)
    lab.helpers = [CLIENT_PORT]
    assert lab.at(1.0)[1] == "wrong-port"
    assert lab.at(50.0)[3] is False


@pytest.mark.parametrize("serves", [True, False], ids=["HTTP", "another protocol"])
def test_what_stays_alone_on_a_helpers_port_is_judged_by_what_it_speaks(serves: bool) -> None:
    """A web server with a port from the kernel is served; a manager does not make a server."""
    server = tcp_server(b"HTTP/1.1 200 OK\r\n\r\n") if serves else banner_server()
    with server as opened:
        port = opened if isinstance(opened, int) else opened[0]
        labs = [Lab(), Lab(run="web")]
        for lab in labs:
            lab.helpers = [port]
            assert lab.at(9.0)[0] is False
        found = [lab.at(10.0) for lab in labs]
        if serves:
            assert found == [(True, f"127.0.0.1:{port}", "", False)] * 2
        else:
            step = f"write `port: {port}` in its entry of repos.yaml"
            assert found == [(True, "", "", False), (False, "several-ports", step, False)]


def test_what_takes_over_is_asked_what_it_speaks() -> None:
    """What was known of the helper does not hold for it."""
    lab = Lab()
    with banner_server() as helper, tcp_server(b"HTTP/1.1 200 OK\r\n\r\n") as (real, _):
        lab.helpers = [helper]
        assert lab.at(10.0) == (True, "", "", False)
        lab.at(11.0, real)
        assert lab.readiness.verdict(11.0).protocol == "HTTP"


def test_several_helpers_make_a_worker() -> None:
    """A Jupyter-like kernel opens five; where a server is expected, its port is to be named."""
    for run, expected in (("", (True, "")), ("web", (False, "several-ports"))):
        lab = Lab(run=run)
        lab.helpers = [CLIENT_PORT, BESIDE]
        assert lab.at(3.0)[:2] == (False, "")
        assert lab.at(10.0)[:2] == expected


def test_a_server_elsewhere_in_the_machine_is_not_the_programs() -> None:
    """Listeners of our uid that another process tree holds are not the program's."""
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 0));"
    script += "print('port', s.getsockname()[1], flush=True); time.sleep(60)"
    # Its parent ends at once, so that it is no descendant of ours.
    argv = ["/bin/sh", "-c", f'setsid {sys.executable} -c "{script}" & echo pid $!']
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout
        said = dict(started.stdout.readline().split() for _ in range(2))
        try:
            mine = {each.port for each in OwnListeners(RunnerSettings())()}
            assert int(said["port"]) not in mine
        finally:
            os.kill(int(said["pid"]), signal.SIGKILL)


def test_a_port_of_the_mesh_is_not_the_programs() -> None:
    """Its sidecar would never send a request there."""
    with socket.create_server(("127.0.0.1", MESH_PORTS["dns"])), tcp_server(None) as (port, _):
        mine = {each.port for each in OwnListeners(RunnerSettings())()}
    assert port in mine
    assert MESH_PORTS["dns"] not in mine


@pytest.mark.parametrize(("age", "expected"), [(3.0, False), (9.9, False), (10.0, True)])
def test_what_only_lives_is_on_probation(age: float, expected: bool) -> None:
    """Without a port, being alive is enough if it lasts: a crash every few seconds does not."""
    assert Readiness(RunnerSettings(port=free_port()), Opinion).verdict(age).ready is expected
