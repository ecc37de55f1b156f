from __future__ import annotations

from iac_wrapper.operations.last_lines import last_lines
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, FakeContainer


def test_lines_are_what_was_printed_and_no_secret(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """A carriage return inside a line stays, for it may be what is wrong; nothing is no line."""
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    log = [(1, b"sh: run\r: not found\r\n\nBearer: " + token + b"\n")]
    engine_double.add(FakeContainer("1", "demo", "web", "app", log=log))
    engine_double.add(FakeContainer("2", "demo", "quiet", "app"))
    by_service = {one.service: one for one in workspace.engine.containers("demo")}
    lines = last_lines(workspace, by_service["web"], 10)
    assert lines == ["sh: run\r: not found", "", "Bearer: [redacted]"]
    assert last_lines(workspace, by_service["quiet"], 10) == []
    assert last_lines(workspace, None, 10) == []


def test_an_engine_that_does_not_give_them_is_a_line(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Whoever wants them goes on without."""
    broken = FakeContainer("1", "demo", "web", "app")
    engine_double.add(broken)
    (container,) = workspace.engine.containers("demo")
    broken.broken = True
    (line,) = last_lines(workspace, container, 10)
    assert line.startswith("(the log cannot be read: ")
