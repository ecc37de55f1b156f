"""The adapter against the real Terraform, with its built-in `terraform_data` (no provider)."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.adapters.terraform import Sentence, Terraform
from iac_wrapper.errors import BusyError, CommandError
from iac_wrapper.model.redact import Redactor

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform on PATH")


def _terraform(directory: Path, config: dict[str, object], identity: str = "x") -> Terraform:
    (directory / "cdk.tf.json").write_text(json.dumps(config))
    executable = shutil.which("terraform")
    assert executable
    return Terraform(
        Path(executable),
        directory,
        directory / "log" / "terraform.log",
        identity,
        Redactor(),
        environment={"TF_CLI_CONFIG_FILE": "/dev/null"},
    )


def _data(value: str, **more: object) -> dict[str, object]:
    return {"resource": {"terraform_data": {"a": {"input": value, **more}}}}


def test_plan_apply_plan_destroy(tmp_path: Path) -> None:
    """A plan lists creates; after its apply the next is empty; destroy empties the state."""
    said: list[Sentence] = []
    terraform = _terraform(tmp_path, {**_data("1"), "output": {"lock": {"value": "facts"}}})
    terraform.init()
    plan = terraform.plan(tmp_path / "p", said.append)
    assert [(c.address, c.action) for c in plan.changes] == [("terraform_data.a", "create")]
    assert plan.outputs_change
    assert plan.summary == "1 to create"
    terraform.apply(tmp_path / "p", said.append)
    address = "terraform_data.a"
    assert Sentence(f"{address}: creating", address, "creating") in said
    assert terraform.plan(tmp_path / "p", said.append).empty
    terraform.destroy(said.append)
    state = json.loads((tmp_path / "terraform.tfstate").read_text())
    assert state["resources"] == []
    assert "terraform_data" in (tmp_path / "log" / "terraform.log").read_text()


def test_only_an_output_changed_is_not_empty_but_has_no_changes(tmp_path: Path) -> None:
    """A new record of facts must be applied though no resource changes."""
    terraform = _terraform(tmp_path, {"output": {"lock": {"value": "1"}}})
    terraform.init()
    terraform.plan(tmp_path / "p", print)
    terraform.apply(tmp_path / "p", print)
    terraform = _terraform(tmp_path, {"output": {"lock": {"value": "2"}}})
    plan = terraform.plan(tmp_path / "p", print)
    assert not plan.changes
    assert not plan.empty


def test_a_failed_apply_names_the_resource(tmp_path: Path) -> None:
    """Each failed resource gets one sentence, without Terraform's boxes; the log is named."""
    failing = {"local-exec": [{"command": "echo out of luck >&2; exit 3"}]}
    terraform = _terraform(tmp_path, _data("x", provisioner=failing))
    terraform.init()
    terraform.plan(tmp_path / "p", print)
    with pytest.raises(CommandError) as caught:
        terraform.apply(tmp_path / "p", print)
    assert caught.value.detail
    assert caught.value.detail.startswith("terraform_data.a: local-exec provisioner error")
    assert "out of luck" in caught.value.detail
    assert "╷" not in caught.value.detail
    assert "terraform.log" in (caught.value.next_step or "")


def test_a_held_state_is_told_from_a_full_disk(tmp_path: Path) -> None:
    """Terraform has one summary for both; held by a real lock, as another Terraform does."""
    terraform = _terraform(tmp_path, _data("one"))
    terraform.init()
    with (tmp_path / "terraform.tfstate").open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="is locked"):
            terraform.plan(tmp_path / "plan", lambda _: None)
    (tmp_path / "terraform.tfstate").unlink()
    said = "could not write lock info: write x: no space left on device"
    full = {"severity": "error", "summary": "Error acquiring the state lock", "detail": said}
    script = tmp_path / "full"
    script.write_text(
        f"#!/bin/sh\necho '{json.dumps({'type': 'diagnostic', 'diagnostic': full})}'; exit 1"
    )
    script.chmod(0o755)
    with pytest.raises(CommandError, match="no space left"):
        replace(terraform, executable=script).plan(tmp_path / "plan", lambda _: None)


def test_a_refused_configuration_is_a_command_error(tmp_path: Path) -> None:
    """An unknown argument fails at plan, with Terraform's own sentence."""
    terraform = _terraform(tmp_path, _data("1", nonsense=True))
    terraform.init()
    with pytest.raises(CommandError, match="terraform plan failed") as caught:
        terraform.plan(tmp_path / "p", print)
    assert "nonsense" in (caught.value.detail or "")


def test_init_runs_again_only_for_another_set_up(tmp_path: Path) -> None:
    """The same configuration and provider choice is not initialised twice; another choice is."""
    terraform = _terraform(tmp_path, _data("1"))
    terraform.init()
    marker = tmp_path / ".terraform" / "marker"
    marker.touch()
    terraform.init()
    assert marker.exists()
    _terraform(tmp_path, _data("1"), identity="other provider").init()
    assert not marker.exists()
