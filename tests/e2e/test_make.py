"""`make apply` and `iac` share one app and one state."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_make_apply_and_iac_agree(project: Project) -> None:
    """The npm CLI deploys; then `iac plan` is empty and `iac health` proves the service."""
    source = project.folder / "worker"
    source.mkdir()
    (source / "main.py").write_text("print('worked')\n")
    project.file.write_text("- ./worker\n")
    project.run(["make", "apply", f"FILE={project.file}", f"PROJECT={project.name}"])
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")
    assert project.health()["worker"]["phase"] == "COMPLETED"
    (release,) = json.loads(project.iac("releases", "--json").stdout)["releases"]
    assert (release["kind"], release["verdict"]) == ("deploy", "unproven")
    assert (release["by"]["source"], release["commits"]) == ("cdktf", {"worker": None})
