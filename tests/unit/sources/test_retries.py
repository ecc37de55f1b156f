"""Servers that are busy and transfers that break: real ones, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.files.repos_file import from_slugs
from iac_wrapper.model.app import Checkout
from iac_wrapper.settings import Settings
from iac_wrapper.sources import archive, retries
from iac_wrapper.sources.resolve import resolve
from tests.support.git_server import GitServer

pytestmark = pytest.mark.slow


class Host:
    """A git server, and `resolve` against it."""

    def __init__(self, server: GitServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.lines: list[str] = []

    def resolve(self, *slugs: str) -> list[Checkout]:
        return resolve(
            from_slugs(slugs or ["gh:acme/hello"], base_dir=self.folder),
            Settings(IAC_GITHUB_URL=self.server.url),
            cache=self.folder / "cache",
            progress=self.lines.append,
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(retries, "PAUSES", (0.01, 0.01))
    with GitServer(tmp_path / "server") as server:
        server.repository("acme/hello").commit({"main.py": "print()\n", "data": "x" * 5000})
        yield Host(server, tmp_path)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(host: Host, status: int) -> None:
    """What git does not tell, how long to wait, is asked for beside it."""
    host.server.refusals = [(status, {}), (status, {"Retry-After": "0"})]
    assert host.resolve()[0].commit
    assert [line for line in host.lines if "busy or failing; trying again in 0 s" in line]


def test_the_wait_that_a_server_asks_for_is_kept(host: Host) -> None:
    """By git and by the archive, in seconds."""
    host.server.refusals = [(503, {}), (503, {"Retry-After": "1"})]
    began = time.monotonic()
    assert host.resolve()[0].commit
    assert time.monotonic() - began > 0.99


def test_too_long_a_wait_is_left_to_the_user(host: Host) -> None:
    """The error says how long the server wants to be left alone."""
    host.server.refusals = [(429, {"Retry-After": "7200"})] * 2
    began = time.monotonic()
    with pytest.raises(SourceError, match="busy or failing") as caught:
        host.resolve()
    assert caught.value.next_step == "try again in 7200 s, as the server asks"
    assert caught.value.retryable
    assert time.monotonic() - began < 30


def test_a_server_that_stays_busy_is_given_up(host: Host) -> None:
    """After three tries."""
    host.server.refusals = [(502, {})] * 6
    with pytest.raises(SourceError, match="busy or failing"):
        host.resolve()
    assert host.server.count("info/refs") == 6  # each with a question for the time to wait


def test_an_archive_that_asks_to_wait(host: Host) -> None:
    """It is waited for; without such a word git is asked at once."""
    host.resolve()
    sha = host.server.repository("acme/late").commit({"x": "x"})
    slug = f"gh:acme/late#{sha}"
    host.server.refusals = [(429, {"Retry-After": "0"})]
    archive_url = f"{host.server.url}/acme/late/archive/{sha}.tar.gz"
    retries.patiently(
        lambda: archive.download(archive_url, {}, host.folder / "a", max_bytes=10**6),
        host.lines.append,
    )
    assert "the archive answers HTTP 429; trying again in 0 s" in host.lines[-1]
    assert host.resolve(slug)[0].method == "archive"


@pytest.mark.parametrize("cut", [20, 60])
def test_a_transfer_that_breaks_off_is_tried_again(host: Host, cut: int) -> None:
    """Half a pack is not "the server does not answer"."""
    host.server.archives = False
    host.server.cut = cut
    assert host.resolve()[0].method == "clone"
    said = "\n".join(host.lines)
    assert "the connection broke off before all had come; trying again" in said
    assert "does not answer" not in said


def test_refs_of_many_repositories_are_asked_for_at_once(host: Host) -> None:
    """Eight listings that take a while each take that while once."""
    slugs = []
    for number in range(8):
        host.server.repository(f"acme/r{number}").commit({"x": str(number)})
        slugs.append(f"gh:acme/r{number}")
    host.resolve(*slugs)
    host.server.delay = 0.4
    began = time.monotonic()
    host.resolve(*slugs)
    assert time.monotonic() - began < 8 * 0.4


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 0 ", 0),
        ("-1", None),
        ("soon", None),
        ("9" * 5000, None),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0),
        ("Sat, 99 Jan 2000 00:00:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds or a date; anything else is no wish."""
    assert retries.retry_after(value) == seconds


def test_retry_after_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 27 < (retries.retry_after(at) or 0) <= 30
