"""Archives over HTTP: what is sent where, and which answers are no archive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.sources import archive, http_source
from iac_wrapper.sources.unavailable import SourceUnavailableError
from tests.support.running import running

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def _serve(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def _reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    ("answer", "words", "retryable"),
    [
        (lambda h: _reply(h, 404), "HTTP 404", False),
        (lambda h: _reply(h, 503), "HTTP 503", True),
        (lambda h: _reply(h, 429), "HTTP 429", True),
        (lambda h: _reply(h, 200, b"<html>sign in</html>"), "not gzip", False),
        (lambda h: _reply(h, 200, b"\x1f\x8b12", Content_Length="99"), "broke off", True),
        (lambda h: _reply(h, 302, Location="/again"), "too many redirects", False),
        (lambda h: _reply(h, 302, Location="http://169.254.169.254/x"), "another place", False),
        (lambda h: _reply(h, 302, Location="file:///etc/passwd"), "another place", False),
    ],
)
def test_download_unavailable(tmp_path: Path, answer: Answer, words: str, retryable: bool) -> None:
    """An archive that cannot be had is told apart from one that is refused."""
    with _serve(answer) as url, pytest.raises(SourceUnavailableError, match=words) as caught:
        archive.download(f"{url}/x", {}, tmp_path / "a", max_bytes=10**6)
    assert caught.value.retryable is retryable


def test_download_cap(tmp_path: Path) -> None:
    """A download stops at the cap."""
    with (
        _serve(lambda h: _reply(h, 200, bytes(300_000))) as url,
        pytest.raises(SourceError, match="too large") as caught,
    ):
        archive.download(f"{url}/x", {}, tmp_path / "a", max_bytes=200_000)
    assert not isinstance(caught.value, SourceUnavailableError)


def test_headers_and_redirect_on_one_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our header is sent, ~/.netrc is not, and a redirect on the same origin is followed."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password sentinel-netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        if handler.path == "/old":
            _reply(handler, 301, Location="/new")
        else:
            _reply(handler, 200, b"\x1f\x8bxx")

    with _serve(answer) as url:
        archive.download(f"{url}/old", {"Authorization": "Basic x"}, tmp_path / "a", max_bytes=99)
        archive.download(f"{url}/new", {}, tmp_path / "a", max_bytes=99)
    assert seen == ["Basic x", "Basic x", None]
    assert (tmp_path / "a").read_bytes() == b"\x1f\x8bxx"


def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection is retryable and names the host."""
    with _serve(lambda h: _reply(h, 404)) as url:
        pass
    with pytest.raises(SourceUnavailableError) as caught:
        archive.download(f"{url}/x", {}, tmp_path / "a", max_bytes=99)
    assert caught.value.retryable
    assert caught.value.found == url.removeprefix("http://")


def test_tls_that_is_not_trusted(tmp_path: Path) -> None:
    """A TLS fault names SSL_CERT_FILE."""
    with _serve(lambda h: _reply(h, 404)) as url:
        address = url.replace("http://", "https://")
        with pytest.raises(SourceUnavailableError) as caught:
            archive.download(f"{address}/x", {}, tmp_path / "a", max_bytes=99)
    assert "SSL_CERT_FILE" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("first", "target", "allowed"),
    [
        ("https://gh.test/a", "https://gh.test/b", True),
        ("https://gh.test/a", "https://gh.test:443/b", True),
        ("https://192.0.2.1/a", "https://192.0.2.1:8443/b", False),
        ("https://gh.test/a", "http://gh.test/b", False),
        ("https://gh.test/a", "https://codeload.gh.test/b", True),
        ("https://gh.test/a", "https://codeload.gh.test.evil.test/b", False),
        ("https://gh.test/a", "https://evil.test/b", False),
        ("https://gh.test/a", "https://gh.test:port/b", False),
    ],
)
def test_redirect_rule(first: str, target: str, *, allowed: bool) -> None:
    """A redirect stays on the origin or goes to the host's own download name."""
    assert http_source.may_redirect(first, target) is allowed


def test_redirect_into_a_private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public host must not lead to a private address, even under its own download name."""
    addresses = {"gh.test": "140.82.112.3", "codeload.gh.test": "10.0.0.1"}

    def lookup(host: str, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (addresses[host], 0))]

    monkeypatch.setattr("socket.getaddrinfo", lookup)
    assert not http_source.may_redirect("https://gh.test/a", "https://codeload.gh.test/b")
    addresses["gh.test"] = "10.0.0.2"
    assert http_source.may_redirect("https://gh.test/a", "https://codeload.gh.test/b")
