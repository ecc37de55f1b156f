"""Plans: create, no change, change in place, replacement."""

from __future__ import annotations

from typing import Any

import pytest

from provider import schema
from provider.container import ContainerResource
from provider.network import NetworkResource
from provider.planning import ResourcePlan, Rules, plan_create, plan_update
from provider.schema import Attribute, Block
from provider.values import UNKNOWN, settle
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import ALL_ADDRESSES

RESOURCES = schema.load_schemas().resources


def update(kind: str, before: dict[str, Any], after: dict[str, Any]) -> ResourcePlan:
    """Plan from the settled state of one configuration to another one."""
    block = RESOURCES[kind].block
    rules = {"docker_container": ContainerResource.rules, "docker_network": NetworkResource.rules}
    state = settle(block, planned(kind, **before))
    computed = {n: state[n] for n, a in block.attributes.items() if a.computed}
    return plan_update(block, state, {**computed, **after}, rules.get(kind, Rules()))


BASE = {"name": "x", "image": "i"}


def test_a_new_object_has_defaults_and_unknowns() -> None:
    """Default over unknown over null."""
    plan = plan_create(RESOURCES["docker_container"].block, BASE)
    assert plan.planned["restart"] == "no"
    assert plan.planned["must_run"] is True
    assert plan.planned["id"] is UNKNOWN
    assert plan.planned["memory"] is None
    assert plan.planned["ports"] == []


def test_the_same_configuration_changes_nothing() -> None:
    """Zero values in the state against nulls in the configuration."""
    plan = update("docker_container", BASE, BASE)
    assert plan.replace == ()
    state = settle(RESOURCES["docker_container"].block, planned("docker_container", **BASE))
    assert plan.planned == state


@pytest.mark.parametrize(
    ("before", "after", "replace"),
    [
        ({"memory": 64}, {"memory": 128}, ()),
        ({"memory": 64}, {}, ("memory",)),
        ({"cpu_shares": 5}, {"cpu_shares": 0}, ("cpu_shares",)),
        ({}, {"restart": "always"}, ()),
        ({}, {"must_run": False}, ()),
        ({}, {"image": "other"}, ("image",)),
        ({}, {"image": UNKNOWN}, ("image",)),
        ({}, {"init": True}, ("init",)),
        ({}, {"tmpfs": {"/x": ""}}, ("tmpfs",)),
        ({}, {"env": ["A=b"]}, ("env",)),
        ({"env": ["A=b", "C=d"]}, {"env": ["C=d", "A=b"]}, ()),
        ({"user": "1"}, {"user": ""}, ()),
        ({"user": "1"}, {"user": "2"}, ("user",)),
        ({"labels": [{"label": "a", "value": "b"}]}, {}, ("labels",)),
        (
            {"capabilities": [{"add": ["CAP_NET_ADMIN"], "drop": ["ALL"]}]},
            {"capabilities": [{"add": ["net_admin"], "drop": ["all"]}]},
            (),
        ),
        ({"capabilities": [{"drop": ["ALL"]}]}, {}, ("capabilities",)),
        (
            {"capabilities": [{"drop": ["ALL"]}]},
            {"capabilities": [{"drop": ["CAP_ALL"]}]},
            ("capabilities",),
        ),
        (
            {"ports": [{"internal": 1, "external": 5}, {"internal": 2, "external": 6}]},
            {
                "ports": [
                    {"internal": 2, "external": 6, "ip": ALL_ADDRESSES, "protocol": "tcp"},
                    {"internal": 1, "external": 5, "ip": ALL_ADDRESSES, "protocol": "tcp"},
                ]
            },
            (),
        ),
        (
            {"ports": [{"internal": 1, "external": 5}]},
            {"ports": [{"internal": 1, "external": 6}]},
            ("ports",),
        ),
        (
            {"mounts": [{"type": "bind", "source": "/a", "target": "/t"}]},
            {"mounts": [{"type": "bind", "source": "/b", "target": "/t"}]},
            ("mounts",),
        ),
        ({"healthcheck": [{"test": ["a"]}]}, {"healthcheck": [{"test": ["b"]}]}, ("healthcheck",)),
        ({}, {"healthcheck": [{"test": ["b"]}]}, ("healthcheck",)),
        ({"healthcheck": [{"test": ["a"]}]}, {}, ()),
    ],
)
def test_container_changes(
    before: dict[str, Any], after: dict[str, Any], replace: tuple[str, ...]
) -> None:
    """What Docker can change is changed, what it cannot forces a new container."""
    plan = update("docker_container", {**BASE, **before}, {**BASE, **after})
    assert plan.replace == replace


def test_computed_values_stay_when_left_out_or_empty() -> None:
    """An empty command means the image's; false for a computed flag is a choice."""
    before = {**BASE, "command": ["a"], "init": True}
    assert update("docker_container", before, {**BASE, "command": []}).replace == ()
    assert update("docker_container", before, {**BASE, "init": False}).replace == ("init",)


BUILD = {"context": "/src", "build_args": {"A": "1"}}


@pytest.mark.parametrize(
    ("after", "replace"),
    [
        ({"build": [BUILD]}, ()),
        ({"build": [{**BUILD, "dockerfile": "Dockerfile"}]}, ()),
        ({"build": [{**BUILD, "build_args": {"A": "2"}}]}, ("build",)),
        ({"build": [{**BUILD, "label": {"a": "b"}}]}, ("build",)),
        ({"build": [{**BUILD, "secrets": [{"id": "s", "src": "/s"}]}]}, ("build",)),
        ({"build": [{**BUILD, "remove": False}]}, ()),
        ({"build": [{**BUILD, "context": UNKNOWN}]}, ("build",)),
        ({"build": [UNKNOWN]}, ("build",)),
        ({"build": UNKNOWN}, ("build",)),
        ({"build": []}, ("build",)),
        ({"build": [BUILD], "keep_locally": True}, ()),
        ({"build": [BUILD], "triggers": {"a": "b"}}, ("triggers",)),
    ],
)
def test_image_changes(after: dict[str, Any], replace: tuple[str, ...]) -> None:
    """Inside a build block, each attribute decides for itself."""
    plan = update("docker_image", {"name": "x", "build": [BUILD]}, {"name": "x", **after})
    assert plan.replace == replace


@pytest.mark.parametrize(
    ("desired", "replace"),
    [
        ({"subnet": "10.0.0.0/24"}, ()),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.0.9"}, ("ipam_config",)),
        ({"subnet": "10.0.1.0/24"}, ("ipam_config",)),
        ({"subnet": "10.0.0.0/24", "ip_range": "10.0.0.0/25"}, ("ipam_config",)),
    ],
)
def test_a_gateway_docker_chose_is_no_difference(
    desired: dict[str, Any], replace: tuple[str, ...]
) -> None:
    """The state has one, the configuration does not ask for one."""
    before = {"name": "x", "ipam_config": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1"}]}
    plan = update("docker_network", before, {"name": "x", "ipam_config": [desired]})
    assert plan.replace == replace


def test_an_address_plan_docker_chose_is_no_difference() -> None:
    """The official provider keeps it in the state of a network configured without one."""
    before = {"name": "x", "ipam_config": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1"}]}
    plan = update("docker_network", before, {"name": "x"})
    assert plan.replace == ()
    assert [item["subnet"] for item in plan.planned["ipam_config"]] == ["10.0.0.0/24"]


def test_rules_are_asked_only_about_known_values() -> None:
    """An unknown is never the same as something."""
    block = Block({"a": Attribute("string", optional=True, replace=True)}, {})
    rules = Rules(same={"a": lambda _old, _new: True})
    assert plan_update(block, {"a": "x"}, {"a": "y"}, rules).replace == ()
    assert plan_update(block, {"a": "x"}, {"a": UNKNOWN}, rules).replace == ("a",)


def test_keeping_images_from_now_on_replaces_nothing() -> None:
    """A state written before images were kept: one update in place, no new container after it."""
    image = {"name": "iac/demo-web:1", "image_id": "sha256:1"}
    plan = update("docker_image", {**image, "keep_locally": False}, {**image, "keep_locally": True})
    assert plan.replace == ()
    assert plan.planned["keep_locally"] is True
    assert plan.planned["image_id"] == "sha256:1"
