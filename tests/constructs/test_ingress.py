"""The ingress in a stack: only with exposed services, its ports, its command, what policies say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from constructs_lib import ingress_config, policies
from constructs_lib.mesh_props import MeshProps
from iac_wrapper.model.exposure import LOCAL, Exposure
from iac_wrapper.model.options import Options
from iac_wrapper.settings import Settings
from iac_wrapper.settings.ingress import ingress_of
from tests.constructs.facts import ROOT, app, environment, lock, only, props, synth

PUBLIC = (Exposure("app.example.com"), Exposure("b.example.com", tls="off"))


def facts(expose: Any = LOCAL, **settings: str) -> MeshProps:
    """Two services, of which one is exposed."""
    exposed = app("svc-a", options=Options(expose=expose))
    found = lock(exposed, app("svc-b"), ingress_port=15080 if expose == LOCAL else None)
    plain = props(lock=found, lock_path=ROOT / "repos.lock.json", python="/venv/bin/python")
    return replace(plain, ingress=ingress_of(Settings(environment={}, **settings), found))


def test_ingress_is_as_recorded(snapshot: SnapshotAssertion) -> None:
    """Container and routes of a project with one exposed service."""
    resources = synth(facts())["resource"]
    found = {
        "container": only(resources_of(resources), "docker_container", "iac_ingress"),
        "routes": resources["terraform_data"]["iac_ingress_routes"],
    }
    assert snapshot(extension_class=JSONSnapshotExtension) == json.loads(json.dumps(found))


def resources_of(resources: dict[str, Any]) -> dict[str, Any]:
    return {"resource": resources}


def test_without_an_exposed_service_there_is_none() -> None:
    """Nor a word of it, but that the policy does not let it in."""
    resources = synth(props(app("svc-a")))["resource"]
    assert "iac_ingress_routes" not in resources["terraform_data"]
    assert "ingress" not in str(resources).lower().replace('"ingress":false', "")


def test_only_an_exposed_service_lets_it_in() -> None:
    """By the policy of its sidecar; routes come after its containers."""
    terraform = synth(facts())
    a, b = (only(terraform, "docker_container", f"{name}_envoy") for name in ("svc-a", "svc-b"))
    assert [json.loads(environment(each)["IAC_POLICY"])["ingress"] for each in (a, b)] == [
        True,
        False,
    ]
    after = terraform["resource"]["terraform_data"]["iac_ingress_routes"]["depends_on"]
    assert {name.partition(".")[2].partition("_")[0] for name in after} == {"svc-a"}


def test_public_hosts_are_published_as_the_settings_say() -> None:
    """Plain HTTP alone needs no HTTPS port, nor the folder of certificates."""
    terraform = synth(
        facts(PUBLIC, IAC_HTTP_PORT="8080", IAC_HTTPS_PORT="8443", IAC_INGRESS_ADDRESS="192.0.2.1")
    )
    container = only(terraform, "docker_container", "iac_ingress")
    assert [(p["internal"], p["external"], p["ip"]) for p in container["ports"]] == [
        (8080, 8080, "192.0.2.1"),
        (8443, 8443, "192.0.2.1"),
    ]
    assert environment(container)["IAC_INGRESS_PORTS"] == "8080,8443"
    assert "/etc/iac/public" in str(container["mounts"])
    plain = only(synth(facts(PUBLIC[1:])), "docker_container", "iac_ingress")
    assert [p["external"] for p in plain["ports"]] == [80]
    assert "/etc/iac/public" not in str(plain["mounts"])


ANY = ingress_config.ANY
RULES = policies.IngressRules("/project/.iac/ingress", {(80, ANY)})
COMMANDS = {"terraform_data.it": ("py", "-m", "x", "d")}


def check(kind: str, body: dict[str, Any]) -> list[str]:
    """What the policies say of a resource of the project's own."""
    labels = {f"org.karstkit.{name}": "iacnet" for name in ("project", "service")}
    labels["org.karstkit.role"] = "ingress"
    common: dict[str, Any] = (
        {"input": labels}
        if kind == "terraform_data"
        else {
            "labels": [{"label": name, "value": value} for name, value in labels.items()],
            "capabilities": {"drop": ["ALL"]},
            "security_opts": ["no-new-privileges:true"],
            "read_only": True,
            "memory": 1,
            "memory_swap": 1,
        }
    )
    return policies.violations(
        {"resource": {kind: {"it": {**common, **body}}}},
        project="iacnet",
        mountable=("/project/secrets/iacnet",),
        own={f"{kind}.it"},
        commands=COMMANDS,
        ingress=RULES,
    )


def run(*interpreter: str, command: str = "d", **more: Any) -> dict[str, Any]:
    """A resource that runs a command."""
    return {
        "provisioner": [
            {"local-exec": {"interpreter": list(interpreter), "command": command, **more}}
        ]
    }


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("terraform_data", run("py", "-m", "x"), None),
        ("terraform_data", run("sh", "-c"), "runs another command"),
        ("terraform_data", run("py", "-m", "x", environment={"A": "1"}), "runs another command"),
        ("terraform_data", {}, "expected ['local-exec']"),
        ("docker_container", run("py", "-m", "x"), "expected []"),
        ("docker_container", {"ports": [{"external": 80, "ip": ANY}]}, None),
        (
            "docker_container",
            {"ports": [{"external": 81, "ip": ANY}]},
            "beyond this host",
        ),
        (
            "docker_container",
            {"mounts": [{"source": "/project/.iac/ingress", "read_only": True}]},
            None,
        ),
        (
            "docker_container",
            {"mounts": [{"source": "/project/.iac", "read_only": True}]},
            "mounts",
        ),
    ],
)
def test_policies_allow_exactly_what_the_ingress_needs(
    kind: str, body: dict[str, Any], said: str | None
) -> None:
    """Its command, its ports, its folder; nothing like them."""
    found = check(kind, body)
    assert (said in found[0]) if said else found == []


def test_the_command_names_no_path_of_this_machine_but_python() -> None:
    """So a project folder can move, and the input, which the state keeps, tells nothing."""
    routes = synth(facts())["resource"]["terraform_data"]["iac_ingress_routes"]
    (provisioner,) = routes["provisioner"]
    _, *rest = provisioner["local-exec"]["interpreter"]
    assert not any(Path(word).is_absolute() for word in rest)
    assert str(ROOT) not in json.dumps(routes["input"])
