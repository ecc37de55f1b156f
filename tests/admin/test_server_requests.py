"""Requests at the edge of HTTP and beyond: one meaning, or a refusal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from admin.server import Server
from tests.support.small_app import SmallApp, connect, problem, raw, read_all, serving, status

LINE = b"GET /x HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def app() -> SmallApp:
    return SmallApp()


@pytest.fixture(scope="module")
def server(app: SmallApp) -> Iterator[Server]:
    with serving(app, head_seconds=5.0, linger_seconds=0.2) as started:
        yield started


SINGLE = (
    "Authorization", "Host", "Content-Length", "Content-Type", "Origin", "Idempotency-Key",
    "Last-Event-ID",
)  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_twice_is_once_too_often(server: Server, app: SmallApp, name: str) -> None:
    """Of headers that mean one thing there may be one, however it is written."""
    calls = app.calls
    first = b"" if name == "Host" else HOST
    twice = f"{name}: 1\r\n{name.lower()}: 1\r\n".encode()
    answer = raw(server, LINE + first + twice + b"\r\n")
    assert problem(answer) == {
        "type": "urn:karstkit:problem:bad-request",
        "title": "Bad Request",
        "status": 400,
        "detail": f"more than one {name.title()} header",
    }
    assert app.calls == calls


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (LINE + b"\r\n", 400),  # no Host
        (b"GET /x HTTP/1.0\r\n\r\n", 200),
        (b"\r\n" + LINE + HOST + b"Connection: close\r\n\r\n", 200),
        (b"\r\n\r\n" + LINE + HOST + b"\r\n", 400),
        (b"GET /x HTTP/1.1\nHost: x\n\n", 400),
        (b"GET http://evil/x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET //evil/x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /x#y HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /x y HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"get /x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET  /x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /x\r\n\r\n", 400),
        (b"GET /x HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /x HTTP/1.2\r\nHost: x\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\n", 400),  # TLS, more or less
    ],
)
def test_request_lines(server: Server, head: bytes, code: int) -> None:
    """Only the origin form of HTTP/1.0 and 1.1, to the letter."""
    assert status(raw(server, head)) == code


@pytest.mark.parametrize(
    "line",
    [
        b"X: 1\r\n folded: 2\r\n",
        b"X: 1\r\n\tfolded\r\n",
        b" X: 1\r\n",
        b"X : 1\r\n",
        b"X\r\n",
        b": 1\r\n",
        b"X: 1\n",
        b"X: a\rb\r\n",
        b"X: a\x00b\r\n",
        b"X\xe4: 1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1_0\r\n",
        b"Content-Length: 1, 1\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_header_lines(server: Server, app: SmallApp, line: bytes) -> None:
    """What another reader could take for something else is refused."""
    calls = app.calls
    assert problem(raw(server, LINE + HOST + line + b"\r\n"))["status"] == 400
    assert app.calls == calls


@pytest.mark.parametrize(
    "coding", [b"gzip, chunked", b"identity", b"chunked, chunked", b"xchunked"]
)
def test_other_codings(server: Server, coding: bytes) -> None:
    """The one transfer coding we know is chunked."""
    answer = raw(server, LINE + HOST + b"Transfer-Encoding: " + coding + b"\r\n\r\n")
    assert problem(answer)["status"] == 501


def test_codings_of_old_clients(server: Server) -> None:
    """HTTP/1.0 has no transfer codings; who ignores one reads another request than who does not."""
    answer = raw(server, b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert status(answer) == 400


def test_headers_in_the_environment(server: Server, app: SmallApp) -> None:
    """Values arrive trimmed, equal names joined, names with underscores not at all."""
    head = LINE + HOST + b"Connection: close\r\nAccept:  a \t\r\naccept: b\r\nCookie: c\r\n"
    raw(server, head + b"Cookie: d\r\nX_Y: 1\r\nContent_Length: 5\r\nX: \xe4\r\n\r\n")
    environ = app.environ
    assert environ["HTTP_ACCEPT"] == "a, b"
    assert environ["HTTP_COOKIE"] == "c; d"
    assert environ["HTTP_X"] == "ä"
    assert not {"HTTP_X_Y", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH"} & environ.keys()


def test_the_path(server: Server, app: SmallApp) -> None:
    """The path is decoded once, but an encoded slash stays; the query is left as it is."""
    raw(server, b"GET /a%20b%2Fc%252f?q=%20 HTTP/1.0\r\n\r\n")
    assert app.environ["PATH_INFO"] == "/a b%2Fc%2f"
    assert app.environ["QUERY_STRING"] == "q=%20"


def test_big_headers(server: Server, app: SmallApp) -> None:
    """A token of 8 KiB passes; 32 KiB altogether do not, in a line or in the headers."""
    token = b"Authorization: Bearer " + b"a" * 8192 + b"\r\n"
    assert status(raw(server, POST + token + b"\r\n")) == 200
    assert len(app.environ["HTTP_AUTHORIZATION"]) == 8199
    many = b"".join(b"X%d: %s\r\n" % (i, b"a" * 1000) for i in range(40))
    assert problem(raw(server, POST + many + b"\r\n"))["status"] == 431
    line = b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    assert problem(raw(server, line))["status"] == 414


def test_big_bodies(server: Server, app: SmallApp) -> None:
    """A body beyond the limit is refused before the application is called, or while it reads."""
    calls = app.calls
    answer = raw(server, POST + b"Content-Length: 1200000\r\n\r\n")
    assert problem(answer)["status"] == 413
    assert app.calls == calls
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert problem(raw(server, CHUNKED + chunk * 18))["status"] == 413


def test_chunked_bodies(server: Server) -> None:
    """Chunks are joined; extensions and trailers are forgotten."""
    body = b"3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
    assert b'"length": 13, "body": "abc0123456789"' in raw(server, CHUNKED + body)


def test_after_a_chunked_body(server: Server) -> None:
    """What follows the trailers is the next request, no byte more or less."""
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"1\r\na\r\n0\r\nT: 1\r\n\r\n"
    assert raw(server, head + body + POST + b"\r\n").count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "body",
    [b"0x1\r\na\r\n", b"-1\r\n", b"+1\r\na\r\n", b"\r\n", b"1\na\r\n", b"1\r\nab\r\n", b"1" * 2000],
)
def test_broken_chunks(server: Server, body: bytes) -> None:
    """A body that does not follow the rules is the client's fault, not ours."""
    assert problem(raw(server, CHUNKED + body + b"0\r\n\r\n"))["status"] == 400


def test_a_body_that_ends_early(server: Server) -> None:
    """Half a body is no body."""
    with connect(server) as sock:
        sock.sendall(POST + b"Content-Length: 10\r\n\r\nabc")
        sock.shutdown(1)
        assert problem(read_all(sock))["status"] == 400


def test_the_failure_wins(server: Server) -> None:
    """Even if the application makes an answer of a broken body, the client gets the reason."""
    head = b"POST /swallow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = raw(server, head + b"zz\r\n")
    assert problem(answer)["detail"] == "a chunk does not begin with its size"
    assert answer.count(b"HTTP/1.1") == 1


def test_unread_bodies(server: Server) -> None:
    """A small body nobody read is skipped; its bytes are not taken for a request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    answer = raw(server, head + smuggled + POST + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_unread_chunks(server: Server) -> None:
    """After a chunked body nobody read the connection ends."""
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = raw(server, head + b"1\r\na\r\n0\r\n\r\n" + POST + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_continue(server: Server) -> None:
    """Who asks before sending is told to go on."""
    with connect(server) as sock:
        sock.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert b'"length": 3' in read_all(sock)


def test_head_has_no_body(server: Server) -> None:
    """A refusal of a HEAD is its headers."""
    answer = raw(server, b"HEAD /x HTTP/1.1\r\n\r\n")
    assert (status(answer), answer.endswith(b"\r\n\r\n")) == (400, True)


@pytest.mark.parametrize("path", [b"fault", b"refused"])
def test_faults_of_the_application(
    server: Server,
    path: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An exception is a 500 that tells nothing; the log tells where, and no header's value."""
    head = b"GET /%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-sentinel\r\n\r\n" % path
    with caplog.at_level(logging.DEBUG):
        answer = raw(server, head)
    assert problem(answer)["type"] == "urn:karstkit:problem:internal"
    assert "small_app.py" in caplog.text
    assert "iac.admin" in {record.name for record in caplog.records}
    assert "sentinel" not in caplog.text + answer.decode()
    assert capfd.readouterr() == ("", "")


def test_a_handler_that_exits(server: Server) -> None:
    """SystemExit in a handler ends its connection, not the server."""
    assert raw(server, b"GET /exit HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert status(raw(server, POST + b"\r\n")) == 200
