"""A glance at what is deployed: a real runner over mTLS, the engine's facts from its double."""

from __future__ import annotations

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.operations.services import services, status
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import Daemon, FakeContainer


def test_each_service_says_how_it_is(workspace: Workspace, engine_double: Daemon) -> None:
    """One that answers, and one that is not there; nothing is started for that."""
    with service(workspace.layout, "web") as web:
        deployed(workspace.layout, app("web"), app("gone"), gateway_port=web.port)
        engine_double.add(FakeContainer("a", "demo", "web", "app", state="exited"))
        web.serving()
        gone, found = (row.to_dict() for row in services(workspace))
    assert (found["name"], found["state"], found["phase"]) == ("web", "RUNNING", "RUNNING")
    assert found["identity"] == "spiffe://iacnet-demo/web"
    assert found["identity_proven"]
    assert found["certificate_expires"] > found["since"]
    assert (found["restarts"], found["commit"], found["urls"]) == (0, "a" * 40, [])
    assert (gone["state"], gone["since"], gone["identity_proven"]) == ("UNREACHABLE", None, False)
    assert gone["container"] == "is gone"
    assert engine_double.calls == []


def test_restarts_are_those_of_the_pair_with_the_traffic(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """After a rollout that did not end, that is the candidate's."""
    with service(workspace.layout, "web") as web:
        deployed(workspace.layout, app("web"), gateway_port=web.port)
        engine_double.add(FakeContainer("a", "demo", "web", "app", restarts=7, oom_killed=True))
        engine_double.add(FakeContainer("ce", "demo", "web", "x", name="demo-web-live"))
        engine_double.add(FakeContainer("ca", "demo", "web", "candidate-app", restarts=2))
        web.serving()
        (row,) = services(workspace)
    assert (row.restarts, row.container and row.container.id) == (2, "ca")


def test_where_nothing_is_deployed_that_is_said(workspace: Workspace) -> None:
    """As by every other verb."""
    with pytest.raises(ConfigError, match="nothing is deployed in project demo"):
        services(workspace)


def _stats(used: int, whole: int, memory: int = 64 << 20) -> dict[str, object]:
    """As the engine has them: nanoseconds, bytes."""
    return {
        "cpu_stats": {
            "cpu_usage": {"total_usage": used},
            "system_cpu_usage": whole,
            "online_cpus": 4,
        },
        "memory_stats": {
            "usage": memory,
            "limit": 512 << 20,
            "stats": {"inactive_file": 16 << 20},
        },
    }


def test_a_status_has_what_services_use(workspace: Workspace, engine_double: Daemon) -> None:
    """Of those that run; two looks make a share of the processors."""
    with service(workspace.layout, "web") as web:
        web.serving()
        deployed(workspace.layout, app("web"), app("gone"), gateway_port=web.port)
        stats = [_stats(1_000, 10_000), _stats(1_500, 11_000)]
        engine_double.add(FakeContainer("a", "demo", "web", "app", stats=stats))
        found = status(workspace)
    gone, row = (each.to_dict() for each in found.services)
    assert (row["processors"], row["memory_bytes"]) == (2.0, 48 << 20)
    assert row["memory_limit_bytes"] == 512 << 20
    assert (gone["processors"], gone["memory_bytes"]) == (None, None)
    assert (found.good, found.engine) == (False, "20.10.24")
    assert found.disk_mb
