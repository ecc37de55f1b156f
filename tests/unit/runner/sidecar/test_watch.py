"""A program without a runner, judged from its network namespace."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest

from runner import http2, listeners
from runner.listeners import Listener
from runner.settings import RunnerSettings
from runner.sidecar import control
from runner.sidecar.control import Asked
from runner.sidecar.refused import Refused
from runner.sidecar.watch import Watch
from tests.unit.runner.conftest import free_port

Talk = Callable[[socket.socket], object]


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], int]]:
    """Starts a server that deals with each connection by `talk`; its port."""
    opened: list[socket.socket] = []

    def _serve(talk: Talk) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def run() -> None:
            while True:
                try:
                    with server.accept()[0] as client:
                        talk(client)
                except OSError:
                    return

        threading.Thread(target=run, daemon=True).start()
        return int(server.getsockname()[1])

    yield _serve
    for server in opened:
        server.close()


def _hangs_up(client: socket.socket) -> None:
    client.recv(1)


class Broken(http.server.BaseHTTPRequestHandler):
    """Its page raises before a byte of the answer."""

    def do_GET(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None: ...


def _breaks(client: socket.socket) -> None:
    Broken(client, ("", 0), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (lambda c: c.recv(99) and c.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), "HTTP"),
        (lambda c: c.sendall(b"220 mail\r\n"), "TCP"),
        (lambda c: c.recv(99) and c.sendall(b"-ERR unknown command\r\n"), "TCP"),
        (_hangs_up, "TCP"),
        (_breaks, "HTTP"),
    ],
    ids=["http", "speaks first", "another protocol", "hangs up", "a page that breaks"],
)
def test_a_protocol_is_told_by_its_bytes(
    serve: Callable[[Talk], int], talk: Talk, expected: str
) -> None:
    assert http2.told_by_bytes("127.0.0.1", serve(talk)) == expected


def test_silence_is_taken_for_a_slow_page(
    serve: Callable[[Talk], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "ANSWER_SECONDS", 0.1)
    ended = threading.Event()
    port = serve(lambda _: ended.wait(5))
    assert http2.told_by_bytes("127.0.0.1", port) == "HTTP"
    ended.set()


def test_a_grpc_server_is_known() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert http2.told_by_bytes("127.0.0.1", port) == "GRPC"
    server.stop(0)


def test_another_start_is_judged_anew() -> None:
    """Which port is the program's is remembered, how long it is open is not."""
    port = free_port()
    found = [Listener(port, "127.0.0.1")]
    watched = Watch(RunnerSettings(port=50051), lambda: found)
    with socket.create_server(("127.0.0.1", port)):
        assert watched.verdict(1, 5.0).listening == f"127.0.0.1:{port}"
    found.clear()
    assert watched.verdict(1, 6.0).message == f"no longer listens on port {port}"
    assert not watched.verdict(2, 0.1).ready
    worker = Watch(RunnerSettings(run="worker", probation=3), list)
    assert [worker.verdict(1, age).ready for age in (1.0, 4.0)] == [False, True]


def test_it_answers_one_question() -> None:
    """On the control socket; all else is refused."""
    found = control.readiness(Watch(RunnerSettings(run="worker"), list))
    said = found(Asked("start=7&age=11.5", "")).said
    assert isinstance(said, dict)
    assert (said["ready"], said["message"]) == (True, "alive for more than 10 s")
    for query in ("", "start=7", "start=x&age=1"):
        with pytest.raises(Refused, match="start=NUMBER"):
            found(Asked(query, ""))


def test_what_listens_is_everybodys_but_envoys(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image may run as several users."""
    rows = [Listener(1, "127.0.0.1", uid=0), Listener(2, "127.0.0.1", uid=999)]
    rows.append(Listener(3, "127.0.0.1", uid=30_001))
    monkeypatch.setattr(listeners, "listening", lambda _: rows)
    found = listeners.of_program(None, without=[1], but=30_001)
    assert [each.port for each in found] == [2]
