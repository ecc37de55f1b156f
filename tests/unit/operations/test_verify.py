from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from iac_wrapper.adapters.engine import Container
from iac_wrapper.model.certificate import Leaf
from iac_wrapper.model.health import Health
from iac_wrapper.operations import leaves
from iac_wrapper.operations.verify import container_state, verify
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import Daemon, FakeContainer

RUNS = Container(
    "1",
    "web-app",
    "web",
    "app",
    "running",
    0,
    oom_killed=False,
    restarts=0,
    started_at=datetime.now(UTC),
    network_mode="",
    mounts=(),
)
FAILED = Health("web", "NOT_SERVING", "FAILED", exit_code=3, failures=3)
GONE = Health("web", "UNREACHABLE")


@pytest.mark.parametrize(
    ("health", "container", "text"),
    [
        (FAILED, RUNS, "running; the program ended 3 times (exit code 3)"),
        (replace(FAILED, failures=1), RUNS, "running; the program ended once (exit code 3)"),
        (
            FAILED,
            replace(RUNS, restarts=2),
            "running, 2 restarts; the program ended 3 times (exit code 3)",
        ),
        (GONE, RUNS, "running, 0 restarts; the program has not ended"),
        (GONE, replace(RUNS, state="exited", exit_code=9), "exited, 0 restarts; exit code 9"),
        (GONE, None, "is gone"),
    ],
)
def test_the_state_counts_the_ends_of_the_program(
    health: Health, container: Container | None, text: str
) -> None:
    """The runner starts it again in one container, so that the engine counts no restart."""
    assert container_state(health, container) == text


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda leaf: leaf.certificate.write_bytes(b"-----BEGIN"), "10 bytes that hold none"),
        (lambda leaf: leaf.certificate.unlink(), "there is no tls.crt"),
        (lambda leaf: leaf.key.chmod(0o200), "mode 0200: its Envoy, uid {uid}, cannot read it"),
    ],
)
def test_a_leaf_that_could_not_be_served_again_is_the_finding(
    workspace: Workspace, engine_double: Daemon, damage: Callable[[Leaf], object], words: str
) -> None:
    """Of its own service alone, while that serves from memory."""
    uid = str(os.geteuid())
    environment = {leaves.ENVOY_UID: uid}
    engine_double.add(FakeContainer("1", "demo", "web", "envoy", environment=environment))
    with service(workspace.layout, "web") as web:
        web.serving()
        lock = deployed(workspace.layout, app("web"), app("api"), gateway_port=web.port)
        damage(leaves.leaf_of(workspace, "web"))
        found = {each.app.name: each for each in verify(workspace, lock, wait=0).services}
    assert words.format(uid=uid) in found["web"].certificate
    assert found["web"].diagnosis
    assert found["web"].diagnosis.finding.next_step == "iac certs rotate web --project demo"
    assert not found["api"].certificate
