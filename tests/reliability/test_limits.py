"""One service, or a stranger, takes all that it can get, and its neighbours answer.

Bounded: at most 10,000 connections and 15 s for each attack, on containers of the project and one
stranger of the test's own. The tests share one project.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.operations import at_limits
from tests.e2e.conftest import Project, git_server, project
from tests.reliability.conftest import Record, address, stranger, until
from tests.support.load import Load, Result
from tests.support.rollouts import IDLE, server

__all__ = ["git_server", "project"]

pytestmark = [pytest.mark.reliability, pytest.mark.row(13)]

SECONDS = 15.0
"""Of an attack: a sidecar looks every ten at who holds what."""

ENTRIES = (
    "- {slug: ./web, port: 8080}\n- {slug: ./caller, run: worker}\n- {slug: ./bad, run: worker}\n"
)

SAID_SECONDS = at_limits.RECENT_SECONDS
"""How long `iac health` goes on naming who held too much."""

SPEAKS_ON_DEMAND = """
import os, time
while True:
    time.sleep(0.1)
    while os.path.exists('/tmp/flood'):
        os.write(1, b'x' * 1000 + b'\\n')
"""

# Every attack: argument 1 is how many seconds it lasts.

CONNECTIONS = """
import resource, select, socket, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
end, host, port, most = time.monotonic() + float(sys.argv[1]), *sys.argv[2:5]
text, kept, refused, top = sys.argv[5].encode(), [], 0, 0
while time.monotonic() < end:
    while len(kept) < int(most) and time.monotonic() < end:
        try:
            kept.append(socket.create_connection((host, int(port)), 1))
            kept[-1].sendall(text)
        except OSError:
            refused += 1
            if refused % 50 == 0:
                break
    top = max(top, len(kept))
    time.sleep(0.2)
    poll = select.poll()
    for one in kept:
        poll.register(one, select.POLLIN | select.POLLHUP)
    gone = {number for number, _ in poll.poll(0)}
    kept = [one for one in kept if one.fileno() not in gone]
print(top, refused)
"""

HEADERS = """
import socket, sys, time
end, seen = time.monotonic() + float(sys.argv[1]), {}
while time.monotonic() < end:
    with socket.create_connection(('127.0.0.1', 15001), 5) as one:
        try:
            one.sendall(b'GET / HTTP/1.1\\r\\nHost: web\\r\\na: ' + b'b' * 200000 + b'\\r\\n\\r\\n')
            answer = one.recv(20)[9:12].decode()
        except OSError as error:
            answer = type(error).__name__
    seen[answer] = seen.get(answer, 0) + 1
print(seen)
"""

PROCESSES = """
import os, signal, sys, time
end, children = time.monotonic() + float(sys.argv[1]), []
spin = len(sys.argv) > 2
most = int(sys.argv[2]) if spin else 5000
while time.monotonic() < end:
    try:
        child = os.fork() if len(children) < most else None
    except OSError:
        child = None
    if child == 0:
        while time.monotonic() < end:
            spin or time.sleep(1)
        os._exit(0)
    if child:
        children.append(child)
    else:
        time.sleep(0.1)
print(len(children))
for child in children:
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module", autouse=True)
def deployed(project: Project) -> None:
    """A server, its caller, and a service that gets out of hand."""
    for name, code in {"web": server("one"), "caller": IDLE, "bad": SPEAKS_ON_DEMAND}.items():
        (project.folder / name).mkdir()
        (project.folder / name / "main.py").write_text(code)
    project.environment["IAC_PROBATION"] = "3"
    project.file.write_text(ENTRIES)
    project.deploy()


Under = Callable[[str, Callable[[], Any]], tuple[Result, dict[str, Any]]]


@pytest.fixture
def under(project: Project, record: Record) -> Under:
    """What a neighbour's calls come to, and the health of all, while an attack runs.

    It begins when nothing is said any more of the one before, so what is said then is of this one.
    """

    def quiet() -> bool:
        said = [text for row in project.health().values() for text in row["warnings"]]
        return not any(" connections to " in text for text in said)

    def run(what: str, attack: Callable[[], Any]) -> tuple[Result, dict[str, Any]]:
        until(quiet, SECONDS + SAID_SECONDS + 10)
        load = Load(project.container("caller", "app"), "web")
        attack()
        time.sleep(SECONDS - 3)
        health = project.health()
        result = load.end()
        said = [f"{name}: {text}" for name, row in health.items() for text in row["warnings"]]
        record(
            what,
            f"{result.sent} calls between neighbours",
            f"{len(result.failed)} failed, the slowest took {result.slowest:.2f} s; "
            + ("; ".join(said) or "nothing to be said"),
        )
        assert result.failed == []
        assert result.sent > 100
        return result, health

    return run


def attack(container: Any, python: str, code: str, *arguments: str) -> Callable[[], Any]:
    argv = [python, "-c", code, str(SECONDS), *arguments]
    return lambda: container.exec_run(argv, detach=True)


def restarts(project: Project) -> dict[str, tuple[int, bool]]:
    """Of every container: how often it was started again, and whether the kernel killed it."""
    found = project.engine.containers.list(all=True, filters=project.label, ignore_removed=True)
    return {
        each.name: (each.attrs["RestartCount"], each.attrs["State"]["OOMKilled"]) for each in found
    }


def test_a_stranger_that_never_shakes_hands_gets_its_share(project: Project, under: Under) -> None:
    """10,000 connections that say nothing: 640 are let in, and whose they are is said."""
    before = restarts(project)
    with stranger(project) as one:
        web = address(project, "web-envoy")
        silent = attack(one, "python3", CONNECTIONS, web, "15000", "10000", "")
        health = under("10,000 connections of a stranger that never shakes hands", silent)[1]
    (text,) = health["web"]["warnings"]
    assert text.startswith("somebody who is not of the project (")
    assert restarts(project) == before


def test_a_program_with_too_many_slow_requests_has_its_own_sidecar_to_blame(
    project: Project, under: Under
) -> None:
    """10,000 requests whose headers never end: its own Envoy takes 2,048 of them at most."""
    before = restarts(project)
    bad = project.container("bad", "app")
    slow = "GET / HTTP/1.1\r\nHost: web\r\nA: "
    flood = attack(bad, "/venv/bin/python", CONNECTIONS, "127.0.0.1", "15001", "10000", slow)
    health = under("10,000 requests of a program whose headers never end", flood)[1]
    assert health["bad"]["warnings"]
    assert not health["web"]["warnings"]
    assert restarts(project) == before


def test_a_flood_of_headers_is_refused_where_it_comes_from(project: Project, under: Under) -> None:
    """200 kB each, as fast as it can."""
    before = restarts(project)
    bad = project.container("bad", "app")
    under("headers of 200 kB, as fast as it can", attack(bad, "/venv/bin/python", HEADERS))
    assert restarts(project) == before


def test_a_fork_bomb_ends_at_its_limit_and_is_named(project: Project, under: Under) -> None:
    """All processes of its uid; the runner's container still has some."""
    bad = project.container("bad", "app")
    health = under("5,000 forks", attack(bad, "/venv/bin/python", PROCESSES))[1]
    assert "its program of at most 1024" in " ".join(health["bad"]["warnings"])
    assert not health["web"]["warnings"]


def test_a_hundred_that_spin_leave_their_neighbours_a_processor(
    project: Project, under: Under
) -> None:
    """Every container has the same share of the processors, however many processes it has."""
    bad = project.container("bad", "app")
    spin = attack(bad, "/venv/bin/python", PROCESSES, "100")
    result = under("100 processes that spin", spin)[0]
    assert result.slowest < 5


def test_a_log_that_never_ends_takes_30_mb(project: Project, under: Under) -> None:
    """The engine keeps three files of 10 MB."""
    bad = project.container("bad", "app")
    under("a log that never ends", lambda: bad.exec_run(["touch", "/tmp/flood"]))  # noqa: S108
    bad.exec_run(["rm", "/tmp/flood"])  # noqa: S108
    bad.reload()
    path = Path(bad.attrs["LogPath"])
    if os.access(path.parent, os.R_OK):
        size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
        assert 5e6 < size < 32e6
    assert json.dumps(project.health()["bad"]["status"]) == '"SERVING"'
