from __future__ import annotations

from pathlib import Path
from typing import Any

from iac_wrapper.adapters import planned_containers

_LABELS = [
    {"label": "org.karstkit.project", "value": "demo"},
    {"label": "org.karstkit.role", "value": "app"},
    {"label": "org.karstkit.service", "value": "web"},
]


def _shown(actions: list[str], **values: Any) -> dict[str, Any]:
    after = {"labels": _LABELS, "mounts": [], "networks_advanced": [], **values}
    change = {"actions": actions, "before": after, "after": after}
    return {"resource_changes": [{"type": "docker_container", "change": change}]}


def test_a_copy_is_like_the_planned_container_but_nobody_finds_it() -> None:
    """Same command line, limits and mounts; another role, no alias and no host name of the
    service's, which Docker would make an alias."""
    shown = _shown(
        ["delete", "create"],
        env=["A=b"],
        hostname="web",
        memory=512,
        stop_timeout=10,
        mounts=[
            {
                "type": "bind",
                "source": "/s/demo.env/web",
                "target": "/run/iac/env",
                "read_only": True,
                "bind_options": [],
                "tmpfs_options": [],
                "volume_options": [],
            }
        ],
        networks_advanced=[
            {"name": "iacnet-demo", "aliases": ["web"], "ipv4_address": "", "ipv6_address": ""}
        ],
    )
    (one,) = planned_containers.containers(shown)

    body = planned_containers.beside(
        one, image="iac/demo-web:1", sources={Path("/s/demo.env/web"): Path("/s/other")}
    )

    assert (one.service, one.role, one.is_new) == ("web", "app", True)
    assert body["Labels"]["org.karstkit.role"] == "candidate-app"
    assert body["Labels"]["org.karstkit.service"] == "web"
    assert "Hostname" not in body
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"iacnet-demo": {"Aliases": None}}
    assert [mount["Source"] for mount in body["HostConfig"]["Mounts"]] == ["/s/other"]
    assert (body["Image"], body["Env"], body["StopTimeout"]) == ("iac/demo-web:1", ["A=b"], 10)
    assert body["HostConfig"]["Memory"] == 512 * 1024 * 1024


def test_a_copy_joins_its_own_envoys_namespace() -> None:
    """Not the recorded one's, which the plan names."""
    (one,) = planned_containers.containers(_shown(["no-op"], network_mode="container:old"))
    body = planned_containers.beside(one, image="x", network_mode="container:new", sources={})
    assert body["HostConfig"]["NetworkMode"] == "container:new"
    assert not one.is_new


def test_a_recorded_container_can_be_copied_under_another_role() -> None:
    """The state has the attributes that the plan had."""
    body = {"labels": _LABELS, "mounts": None, "networks_advanced": None, "env": ["A=b"]}
    (one,) = planned_containers.recorded([body])
    made = planned_containers.beside(one, image="x", sources={}, prefix="run-")
    assert (one.service, one.role, one.is_new) == ("web", "app", False)
    assert (made["Labels"]["org.karstkit.role"], made["Env"]) == ("run-app", ["A=b"])


def test_data_is_seen() -> None:
    """A volume or a writable mount: two at a time could spoil what lies there."""
    (volume,) = planned_containers.containers(_shown(["create"], volumes=[{"volume_name": "data"}]))
    (writable,) = planned_containers.containers(_shown(["create"], mounts=[{"read_only": False}]))
    (none,) = planned_containers.containers(_shown(["create"], mounts=[{"read_only": True}]))
    assert [one.holds_data for one in (volume, writable, none)] == [True, True, False]


def test_a_new_network_is_seen() -> None:
    """What is replaced or made, not what stays."""

    def network(*actions: str, role: str = "network") -> dict[str, Any]:
        labels = [{"label": "org.karstkit.role", "value": role}]
        change = {"actions": list(actions), "after": {"labels": labels}}
        return {"resource_changes": [{"type": "docker_network", "change": change}]}

    assert planned_containers.replaces_network(network("delete", "create"))
    assert not planned_containers.replaces_network(network("no-op"))
    assert not planned_containers.replaces_network(network("create", role="somebody's"))
