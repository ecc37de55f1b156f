from __future__ import annotations

import json
from pathlib import Path

import pytest

from iac_wrapper.files import host
from iac_wrapper.model.event import Event
from iac_wrapper.operations.infrastructure import _leave_alone, destroyer
from iac_wrapper.operations.workspace import Workspace


def test_a_service_can_be_left_out_of_a_plan(tmp_path: Path) -> None:
    """Its containers ignore every change; other services and resources do not."""
    stack = tmp_path / "cdk.tf.json"

    def container(service: str) -> dict[str, object]:
        labels = [{"label": "org.karstkit.service", "value": service}]
        return {"labels": labels, "lifecycle": {"replace_triggered_by": ["docker_network.n"]}}

    containers = {name: container(name) for name in ("bad", "good")}
    containers["somebody's"] = {"image": "postgres:16"}
    stack.write_text(json.dumps({"resource": {"docker_container": containers, "x": {}}}))

    _leave_alone(stack, {"bad"})

    found = json.loads(stack.read_text())["resource"]["docker_container"]
    assert found["bad"]["lifecycle"]["ignore_changes"] == "all"
    assert found["good"] == containers["good"]
    assert found["somebody's"] == containers["somebody's"]


@pytest.mark.parametrize("added", [True, False])
def test_a_destroy_has_the_providers_of_what_somebody_added(
    workspace: Workspace, events: list[Event], added: bool
) -> None:
    """Another configuration of a provider is needed to remove what it made; without anything of
    that kind, what lies in cdktf.out does not matter."""
    layout, project = workspace.layout, workspace.project
    home = workspace.settings.machine_home
    host.save_host(host.Host("d", "t", "n", "embedded", "iac/envoy:x", {}), home)
    home.terraform.parent.mkdir(parents=True)
    home.terraform.write_text("")
    resource = {"mode": "managed", "type": "docker_network", "name": "extra", "instances": [{}]}
    layout.state(project).parent.mkdir(parents=True)
    layout.state(project).write_text(json.dumps({"resources": [resource] if added else []}))
    stack = layout.outdir(project) / "stacks" / project / "cdk.tf.json"
    stack.parent.mkdir(parents=True)
    providers = {"docker": [{}, {"alias": "second"}]}
    null = {"source": "hashicorp/null", "version": "3.2.4"}
    last = {"provider": providers, "terraform": {"required_providers": {"null": null}}}
    stack.write_text(json.dumps({**last, "resource": {"docker_network": {"extra": {}}}}))

    config = json.loads((destroyer(workspace).directory / "cdk.tf.json").read_text())

    assert ("null" in config["terraform"]["required_providers"]) is added
    assert config["provider"] == (providers if added else {"docker": [{}]})
    assert "resource" not in config
    stack.unlink()
    destroyer(workspace)
    assert ("is gone" in "".join(event.message for event in events)) is added
