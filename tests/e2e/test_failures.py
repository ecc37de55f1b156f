"""Deploys that do not go well: interrupted, with a broken build, with a program that crashes.

The tests share one project and run in order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess

import pytest

from tests.e2e.conftest import ROOT, Project
from tests.support.git_server import GitServer, Repository

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
        # A shell starts jobs in `&` with SIGINT ignored, and so would this test's.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
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
    assert f"next: iac logs crash --project {project.name}" in done.stderr
    assert "evidence: about to fail" in done.stderr
    assert re.search(r"last lines:\n[ |]+about to fail", done.stderr)
    assert {n: i for n, i in project.container_ids().items() if n in before} == before
    health = project.health(code=7)
    assert {n: s["status"] for n, s in health.items()} == {
        "crash": "UNREACHABLE",  # stopped: it never served
        "one": "SERVING",
        "two": "SERVING",
    }
    planned = project.iac("plan", "--file", str(project.file), "--detailed-exitcode", code=2)
    sick, _next, nothing = planned.stdout.splitlines()
    assert sick.startswith("  ! crash: is not healthy, and a deploy leaves it so (")
    assert nothing == "No changes."


def test_what_was_broken_before_does_not_fail_a_deploy(
    project: Project, git_server: GitServer
) -> None:
    """It is marked, and not waited for; --all counts it; the service that is deployed decides."""
    Repository(git_server.folder / "acme" / "one").commit({"main.py": "print('newer')\n"})
    done = project.iac("deploy", "--file", str(project.file))
    assert "Already broken before this deploy: crash." in done.stdout
    assert "about to fail" not in done.stderr
    verdict = project.deploy("--all", code=7)
    services = {s["name"]: (s["broken_before"], s["changed"]) for s in verdict["services"]}
    assert services == {"crash": (True, False), "one": (False, False), "two": (False, False)}
    broken = Repository(git_server.folder / "acme" / "two")
    broken.commit({"main.py": "raise SystemExit(4)\n"})
    done = project.iac("deploy", "--file", str(project.file), code=7)
    assert "1 of 3 services are not healthy" in done.stderr
    assert "found:    put back to the previous version: two" in done.stderr


def test_remove_takes_a_service_away(project: Project) -> None:
    """Its containers, image, key and build context go, the others stay; the file brings it back.
    One that is not as recorded is made again, and proven."""
    before = project.container_ids()
    drifted = f"{project.name}-two-app"
    project.container("two", "app").remove(force=True)
    done = project.iac("remove", "crash", "--yes")
    assert done.stdout.splitlines()[0] == "Removed crash, with keys and secret values."
    assert "this also changes two, because it is not as recorded" in done.stderr
    assert "1 of 1 services healthy: 1 COMPLETED" in done.stdout
    after = project.container_ids()
    assert set(before) - set(after) == {f"{project.name}-crash-{r}" for r in ("app", "envoy")}
    assert {name for name in after if after[name] != before[name]} == {drifted}
    assert not (ROOT / "secrets" / project.name / "crash").exists()
    assert not [tag for tag in project.image_tags() if f"{project.name}-crash" in tag]
    planned = json.loads(project.iac("plan", "--file", str(project.file), "--json").stdout)
    assert ("crash", "add") in [(s["service"], s["action"]) for s in planned["services"]]
    assert "crash" not in project.health()  # two is what it was before it failed


def test_a_deploy_removes_only_on_request(project: Project) -> None:
    """Without a terminal and --prune: exit 2 with the list, and everything stays as it is."""
    before = project.container_ids()
    lock = project.folder / "repos.lock.json"
    locked = lock.read_text()
    project.file.write_text("- gh:acme/one\n")
    done = project.iac("deploy", "--file", str(project.file), code=2)
    assert "found:    two" in done.stderr
    assert f"iac deploy --file {project.file} --prune" in done.stderr
    assert (project.container_ids(), lock.read_text()) == (before, locked)
    assert [s["name"] for s in project.deploy("--prune")["services"]] == ["one"]
    assert not [name for name in project.container_ids() if "-two-" in name]


def test_a_key_that_its_envoy_cannot_read_is_one_sentence(project: Project) -> None:
    """The cause, not that the container cannot stay up; nobody waits for the whole time."""
    key = ROOT / "secrets" / project.name / "one" / "tls.key"
    mode = key.stat().st_mode
    key.chmod(0)
    try:
        project.container("one", "envoy").restart(timeout=1)
        done = project.iac("health", "--wait", "120", "--json", code=7)
    finally:
        key.chmod(mode)
    one = next(s for s in json.loads(done.stdout)["services"] if s["name"] == "one")
    assert (one["status"], one["cause"]) == ("UNREACHABLE", "bad-certificate")
    assert one["message"].startswith("its certificate on disk cannot be served: its key is of uid")
    assert one["seconds"] < 60, "a container that cannot stay up ends the wait"


def test_the_ledger_tells_all_that_was_done(project: Project) -> None:
    """A number for each command that changed something, also for those that failed; a refused one
    has none. It outlives the project."""
    project.iac("destroy", "--yes")
    found = json.loads(project.iac("releases", "--json", "-n", "100").stdout)
    assert found["remarks"] == []
    made = [each for each in reversed(found["releases"]) if each["release"]]
    assert [(each["kind"], each["verdict"]) for each in made] == [
        ("deploy", "interrupted"),  # by Ctrl-C
        ("deploy", "good"),
        ("deploy", "failed"),  # the build
        ("deploy", "good"),
        ("deploy", "unhealthy"),  # crash
        ("deploy", "good"),
        ("deploy", "unhealthy"),  # --all
        ("deploy", "unhealthy"),  # two, put back
        ("remove", "good"),
        ("deploy", "good"),  # --prune; the one without was refused
        ("destroy", "good"),
    ]
    numbers = [each["number"] for each in found["releases"]]
    assert numbers == list(range(len(numbers), 0, -1))
    build, crash, removed, destroyed = made[2], made[4], made[8], made[10]
    assert "no-such-package-anywhere" in build["error"]["message"]
    assert (crash["failed"], crash["lock"] != crash["before"]) == (["crash"], True)
    assert (removed["moved"], sorted(removed["commits"])) == (["crash"], ["one", "two"])
    assert destroyed["lock"] is None
    text = project.iac("diff", str(build["number"]), str(crash["number"])).stdout
    assert "crash: added\n" in text
    assert re.search(r"commit: none -> [0-9a-f]{12}\n    [0-9a-f]{12} change\n", text), text
