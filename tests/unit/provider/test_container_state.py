"""Recorded inspect answers as state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provider import schema
from provider.container import ContainerResource
from provider.container_state import adopt, refresh
from provider.planning import plan_update
from provider.values import settle
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import ALL_ADDRESSES, recorded
from tests.unit.provider.test_container_api import sample

OFFICIAL = Path(__file__).parents[2] / "data" / "official"
BLOCK = schema.load_schemas().resources["docker_container"].block


def official(name: str) -> dict[str, Any]:
    data = json.loads((OFFICIAL / "sample.tfstate.json").read_text())
    (found,) = (r for r in data["resources"] if r["name"] == name)
    return dict(found["instances"][0]["attributes"])


def ours(name: str) -> dict[str, Any]:
    values = planned("docker_container", **sample(name))
    return settle(BLOCK, refresh(values, recorded(f"docker_container.{name}")))


@pytest.mark.parametrize("name", ["app", "envoy", "pod"])
def test_new_state_is_the_official_one(name: str) -> None:
    """Every attribute of the sample, ids and addresses aside."""
    wanted, made = official(name), ours(name)
    assert made.keys() == wanted.keys()
    for key in wanted.keys() - {"id", "image", "network_mode", "network_data"}:
        assert made[key] == wanted[key], key
    assert len(made["network_data"]) == len(wanted["network_data"])


@pytest.mark.parametrize("name", ["app", "envoy", "pod"])
def test_refresh_of_the_official_state_changes_nothing(name: str) -> None:
    """Its state, this engine's container: only what belongs to the machine differs."""
    before = official(name)
    after = settle(BLOCK, refresh(before, recorded(f"docker_container.{name}")))
    assert {k for k in before if before[k] != after[k]} <= {"id", "network_data"}


def test_what_changed_outside_is_seen() -> None:
    """Name, limits, restart policy, power."""
    before, found = ours("app"), recorded("docker_container.app")
    found["Name"] = "/other"
    found["State"].update(Running=False, ExitCode=137)
    found["HostConfig"].update(
        Memory=2**20,
        MemorySwap=-1,
        NanoCpus=15 * 10**8,
        CpuQuota=5,
        RestartPolicy={"Name": "no", "MaximumRetryCount": 0},
    )
    after = refresh(before, found)
    assert {k: after[k] for k in after if after[k] != before[k]} == {
        "name": "other",
        "memory": 1,
        "memory_swap": -1,
        "cpus": "1.5",
        "cpu_quota": 5,
        "restart": "no",
        "exit_code": 137,
        "must_run": False,
    }


def test_a_container_that_is_being_restarted_runs() -> None:
    """A crash loop is Docker's to handle: the container must not be lost."""
    found = recorded("docker_container.app")
    found["State"].update(Running=False, Restarting=True)
    assert refresh(ours("app"), found)["must_run"] is True


def test_a_container_never_meant_to_start_is_no_drift() -> None:
    """`start = false` wins over `must_run`."""
    found = recorded("docker_container.app")
    found["State"]["Running"] = False
    assert refresh({**ours("app"), "start": False}, found)["must_run"] is True


def test_dockers_own_swap_is_no_drift() -> None:
    """Twice the memory is what Docker sets when only memory is limited."""
    found = recorded("docker_container.app")
    found["HostConfig"]["MemorySwap"] = 2 * found["HostConfig"]["Memory"]
    assert refresh({**ours("app"), "memory_swap": 0}, found)["memory_swap"] == 0
    assert refresh(ours("app"), found)["memory_swap"] == 512


def test_networks_by_id_missing_and_extra() -> None:
    """An id names the same network; what is not attached goes, what is attached besides comes."""
    found = recorded("docker_container.pod")
    attached = found["NetworkSettings"]["Networks"]
    block = {
        "name": attached["iacnet"]["NetworkID"],
        "aliases": ["svc-a"],
        "ipv4_address": "",
        "ipv6_address": "",
    }
    state = {**ours("pod"), "networks_advanced": [block]}
    assert refresh(state, found)["networks_advanced"] == [block]
    attached["bridge"] = {**attached["iacnet"], "NetworkID": "b", "Aliases": None}
    assert [b["name"] for b in refresh(state, found)["networks_advanced"]][1:] == ["bridge"]
    del attached["iacnet"]
    assert [b["name"] for b in refresh(state, found)["networks_advanced"]] == ["bridge"]
    plain = {**state, "networks_advanced": []}
    assert refresh(plain, found)["networks_advanced"] == []


def test_a_port_docker_chose_is_read() -> None:
    """Only where none was asked for."""
    found = recorded("docker_container.pod")
    found["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": ALL_ADDRESSES, "HostPort": ""}]}
    found["NetworkSettings"]["Ports"] = {
        "80/tcp": [
            {"HostIp": "::", "HostPort": "5"},
            {"HostIp": ALL_ADDRESSES, "HostPort": "32768"},
        ]
    }
    block = {"internal": 80, "external": 0, "ip": ALL_ADDRESSES, "protocol": "tcp"}
    state = {**ours("pod"), "ports": [block]}
    assert refresh(state, found)["ports"] == [{**block, "external": 32768}]
    found["NetworkSettings"]["Ports"] = {}
    assert refresh(state, found)["ports"] == [block]


@pytest.mark.parametrize("name", ["app", "envoy", "pod"])
def test_an_import_needs_no_replacement(name: str) -> None:
    """What is read from Docker alone plans against the very configuration as an update at most."""
    found = recorded(f"docker_container.{name}")
    config = sample(name)
    own = {item["label"] for item in config["labels"]}
    inherited = {
        "Env": [item for item in found["Config"]["Env"] if item not in config.get("env", [])],
        "Labels": {k: v for k, v in found["Config"]["Labels"].items() if k not in own},
    }
    state = adopt(found, {"Config": inherited})
    for key, attribute in BLOCK.attributes.items():
        if state.get(key) is None:
            state[key] = attribute.default
    state = settle(BLOCK, state)
    config["image"] = state["image"]
    if "network_mode" in config:
        config["network_mode"] = state["network_mode"]
    computed = {n: state[n] for n, a in BLOCK.attributes.items() if a.computed}
    plan = plan_update(BLOCK, state, {**computed, **config}, ContainerResource.rules)
    assert set(plan.replace) <= {"upload"}  # what was uploaded, Docker does not know


def test_import_reads_every_kind_of_block() -> None:
    """Hosts, devices, mounts with options, health check."""
    found = recorded("docker_container.envoy")
    found["HostConfig"].update(
        ExtraHosts=["peer:192.0.2.1"],
        Devices=[{"PathOnHost": "/d", "PathInContainer": "/e", "CgroupPermissions": "r"}],
        Binds=["/h:/c:ro", "v:/d"],
        Mounts=[
            {
                "Type": "bind",
                "Source": "/s",
                "Target": "/a",
                "BindOptions": {"Propagation": "slave"},
            },
            {"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 1}},
            {
                "Type": "volume",
                "Source": "v",
                "Target": "/c",
                "ReadOnly": True,
                "VolumeOptions": {"NoCopy": True, "Labels": {"l": "w"}},
            },
        ],
    )
    found["Config"]["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 90 * 10**9}
    state = settle(BLOCK, adopt(found, {}))
    assert state["host"] == [{"host": "peer", "ip": "192.0.2.1"}]
    assert state["devices"] == [{"host_path": "/d", "container_path": "/e", "permissions": "r"}]
    assert [(v["host_path"], v["volume_name"], v["read_only"]) for v in state["volumes"]] == [
        ("/h", "", True),
        ("", "v", False),
    ]
    assert state["mounts"][0]["bind_options"] == [{"propagation": "slave"}]
    assert state["mounts"][1]["tmpfs_options"] == [{"size_bytes": 1, "mode": 0}]
    assert state["mounts"][2]["volume_options"][0]["labels"] == [{"label": "l", "value": "w"}]
    assert state["healthcheck"][0]["interval"] == "1m30s"
