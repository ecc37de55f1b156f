from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from iac_wrapper.adapters import routes
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.adapters.routes import Route
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.event import Event
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.network import choose_gateway_port, choose_subnet
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.docker_daemon import Daemon, FakeContainer


def _network(name: str, subnet: str) -> dict[str, object]:
    return {"Id": name, "Name": name, "Labels": {}, "IPAM": {"Config": [{"Subnet": subnet}]}}


def _routes(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str]) -> None:
    made = [Route(IPv4Network(subnet), device) for subnet, device in found]
    monkeypatch.setattr(routes, "read_routes", lambda: made)


def test_the_default_project_has_its_fixed_addresses(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project iacnet gets 172.20.0.0/16 and 15443 wherever nothing else has them."""
    default = replace(workspace, project="iacnet")
    _routes(monkeypatch, ("192.168.1.0/24", "wlan0"), ("172.17.0.0/16", "docker0"))
    assert choose_subnet(default, None, None) == "172.20.0.0/16"


@pytest.mark.parametrize("by", ["office", "tun0"])
def test_the_default_range_moves_when_it_is_taken(
    workspace: Workspace,
    engine_double: Daemon,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    """Another network or a VPN has a part of it: the first deploy says so and goes elsewhere."""
    if by == "office":
        engine_double.networks = [_network("office", "172.20.5.0/24")]
    else:
        _routes(monkeypatch, ("172.20.5.0/24", "tun0"))
    chosen = choose_subnet(replace(workspace, project="iacnet"), None, None)
    assert not IPv4Network(chosen).overlaps(IPv4Network("172.20.0.0/16"))
    assert by in events[-1].message
    assert chosen in events[-1].message


def test_another_project_gets_free_ones_and_keeps_them(
    workspace: Workspace, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free at first; then what the project has, its own network and its route not counted."""
    free = choose_subnet(workspace, None, None)
    _routes(monkeypatch, (free, "tun0"))
    assert choose_subnet(workspace, None, None) != free
    engine_double.networks = [_network("iacnet-demo", "172.23.9.0/24")]
    _routes(monkeypatch, ("172.23.9.0/24", "br-iacnet-demo"))
    previous = LockFile("demo", "iacnet-demo", "172.23.9.0/24", 1, ())
    assert choose_subnet(workspace, previous, None) == "172.23.9.0/24"
    assert choose_subnet(workspace, None, previous) == "172.23.9.0/24"
    assert choose_gateway_port(workspace, None, None) > 1024


def test_a_route_that_takes_the_running_network_is_named(
    workspace: Workspace, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A VPN with the network's own range came up since: both names, and a range that is free."""
    engine_double.networks = [_network("iacnet-demo", "172.23.9.0/24")]
    _routes(monkeypatch, ("172.23.9.0/24", "br-iacnet-demo"), ("172.23.9.0/25", "tun0"))
    previous = LockFile("demo", "iacnet-demo", "172.23.9.0/24", 1, ())
    with pytest.raises(ConfigError, match=r"172\.23\.9\.0/24 of network iacnet-demo") as caught:
        choose_subnet(workspace, previous, None)
    assert caught.value.found == "the route 172.23.9.0/25 by tun0"
    assert "IAC_SUBNET=" in (caught.value.next_step or "")


@pytest.mark.parametrize(
    ("route", "owner"), [("172.23.9.128/25", "route"), ("172.16.0.0/12", "network")]
)
def test_a_route_that_only_overlaps_is_said(
    workspace: Workspace,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    owner: str,
) -> None:
    """Neither addresses far behind nor a wider route stop a project; who wins is said."""
    _routes(monkeypatch, (route, "tun0"))
    previous = LockFile("demo", "iacnet-demo", "172.23.9.0/24", 1, ())
    assert choose_subnet(workspace, previous, None) == "172.23.9.0/24"
    assert [event.kind for event in events] == ["warning"]
    assert events[0].message.startswith(f"the route {route} by tun0 overlaps the network")
    assert events[0].message.endswith(f"go to the {owner}")


def test_routes_of_this_machine_do_not_matter_to_another(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine behind tcp:// or ssh:// has routes of its own."""
    _routes(monkeypatch, ("172.20.5.0/24", "tun0"))
    monkeypatch.setattr(Engine, "every_network", lambda _engine: [])
    remote = Settings(environment={"DOCKER_HOST": "ssh://build.example"})
    away = replace(workspace, project="iacnet", settings=remote)
    assert choose_subnet(away, None, None) == "172.20.0.0/16"


def test_when_everything_is_taken_the_setting_is_named(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """No candidate is left."""
    engine_double.networks = [_network("a", "172.16.0.0/12"), _network("b", "10.0.0.0/8")]
    with pytest.raises(ConfigError, match="no free subnet") as caught:
        choose_subnet(workspace, None, None)
    assert "IAC_SUBNET" in (caught.value.next_step or "")


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
