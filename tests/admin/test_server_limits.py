"""Clients that take their time: each is cut off, and none is in another's way."""

from __future__ import annotations

import errno
import socket
import threading
import time

import pytest

from admin.limits import Limits
from admin.pool import Pool
from admin.server import Server
from tests.support.small_app import SmallApp, connect, problem, raw, read_all, serving, status

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
DRIP = 0.02


@pytest.fixture
def app() -> SmallApp:
    return SmallApp()


def drip(sock: socket.socket, data: bytes) -> tuple[bytes, float]:
    """Send a byte at a time until the server has enough of it; its answer and the seconds."""
    begin = time.monotonic()
    sock.settimeout(DRIP)
    answer = b""
    for byte in data:
        try:
            sock.send(bytes([byte]))
            if not (part := sock.recv(65536)):
                break
            answer += part
        except TimeoutError:
            continue
        except OSError:
            break
    return answer, time.monotonic() - begin


def test_dripping_headers(app: SmallApp) -> None:
    """The time for the headers is counted in all: one byte now and then does not renew it."""
    with serving(app, head_seconds=0.2, linger_seconds=0.1) as server, connect(server) as sock:
        answer, seconds = drip(sock, b"GET /x HTTP/1.1\r\nX: " + b"a" * 500)
        assert problem(answer)["status"] == 408
        assert 0.15 < seconds < 1
        assert app.calls == 0


def test_dripping_bodies(app: SmallApp, caplog: pytest.LogCaptureFixture) -> None:
    """So is the time for the body; nobody can fill the log that way."""
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
    with serving(app, body_seconds=0.2, linger_seconds=0.1) as server, connect(server) as sock:
        sock.sendall(head)
        answer, seconds = drip(sock, b"a" * 500)
        assert problem(answer)["status"] == 408
        assert 0.15 < seconds < 1
    assert caplog.text == ""


def test_many_that_drip(app: SmallApp) -> None:
    """Unfinished headers hold no threads: with four of them 200 are in nobody's way."""
    with serving(app, max_threads=4, waiting=400) as server:
        slow = [connect(server) for _ in range(200)]
        for sock in slow:
            sock.sendall(b"GET /x HTTP/1.1\r\nX: ")
        begin = time.monotonic()
        assert status(raw(server, CLOSE)) == 200
        assert time.monotonic() - begin < 0.5
        for sock in slow:
            sock.close()


def test_more_than_may_wait(app: SmallApp) -> None:
    """When there is no room, the one that has waited longest goes, never the newcomer."""
    with serving(app, waiting=10) as server:
        slow = [connect(server) for _ in range(30)]
        for sock in slow:
            sock.sendall(b"GET /x")
        assert status(raw(server, CLOSE)) == 200
        with pytest.raises((ConnectionError, IndexError)):
            status(read_all(slow[0]))
        for sock in slow:
            sock.close()


def test_silent_connections(app: SmallApp) -> None:
    """Who says nothing at all is left without a word."""
    with serving(app, head_seconds=0.1) as server, connect(server) as sock:
        assert read_all(sock) == b""


def test_idle_connections(app: SmallApp) -> None:
    """A kept-alive connection is closed when nothing comes; the time starts after the answer."""
    with serving(app, idle_seconds=0.2) as server, connect(server) as sock:
        for _ in range(2):
            sock.sendall(GET)
            answer = b""
            while not answer.endswith(b"}"):
                answer += sock.recv(65536)
            assert status(answer) == 200
            time.sleep(0.05)
        begin = time.monotonic()
        assert sock.recv(1) == b""
        assert time.monotonic() - begin < 1


def test_readers_that_stop(app: SmallApp) -> None:
    """A stream nobody reads is ended when its buffers have been full for a while."""
    with serving(app, send_seconds=0.2) as server, connect(server) as sock:
        sock.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.closed.wait(5)
        assert status(raw(server, CLOSE)) == 200


def test_answers_nobody_takes(app: SmallApp) -> None:
    """A client that does not close after its last answer is closed."""
    with serving(app, linger_seconds=0.1) as server, connect(server) as sock:
        sock.sendall(CLOSE)
        assert status(read_all(sock)) == 200
        for _ in range(100):
            try:
                sock.send(b"more")
            except OSError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("still open")


def test_threads_come_and_go(app: SmallApp) -> None:
    """Threads are started for what is to do at once, and end when there is less."""
    before = threading.active_count()
    with serving(app, max_threads=40, thread_seconds=0.1) as server:
        held = [connect(server) for _ in range(30)]
        for sock in held:
            sock.sendall(b"GET /wait HTTP/1.0\r\n\r\n")
        for _ in held:
            assert app.entered.acquire(timeout=5)
        assert threading.active_count() - before == 31
        app.go.set()
        for sock in held:
            assert status(read_all(sock)) == 200
            sock.close()
        end = time.monotonic() + 5
        while threading.active_count() - before > 5 and time.monotonic() < end:
            time.sleep(0.01)
        assert threading.active_count() - before == 5  # four stay, and the listener's own
        assert status(raw(server, CLOSE)) == 200


def test_the_last_to_rest_works_next() -> None:
    """Steady work for one does not keep the others from ending."""
    gate = threading.Barrier(11)
    done = threading.Semaphore(0)

    def work(item: int) -> None:
        if item:
            gate.wait(5)

    pool: Pool[int, None] = Pool(
        work, lambda *_: done.release(), name="t", most=10, least=1, idle_seconds=0.3
    )
    for _ in range(10):
        assert pool.submit(1)
    gate.wait(5)
    for _ in range(10):
        assert done.acquire(timeout=5)
    assert pool.threads == 10
    for _ in range(60):
        assert pool.submit(0)
        assert done.acquire(timeout=5)
        time.sleep(0.01)
    assert pool.threads == 1
    assert pool.close(5)


class Exhausted:
    """A listening socket whose accept fails as when no file descriptor is left."""

    def __init__(self, sock: socket.socket, times: int) -> None:
        self._sock = sock
        self._times = times

    def accept(self) -> tuple[socket.socket, object]:
        if self._times:
            self._times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._sock.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def test_no_more_files_from_the_system(
    app: SmallApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of files, whoever waited longest gives his; it is said once, and newcomers get in."""
    with serving(app) as server, connect(server) as oldest:
        assert status(raw(server, CLOSE)) == 200
        listener = server._listeners[0]
        with monkeypatch.context() as patched:
            patched.setattr(listener, "_socket", Exhausted(listener._socket, 3))
            assert status(raw(server, CLOSE)) == 200
        assert oldest.recv(1) == b""
    assert caplog.text.count("cannot accept") == 1


def test_no_more_threads_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system gives no thread the work is refused, and taken when there is one again."""
    done = threading.Semaphore(0)
    pool: Pool[int, int] = Pool(lambda item: item, lambda *_: done.release(), name="t", most=4)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert not pool.submit(1)
    assert pool.threads == 0
    assert pool.submit(1)
    assert done.acquire(timeout=5)
    assert pool.close(5)
    assert not pool.submit(1)


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_room_for_files(app: SmallApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The soft limit of open files is raised to what the connections can need, not beyond."""
    asked = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 5000))
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: asked.append(limits))
    with serving(app, max_threads=1000, waiting=500):
        assert asked == [(3256, 5000)]
    with serving(app, max_threads=5000, waiting=500):
        assert asked[1] == (5000, 5000)


def test_the_numbers() -> None:
    """The defaults are the promised ones."""
    limits = Limits()
    assert (limits.head_seconds, limits.body_seconds, limits.send_seconds) == (10, 30, 30)
    assert limits.head_bytes == 32 * 1024
    assert 2**20 < limits.body_bytes < 2**21
    assert Server(SmallApp(), bind=None, socket=None).address is None
