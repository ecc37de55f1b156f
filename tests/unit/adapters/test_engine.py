from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from iac_wrapper.adapters.engine import Engine, free_port, port_is_free
from iac_wrapper.errors import CommandError, EngineError
from iac_wrapper.model.labels import IMAGE_KEY
from tests.support.docker_daemon import Daemon, FakeContainer


def _network(name: str, subnet: str, **labels: str) -> dict[str, object]:
    return {
        "Id": f"id-{name}",
        "Name": name,
        "Labels": labels,
        "IPAM": {"Config": [{"Subnet": subnet}]},
    }


def test_ping_returns_the_version(engine_double: Daemon) -> None:
    """An engine that answers is named by its version."""
    assert Engine(engine_double.host).ping() == "20.10.24"


def test_an_absent_engine_is_an_engine_error(
    tmp_path: Path,
) -> None:
    """No socket: the error says so and names the next command, and is worth retrying."""
    with pytest.raises(EngineError) as caught:
        Engine(f"unix://{tmp_path}/none.sock").ping()
    assert caught.value.retryable
    assert "make bootstrap" in (caught.value.next_step or "")


def test_containers_are_found_by_label_and_sorted(engine_double: Daemon) -> None:
    """Only the project's containers come, sorted by name, with what the engine knows of them."""
    engine_double.add(FakeContainer("2", "demo", "b", "app", state="exited", exit_code=3))
    engine_double.add(FakeContainer("1", "demo", "a", "envoy"))
    engine_double.add(FakeContainer("3", "other", "a", "app"))
    found = Engine(engine_double.host).containers("demo")
    assert [(c.name, c.running, c.exit_code) for c in found] == [
        ("demo-a-envoy", True, 0),
        ("demo-b-app", False, 3),
    ]
    assert Engine(engine_double.host).projects() == ["demo", "other"]


def test_sweep_removes_apps_before_their_namespace_owners(engine_double: Daemon) -> None:
    """Containers go app first; networks after them; what is kept stays."""
    engine_double.add(FakeContainer("e", "demo", "a", "envoy"))
    engine_double.add(FakeContainer("a", "demo", "a", "app"))
    engine_double.add(FakeContainer("k", "demo", "b", "app"))
    label = {"org.karstkit.project": "demo"}
    engine_double.networks = [_network("iacnet-demo", "172.21.0.0/24", **label)]
    removed = Engine(engine_double.host).sweep("demo", keep={"k"})
    assert removed == ["container demo-a-app", "container demo-a-envoy", "network iacnet-demo"]
    assert list(engine_double.containers) == ["k"]
    assert Engine(engine_double.host).leftovers("demo") == ["container demo-b-app"]


def test_own_tags_are_told_from_others(engine_double: Daemon) -> None:
    """A tag outside the project's name space is left alone even if the image has the label."""
    label = {"org.karstkit.project": "demo"}
    engine_double.volumes = [{"Name": "v", "Labels": label}]
    engine_double.images = [{"RepoTags": ["iac/demo-a:1", "mine:latest"], "Labels": label}]
    engine = Engine(engine_double.host)
    assert engine.image_tags("demo") == ["iac/demo-a:1"]
    assert engine.leftovers("demo") == ["volume v", "image iac/demo-a:1"]
    assert engine.sweep_volumes("demo") == ["volume v"]


def test_networks_come_with_their_bridges(engine_double: Daemon) -> None:
    """A bridge has the name that was asked for or Docker's; host bits in a subnet are cut off."""
    named = {"Options": {"com.docker.network.bridge.name": "lan0"}}
    engine_double.networks = [_network("a", "172.22.0.9/24"), _network("b", "10.0.0.0/8") | named]
    found = Engine(engine_double.host).every_network()
    assert [(n.name, n.bridge, str(n.subnet)) for n in found] == [
        ("a", "br-id-a", "172.22.0.0/24"),
        ("b", "lan0", "10.0.0.0/8"),
    ]


@pytest.mark.parametrize(("own", "seconds"), [(None, "10"), (42, "42")])
def test_a_restart_gives_the_container_its_own_grace(
    engine_double: Daemon, own: int | None, seconds: str
) -> None:
    """A program with `stop_grace: 40` is not killed after ten."""
    engine_double.add(FakeContainer("1", "demo", "a", "app", stop_timeout=own))
    engine = Engine(engine_double.host)
    engine.restart(engine.containers("demo")[0])
    assert engine_double.queries[-1]["t"] == [seconds]


def test_logs_merge_both_streams_and_survive_a_missing_container(engine_double: Daemon) -> None:
    """Multiplexed frames become text; a container that is gone has no log."""
    engine_double.add(
        FakeContainer("1", "demo", "a", "app", log=[(1, b"out\n"), (2, b"err \xff\n")])
    )
    assert Engine(engine_double.host).logs("1", 50) == "out\nerr \ufffd\n"
    assert Engine(engine_double.host).logs("gone", 50) == ""


def test_an_engine_refusal_is_a_command_error(engine_double: Daemon) -> None:
    """An HTTP error of the engine carries the engine's own words."""
    engine_double.refuse = "device or resource busy"
    engine_double.add(FakeContainer("1", "demo", "a", "app"))
    engine = Engine(engine_double.host)
    with pytest.raises(CommandError, match="refused") as caught:
        engine.start(engine.containers("demo")[0])
    assert caught.value.found == "device or resource busy"


def test_published_ports_are_those_of_running_containers(engine_double: Daemon) -> None:
    """A stopped gateway publishes nothing."""
    engine_double.add(FakeContainer("1", "demo", "", "gateway", ports=[15443]))
    engine_double.add(FakeContainer("2", "demo", "", "gateway", state="exited", ports=[1]))
    assert Engine(engine_double.host).published_ports("demo") == {15443}


def test_a_listening_port_is_not_free() -> None:
    """Port probing sees a listener on loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not port_is_free(listener.getsockname()[1])
    assert port_is_free(free_port())


def test_a_user_who_may_not_use_the_engine_is_told_so(tmp_path: Path) -> None:
    """An engine that is there but closed to this user is not one that does not answer."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        with pytest.raises(EngineError, match="not allowed to use the Docker engine") as caught:
            Engine(f"unix://{closed}/docker.sock").ping()
    finally:
        os.seteuid(user)
    assert "usermod -aG docker" in str(caught.value)


def test_a_tag_of_what_was_built_for_another_is_taken_away(engine_double: Daemon) -> None:
    """By the label that says what for; without one it may be of a registry, and is taken for there
    until it is to be built here."""
    name, engine = "iac/demo-a:1", Engine(engine_double.host)
    for key, has, other in (("1", True, False), (name, True, False), ("2", False, True)):
        engine_double.images = [{"RepoTags": [name], "Labels": {IMAGE_KEY: key}}]
        assert (engine.has_image(name), engine.forget_other(name)) == (has, other)
    assert engine_double.calls.count(f"DELETE /images/{name}") == 1
    engine_double.images = [{"RepoTags": [name], "Labels": None}]
    assert (engine.has_image(name), engine.forget_other(name)) == (True, True)
    engine_double.images = []
    assert (engine.has_image(name), engine.forget_other(name)) == (False, False)
