"""Planned containers as API bodies."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from provider.container_api import to_api, to_update, upload_archive
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import ALL_ADDRESSES, recorded

OFFICIAL = Path(__file__).parents[2] / "data" / "official"


def body(**config: Any) -> dict[str, Any]:
    return to_api(planned("docker_container", **{"name": "x", "image": "i", **config}))


def sample(name: str) -> dict[str, Any]:
    config = json.loads((OFFICIAL / "sample.tf.json").read_text())
    wanted = config["resource"]["docker_container"][name]
    if "networks_advanced" in wanted:
        wanted["networks_advanced"][0]["name"] = "iacnet"
    for volume in wanted.get("volumes", []):
        volume["volume_name"] = "svc-a-data"
    return dict(wanted)


@pytest.mark.parametrize("name", ["app", "envoy", "pod"])
def test_the_engine_keeps_what_is_sent(name: str) -> None:
    """Each value sent for the sample stands in what the engine says of the container made."""
    wanted, found = body(**sample(name)), recorded(f"docker_container.{name}")
    host, config = found["HostConfig"], found["Config"]
    machine = {"Image", "NetworkMode", "Mounts"}
    for key, value in wanted.pop("HostConfig").items():
        if key not in machine:
            assert host[key] == value, key
    wanted.pop("NetworkingConfig", None)
    for key, value in wanted.items():
        if key == "Env":
            assert set(value) <= set(config[key])
        elif key == "Labels":
            assert value.items() <= config[key].items()
        elif key == "ExposedPorts":
            assert value.keys() <= config[key].keys()
        elif key == "Healthcheck":
            assert {k: v for k, v in value.items() if v} == config[key]
        elif key not in machine:
            assert config[key] == value, key


def test_a_bare_container_asks_for_nothing() -> None:
    """What is not configured is left to Docker."""
    assert body() == {
        "Image": "i",
        "HostConfig": {
            "NetworkMode": "bridge",
            "Init": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        ({"memory": 64}, "Memory", 64 * 2**20),
        ({"memory_swap": -1}, "MemorySwap", -1),
        ({"shm_size": 1}, "ShmSize", 2**20),
        ({"cpus": "0.5"}, "NanoCpus", 500_000_000),
        ({"host": [{"host": "h", "ip": "192.0.2.1"}]}, "ExtraHosts", ["h:192.0.2.1"]),
        (
            {"host": [{"host": "host.docker.internal", "ip": "host-gateway"}]},
            "ExtraHosts",
            ["host.docker.internal:host-gateway"],
        ),
        (
            {"sysctls": {"net.ipv6.conf.lo.disable_ipv6": "0"}},
            "Sysctls",
            {"net.ipv6.conf.lo.disable_ipv6": "0"},
        ),
        ({"cpu_period": 100000, "cpu_quota": 50000}, "CpuQuota", 50000),
        ({"group_add": ["20003"]}, "GroupAdd", ["20003"]),
        ({"tmpfs": {"/t": "size=256m"}}, "Tmpfs", {"/t": "size=256m"}),
        (
            {"devices": [{"host_path": "/dev/null"}]},
            "Devices",
            [
                {
                    "PathOnHost": "/dev/null",
                    "PathInContainer": "/dev/null",
                    "CgroupPermissions": "rwm",
                }
            ],
        ),
        (
            {"log_driver": "json-file", "log_opts": {"max-file": "1"}},
            "LogConfig",
            {"Type": "json-file", "Config": {"max-file": "1"}},
        ),
        (
            {"volumes": [{"host_path": "/h", "container_path": "/c", "read_only": True}]},
            "Binds",
            ["/h:/c:ro"],
        ),
        ({"volumes": [{"from_container": "other"}]}, "VolumesFrom", ["other"]),
        (
            {"restart": "on-failure", "max_retry_count": 3},
            "RestartPolicy",
            {"Name": "on-failure", "MaximumRetryCount": 3},
        ),
        ({"init": True}, "Init", True),
        ({"cgroupns_mode": "private"}, "CgroupnsMode", "private"),
        (
            {"ports": [{"internal": 80}, {"internal": 80, "external": 81, "ip": "127.0.0.1"}]},
            "PortBindings",
            {
                "80/tcp": [
                    {"HostIp": ALL_ADDRESSES, "HostPort": ""},
                    {"HostIp": "127.0.0.1", "HostPort": "81"},
                ]
            },
        ),
    ],
)
def test_host_config(config: dict[str, Any], key: str, value: Any) -> None:
    """Units, shapes and defaults of the API."""
    assert body(**config)["HostConfig"][key] == value


def test_mounts_of_all_kinds() -> None:
    """Each with its options."""
    made = body(
        mounts=[
            {
                "type": "bind",
                "source": "/s",
                "target": "/a",
                "read_only": True,
                "bind_options": [{"propagation": "rslave"}],
            },
            {"type": "tmpfs", "target": "/b", "tmpfs_options": [{"size_bytes": 9, "mode": 0o700}]},
            {
                "type": "volume",
                "source": "v",
                "target": "/c",
                "volume_options": [
                    {
                        "no_copy": True,
                        "driver_name": "local",
                        "labels": [{"label": "l", "value": "w"}],
                    }
                ],
            },
        ]
    )["HostConfig"]["Mounts"]
    assert made == [
        {
            "Type": "bind",
            "Source": "/s",
            "Target": "/a",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rslave"},
        },
        {
            "Type": "tmpfs",
            "Source": "",
            "Target": "/b",
            "ReadOnly": False,
            "TmpfsOptions": {"SizeBytes": 9, "Mode": 0o700},
        },
        {
            "Type": "volume",
            "Source": "v",
            "Target": "/c",
            "ReadOnly": False,
            "VolumeOptions": {
                "NoCopy": True,
                "Labels": {"l": "w"},
                "DriverConfig": {"Name": "local", "Options": {}},
            },
        },
    ]


def test_anonymous_volume() -> None:
    """A container path alone."""
    assert body(volumes=[{"container_path": "/v"}])["Volumes"] == {"/v": {}}


def test_networks_take_the_place_of_the_bridge() -> None:
    """The first network is in the create call; a network mode of its own keeps its own place."""
    blocks = [{"name": "a", "aliases": ["x"], "ipv4_address": "10.0.0.9"}, {"name": "b"}]
    endpoints = body(networks_advanced=blocks)["NetworkingConfig"]["EndpointsConfig"]
    assert endpoints == {"a": {"Aliases": ["x"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}}}
    endpoints = body(networks_advanced=blocks, network_mode="b")["NetworkingConfig"]
    assert endpoints == {"EndpointsConfig": {"b": {"Aliases": []}}}
    assert "NetworkingConfig" not in body(networks_advanced=blocks, network_mode="c")


def test_update_carries_all_limits() -> None:
    """Memory and swap must change in one call."""
    values = planned("docker_container", name="x", image="i", memory=1, memory_swap=2, cpu_set="0")
    assert to_update(values) == {
        "Memory": 2**20,
        "MemorySwap": 2**21,
        "CpusetCpus": "0",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }


def test_uploads(tmp_path: Path) -> None:
    """Text, base64 and files, each with its mode."""
    (tmp_path / "f").write_bytes(b"\x00\x01")
    values = planned(
        "docker_container",
        name="x",
        image="i",
        upload=[
            {"file": "/a", "content": "text", "executable": True},
            {"file": "/b/c", "content_base64": "AAE=", "permissions": "0600"},
            {"file": "/d", "source": str(tmp_path / "f")},
        ],
    )
    with tarfile.open(fileobj=io.BytesIO(upload_archive(values["upload"]))) as archive:
        files = {}
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            files[entry.name] = (oct(entry.mode), file.read())
    assert files == {
        "a": ("0o744", b"text"),
        "b/c": ("0o600", b"\x00\x01"),
        "d": ("0o644", b"\x00\x01"),
    }
