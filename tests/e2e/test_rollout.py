"""A bad release does not take the good one down: under load, with nothing replaced.

The tests share one project and run in order.
"""

from __future__ import annotations

import json
import shutil
import threading
from typing import Any
from unittest.mock import patch

import pytest

from iac_wrapper.identity.certificates import inspect_leaf
from tests.e2e.conftest import IAC, ROOT, Project
from tests.support.git_server import GitServer
from tests.support.load import LONGEST_GAP, Load
from tests.support.rollouts import (
    BROKEN,
    ENDS_LATER,
    ENTRIES,
    IDLE,
    commit,
    server,
    start,
    under_load,
)
from tests.support.stream import result_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def first(project: Project, git_server: GitServer) -> dict[str, Any]:
    """A server and a caller, deployed once."""
    return start(project, git_server)


def _lock(project: Project) -> dict[str, Any]:
    apps: dict[str, Any] = json.loads((project.folder / "repos.lock.json").read_text())["apps"]
    return apps


def test_a_good_release_loses_no_request(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """200 requests/s for a whole redeploy: none fails, and the new version answers in the end."""
    commit(git_server, server("two"))
    asked = "import socket; socket.gethostbyname('nosuch.')"
    wrong = project.container("caller", "app").exec_run(["/venv/bin/python", "-c", asked])

    verdict, result = under_load(project)

    assert b"gaierror" in wrong.output
    told = "caller/envoy | sidecar: no service nosuch in project " + project.name
    assert told in project.iac("logs", "--service", "caller").stdout
    assert verdict["verdict"] == "ok"
    before = project.iac("logs", "web", "--previous").stdout
    assert before.startswith("web/previous | --- the last lines of the version before (commit ")
    assert "no lines of a version" in project.iac("logs", "caller", "-p", code=2).stderr
    assert result.failed == []
    assert result.gap < LONGEST_GAP
    assert result.seen == ["one", "two"]
    assert result.last == "two"
    assert len(project.container_ids()) == 5  # no candidate is left
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")


def test_a_bad_release_loses_no_request(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """One broken import: exit 7, none of 200 requests/s fails, and nothing that served changes."""
    before, locked = project.container_ids(), _lock(project)
    leaf = ROOT / "secrets" / project.name / "web"
    (leaf / "tls.key").chmod(0o640)  # a leaf is due: it is made anew before anything is tried
    fingerprint = inspect_leaf(leaf).fingerprint
    commit(git_server, BROKEN)

    verdict, result = under_load(project, code=7)

    assert result.failed == []
    assert result.gap < LONGEST_GAP
    assert result.seen == ["two"]
    assert project.container_ids() == before
    assert _lock(project) == locked
    assert "the previous version still serves" in verdict["error"]["message"]
    assert verdict["error"]["found"] == "stayed on the previous version: web"
    web = next(service for service in verdict["services"] if service["name"] == "web")
    assert web["previous"]["commit"] == locked["web"]["commit"]
    assert inspect_leaf(leaf).fingerprint != fingerprint
    assert project.health()["web"]["status"] == "SERVING"  # with the new leaf: else it is not good
    printed = project.iac("logs", "--service", "web").stdout
    assert "web/failed | --- the last lines of a version that failed" in printed
    assert "nowhere_to_be_found" in printed


def test_a_version_that_ends_after_its_proof_does_not_stay(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """It serves for six seconds, which is enough for its proof, and the old one comes back."""
    locked = _lock(project)
    commit(git_server, ENDS_LATER + server("ends"))

    verdict = project.deploy(code=7)

    assert verdict["error"]["found"] == "put back to the previous version: web"
    assert _lock(project) == locked
    assert project.health()["web"]["status"] == "SERVING"


def test_what_may_not_run_twice_is_put_back(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """A worker's broken version replaces the good one, fails, and the good one runs again, from
    its image; a service whose new version is good moves all the same."""
    locked = _lock(project)
    commit(git_server, BROKEN, "caller")
    moved = commit(git_server, server("three"))

    verdict = project.deploy(code=7)

    found = "deployed: web; put back to the previous version: caller"
    assert verdict["error"]["found"] == found
    assert verdict["error"]["message"].endswith("the previous version was put back")
    assert _lock(project)["caller"] == locked["caller"]
    assert _lock(project)["web"]["commit"] == moved
    assert {n: s["status"] for n, s in project.health().items()} == {
        "caller": "SERVING",
        "web": "SERVING",
    }
    assert "nowhere_to_be_found" in project.iac("logs", "--service", "caller").stdout
    commit(git_server, IDLE, "caller")


def test_a_first_version_that_fails_is_stopped_and_kept(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """Nothing starts it again, and no later deploy fails for it, until it changes."""
    git_server.repository("acme/late").commit({"main.py": BROKEN})
    project.file.write_text(ENTRIES + "- gh:acme/late\n")

    failed = project.deploy(code=7)
    project.iac("heal")

    assert failed["error"]["found"] == "not healthy: late"

    states = [project.container("late", role).status for role in ("app", "envoy")]
    assert states == ["exited", "exited"]
    late = project.health(code=7)["late"]
    assert (late["cause"], late["changed"]) == ("stopped", False)
    assert "its first version failed, and the deploy stopped it at 20" in late["message"]
    assert f"iac deploy --file repos.yaml late --project {project.name}" in late["next_step"]
    printed = project.iac("logs", "--service", "late").stdout
    assert "nowhere_to_be_found" in printed
    assert "late/failed" not in printed  # its container is there and has them: not twice
    plan = ("plan", "--file", str(project.file), "--detailed-exitcode")
    assert project.iac(*plan, code=2).stdout.endswith("\nNo changes.\n")  # but it is not healthy
    again = {service["name"]: service for service in project.deploy()["services"]}
    assert again["late"]["broken_before"]
    commit(git_server, server("late"), "late")
    assert project.deploy()["verdict"] == "ok"
    assert project.container("late", "app").status == "running"


def test_there_is_a_most_of_candidates(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """Two services with one candidate at a time: one after the other, each with an apply of its
    own; what fails first does not keep the other from moving."""
    commit(git_server, BROKEN, "late")
    moved = commit(git_server, server("four"))
    project.environment["IAC_CANDIDATES"] = "1"
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        label = {"label": [*project.label.values(), "org.karstkit.role=candidate-app"]}
        while not ended.wait(0.2):
            seen.append(len(project.engine.api.containers(all=True, filters=label)))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        verdict = project.deploy(code=7)
    finally:
        ended.set()
        watch.join()
        del project.environment["IAC_CANDIDATES"]
    assert verdict["error"]["found"] == "deployed: web; stayed on the previous version: late"
    assert _lock(project)["web"]["commit"] == moved
    assert max(seen) == 1
    assert len(project.container_ids()) == 7
    project.file.write_text(ENTRIES)
    project.deploy("--prune")


def test_the_last_good_images_stay(first: dict[str, Any], project: Project) -> None:
    """Three proven versions can be gone back to without a build; what failed leaves no image."""
    own = [tag for tag in project.image_tags() if tag.startswith(f"iac/{project.name}-web:")]
    record = json.loads((project.directory / "releases.json").read_text())
    proven = [release["app"]["image"] for release in record["good"]["web"]]
    assert sorted(own) == sorted(proven)
    assert len(proven) == 3
    assert proven[0] == _lock(project)["web"]["image"]


def _hook(project: Project, name: str, text: str) -> None:
    path = project.folder / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nIAC='{IAC} -C {ROOT}'\n{text}\n")
    path.chmod(0o755)


def test_a_rollback_loses_no_request(first: dict[str, Any], project: Project) -> None:
    """200 requests/s while one service goes back: none fails, and the image is the one of before.
    All cannot go back where an image is gone; that is said before anything moves."""
    record = json.loads((project.directory / "releases.json").read_text())
    wanted = next(r["app"] for r in record["good"]["web"] if r["app"] != _lock(project)["web"])
    image, before = project.engine.images.get(wanted["image"]).id, project.container_ids()
    refused = project.iac("rollback", code=2)
    shown = project.iac("rollback", "web", "--dry-run")
    _hook(project, "pre-deploy", "echo tests are red; exit 3")
    stopped = project.iac("rollback", "web", code=5)
    for name in ("pre-deploy", "post-deploy"):
        _hook(project, name, f"cat > told.json; $IAC status >/dev/null; echo {name} saw $?")
    assert project.container_ids() == before

    load = Load(project.container("caller", "app"), "web")
    try:
        done = project.iac("rollback", "web", "--json")
    finally:
        result = load.end()
        shutil.rmtree(project.folder / "hooks")

    assert "error: " in stopped.stderr
    assert "  | tests are red" in stopped.stderr
    assert "error: service late: release" in refused.stderr
    assert "no image iac/" in refused.stderr
    assert "  ± web: replaced (" in shown.stdout
    assert "Plan: 1 replaced." in shown.stdout
    assert result.failed == []
    assert result.gap < LONGEST_GAP
    assert result.seen == ["four", "three"]
    assert project.container("web", "app").image.id == image
    assert _lock(project)["web"] == wanted
    caller = f"{project.name}-caller-app"
    assert project.container_ids()[caller] == before[caller]
    number = result_of(done.stdout)["release"]
    release = json.loads(project.iac("show", str(number), "--json").stdout)
    assert release["kind"] == "rollback"
    assert release["named"] == release["moved"] == ["web"]
    said = [(hook["exit_code"], hook["output"]) for hook in release["hooks"]]
    assert said == [(0, "pre-deploy saw 0"), (0, "post-deploy saw 0")]
    told = json.loads((project.folder / "told.json").read_text())
    assert (told["verdict"], told["release"], told["moved"]) == ("good", number, ["web"])


def test_a_stopped_service_is_out_of_the_stack_until_it_is_started(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """No deploy starts it, its peer is left alone, and what comes back is what left: a newer commit
    waits for a deploy, and no server is asked for a source."""
    lock = project.folder / "repos.lock.json"
    locked, before = _lock(project), project.container_ids()
    leaf = ROOT / "secrets" / project.name / "web"
    fingerprint = inspect_leaf(leaf).fingerprint
    commit(git_server, server("six"))

    stopped = project.iac("stop", "web")

    assert f"Next: iac start web --project {project.name}" in stopped.stdout
    assert json.loads(lock.read_text())["stopped"] == {"web": locked["web"]}
    left = project.container_ids()
    assert left == {name: before[name] for name in before if "-web-" not in name}
    deployed = project.iac("deploy", "--file", str(project.file))
    assert "web: stopped (iac stop by root, 20" in deployed.stderr
    assert "1 of 1 services" in deployed.stdout
    assert project.container_ids() == left
    assert f"next: iac start web --project {project.name}" in project.iac("status").stdout

    nowhere = {"IAC_GITHUB_URL": "http://127.0.0.1:9"}
    with patch.dict(project.environment, nowhere):
        started = project.iac("start", "web", "--json")

    assert result_of(started.stdout)["verdict"] == "ok"
    assert _lock(project)["web"] == locked["web"]
    assert "stopped" not in json.loads(lock.read_text())
    assert inspect_leaf(leaf).fingerprint == fingerprint
