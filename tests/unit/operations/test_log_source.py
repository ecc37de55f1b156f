"""Lines from a real runner's service over mTLS, and from the engine where it cannot give them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from iac_wrapper.adapters.engine import Container
from iac_wrapper.identity.control_plane import ControlPlane
from iac_wrapper.operations.log_source import LogQuery, LogRecord, read_lines
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, FakeContainer
from tests.support.runner_service import Serve, Service


@pytest.fixture
def service(serve: Serve) -> Service:
    made = serve()
    made.ring.append("stdout", "one")
    made.ring.append("stderr", "Bearer: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln")
    made.ring.append("runner", "ended")
    return made


@pytest.fixture
def plane(service: Service, own: Path) -> ControlPlane:
    return ControlPlane(service.port, own)


@pytest.fixture
def container(workspace: Workspace, engine_double: Daemon) -> Container:
    """Its log in the engine has another text, so that a test sees where a line is from."""
    log = [(1, b"of the engine\n")]
    engine_double.add(FakeContainer("1", "demo", "svc", "app", log=log))
    found = workspace.engine.container("1")
    assert found
    return found


def test_a_live_service_is_read_from_its_runner(
    workspace: Workspace, plane: ControlPlane, container: Container
) -> None:
    """Each line has its stream and time; the runner's own words and secrets look as ever."""
    found = list(read_lines(workspace, plane, container, LogQuery(10)))
    assert [(each.stream, each.line) for each in found] == [
        ("stdout", "one"),
        ("stderr", "Bearer: [redacted]"),
        ("runner", "runner: ended"),
    ]
    times = [datetime.fromisoformat(each.time or "") for each in found]
    assert times == sorted(times)
    assert times[0].tzinfo
    assert [each.line for each in read_lines(workspace, plane, container, LogQuery(1))] == [
        "runner: ended"
    ]


def test_what_the_runner_cannot_give_comes_from_the_engine(
    workspace: Workspace, plane: ControlPlane, container: Container, serve: Serve, own: Path
) -> None:
    """It is down, another program answers, it had an earlier start, or nothing is on record."""
    whole = [LogRecord("svc", "app", "of the engine")]
    mute = ControlPlane(serve(runner=False).port, own)
    earlier = replace(container, finished_at=container.started_at)
    stopped = replace(container, state="exited")
    for asked, of in ((mute, container), (plane, earlier), (plane, stopped), (None, container)):
        assert list(read_lines(workspace, asked, of, LogQuery(10))) == whole


def test_a_follower_reads_on_after_a_break(
    workspace: Workspace, plane: ControlPlane, container: Container, serve: Serve, service: Service
) -> None:
    """The sidecar was restarted: no line is lost, and none comes twice."""
    reader = read_lines(workspace, plane, container, LogQuery(2, follow=True))
    assert [next(reader).line for _ in range(2)] == ["Bearer: [redacted]", "runner: ended"]
    service.stop()
    service.ring.append("stdout", "printed meanwhile")
    serve(again=service)
    assert next(reader).line == "printed meanwhile"
    service.ring.append("stdout", "last")
    service.ring.close()
    assert [each.line for each in reader] == ["last"]


def test_following_ends_with_the_container(
    workspace: Workspace,
    plane: ControlPlane,
    container: Container,
    service: Service,
    engine_double: Daemon,
) -> None:
    """Once the runner is gone and its container, too, the engine has the rest."""
    reader = read_lines(workspace, plane, container, LogQuery(1, follow=True))
    assert next(reader).line == "runner: ended"
    engine_double.containers["1"].state = "exited"
    service.stop()
    assert [each.line for each in reader] == ["of the engine"]


def test_a_restarted_container_is_read_from_its_start(
    workspace: Workspace, plane: ControlPlane, container: Container
) -> None:
    """A follower that was there before asks for all that the new runner holds."""
    again = replace(container, finished_at=container.started_at)
    found = list(read_lines(workspace, plane, again, LogQuery(0, since=1)))
    assert [each.stream for each in found] == ["stdout", "stderr", "runner"]


def test_another_thread_ends_a_follower(
    workspace: Workspace, plane: ControlPlane, container: Container
) -> None:
    """What `opened` was given ends the stream without an error."""
    closers: list[Callable[[], None]] = []
    reader = read_lines(
        workspace, plane, container, LogQuery(1, follow=True, opened=closers.append)
    )
    assert next(reader).line == "runner: ended"
    closers[0]()
    assert list(reader) == []


def test_a_runner_that_is_not_up_yet_is_asked_again(
    workspace: Workspace, plane: ControlPlane, container: Container, serve: Serve, service: Service
) -> None:
    """A follower of the start before: the new runner's lines have their streams."""
    service.stop()
    threading.Timer(1, lambda: serve(again=service)).start()
    reader = read_lines(workspace, plane, container, LogQuery(0, follow=True, since=1))
    assert [next(reader).stream for _ in range(3)] == ["stdout", "stderr", "runner"]
