"""Nothing in flight is lost when a half of a service is stopped: real programs, real Envoys."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Project
from tests.support.git_server import GitServer
from tests.support.rollouts import IDLE
from tests.support.slow_calls import GRPC, HTTP, Calls

pytestmark = pytest.mark.integration

ENTRIES = """
- {slug: gh:acme/http, name: rude, port: 8080}
- {slug: gh:acme/http, name: polite, port: 8080, env: {POLITE: "1"}}
- {slug: gh:acme/grpc, name: rpc, port: 8080}
- {slug: gh:acme/caller, run: worker}
"""


@pytest.fixture(scope="module")
def deployed(project: Project, git_server: GitServer) -> Project:
    """A server with and one without a handler for SIGTERM, one of gRPC, and their caller."""
    project.environment["IAC_PROBATION"] = "2"
    wants = {"requirements.txt": "grpcio\n"}
    git_server.repository("acme/http").commit({"main.py": HTTP})
    git_server.repository("acme/grpc").commit({"main.py": GRPC, **wants})
    git_server.repository("acme/caller").commit({"main.py": IDLE, **wants})
    project.file.write_text(ENTRIES)
    project.deploy()
    return project


def _stop(project: Project, service: str, role: str) -> float:
    """Stop one container with eight calls in flight, all of which must end well; seconds."""
    kind = "grpc" if service == "rpc" else "http"
    calls = Calls(project.container("caller", "app"), kind, service)
    begin = time.monotonic()
    project.container(service, role).stop()
    took = time.monotonic() - begin
    result = calls.end()
    assert (result["good"], result["failed"]) == (8, []), f"{service}/{role}"
    return took


@pytest.mark.parametrize("role", ["app", "envoy"])
def test_calls_in_flight_end_well(deployed: Project, role: str) -> None:
    """Eight of eight, whichever container is told to stop and whatever the program does then; and
    the stop takes no longer than they do. New calls wait, and get the next start's answer."""
    caller = deployed.container("caller", "app")
    with ThreadPoolExecutor(3) as pool:
        names = ("rude", "polite", "rpc")
        took = list(pool.map(lambda name: _stop(deployed, name, role), names))
        assert max(took) < 6
        waiting = Calls(caller, "http", "rude")
        for name in names:
            deployed.container(name, role).start()
        if role == "envoy":
            for name in names:
                deployed.container(name, "app").start()
        assert waiting.end()["failed"] == []
