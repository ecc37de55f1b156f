"""A bad release does not take the good one down: under load, with nothing replaced.

The tests share one project and run in order.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.support.git_server import GitServer
from tests.support.load import LONGEST_GAP
from tests.support.rollouts import (
    BROKEN,
    ENTRIES,
    IDLE,
    commit,
    server,
    start,
    under_load,
)

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

    verdict, result = under_load(project)

    assert verdict["verdict"] == "ok"
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
    assert project.health()["web"]["status"] == "SERVING"
    printed = project.iac("logs", "--service", "web").stdout
    assert "web/failed | --- the last lines of a version that failed" in printed
    assert "nowhere_to_be_found" in printed


def test_what_may_not_run_twice_is_put_back(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """A worker's broken version replaces the good one, fails, and the good one runs again, from
    its image; a service whose new version is good moves all the same."""
    locked = _lock(project)
    commit(git_server, BROKEN, "caller")
    moved = commit(git_server, server("three"))

    verdict = project.deploy(code=7)

    assert verdict["error"]["found"] == "moved: web; stayed on the previous version: caller"
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
    assert "nowhere_to_be_found" in project.iac("logs", "--service", "late").stdout
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")
    again = {service["name"]: service for service in project.deploy()["services"]}
    assert again["late"]["broken_before"]
    commit(git_server, IDLE, "late")
    assert project.deploy()["verdict"] == "ok"
    assert project.container("late", "app").status == "running"


def test_the_last_good_images_stay(first: dict[str, Any], project: Project) -> None:
    """Three proven versions can be gone back to without a build; what failed leaves no image."""
    own = [tag for tag in project.image_tags() if tag.startswith(f"iac/{project.name}-web:")]
    record = json.loads((project.directory / "releases.json").read_text())
    proven = [release["app"]["image"] for release in record["good"]["web"]]
    assert sorted(own) == sorted(proven)
    assert len(proven) == 3
    assert proven[0] == _lock(project)["web"]["image"]
