"""Which saved plans are refused, before a source is fetched or the engine is asked for more."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iac_wrapper.cli import main
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file, plan_file
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.saved_plan import Part, PlanRequest, SavedPlan
from iac_wrapper.operations import saved_plan
from iac_wrapper.operations.saved_plan import StalePlanError
from iac_wrapper.operations.workspace import Workspace

LOCK = LockFile("demo", "iacnet-demo", "172.30.0.0/24", 18000, ())


@pytest.fixture
def request_(workspace: Workspace) -> PlanRequest:
    """Of a list in a folder with a blank in its name, which has a local service."""
    folder = workspace.layout.root / "my shop"
    (folder / "web").mkdir(parents=True)
    (folder / "repos.yaml").write_text("- ./web\n")
    return PlanRequest((str(folder / "repos.yaml"),), (), str(folder), locked=True)


def _save(workspace: Workspace, request: PlanRequest, project: str = "demo") -> Path:
    key = plan_file.key(workspace.layout.plan_key)
    digests: dict[Part, str] = {
        ("list", name): plan_file.digest(key, _read(name)) for name in request.files
    }
    shown: dict[str, Any] = {"services": []}
    plan = SavedPlan(project, "0.1.0", request, lock_file.dump(LOCK), digests, "", shown)
    path = workspace.layout.root / "a.plan"
    plan_file.save(plan, path, key)
    return path


def _read(name: str) -> bytes:
    return Path(name).read_bytes()


def test_a_list_that_changed_makes_a_plan_stale(
    workspace: Workspace, request_: PlanRequest
) -> None:
    """The error names it; what it says to do next is a command of ours, quoted for a shell."""
    path = _save(workspace, replace(request_, environment="staging"))
    file = Path(request_.files[0])
    file.write_text("apps: [./web]\nenvironments: {staging: {}}\n")
    with pytest.raises(StalePlanError) as caught:
        saved_plan.deploy(workspace, path)
    assert caught.value.found == f"changed since it was made: {file}"
    words = shlex.split(str(caught.value.next_step).partition("iac plan ")[2])
    assert words[:3] == ["--file", str(file), "--env"]
    assert CliRunner().invoke(main, ["plan", *words, "--help"]).exit_code == 0
    assert caught.value.exit_code == 2
    assert not workspace.layout.ledger("demo").exists()


def test_a_plan_of_another_project_is_refused(workspace: Workspace, request_: PlanRequest) -> None:
    """It names the project to say."""
    with pytest.raises(ConfigError, match="--project shop"):
        saved_plan.deploy(workspace, _save(workspace, request_, "shop"))


def test_a_plan_is_no_part_of_what_it_deploys(workspace: Workspace, request_: PlanRequest) -> None:
    """It would make that another source, and itself stale; .iac is never a part."""
    web = Path(request_.folder) / "web"
    with pytest.raises(ConfigError, match="would become a part of web"):
        saved_plan.save(workspace, request_, web / "a.plan")
    (web / ".iac").mkdir()
    with pytest.raises(ConfigError, match="not set up"):  # it goes on
        saved_plan.save(workspace, request_, web / ".iac" / "a.plan")
