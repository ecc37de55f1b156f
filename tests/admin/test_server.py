"""The server as a whole: two ways in, streams, start and stop."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.peer import Peer
from admin.server import Server
from iac_wrapper.errors import ConfigError
from tests.support.small_app import SmallApp, connect, raw, read_all, serving, status

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def app() -> SmallApp:
    return SmallApp()


@pytest.fixture
def server(app: SmallApp, tmp_path: Path) -> Iterator[Server]:
    with serving(app, path=tmp_path / "s") as started:
        yield started


def over_socket(server: Server, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(server.socket))
        sock.sendall(data)
        return read_all(sock)


CLOSE = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
FORGED = (
    b"Iac.peer: root\r\niac.via: socket\r\niac_via: socket\r\nRemote-User: root\r\n"
    b"X-Remote-Uid: 0\r\nX_REMOTE_UID: 0\r\nRemote-Addr: 10.0.0.1\r\nProxy: http://evil\r\n"
)


def test_over_tcp(server: Server, app: SmallApp) -> None:
    """The port's callers come with an address and without credentials, whatever they send."""
    assert status(raw(server, CLOSE + FORGED + b"\r\n")) == 200
    assert app.environ["iac.via"] == "http"
    assert app.environ["REMOTE_ADDR"] == "127.0.0.1"
    forged = {"iac.peer", "REMOTE_USER", "X_REMOTE_UID", "HTTP_X_REMOTE_UID_", "HTTP_PROXY"}
    assert not forged & app.environ.keys()
    assert "HTTP_IAC_VIA" not in app.environ
    assert app.environ["HTTP_REMOTE_USER"] == "root"  # a header like any other


def test_over_the_socket(server: Server, app: SmallApp) -> None:
    """The socket's callers come with what the kernel knows of them."""
    assert status(over_socket(server, CLOSE + FORGED + b"\r\n")) == 200
    assert app.environ["iac.via"] == "socket"
    assert app.environ["iac.peer"] == Peer(os.getpid(), os.getuid(), os.getgid())
    assert "REMOTE_USER" not in app.environ
    assert app.environ["REMOTE_ADDR"] == ""


def test_no_version_is_told(server: Server) -> None:
    """The Server header says what it is, not which version of what library."""
    assert b"\r\nServer: iac\r\n" in raw(server, CLOSE + b"\r\n")


def test_one_connection_many_requests(server: Server) -> None:
    """A kept-alive connection carries one request after the other, bodies included."""
    assert server.address is not None
    client = http.client.HTTPConnection(*server.address, timeout=5)
    for size in (0, 10, 70_000):
        client.request("POST", "/x", body=b"a" * size)
        assert b'"length": %d,' % size in client.getresponse().read()
    client.close()


def test_pipelined_requests(server: Server) -> None:
    """Requests sent at once are answered one after the other."""
    answer = raw(server, GET % b"a" + GET % b"b" + CLOSE + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_a_stream_arrives_part_by_part(server: Server, app: SmallApp) -> None:
    """An event is there before the next one is made; the stream ends properly."""
    with connect(server) as sock:
        sock.sendall(GET % b"stream")
        first = b""
        while b"data: 1\n\n" not in first:
            first += sock.recv(65536)
        assert b"data: 2" not in first
        app.go.set()
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            rest += sock.recv(65536)
    assert b"data: 2\n\n" in rest
    assert app.closed.wait(5)


def test_a_client_that_goes_away(server: Server, app: SmallApp) -> None:
    """The stream is closed at the very next write after its reader is gone."""
    with connect(server) as sock:
        sock.sendall(GET % b"stream")
        received = b""
        while b"data: 1\n\n" not in received:
            received += sock.recv(100)
    app.go.set()
    assert app.closed.wait(5)
    assert app.written == 1


def test_streams_do_not_starve_requests(app: SmallApp) -> None:
    """More streams than threads at rest, and a request is still answered at once."""
    with serving(app, max_threads=60) as server:
        streams = [connect(server) for _ in range(50)]
        for stream in streams:
            stream.sendall(GET % b"stream")
        for _ in streams:
            assert app.entered.acquire(timeout=5)
        assert status(raw(server, CLOSE + b"\r\n")) == 200
        for stream in streams:
            stream.close()


def test_all_threads_busy(app: SmallApp) -> None:
    """One request too many gets a 503 at once; when there is room again it is answered."""
    with serving(app, max_threads=2) as server:
        held = [connect(server) for _ in range(2)]
        for sock in held:
            sock.sendall(GET % b"wait")
            assert app.entered.acquire(timeout=5)
        begin = time.monotonic()
        answer = raw(server, CLOSE + b"\r\n")
        assert (status(answer), time.monotonic() - begin < 1) == (503, True)
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert b"urn:karstkit:problem:overloaded" in answer
        app.go.set()
        for sock in held:
            assert status(sock.recv(65536)) == 200
        assert status(raw(server, CLOSE + b"\r\n")) == 200
        for sock in held:
            sock.close()


def test_an_address_in_use_leaves_nothing(app: SmallApp, tmp_path: Path) -> None:
    """If the port is taken there is no socket either, no thread, no lock."""
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as other:
        failing = Server(app, bind=other.getsockname(), socket=tmp_path / "s")
        with pytest.raises(ConfigError, match="address in use"):
            failing.start()
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def test_a_socket_in_use_leaves_nothing(server: Server, app: SmallApp) -> None:
    """If the socket is taken the port is free again."""
    with bind_free() as probe:
        address = probe.getsockname()
    with pytest.raises(ConfigError, match="another server"):
        Server(app, bind=address, socket=server.socket).start()
    with socket.create_server(address):
        pass
    assert status(over_socket(server, CLOSE + b"\r\n")) == 200


def bind_free() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_stop_lets_requests_end(app: SmallApp, tmp_path: Path) -> None:
    """During a stop nobody new gets in, and who is in is answered."""
    with serving(app, path=tmp_path / "s") as server, connect(server) as sock:
        idle = connect(server)
        sock.sendall(GET % b"wait")
        assert app.entered.acquire(timeout=5)
        stopping = threading.Thread(target=server.stop, args=(5.0,))
        stopping.start()
        assert idle.recv(1) == b""  # idle connections are closed first, the listener with them
        assert not (tmp_path / "s").exists()
        with pytest.raises(ConnectionRefusedError):
            connect(server)
        app.go.set()
        answer = read_all(sock)
        stopping.join(5)
        assert not stopping.is_alive()
        idle.close()
    assert status(answer) == 200
    assert b"\r\nConnection: close\r\n" in answer
    assert list(tmp_path.iterdir()) == []


def test_stop_cuts_off_what_does_not_end(app: SmallApp) -> None:
    """After the time is over streams are cut off, and threads end."""
    before = threading.active_count()
    with serving(app) as server, connect(server) as sock:
        sock.sendall(GET % b"flood")  # nobody reads it: the thread hangs in send
        assert app.go.wait(5)
        begin = time.monotonic()
        server.stop(0.1)
        assert time.monotonic() - begin < 1
        assert app.closed.is_set()
        assert threading.active_count() == before


def test_a_stuck_application_does_not_hold_the_interpreter(tmp_path: Path) -> None:
    """A process whose handler never returns exits all the same, without a word."""
    program = """
        import http.client, threading, sys
        from admin.server import Server
        entered = threading.Event()
        def app(environ, start_response):
            entered.set()
            threading.Event().wait()
        server = Server(app, bind=("127.0.0.1", 0), socket=None)
        server.start()
        client = http.client.HTTPConnection(*server.address)
        client.request("GET", "/")
        entered.wait()
        server.stop(0.0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.strip() == b"some requests did not end in 0 s and were abandoned"


def test_the_last_answer_is_read_before_the_reset(server: Server) -> None:
    """A refusal reaches a client that is still sending: no reset overtakes it."""
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with connect(server) as sock:
        sock.sendall(head)
        for _ in range(10):
            sock.sendall(b"a" * 10_000)
            time.sleep(0.002)
        answer = read_all(sock)
    assert status(answer) == 200
    assert b"\r\nConnection: close\r\n" in answer
