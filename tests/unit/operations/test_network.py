from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.network import choose_gateway_port, choose_subnet
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.docker_daemon import Daemon, FakeContainer


def _network(name: str, subnet: str) -> dict[str, object]:
    return {"Id": name, "Name": name, "Labels": {}, "IPAM": {"Config": [{"Subnet": subnet}]}}


def test_the_default_project_has_its_fixed_addresses(workspace: Workspace) -> None:
    """The project iacnet gets 172.20.0.0/16 and 15443 wherever it is deployed."""
    default = replace(workspace, project="iacnet")
    assert choose_subnet(default, None, None) == "172.20.0.0/16"


def test_another_project_gets_free_ones_and_keeps_them(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Free at first; then what the project has, its own network not counted as taken."""
    assert choose_subnet(workspace, None, None) == workspace.engine.free_subnet("demo")
    engine_double.networks = [_network("iacnet-demo", "172.23.9.0/24")]
    previous = LockFile("demo", "iacnet-demo", "172.23.9.0/24", 1, ())
    assert choose_subnet(workspace, previous, None) == "172.23.9.0/24"
    assert choose_subnet(workspace, None, previous) == "172.23.9.0/24"
    assert choose_gateway_port(workspace, None, None) > 1024


def test_what_only_a_lock_file_says_is_a_hint(workspace: Workspace, engine_double: Daemon) -> None:
    """A lock from elsewhere, or of a deploy that never came so far, must not block this one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        hint = LockFile("demo", "iacnet-demo", "172.23.9.0/24", port, ())
        engine_double.networks = [_network("other", "172.23.9.0/24")]
        assert choose_subnet(workspace, None, hint) != "172.23.9.0/24"
        assert choose_gateway_port(workspace, None, hint) != port


def test_a_taken_subnet_names_the_other_network(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Overlap with a network that is not ours is refused, with the setting that helps."""
    engine_double.networks = [_network("office", "172.20.5.0/24")]
    wanted = replace(workspace, settings=Settings(IAC_SUBNET="172.20.0.0/16"))
    with pytest.raises(ConfigError, match="of network iacnet-demo is taken") as caught:
        choose_subnet(wanted, None, None)
    assert "office" in (caught.value.found or "")


def test_a_taken_port_is_refused_unless_our_gateway_has_it(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """A foreign listener is an error that names the port; our own gateway is not foreign."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        wanted = replace(workspace, settings=Settings(IAC_GATEWAY_PORT=str(port)))
        with pytest.raises(ConfigError, match=rf"port {port} .* in use"):
            choose_gateway_port(wanted, None, None)
        engine_double.add(FakeContainer("g", "demo", "", "gateway", ports=[port]))
        assert choose_gateway_port(wanted, None, None) == port


def test_containers_of_another_folder_are_not_ours(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """A second clone must not touch the first one's services, not even to sweep them."""
    engine_double.add(
        FakeContainer("e", "demo", "web", "envoy", mounts=["/other/secrets/demo/web"])
    )
    with pytest.raises(ConfigError, match="belongs to another folder") as caught:
        check_own(workspace)
    assert "/other/secrets/demo/web" in (caught.value.found or "")
    engine_double.containers["e"].mounts = [str(workspace.layout.secrets / "demo" / "web")]
    check_own(workspace)
