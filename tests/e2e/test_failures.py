"""Deploys that do not go well: interrupted, with a broken build, with a program that crashes.

The tests share one project and run in order.
"""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.e2e.conftest import ROOT, Project
from tests.support.git_server import GitServer

pytestmark = pytest.mark.integration

HELLO = {"main.py": "def main():\n    print('hello')\n"}


def _write(project: Project, *more: str) -> None:
    project.file.write_text("".join(f"- gh:acme/{name}\n" for name in ("one", "two", *more)))


def test_ctrl_c_in_the_middle_of_apply_is_recovered(
    project: Project, git_server: GitServer
) -> None:
    """Exit 130 and no traceback; the next deploy mends what is half done."""
    for name in ("one", "two"):
        git_server.repository(f"acme/{name}").commit(HELLO)
    _write(project)
    with subprocess.Popen(
        project.argv("deploy", "--file", str(project.file)),
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr
        seen = []
        for line in running.stderr:
            seen.append(line)
            if "_envoy_" in line and "creating" in line:
                running.send_signal(signal.SIGINT)
                break
        seen.append(running.stderr.read())
        assert running.wait(timeout=60) == 130, "".join(seen)
    assert "interrupted" in "".join(seen)
    assert "Traceback" not in "".join(seen)
    assert project.deploy()["verdict"] == "ok"


def test_a_failing_build_changes_nothing(project: Project, git_server: GitServer) -> None:
    """Exit 5 with the build's last words; every container stays; what follows works."""
    before = project.container_ids()
    broken = git_server.repository("acme/broken")
    broken.commit({"main.py": "print()", "requirements.txt": "no-such-package-anywhere==99\n"})
    _write(project, "broken")
    done = project.iac("deploy", "--file", str(project.file), code=5)
    assert "no-such-package-anywhere" in done.stderr
    assert "the build of iac/" in done.stderr
    assert project.container_ids() == before
    _write(project)
    assert project.deploy()["plan"]["empty"]


def test_a_crashing_app_is_reported_and_the_others_stay(
    project: Project, git_server: GitServer
) -> None:
    """Exit 7 with cause, the program's last words once, and where to read on; the others keep
    SERVING."""
    before = project.container_ids()
    crash = git_server.repository("acme/crash")
    crash.commit({"main.py": "import sys\nprint('about to fail')\nsys.exit(3)\n"})
    _write(project, "crash")
    done = project.iac("deploy", "--file", str(project.file), code=7)
    assert "1 of 3 services are not healthy" in done.stderr
    assert "crash: exited with code 3" in done.stderr
    assert f"next: iac logs --service crash --project {project.name}" in done.stderr
    assert done.stderr.count("about to fail") == 2, "as evidence and among the last lines"
    assert {n: i for n, i in project.container_ids().items() if n in before} == before
    health = project.health(code=7)
    assert {n: s["status"] for n, s in health.items()} == {
        "crash": "NOT_SERVING",
        "one": "SERVING",
        "two": "SERVING",
    }
