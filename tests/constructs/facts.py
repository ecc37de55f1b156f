"""Facts of an imaginary project, and the shortest way from a construct to its Terraform JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cdktf
from constructs import Construct

from constructs_lib.mesh_props import MeshProps
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import BLOCK, Users
from stacks.project_stack import ProjectStack

ROOT = Path("/project")
SIDECAR_IMAGE = "iac/envoy:1.40.0-0123456789ab"
TREE = "sha256:" + "ab" * 32


def app(name: str = "svc-a", **changes: Any) -> ResolvedApp:
    """An app with nothing special about it."""
    plain = ResolvedApp(
        name=name,
        slug="gh:owner/repo#main",
        commit="0123456789012345678901234567890123456789",
        tree=TREE,
        entrypoint=Entrypoint("module", "app", None, "the only module"),
        port=50051,
        port_declared=False,
        env={},
        python="3.11",
        base="iac/runtime:3.11-0123456789ab",
        image=f"iac/iacnet-{name}:0123456789ab",
    )
    return replace(plain, **changes)


def lock(*apps: ResolvedApp, **changes: Any) -> LockFile:
    """A lock of the default project."""
    return replace(LockFile("iacnet", "iacnet", "172.20.0.0/16", 15443, apps), **changes)


def host(**changes: Any) -> Host:
    """A machine that bootstrap has been through."""
    plain = Host(
        docker="/usr/bin/docker",
        terraform="/usr/bin/terraform",
        node="/usr/bin/node",
        provider="registry",
        sidecar_image=SIDECAR_IMAGE,
        bases={},
        loopback_v6=True,
    )
    return replace(plain, **changes)


def users(facts: LockFile) -> dict[str, Users]:
    """A block of uids for each service, the gateway, and the ingress if there is one."""
    shared = ["gateway", *(["ingress"] if facts.routes else [])]
    names = [*shared, *(one.name for one in facts.apps)]
    return {name: Users(30_000 + BLOCK * number) for number, name in enumerate(names)}


def props(*apps: ResolvedApp, **changes: Any) -> MeshProps:
    """Props of a stack in /project, which exists nowhere."""
    facts = changes.get("lock", lock(*apps))
    plain = MeshProps(
        lock=facts,
        host=host(),
        users=users(facts),
        layout=Layout(ROOT),
        outdir=ROOT / "cdktf.out",
        memory_mb=512,
        lock_path=ROOT / "repos.lock.json",
        python="/usr/bin/python3",
    )
    return replace(plain, **changes)


@contextmanager
def scratch_app() -> Iterator[cdktf.App]:
    """An app whose output directory, which cdktf makes at once, does not stay behind."""
    with tempfile.TemporaryDirectory() as outdir:
        yield cdktf.Testing.app(outdir=outdir)


def synth_text(stack_props: MeshProps) -> str:
    """The Terraform JSON of a stack, validated."""
    with scratch_app() as scope:
        return str(cdktf.Testing.synth(ProjectStack(scope, stack_props), True))


def synth(stack_props: MeshProps) -> dict[str, Any]:
    """The same as a value."""
    result: dict[str, Any] = json.loads(synth_text(stack_props))
    return result


def synth_scope(build: Callable[[Construct], object]) -> dict[str, Any]:
    """The Terraform JSON of whatever `build` puts into a bare stack."""
    with scratch_app() as scope:
        stack = cdktf.TerraformStack(scope, "bare")
        build(stack)
        result: dict[str, Any] = json.loads(cdktf.Testing.synth(stack, True))
    return result


def only(terraform: dict[str, Any], kind: str, start: str) -> dict[str, Any]:
    """The one resource of a kind whose id begins with `start`."""
    found = [body for name, body in terraform["resource"][kind].items() if name.startswith(start)]
    assert len(found) == 1, f"{len(found)} of {kind} begin with {start}"
    result: dict[str, Any] = found[0]
    return result


def environment(container: dict[str, Any]) -> dict[str, str]:
    """A container's environment as a mapping."""
    return dict(line.split("=", 1) for line in container["env"])


def label_values(body: dict[str, Any]) -> dict[str, str]:
    """A resource's labels as a mapping."""
    return {item["label"]: item["value"] for item in body["labels"]}
