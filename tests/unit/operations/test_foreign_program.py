"""How a program without a runner is: its container's words, and its sidecar's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from iac_wrapper.identity import service_call
from iac_wrapper.identity.control_plane import Ask
from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model.health import Health
from iac_wrapper.model.labels import FOREIGN
from iac_wrapper.model.limits import CONTAINER_PROCESSES, MAX_PROCESSES
from iac_wrapper.model.proof import ProofRequest, ServiceAnswer
from iac_wrapper.operations.foreign_program import ask_of
from iac_wrapper.operations.heal import heal, needs_healing
from iac_wrapper.operations.workspace import Workspace
from tests.constructs.test_foreign_images import image
from tests.support.deployed import app as own_app
from tests.support.docker_daemon import Daemon, FakeContainer

READY = {
    "ready": True,
    "message": "listens on 127.0.0.1:80",
    "listening": "127.0.0.1:80",
    "protocol": "HTTP",
    "others": [],
    "cause": "",
    "next_step": "",
    "final": False,
}


@dataclass
class Sidecar:
    """In place of a connection to a proven peer."""

    says: dict[str, Any] | None = field(default_factory=lambda: dict(READY))
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def call(self, request: ProofRequest, *, authority: str, timeout: float) -> ServiceAnswer:
        del authority, timeout
        self.asked.append(request.path)
        if self.says is None:
            raise CallError("no answer within 5 s")
        return ServiceAnswer(self.status, {}, json.dumps(self.says).encode(), 0.1)


@pytest.fixture
def container(engine_double: Daemon) -> FakeContainer:
    """A minute old."""
    made = FakeContainer("demo-db-app", "demo", "db", "app", more_labels={FOREIGN: "1"})
    made.started_at = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    engine_double.add(made)
    return made


@pytest.fixture
def sidecar() -> Sidecar:
    return Sidecar()


@pytest.fixture
def ask(workspace: Workspace) -> Ask:
    return ask_of(workspace, image(), "demo-db-app")


def _look(ask: Ask, sidecar: Sidecar) -> Health:
    return ask(cast(Http2Client, sidecar), "db", 5.0)


def test_ours_are_asked_by_their_runner(workspace: Workspace) -> None:
    assert ask_of(workspace, own_app("web"), "demo-web-app") is service_call.ask


def test_a_running_one_is_as_its_sidecar_says(
    container: FakeContainer, ask: Ask, sidecar: Sidecar
) -> None:
    """It is told which start is meant, and how old that is."""
    health = _look(ask, sidecar)
    assert (health.status, health.phase, health.port) == ("SERVING", "RUNNING", 80)
    (path,) = sidecar.asked
    start, age = path.partition("?start=")[2].split("&age=")
    assert int(start) == health.incarnation
    assert 59 < float(age) < 70
    container.started_at = "2026-01-01T00:00:00Z"
    assert _look(ask, sidecar).incarnation != health.incarnation


@pytest.mark.parametrize(
    ("code", "oom", "signal", "words"),
    [
        (3, False, 0, "exited with code 3"),
        (139, False, 11, "killed by signal 11 (Segmentation fault)"),
        (137, True, 9, "killed by the kernel: out of memory"),
        (0, False, 0, "exited with code 0"),
    ],
)
def test_an_end_is_as_the_engine_says(  # noqa: PLR0917 - three of them are fixtures
    container: FakeContainer,
    ask: Ask,
    sidecar: Sidecar,
    code: int,
    oom: bool,
    signal: int,
    words: str,
) -> None:
    """Three in a row are a verdict; while it is started again, it is on probation."""
    container.state, container.exit_code, container.oom_killed = "restarting", code, oom
    health = _look(ask, sidecar)
    assert (health.status, health.phase, health.message) == ("NOT_SERVING", "FAILED", words)
    assert (health.exit_code, health.signal, health.oom) == (code, signal, oom)
    assert (health.failures, health.hopeless, sidecar.asked) == (1, False, [])
    assert (health.cause == "ended") == (code == 0)
    container.state, container.exit_code, container.restarts = "running", 0, 1
    container.started_at = datetime.now(UTC).isoformat()
    again = _look(ask, sidecar)
    assert not again.serving
    assert again.message == f"{words}; started again, on probation for 10 s"
    assert (again.exit_code, again.failures) == (code, 1)
    container.state, container.restarts = "restarting", 2
    assert _look(ask, sidecar).hopeless


def test_a_job_may_end(
    workspace: Workspace, container: FakeContainer, ask: Ask, sidecar: Sidecar
) -> None:
    """With exit code 0 alone; nobody starts it again then."""
    container.host_config = {"RestartPolicy": {"Name": "on-failure"}}
    container.state = "exited"
    health = _look(ask, sidecar)
    assert (health.serving, health.way, health.exit_code) == (True, "COMPLETED", 0)
    assert not needs_healing(workspace, workspace.engine.containers("demo"))
    container.exit_code = 1
    assert not _look(ask, sidecar).serving
    container.start_error = "the engine could not start it again"
    assert needs_healing(workspace, workspace.engine.containers("demo"))


def test_without_container_or_word_nothing_is_good(
    engine_double: Daemon, container: FakeContainer, ask: Ask, sidecar: Sidecar
) -> None:
    """Each has its sentence."""
    sidecar.says = None
    assert "does not say how it is (no answer within 5 s)" in _look(ask, sidecar).message
    sidecar.says, sidecar.status = {}, 503
    assert _look(ask, sidecar).cause == "no-sidecar"
    container.state = "created"
    assert _look(ask, sidecar).message == "its app container was not started"
    del engine_double.containers["demo-db-app"]
    assert _look(ask, sidecar).message == "its app container is gone"


def test_healing_bounds_the_processes_of_every_container_once(
    workspace: Workspace, engine_double: Daemon, container: FakeContainer
) -> None:
    """Terraform cannot. Ours get some more: the program has its own limit, by its uid."""
    ours = FakeContainer("demo-web-app", "demo", "web", "app")
    engine_double.add(ours)
    heal(workspace)
    heal(workspace)
    assert engine_double.calls == [
        f"POST /containers/demo-{name}-app/update" for name in ("db", "web")
    ]
    assert ours.host_config["PidsLimit"] == CONTAINER_PROCESSES > MAX_PROCESSES
    assert container.host_config["PidsLimit"] == MAX_PROCESSES
