"""Which services a plan touches, read from the synthesized stack."""

from __future__ import annotations

import json
from pathlib import Path

from iac_wrapper.adapters.synthesized_stack import changed_services, touches_only
from iac_wrapper.model.plan import TerraformChange, TerraformPlan


def _labelled(**values: str) -> dict[str, object]:
    found = [{"label": f"org.karstkit.{name}", "value": value} for name, value in values.items()]
    return {"labels": [*found, {"label": "team", "value": "a"}]}


def test_what_somebody_added_touches_no_service(tmp_path: Path) -> None:
    """Their containers and networks may carry labels of their own; ours say whose they are."""
    containers = {name: _labelled(service=name, role="app") for name in ("a", "b")}
    stack = {
        "docker_container": {**containers, "db": _labelled(), "bare": {}},
        "docker_network": {"n": _labelled(service="network", role="network"), "x": _labelled()},
    }
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"resource": stack}))

    def changed(*addresses: str) -> set[str]:
        plan = TerraformPlan(tuple(TerraformChange(address, "create") for address in addresses))
        return set(changed_services(tmp_path, plan))

    assert changed("docker_container.db", "docker_network.x", "docker_container.bare") == set()
    assert changed("docker_container.a", "docker_network.x") == {"a"}
    assert changed("docker_network.n") == {"a", "b"}


def test_a_plan_may_touch_certain_services_only(tmp_path: Path) -> None:
    """With their images; anything that is shared, or somebody else's, is more than that."""
    built = {"build": {"label": {"org.karstkit.service": "a"}}}
    stack = {
        "docker_container": {name: _labelled(service=name, role="app") for name in ("a", "b")},
        "docker_image": {"a": built, "sidecar": {}},
        "local_file": {"x": {"labels": ["a"]}},
    }
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"resource": stack}))

    def only_a(*addresses: str) -> bool:
        plan = TerraformPlan(tuple(TerraformChange(address, "create") for address in addresses))
        return touches_only(tmp_path, plan, {"a"})

    assert only_a()
    assert only_a("docker_container.a", "docker_image.a")
    for other in (
        "docker_container.b",
        "docker_image.sidecar",
        "local_file.x",
        "docker_container.z",
    ):
        assert not only_a("docker_container.a", other)
