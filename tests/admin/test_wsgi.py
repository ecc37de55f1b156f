"""The HTTP server: two ways in, streams, slow clients, the edge of HTTP, start and stop."""

from __future__ import annotations

import errno
import http.client
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.wsgi.peer import PeerProcess
from admin.wsgi.server import HttpServer
from iac_wrapper.errors import ConfigError
from tests.support.jobs_lab import until
from tests.support.small_app import SmallApp, connect, problem, raw, read_all, serving, status

LINE = b"GET /x HTTP/1.1\r\nHost: x\r\n"
CLOSE = LINE + b"Connection: close\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(path: str) -> bytes:
    return f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
def app() -> SmallApp:
    return SmallApp()


@pytest.fixture
def server(app: SmallApp, tmp_path: Path) -> Iterator[Any]:
    with serving(app, path=tmp_path / "s") as started:
        yield started


def over_socket(server: Any, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(server.socket))
        sock.sendall(data)
        return read_all(sock)


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        part = sock.recv(65536)
        assert part, data
        data += part
    return data


FORGED = (
    b"Connection: close\r\nIac.peer: root\r\niac.via: socket\r\niac_via: socket\r\n"
    b"Remote-User: root\r\nX_Remote_Uid: 0\r\nRemote-Addr: 10.0.0.1\r\n\r\n"
)


def test_over_tcp(server: Any, app: SmallApp) -> None:
    """The port's callers come with an address and without credentials, whatever they send."""
    answer = raw(server, LINE + FORGED)
    assert (status(answer), b"\r\nServer: iac\r\n" in answer) == (200, True)
    assert (app.environ["iac.via"], app.environ["REMOTE_ADDR"]) == ("http", "127.0.0.1")
    assert not {"iac.peer", "REMOTE_USER", "HTTP_X_REMOTE_UID"} & app.environ.keys()


def test_over_the_socket(server: Any, app: SmallApp) -> None:
    """The socket's callers come with what the kernel knows of them."""
    assert status(over_socket(server, LINE + FORGED)) == 200
    assert app.environ["iac.via"] == "socket"
    assert app.environ["iac.peer"] == PeerProcess(os.getpid(), os.getuid(), os.getgid())
    assert app.environ["REMOTE_ADDR"] == ""


def test_forwarded_for(server: Any, app: SmallApp) -> None:
    """What a proxy says reaches the application, which knows whether to trust it."""
    raw(server, LINE + b"Connection: close\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
    assert app.environ["HTTP_X_FORWARDED_FOR"] == "10.0.0.1"


def test_one_connection_many_requests(server: Any) -> None:
    """A kept-alive connection carries one request after the other, bodies included."""
    host, port = server.address
    client = http.client.HTTPConnection(host, port, timeout=5)
    for size in (0, 10, 70_000):
        client.request("POST", "/x", body=b"a" * size)
        assert b'"length": %d,' % size in client.getresponse().read()
    client.close()


def test_pipelined_requests(server: Any) -> None:
    """Requests sent at once are answered one after the other."""
    assert raw(server, get("a") + get("b") + CLOSE).count(b"HTTP/1.1 200 OK") == 3


def test_a_stream_arrives_part_by_part(server: Any, app: SmallApp) -> None:
    """An event is there before the next one is made; the stream ends properly."""
    with connect(server) as sock:
        sock.sendall(get("stream"))
        assert b"data: 2" not in read_until(sock, b"data: 1\n\n")
        app.go.set()
        assert b"data: 2\n\n" in read_until(sock, b"0\r\n\r\n")
    assert app.closed.wait(5)


def test_a_client_that_goes_away(server: Any, app: SmallApp) -> None:
    """The stream is closed at the very next write after its reader is gone."""
    with connect(server) as sock:
        sock.sendall(get("stream"))
        read_until(sock, b"data: 1\n\n")
    time.sleep(0.05)
    app.go.set()
    assert app.closed.wait(5)
    assert app.written == 1


def test_all_threads_busy(app: SmallApp) -> None:
    """One request too many gets a 503 at once; when there is room again it is answered."""
    with serving(app, requests=2) as server:
        held = [connect(server) for _ in range(2)]
        for sock in held:
            sock.sendall(get("wait"))
            assert app.entered.acquire(timeout=5)
        begin = time.monotonic()
        answer = raw(server, CLOSE)
        assert (status(answer), time.monotonic() - begin < 1) == (503, True)
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert problem(answer)["type"] == "urn:karstkit:problem:overloaded"
        app.go.set()
        for sock in held:
            assert status(sock.recv(65536)) == 200
        until(lambda: status(raw(server, CLOSE)) == 200)  # a thread is free just after its answer
        for sock in held:
            sock.close()


def test_threads_are_started_when_needed(app: SmallApp) -> None:
    """One for each request in flight; those that rest are used again."""
    before = set(threading.enumerate())  # other tests' threads may end meanwhile
    with serving(app, requests=40) as server:
        assert len(set(threading.enumerate()) - before) == 1  # the loop's own
        held = [connect(server) for _ in range(30)]
        for sock in held:
            sock.sendall(b"GET /wait HTTP/1.0\r\n\r\n")
        for _ in held:
            assert app.entered.acquire(timeout=5)
        assert len(set(threading.enumerate()) - before) == 31
        app.go.set()
        for sock in held:
            assert status(read_all(sock)) == 200
            sock.close()
        assert status(raw(server, CLOSE)) == 200
        assert len(set(threading.enumerate()) - before) == 31
    until(lambda: not set(threading.enumerate()) - before)


def test_no_more_threads_from_the_system(app: SmallApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system gives no thread the request is refused; the next one finds one."""
    with serving(app) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            assert status(raw(server, CLOSE)) == 503
        assert status(raw(server, CLOSE)) == 200


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_an_address_in_use_leaves_nothing(app: SmallApp, tmp_path: Path) -> None:
    """If the port is taken there is no socket either, no thread, no lock."""
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as other:
        failing = HttpServer(app, bind=other.getsockname(), socket=tmp_path / "s")
        with pytest.raises(ConfigError, match="address in use"):
            failing.start()
        failing.stop(0.0)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def test_a_socket_in_use_leaves_nothing(server: Any, app: SmallApp) -> None:
    """If the socket is taken the port is free again."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    with pytest.raises(ConfigError, match="another server"):
        HttpServer(app, bind=address, socket=server.socket).start()
    with socket.create_server(address):
        pass
    assert status(over_socket(server, CLOSE)) == 200


def test_stop_lets_requests_end(app: SmallApp, tmp_path: Path) -> None:
    """During a stop nobody new gets in, and who is in is answered."""
    with serving(app, path=tmp_path / "s") as server, connect(server) as sock:
        idle = connect(server)
        sock.sendall(get("wait"))
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
    assert (status(answer), b"\r\nConnection: close\r\n" in answer) == (200, True)
    assert list(tmp_path.iterdir()) == []


def test_stop_cuts_off_what_does_not_end(app: SmallApp) -> None:
    """After the time is over streams are cut off, and threads end."""
    with serving(app) as server, connect(server) as sock:
        sock.sendall(get("flood"))  # nobody reads it: the thread waits for room
        assert app.go.wait(5)
        begin = time.monotonic()
        assert server.stop(0.1)
        assert time.monotonic() - begin < 1
        assert app.closed.is_set()


def test_a_stuck_application(app: SmallApp, caplog: pytest.LogCaptureFixture) -> None:
    """Who stops the server learns of a handler that does not return."""
    with serving(app) as server, connect(server) as sock:
        sock.sendall(get("wait"))
        assert app.entered.acquire(timeout=5)
        assert not server.stop(0.0)
        assert caplog.messages == ["some requests did not end in 0 s and were abandoned"]


def drip(sock: socket.socket, data: bytes) -> float:
    """Send a byte at a time until the server has enough of it; the seconds."""
    begin = time.monotonic()
    sock.settimeout(0.02)
    for byte in data:
        try:
            sock.send(bytes([byte]))
            if not sock.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begin


@pytest.mark.parametrize(
    ("head", "limit"),
    [
        (LINE + b"X: ", {"wait_seconds": 0.2}),
        (POST + b"Content-Length: 500\r\n\r\n", {"body_seconds": 0.2}),
        (CHUNKED, {"body_seconds": 0.2}),
    ],
    ids=["head", "body", "chunks"],
)
def test_dripping(app: SmallApp, head: bytes, limit: dict[str, Any]) -> None:
    """The time is counted in all: one byte now and then does not renew it."""
    with serving(app, **limit) as server, connect(server) as sock:
        sock.sendall(head)
        assert 0.15 < drip(sock, b"1" * 500) < 1
        assert app.calls == 0


def test_many_that_drip(app: SmallApp) -> None:
    """Unfinished headers hold no threads: with four of them 200 are in nobody's way."""
    with serving(app, requests=4, connections=400) as server:
        slow = [connect(server) for _ in range(200)]
        for sock in slow:
            sock.sendall(b"GET /x HTTP/1.1\r\nX: ")
        begin = time.monotonic()
        assert status(raw(server, CLOSE)) == 200
        assert time.monotonic() - begin < 0.5
        for sock in slow:
            sock.close()


def test_more_connections_than_may_be(app: SmallApp, tmp_path: Path) -> None:
    """One too many is closed at once; the other way in has room of its own; soon there is again."""
    with serving(app, path=tmp_path / "s", connections=10, wait_seconds=0.5) as server:
        slow = [connect(server) for _ in range(10)]
        for sock in slow:
            sock.sendall(b"GET /x")
        with connect(server) as one_more:
            assert one_more.recv(1) == b""
        assert status(over_socket(server, CLOSE)) == 200
        for sock in slow:
            assert sock.recv(1) == b""  # its time is over
        assert status(raw(server, CLOSE)) == 200
        for sock in slow:
            sock.close()


def test_idle_connections(app: SmallApp) -> None:
    """A kept-alive connection is closed when nothing comes; the time starts after the answer."""
    with serving(app, wait_seconds=0.2) as server, connect(server) as sock:
        for _ in range(2):
            sock.sendall(get("x"))
            assert status(read_until(sock, b"}")) == 200
            time.sleep(0.05)
        begin = time.monotonic()
        assert sock.recv(1) == b""
        assert time.monotonic() - begin < 1


def test_readers_that_stop(app: SmallApp) -> None:
    """A stream nobody reads is ended when its buffers have been full for a while."""
    with serving(app, send_seconds=0.2) as server, connect(server) as sock:
        sock.sendall(get("flood"))
        assert app.closed.wait(5)
        assert app.written < 50  # of a hundred: the rest was not piled up
        assert status(raw(server, CLOSE)) == 200


def test_quiet_streams_are_not_stalled(app: SmallApp) -> None:
    """A stream with nothing to say for longer than a reader may stop is left alone."""
    with serving(app, send_seconds=0.1, wait_seconds=0.1) as server, connect(server) as sock:
        sock.sendall(get("stream"))
        read_until(sock, b"data: 1\n\n")
        time.sleep(0.3)
        app.go.set()
        assert b"data: 2\n\n" in read_until(sock, b"0\r\n\r\n")


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


def test_the_last_answer_is_read_before_the_reset(server: Any) -> None:
    """A refusal reaches a client that is still sending: no reset overtakes it."""
    with connect(server) as sock:
        sock.sendall(POST + b"Content-Length: 2000000\r\n\r\n")
        for _ in range(20):
            sock.sendall(b"a" * 100_000)
            time.sleep(0.002)
        assert problem(read_all(sock))["status"] == 413


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"X: 1\r\n folded: 2\r\n", 400),
        (b"X: 1\r\n\tfolded\r\n", 400),
        (b" X: 1\r\n", 400),
        (b"X : 1\r\n", 400),
        (b"X\r\n", 400),
        (b"X: a\rb\r\n", 400),
        (b"X: a\x00b\r\n", 400),
        (b"Content-Length: +1\r\n", 400),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 1_0\r\n", 400),
        (b"Content-Length: 1, 1\r\n", 400),
        (b"Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Content-Length: " + b"1" * 5000 + b"\r\n", 400),
        (b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        (b"Transfer-Encoding: chunked, chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding:\r\nContent-Length: 0\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 400),
        (b"Transfer-Encoding: identity\r\n", 400),
        (b"Transfer-Encoding: xchunked\r\n", 400),
    ],
)
def test_header_lines(server: Any, app: SmallApp, line: bytes, code: int) -> None:
    """What another reader could take for something else is refused."""
    assert problem(raw(server, LINE + line + b"\r\n"))["status"] == code
    assert app.calls == 0


@pytest.mark.parametrize(
    "target",
    [b"http://evil/x", b"//evil/x", b"//[", b"http://[x/", b"*", b"x", b"/x#y", b"x:80", b"/x y"],
)
def test_targets(server: Any, app: SmallApp, target: bytes) -> None:
    """A request names a path, nothing else."""
    answer = raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert problem(answer)["status"] == 400
    assert app.calls == 0


def test_the_path(server: Any, app: SmallApp) -> None:
    """The path is decoded once, but an encoded slash stays; the query is left as it is."""
    raw(server, b"GET /a%20b%2Fc%252f%C3%A4?q=%20%2f HTTP/1.0\r\n\r\n")
    assert app.environ["PATH_INFO"] == "/a b%2Fc%2f\xc3\xa4"
    assert app.environ["QUERY_STRING"] == "q=%20%2f"


def test_codings_of_old_clients(server: Any) -> None:
    """HTTP/1.0 has no transfer codings; who ignores one reads another request than who does not."""
    answer = raw(server, b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert status(answer) == 400


def test_duplicate_headers(server: Any, app: SmallApp) -> None:
    """A second Host is refused; other equal names arrive joined, so no one value passes for all."""
    assert problem(raw(server, LINE + b"Host: y\r\n\r\n"))["status"] == 400
    assert app.calls == 0
    head = b"Connection: close\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n"
    raw(server, LINE + head + b"Content_Length: 5\r\n\r\n")
    assert app.environ["HTTP_AUTHORIZATION"] == "Bearer a, Bearer b"
    assert "HTTP_CONTENT_LENGTH" not in app.environ
    assert app.environ["CONTENT_LENGTH"] == "0"


def test_big_headers(server: Any, app: SmallApp) -> None:
    """A token of 8 KiB passes; 32 KiB altogether do not, in a line or in the headers."""
    token = b"Authorization: Bearer " + b"a" * 8192 + b"\r\n"
    assert status(raw(server, POST + token + b"\r\n")) == 200
    assert len(app.environ["HTTP_AUTHORIZATION"]) == 8199
    many = b"".join(b"X%d: %s\r\n" % (i, b"a" * 1000) for i in range(40))
    assert problem(raw(server, POST + many + b"\r\n"))["status"] == 431
    line = b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    assert problem(raw(server, line))["status"] == 431


def test_big_bodies(server: Any, app: SmallApp) -> None:
    """A body beyond the limit is refused before the application is called."""
    assert problem(raw(server, POST + b"Content-Length: 1200000\r\n\r\n"))["status"] == 413
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert problem(raw(server, CHUNKED + chunk * 18))["status"] == 413
    assert app.calls == 0


def test_chunked_bodies(server: Any) -> None:
    """Chunks are joined; what follows the trailers is the next request."""
    body = b"3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
    answer = raw(server, CHUNKED.replace(b"Connection: close\r\n", b"") + body + CLOSE)
    assert b'"length": 13, "body": "abc0123456789"' in answer
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("body", [b"0x1\r\na\r\n", b"-1\r\n", b"+1\r\na\r\n", b"1\r\nab\r\n"])
def test_broken_chunks(server: Any, app: SmallApp, body: bytes) -> None:
    """A body that does not follow the rules is the client's fault, not ours."""
    assert problem(raw(server, CHUNKED + body + b"0\r\n\r\n"))["status"] == 400
    assert app.calls == 0


def test_unread_bodies(server: Any) -> None:
    """The bytes of a body the application did not read are not taken for a request."""
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(CLOSE)
    assert raw(server, head + CLOSE + CLOSE).count(b"HTTP/1.1 200 OK") == 2


def test_continue(server: Any) -> None:
    """Who asks before sending is told to go on."""
    with connect(server) as sock:
        sock.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert b'"length": 3' in read_all(sock)


def test_nothing_to_continue_with(server: Any, app: SmallApp) -> None:
    """Who asks without a body is answered at once, and the next request is one of its own."""
    with connect(server) as sock:
        sock.sendall(LINE + b"Expect: 100-continue\r\nX-A: one\r\n\r\n")
        assert status(read_until(sock, b"}")) == 200
        sock.sendall(CLOSE)
        assert status(read_all(sock)) == 200
        assert "HTTP_X_A" not in app.environ


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"Content-Length: 5000000\r\n", 413), (b"Content-Length: abc\r\n", 400)],
)
def test_a_refusal_instead_of_continue(server: Any, line: bytes, code: int) -> None:
    """Who asks whether to send what is refused gets the refusal, at once and alone."""
    answer = raw(server, POST + b"Expect: 100-continue\r\n" + line + b"\r\n")
    assert problem(answer)["status"] == code


def test_head_of_a_stream(server: Any, app: SmallApp) -> None:
    """Is its head: no chunk follows, not even the last one."""
    app.go.set()
    head = b"HEAD /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert raw(server, head).endswith(b"\r\n\r\n")
    assert raw(server, head).count(b"\r\n\r\n") == 1


def test_head_of_a_fault(server: Any) -> None:
    """Has no body either."""
    answer = raw(server, b"HEAD /fault HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status(answer), answer.endswith(b"\r\n\r\n")) == (500, True)


@pytest.mark.parametrize("path", ["fault", "refused", "exit"])
def test_faults_of_the_application(
    server: Any,
    path: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An exception is a 500 that tells nothing; the log tells where, and no header's value."""
    head = f"GET /{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-token\r\n\r\n"
    with caplog.at_level(logging.DEBUG):
        answer = raw(server, head.encode())
    assert problem(answer)["type"] == "urn:karstkit:problem:internal"
    assert "small_app.py" in caplog.text
    assert {record.name for record in caplog.records} == {"iac.admin"}
    assert "secret" not in caplog.text + answer.decode()
    assert capfd.readouterr() == ("", "")
    assert status(raw(server, CLOSE)) == 200


def test_faults_of_a_stream(server: Any) -> None:
    """Before its first part it is a 500; later the stream has no proper end."""
    assert problem(raw(server, b"GET /breaks HTTP/1.1\r\nHost: x\r\n\r\n"))["status"] == 500
    answer = raw(server, b"GET /breaks?later HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status(answer), answer.endswith(b"\r\n1\r\nx\r\n")) == (200, True)


def test_room_for_files(
    app: SmallApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The soft limit of open files is raised to what the connections can need, not beyond."""
    asked = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 5000))
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: asked.append(limits))
    with serving(app, requests=400, connections=900):
        assert (asked, caplog.messages) == ([(2856, 5000)], [])
    with serving(app, requests=2000, connections=900):
        assert asked[1:] == [(5000, 5000)]
        assert caplog.messages == [
            "5000 open files are allowed; 2000 requests and streams at once may need 6056"
        ]


def test_no_more_files_from_the_system(app: SmallApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free descriptor a newcomer waits a second, and then comes in."""
    with serving(app) as server:
        accept = socket.socket.accept
        failed: list[float] = []

        def none_left(self: socket.socket) -> Any:
            if not failed:
                failed.append(time.monotonic())
                raise OSError(errno.EMFILE, "no more")
            return accept(self)

        monkeypatch.setattr(socket.socket, "accept", none_left)
        assert status(raw(server, CLOSE)) == 200
        assert failed
