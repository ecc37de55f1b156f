"""What the stack hands to the official provider, value by value, each with that provider's rule.

It runs where the Terraform registry answers, which no test here can count on (`make interop` runs
it). So every attribute that a stack sets is held to what the source of 3.6.2 does with it; one
without a rule fails until somebody has looked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.model.exposure import Exposure
from iac_wrapper.model.labels import FIXED
from iac_wrapper.model.options import Options
from iac_wrapper.settings import Settings
from iac_wrapper.settings.ingress import ingress_of
from tests.constructs.facts import app, label_values, props, synth

Check = Callable[[Any, dict[str, Any]], bool]

ANY: Check = lambda value, _body: value not in (None, "", [], {})  # noqa: E731


def equals(*wanted: Any) -> Check:
    return lambda value, _body: value in wanted


def matches(pattern: str) -> Check:
    return lambda value, _body: re.fullmatch(pattern, value) is not None


def each(**wanted: Check) -> Check:
    """A list of blocks, every one with exactly these attributes."""
    return lambda value, _body: all(
        block.keys() == wanted.keys() and all(wanted[k](v, block) for k, v in block.items())
        for block in (value if isinstance(value, list) else [value])
    )


def joined(body: dict[str, Any]) -> bool:
    """The container lives in another one's network namespace."""
    return str(body["network_mode"]).startswith("container:")


def as_built(value: Any, _body: dict[str, Any]) -> bool:
    """Both lists, if there, hold the very words the engine stores."""
    allowed = {"drop": r"ALL", "add": r"CAP_[A-Z_]+"}
    return all(re.fullmatch(allowed[kind], n) for kind, names in value.items() for n in names)


def kept_env(lifecycle: dict[str, Any]) -> set[str]:
    """A sidecar's environment makes no new container; the label `fixed` has the rest of it."""
    return lifecycle.keys() & {"ignore_changes"}


PATH = r"/[^,\"]+"

IMAGE: dict[str, tuple[str, Check]] = {
    "name": (
        "Is looked up and deleted by this name: it needs a tag of its own.",
        matches(r"[a-z0-9/.-]+:[a-z0-9.-]+"),
    ),
    "keep_locally": (
        "Left out means false; a delete without force fails while a container runs.",
        equals(True, False),
    ),
    "triggers": (
        "Any change makes a new image: the tag, which stands for all that is inside.",
        lambda value, body: value == {"image": body["name"]},
    ),
    "lifecycle": (
        "Each attribute of a build block forces a new image; under the same tag the "
        "delete of the old one would take the tag from the new one.",
        equals({"create_before_destroy": True, "ignore_changes": ["build"]}),
    ),
}

BUILD: dict[str, tuple[str, Check]] = {
    "context": (
        "Handed to BuildKit as it is; relative means relative to Terraform's folder.",
        matches(PATH),
    ),
    "dockerfile": (
        "With a builder it is opened as it is, so relative means relative to "
        "Terraform's folder, not to the context.",
        lambda value, body: value == body["context"] + "/Dockerfile",
    ),
    "builder": (
        "Empty means the classic builder, without secrets and cache mounts; `default` is "
        "the engine's own BuildKit, present with every engine.",
        equals("default"),
    ),
    "label": (
        "Handed over as KEY=VALUE: no `=` in a key.",
        lambda value, _body: value and not any("=" in key for key in value),
    ),
    "secrets": (
        "Becomes type=file,id=ID,src=SRC, read as comma-separated values: no comma, no "
        "quote; one with `env` besides would become nonsense.",
        each(id=matches(r"[a-z]+"), src=matches(PATH)),
    ),
}

CONTAINER: dict[str, tuple[str, Check]] = {
    "name": ("Read back without its slash.", matches(r"[a-z0-9-]+")),
    "image": (
        "Read back as image id if it begins with sha256:, else as what was configured.",
        matches(r"\$\{docker_image\.[^}]+\.image_id\}"),
    ),
    "labels": ("Never read back; any change makes a new container.", each(label=ANY, value=ANY)),
    "env": (
        "Never read back; any change makes a new container.",
        lambda value, _body: value == sorted(value),
    ),
    "user": ("Read back as the text that was sent.", matches(r"\d+:\d+")),
    "hostname": (
        "Refused by the engine in a shared network namespace.",
        lambda value, body: bool(value) and not joined(body),
    ),
    "init": ("Read back; left out it is sent as false.", equals(True, False)),
    "must_run": ("A stopped one is deleted by the read that finds it.", equals(True)),
    "restart": ("Read back; sent by an update.", equals("unless-stopped")),
    "read_only": ("Read back.", equals(True)),
    "privileged": ("Read back.", equals(False)),
    "security_opts": ("Read back as the engine stores it.", equals(["no-new-privileges:true"])),
    "capabilities": (
        "Read back as the engine stores them: ALL as ALL, single ones with CAP_; "
        "other words for the same make a new container at every plan.",
        as_built,
    ),
    "memory": (
        "Read back, and so is memory_swap, which the engine sets if it is left out.",
        lambda value, body: value == body["memory_swap"] > 0,
    ),
    "memory_swap": ("See memory.", lambda value, body: value == body["memory"]),
    "ulimit": ("Read back whole.", each(name=ANY, soft=ANY, hard=ANY)),
    "tmpfs": (
        "Read back. A change is planned in place and never sent: the label tells.",
        lambda value, _body: all(value.values()),
    ),
    "mounts": (
        "Read back whole. Another source is planned in place and never sent: the label "
        "tells. volume_options need an engine with API 1.45.",
        each(
            type=equals("bind", "volume"),
            source=lambda value, mount: bool(
                re.fullmatch(PATH if mount["type"] == "bind" else r"[a-z0-9_-]+", value)
            ),
            target=matches(PATH),
            read_only=equals(True, False),
        ),
    ),
    "network_mode": (
        "Read back: `default` would come back as bridge, a name as an id.",
        matches(r"bridge|container:\$\{docker_container\.[^}]+\.id\}"),
    ),
    "networks_advanced": (
        "The bridge is left first, then each is joined; never read back.",
        lambda value, body: body["network_mode"] == "bridge"
        and all(ANY(block["name"], block) for block in value),
    ),
    "ports": (
        "Read back as bound: without an address the engine binds two, IPv4 and IPv6.",
        each(internal=ANY, external=ANY, ip=ANY, protocol=equals("tcp")),
    ),
    "stop_timeout": (
        "Sent at create, read back; a delete does not use it.",
        lambda value, body: value == body["destroy_grace_seconds"],
    ),
    "destroy_grace_seconds": (
        "How long a delete waits; 0 if left out, whatever stop_timeout says.",
        lambda value, _body: value > 0,
    ),
    "log_driver": ("Read back; left out it is the engine's choice.", equals("json-file")),
    "log_opts": ("Read back whole.", equals({"max-size": "10m", "max-file": "3"})),
    "lifecycle": (
        "A network that is made anew keeps its name: no attribute would tell.",
        lambda value, _body: (value.keys() == {"replace_triggered_by"} | kept_env(value))
        and value.get("ignore_changes", ["env"]) == ["env"],
    ),
    "depends_on": ("Terraform's own.", ANY),
    "group_add": ("Read back as sent.", lambda value, _body: all(map(str.isdigit, value))),
    "sysctls": (
        "Read back as text; newer engines move those of an interface (eth0) elsewhere.",
        lambda value, body: not joined(body)
        and all(isinstance(item, str) and "eth" not in key for key, item in value.items()),
    ),
    "dns_opts": (
        "A set, read back as sent; Docker refuses it in a shared network namespace.",
        lambda value, body: not joined(body) and value == sorted(set(value)),
    ),
    "host": (
        "Read back, cut at the first two colons: an IPv6 address would never be the same.",
        lambda value, body: not joined(body)
        and each(host=ANY, ip=lambda ip, _: ":" not in ip)(value, body),
    ),
    "cpu_shares": ("Read back; sent by an update.", ANY),
    "cpu_period": (
        "Not read back. A change is planned in place and never sent: the label tells.",
        equals(100_000),
    ),
    "cpu_quota": (
        "As cpu_period. `cpus` itself is text and converted as a number: the provider crashes.",
        ANY,
    ),
}

NETWORK: dict[str, tuple[str, Check]] = {
    "name": ("Read back.", ANY),
    "driver": ("Read back; left out it is the engine's choice.", equals("bridge")),
    "ipam_config": (
        "Read back whole: newer engines add a gateway that is left out.",
        each(subnet=ANY, gateway=ANY),
    ),
    "labels": ("Read back whole.", each(label=ANY, value=ANY)),
}

VOLUME: dict[str, tuple[str, Check]] = {
    "name": ("Left out the engine makes one up.", ANY),
    "labels": ("Read back whole.", each(label=ANY, value=ANY)),
    "driver": ("Read back; left out it is the engine's choice.", equals("local")),
    "lifecycle": ("Terraform's own.", ANY),
}

RULES = {
    "docker_image": IMAGE,
    "docker_container": CONTAINER,
    "docker_network": NETWORK,
    "docker_volume": VOLUME,
}

NEVER_SENT = ("init", "tmpfs", "mounts", "healthcheck", "cpu_period", "cpu_quota")
"""Attributes of a container whose change the official provider plans in place and never sends."""


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """Two apps: one with a secret value, a declared port, options, a volume and a public host, one
    plain."""
    options = Options(
        cpus=0.5, memory_mb=128, stop_grace=30, tmpfs={"/app/cache": 16}, volumes={"data": "/srv"}
    )
    options = replace(options, expose=(Exposure("app.example.com"),))
    special = app("a", env={"T": "${T}"}, port_declared=True, options=options)
    facts = props(special, app("b"))
    made = synth(replace(facts, ingress=ingress_of(Settings(), facts.lock)))["resource"]
    return {kind: bodies for kind, bodies in made.items() if kind != "terraform_data"}


def breaches(address: str, body: dict[str, Any], rules: dict[str, tuple[str, Check]]) -> list[str]:
    found = []
    for name, value in body.items():
        if name not in rules:
            found.append(f"{address}: {name}: what does the official provider do with it?")
        elif not rules[name][1](value, body):
            found.append(f"{address}: {name} = {value!r}: {rules[name][0]}")
    return found


def plain(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"//", "build"}}


def test_every_value_satisfies_the_rule_of_the_official_provider(stack: dict[str, Any]) -> None:
    """Each attribute of each resource, and of each build block."""
    found: list[str] = []
    for kind, bodies in stack.items():
        for name, body in bodies.items():
            found += breaches(f"{kind}.{name}", plain(body), RULES[kind])
            found += breaches(f"{kind}.{name}.build", body.get("build", {}), BUILD)
    assert found == []


def test_a_built_image_has_all_that_the_rules_speak_of(stack: dict[str, Any]) -> None:
    """Left out, each would be the provider's default, which is another."""
    built = [body for body in stack["docker_image"].values() if "build" in body]
    assert len(built) == 2
    for body in built:
        assert plain(body).keys() == IMAGE.keys()
        assert body["build"].keys() == BUILD.keys()


def test_what_is_never_sent_shows_in_a_label(stack: dict[str, Any]) -> None:
    """The label is a hash of those very values, so each change of one makes a new container."""
    for body in stack["docker_container"].values():
        fixed = {"mounts": [], **{name: body[name] for name in NEVER_SENT if name in body}}
        if "ignore_changes" in body.get("lifecycle", {}):
            fixed["env"] = [line for line in body["env"] if not line.startswith("IAC_POLICY=")]
        text = json.dumps(fixed, sort_keys=True)
        assert label_values(body)[FIXED] == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_what_is_never_sent_is_what_the_record_says() -> None:
    """Updatable there, but not by its update call; the limits that call carries are not in it."""
    record = json.loads(
        (Path(__file__).parents[1] / "data/official/behaviour-3.6.2.json").read_text()
    )
    container = record["docker_container"]
    inner = container["mounts"]["block"]
    assert not any(container[name]["replace"] for name in NEVER_SENT if name != "mounts")
    assert not any(inner[name]["replace"] for name in ("source", "target", "type", "read_only"))
