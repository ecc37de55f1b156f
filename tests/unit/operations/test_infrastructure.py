from __future__ import annotations

import json
from pathlib import Path

from iac_wrapper.operations.infrastructure import _leave_alone


def test_a_service_can_be_left_out_of_a_plan(tmp_path: Path) -> None:
    """Its containers ignore every change; other services and resources do not."""
    stack = tmp_path / "cdk.tf.json"

    def container(service: str) -> dict[str, object]:
        labels = [{"label": "org.karstkit.service", "value": service}]
        return {"labels": labels, "lifecycle": {"replace_triggered_by": ["docker_network.n"]}}

    containers = {name: container(name) for name in ("bad", "good")}
    stack.write_text(json.dumps({"resource": {"docker_container": containers, "x": {}}}))

    _leave_alone(stack, {"bad"})

    found = json.loads(stack.read_text())["resource"]["docker_container"]
    assert found["bad"]["lifecycle"]["ignore_changes"] == "all"
    assert found["good"] == containers["good"]
