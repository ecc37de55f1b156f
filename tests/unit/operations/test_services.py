"""A glance at what is deployed: a real runner over mTLS, the engine's facts from its double."""

from __future__ import annotations

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.operations.services import services
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


def test_where_nothing_is_deployed_that_is_said(workspace: Workspace) -> None:
    """As by every other verb."""
    with pytest.raises(ConfigError, match="nothing is deployed in project demo"):
        services(workspace)
