"""The whole stack of a project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cdktf
import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout
from stacks.project_stack import ProjectStack
from tests.constructs.facts import (
    ROOT,
    app,
    lock,
    props,
    scratch_app,
    synth,
    synth_text,
)

SCHEMA = Path(__file__).parents[1] / "data" / "official" / "schema-3.6.2.json"

LOGICAL_IDS = [
    "docker_container.iac_gateway",
    "docker_container.svc-a_app_CC826718",
    "docker_container.svc-a_envoy_6FC50028",
    "docker_container.svc-b_app_35FD84BE",
    "docker_container.svc-b_envoy_D2D2FA0D",
    "docker_image.iac_sidecar",
    "docker_image.svc-a_image_02CB94BC",
    "docker_image.svc-b_image_799F3304",
    "docker_network.iac_network",
    "terraform_data.iac_policies",
]
"""A contract: another id destroys and makes anew what runs under the old one."""


@pytest.fixture(scope="module")
def two() -> dict[str, Any]:
    """The stack of two apps."""
    return synth(props(app("svc-a"), app("svc-b")))


def test_stack_is_as_recorded(two: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    """Everything around the services is what the snapshot says."""
    terraform = json.loads(json.dumps(two))
    for bodies in terraform["resource"].values():
        for name in [name for name in bodies if name.startswith("svc-")]:
            del bodies[name]

    assert terraform["provider"] == {"docker": [{}]}
    assert snapshot(extension_class=JSONSnapshotExtension) == terraform


def test_logical_ids_are_a_contract(two: dict[str, Any]) -> None:
    """State refers to these ids; changing one is a breaking change."""
    ids = sorted(f"{kind}.{name}" for kind, bodies in two["resource"].items() for name in bodies)

    assert ids == LOGICAL_IDS


def test_provider_version_is_pinned(two: dict[str, Any]) -> None:
    """The version that the bindings were made from, and no other."""
    assert two["terraform"]["required_providers"] == {
        "docker": {"source": "kreuzwerker/docker", "version": "3.6.2"}
    }


@pytest.mark.parametrize("project", ["iacnet", "shop"])
@pytest.mark.parametrize("outdir", [None, ROOT / "elsewhere" / "out"])
def test_state_lies_in_the_project_wherever_cdktf_writes(project: str, outdir: Path | None) -> None:
    """Seen from Terraform's directory, the relative path ends at the layout's state file."""
    layout = Layout(ROOT)
    chosen = outdir or layout.outdir(project)
    terraform = synth(props(lock=lock(project=project), outdir=chosen))

    path = terraform["terraform"]["backend"]["local"]["path"]
    reached = os.path.normpath(chosen / "stacks" / project / path)
    assert not Path(path).is_absolute()
    assert reached == str(layout.state(project))


def test_the_state_will_say_what_was_applied() -> None:
    """The lock is the one output, and every character of it survives Terraform's templates."""
    reference = app("svc-a", env={"TOKEN": "${TOKEN}"})
    output = json.loads(synth_text(props(reference)))["output"]

    assert list(output) == ["lock"]
    quoted = output["lock"]["value"]
    assert "${TOKEN}" not in quoted
    assert lock_file.parse_lock(quoted.replace('${"$"}', "$"), where="x").apps == (reference,)


def test_synthesis_is_deterministic() -> None:
    """The same lock gives the same bytes."""
    facts = props(*(app(f"svc-{n}", env={"B": "1", "A": "2"}) for n in range(3)))

    assert synth_text(facts) == synth_text(facts)


@pytest.mark.slow
def test_twenty_services_are_sixty_resources_and_four() -> None:
    """Three resources a service; network, sidecar image, gateway and policies are shared."""
    terraform = synth(props(*(app(f"svc-{n:02d}") for n in range(20))))

    assert sum(len(bodies) for bodies in terraform["resource"].values()) == 20 * 3 + 4


def test_stack_without_apps_is_a_network_and_a_gateway() -> None:
    """The last app can be taken out of repos.yaml without an error."""
    assert sorted(synth(props())["resource"]) == [
        "docker_container",
        "docker_image",
        "docker_network",
        "terraform_data",
    ]


def test_every_attribute_exists_in_the_official_provider(two: dict[str, Any]) -> None:
    """Names, nesting and required attributes agree with the provider's own schema."""
    schemas = json.loads(SCHEMA.read_text(encoding="utf-8"))["resource_schemas"]
    wrong = [
        text
        for kind, bodies in two["resource"].items()
        if kind != "terraform_data"
        for name, body in bodies.items()
        for text in _unknown(body, schemas[kind]["block"], f"{kind}.{name}")
    ]

    assert wrong == []
    assert _unknown({"nmae": "x"}, schemas["docker_network"]["block"], "n") == [
        "n.nmae",
        "n.name is required",
    ]


def _unknown(body: dict[str, Any], block: dict[str, Any], where: str) -> list[str]:
    attributes, blocks = block.get("attributes", {}), block.get("block_types", {})
    wrong = [f"{where}.{k}" for k in body if k not in {*attributes, *blocks, "lifecycle"}]
    wrong += [
        f"{where}.{name} is required"
        for name, attribute in attributes.items()
        if attribute.get("required") and name not in body
    ]
    for name in body.keys() & blocks.keys():
        items = body[name] if isinstance(body[name], list) else [body[name]]
        for item in items:
            wrong += _unknown(item, blocks[name]["block"], f"{where}.{name}")
    return wrong


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"apps": (app("a"), app("a"))}, "two apps have one name"),
        ({"subnet": "172.20.0.1/16"}, "bad subnet"),
        ({"subnet": "172.20.0.0/30"}, "too small"),
        ({"gateway_port": 0}, "bad gateway port"),
    ],
)
def test_impossible_locks_are_refused(changes: dict[str, Any], message: str) -> None:
    """A lock edited by hand fails with what was found and expected."""
    with pytest.raises(ConfigError, match=message) as caught:
        props(lock=lock(**{"apps": (app(),), **changes}))

    assert caught.value.found
    assert caught.value.expected


def test_a_service_without_uids_is_refused() -> None:
    """It would run as root, or as somebody else."""
    with pytest.raises(ConfigError, match="services without uids") as caught:
        props(app(), users={})
    assert caught.value.found == "gateway, svc-a"


def test_breach_of_a_policy_stops_synthesis() -> None:
    """A construct that is weakened is caught where it is synthesized, with its address."""
    with scratch_app() as scope:
        stack = ProjectStack(scope, props(app()))
    stack.services[0].app.add_override("privileged", True)

    with pytest.raises(RuntimeError, match=r"svc-a_app_.*is privileged, expected privileged"):
        cdktf.Testing.synth(stack, True)


def test_secret_in_an_environment_value_stops_synthesis() -> None:
    """The message names the variable and the way out, never the value."""
    token = "ghp_" + "x" * 36

    with pytest.raises(RuntimeError, match=r"env\[TOKEN\]: looks like a key") as caught:
        synth(props(app(env={"TOKEN": token})))

    assert token not in str(caught.value)
