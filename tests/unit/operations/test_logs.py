from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterator
from datetime import datetime

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.log_filter import LogFilter
from iac_wrapper.operations.log_source import LogRecord
from iac_wrapper.operations.logs import follow, logs
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, FakeContainer


@pytest.fixture
def two(engine_double: Daemon) -> None:
    engine_double.add(
        FakeContainer("1", "demo", "a", "app", log=[(1, b"one\ntwo"), (2, b" ends\r\nlast")])
    )
    engine_double.add(FakeContainer("2", "demo", "a", "envoy", log=[(1, b"proxy\n")]))
    engine_double.add(
        FakeContainer(
            "3",
            "demo",
            "b",
            "app",
            log=[(1, b"Bearer: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln\n")],
        )
    )


@pytest.mark.usefixtures("two")
def test_lines_are_whole_though_chunks_are_not(workspace: Workspace) -> None:
    """Lines split over frames are joined; the last one needs no newline."""
    found = list(logs(workspace, ["a"], roles=["app"], tail=10))
    assert found == [LogRecord("a", "app", line) for line in ("one", "two ends", "last")]


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("read", [logs, follow])
def test_all_services_and_roles_merge_and_secrets_are_masked(
    workspace: Workspace, read: Callable[..., Iterator[LogRecord]]
) -> None:
    """Every chosen container's lines come, tokens masked; follow ends when all streams end."""
    found = list(read(workspace, [], roles=["app", "envoy"], tail=10))
    assert {(r.service, r.role) for r in found} == {("a", "app"), ("a", "envoy"), ("b", "app")}
    assert "Bearer: [redacted]" in [r.line for r in found]


@pytest.mark.parametrize("read", [logs, follow])
@pytest.mark.parametrize(
    "said",
    [
        b"sidecar: no service nosuch in project demo, and no other host\n",
        b"sidecar: TCP to 192.0.2.1:443 was refused: `egress:` of service a does not\n",
        b"sidecar: GET http://b/x was refused: `allow:` of service b in repos.yaml does not\n",
    ],
)
def test_what_a_program_does_not_reach_is_told_beside_it(
    workspace: Workspace,
    engine_double: Daemon,
    read: Callable[..., Iterator[LogRecord]],
    said: bytes,
) -> None:
    """The sidecar's other lines come with its role only."""
    engine_double.add(FakeContainer("1", "demo", "a", "app", log=[(1, b"gaierror\n")]))
    engine_double.add(
        FakeContainer("2", "demo", "a", "envoy", log=[(1, b"{}\n" + said + b"sidecar: other\n")])
    )
    found = [(each.role, each.line) for each in read(workspace, [], roles=["app"], tail=10)]
    assert sorted(found) == [("app", "gaierror"), ("envoy", said.decode().strip())]
    assert len(list(read(workspace, [], roles=["app", "envoy"], tail=10))) == 4


@pytest.mark.usefixtures("two")
def test_an_unknown_service_lists_the_known(workspace: Workspace) -> None:
    """A misspelt name is refused with the names there are."""
    with pytest.raises(ConfigError, match="no service c in project demo") as caught:
        logs(workspace, ["c"], roles=["app"], tail=1)
    assert caught.value.expected == "a, b"


def _at(second: float) -> str:
    """A time as the engine writes it."""
    return f"2026-11-28T10:00:{second:012.9f}Z"


@pytest.fixture
def timed(engine_double: Daemon) -> None:
    """Two programs that print in turn; one line is longer than the engine's write."""
    engine_double.add(
        FakeContainer(
            *("1", "demo", "a", "app"),
            log=[(1, b"a one\n"), (1, b"a long "), (1, b"line\n"), (2, b"a error\n")],
            times=[_at(1), _at(3), _at(3.1), _at(5)],
        )
    )
    engine_double.add(
        FakeContainer(
            *("2", "demo", "b", "app"),
            log=[(1, b"b one\n"), (1, b"b error\n")],
            times=[_at(2), _at(4)],
        )
    )


def _texts(records: Iterator[LogRecord | None]) -> list[str]:
    return [record.line for record in records if record]


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("read", [logs, follow])
def test_lines_of_all_services_come_by_their_times(
    workspace: Workspace, read: Callable[..., Iterator[LogRecord]]
) -> None:
    """Each with its own, in microseconds; also those that are followed."""
    found = list(read(workspace, [], roles=["app"], tail=100))
    assert [each.line for each in found] == ["a one", "b one", "a long line", "b error", "a error"]
    assert [each.time for each in found[:3]] == [
        "2026-11-28T10:00:01.000000+00:00",
        "2026-11-28T10:00:02.000000+00:00",
        "2026-11-28T10:00:03.000000+00:00",
    ]


@pytest.mark.usefixtures("timed")
def test_the_lines_of_a_time(workspace: Workspace) -> None:
    """From one on, up to one, and the last ones of what is found."""
    two, four = (datetime.fromisoformat(_at(second)) for second in (2, 4))

    def found(wanted: LogFilter, tail: int | None = None) -> list[str]:
        return _texts(logs(workspace, [], roles=["app"], tail=tail, wanted=wanted))

    assert found(LogFilter(since=four)) == ["b error", "a error"]
    assert found(LogFilter(until=two)) == ["a one", "b one"]
    assert found(LogFilter(since=two, until=four)) == ["b one", "a long line", "b error"]
    assert found(LogFilter(since=two, until=four), 1) == ["a long line", "b error"]
    followed = follow(workspace, [], roles=["app"], tail=None, wanted=LogFilter(since=four))
    assert _texts(followed) == ["b error", "a error"]


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("read", [logs, follow])
def test_the_lines_with_a_word(
    workspace: Workspace, read: Callable[..., Iterator[LogRecord]]
) -> None:
    """Of all that is kept; a line is whole before it is looked at."""
    for text, expected in (("error$", ["b error", "a error"]), ("long line", ["a long line"])):
        wanted = LogFilter(words=re.compile(text))
        assert _texts(read(workspace, [], roles=["app"], tail=None, wanted=wanted)) == expected


def test_a_secret_is_not_found_by_its_text(workspace: Workspace, engine_double: Daemon) -> None:
    """Lines are looked at as they are shown."""
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    engine_double.add(FakeContainer("1", "demo", "a", "app", log=[(1, b"Bearer: " + token)]))
    wanted = LogFilter(words=re.compile("eyJ"))
    assert _texts(logs(workspace, [], roles=["app"], tail=None, wanted=wanted)) == []


def test_nothing_deployed_says_so(workspace: Workspace, engine_double: Daemon) -> None:
    """No container at all: the error names the other projects."""
    engine_double.add(FakeContainer("9", "other", "a", "app"))
    with pytest.raises(ConfigError, match="nothing is deployed in project demo") as caught:
        follow(workspace, [], roles=["app"], tail=1)
    assert "other" in (caught.value.found or "")


def test_a_reader_of_quiet_containers_can_leave(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """While nothing is printed a follower beats; once it is closed, none of its threads is left."""
    engine_double.add(FakeContainer("1", "demo", "a", "app", log=[(1, b"one\n")], quiet=True))
    before = set(threading.enumerate())

    reader = follow(workspace, ["a"], roles=["app"], tail=10, beat=0.05)
    assert isinstance(reader, Generator)
    seen = [next(reader)]
    while seen[-1] is None:  # a slow machine beats before the first line, too
        seen.append(next(reader))
    assert seen[-1] == LogRecord("a", "app", "one")
    assert next(reader) is None
    pumps = [t for t in threading.enumerate() if t not in before and "pump" in t.name]
    reader.close()

    assert pumps
    for pump in pumps:
        pump.join(timeout=5)
        assert not pump.is_alive()
