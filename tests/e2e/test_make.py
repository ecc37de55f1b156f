"""`make apply` and `iac` share one app and one state."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.conftest import ROOT, Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_make_apply_and_iac_agree(project: Project) -> None:
    """The npm CLI deploys; then `iac plan` is empty and `iac health` proves the service."""
    source = project.folder / "worker"
    source.mkdir()
    (source / "main.py").write_text("print('worked')\n")
    project.file.write_text("- ./worker\n")
    done = subprocess.run(
        ["make", "apply", f"FILE={project.file}", f"PROJECT={project.name}"],
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")
    assert project.health()["worker"]["phase"] == "COMPLETED"
