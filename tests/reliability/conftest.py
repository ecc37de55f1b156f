"""The record of what was seen, and the project that most tests share."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.conftest import Project, make_project
from tests.support import machine, reliability
from tests.support.rollouts import IDLE, server

Record = Callable[[str, str, str], None]

BACK_SECONDS = 15.0
"""What is promised; tests allow three times as much, because the machine has other work."""

SECRET = "s3cret-" + "reliable" * 3

FIRST = """
import http.client, time
try:
    connection = http.client.HTTPConnection('web', 8080, timeout=20)
    connection.request('GET', '/')
    print('first', connection.getresponse().read().decode(), flush=True)
except Exception as error:
    print('first', repr(error), flush=True)
while True: time.sleep(1)
"""
"""Calls before it does anything else."""

ENTRIES = """\
- {slug: ./web, port: 8080, expose: true, env: {WORD: '${WORD}'}, allow: [caller, eager]}
- {slug: ./other, port: 8080}
- {slug: ./caller, run: worker}
- {slug: ./eager, run: worker}
"""

_KEY = pytest.StashKey[list[tuple[str, str, str]]]()
_OUTCOMES = pytest.StashKey[dict[str, reliability.Outcome]]()


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A server that `caller` and `eager` may call and people reach, another one, and a keeper."""
    environment = {"IAC_KEEPER": "auto", "IAC_PROBATION": "2", "WORD": SECRET}
    with make_project(tmp_path_factory, environment) as made:
        programs = {"web": server("one"), "other": server("other"), "caller": IDLE, "eager": FIRST}
        for name, code in programs.items():
            (made.folder / name).mkdir()
            (made.folder / name / "main.py").write_text(code)
        made.file.write_text(ENTRIES)
        made.deploy()
        yield made


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Says what was done, how many of it, and the number that was seen."""
    lines = request.node.stash.setdefault(_KEY, [])

    def note(done: str, count: str, seen: str) -> None:
        lines.append((done, count, seen))
        print(f"\n{done}; {count}; {seen}")

    return note


def until(wanted: Callable[[], object], seconds: float = 3 * BACK_SECONDS) -> float:
    """How long it takes until `wanted` is true and raises nothing."""
    began = time.monotonic()
    while True:
        try:
            if wanted():
                return time.monotonic() - began
        except Exception:
            if time.monotonic() - began > seconds:
                raise
        assert time.monotonic() - began <= seconds, f"not within {seconds:g} s"
        time.sleep(0.1)


@contextmanager
def stranger(project: Project) -> Iterator[Any]:
    """A container on the project's network that is no part of it."""
    network = project.engine.networks.list(filters=project.label)[0].name
    made = project.engine.containers.run(
        machine.base_image(), ["sleep", "300"], network=network, detach=True, init=True
    )
    try:
        yield made
    finally:
        made.remove(force=True)


def address(project: Project, name: str) -> str:
    """Of a container of the project, without the project in its name, on its network."""
    container = project.engine.containers.get(f"{project.name}-{name}")
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    found: str = network["IPAddress"]
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    row = _row(item)
    if row and (call.when == "call" or report.failed) and not report.skipped:
        outcomes = item.session.stash.setdefault(_OUTCOMES, {})
        name = item.nodeid.rpartition("tests/reliability/")[2]
        outcomes[name] = _outcome(item, row, report, call)
    return report


def _row(item: pytest.Item) -> int | None:
    marker = item.get_closest_marker("row")
    return marker.args[0] if marker else None


def _outcome(
    item: pytest.Item, row: int, report: pytest.TestReport, call: pytest.CallInfo[Any]
) -> reliability.Outcome:
    said = (getattr(item, "function", item).__doc__ or item.name).strip().partition("\n")[0]
    parameter = item.name.partition("[")[2].rstrip("]")
    plain = f"{parameter}: {said}" if parameter else said
    lines = item.stash.get(_KEY, []) or [(plain, "", "" if call.excinfo else "as asked for")]
    done, count, seen = ("; ".join(dict.fromkeys(parts)) for parts in zip(*lines, strict=True))
    why = reliability.why(call.excinfo.value) if call.excinfo else ""
    return reliability.Outcome(
        row=row,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        version=reliability.version(),
        passed=report.passed,
        done=done,
        count=count,
        seen="; ".join(filter(None, (why, seen))),
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    outcomes = session.stash.get(_OUTCOMES, {})
    if outcomes:
        reliability.save({**reliability.load(), **outcomes})
