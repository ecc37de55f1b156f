"""Rollouts of every kind under load, with the figures: minutes long, hence `make reliability`.

The tests share one project and run in order.
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Project, git_server, project
from tests.reliability.conftest import Record
from tests.support.git_server import GitServer
from tests.support.load import LONGEST_GAP, Load, Result
from tests.support.rollouts import (
    BROKEN,
    ENTRIES,
    commit,
    deploy_when_free,
    kill_deploy,
    server,
    start,
    under_load,
)

__all__ = ["git_server", "project"]

pytestmark = pytest.mark.reliability


@pytest.fixture(scope="module", autouse=True)
def first(project: Project, git_server: GitServer) -> dict[str, Any]:
    """A server and a caller, deployed once."""
    return start(project, git_server)


def _check(result: Result) -> None:
    print(
        f"{result.sent} requests, {len(result.failed)} failed, longest gap {result.gap:.3f} s,"
        f" slowest answer {result.slowest:.3f} s, load {os.getloadavg()[0]:.0f}"
    )
    assert result.failed == []
    assert result.gap < LONGEST_GAP


CHANGES = {
    "env": (ENTRIES.replace("  port: 8080\n", "  port: 8080\n  env: {GREETING: hi}\n"), "hi"),
    "port": (ENTRIES.replace("8080", "9090"), "one"),
    "secret": (ENTRIES.replace("8080\n", "9090\n  env: {GREETING: '${WORD}'}\n"), "first"),
    "limits": (ENTRIES.replace("8080\n", "9090\n  memory: 300m\n"), "one"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_loses_no_request(project: Project, what: str) -> None:
    """Whatever replaces or restarts a container: none of 200 requests/s fails."""
    entries, answer = CHANGES[what]
    project.environment["WORD"] = "first"
    project.file.write_text(entries)
    verdict, result = under_load(project)
    assert verdict["verdict"] == "ok"
    assert result.last == answer
    _check(result)


def test_a_new_secret_value_loses_no_request(project: Project) -> None:
    """Terraform sees no change; the program restarts behind its candidate."""
    project.file.write_text(CHANGES["secret"][0])
    project.deploy()
    project.environment["WORD"] = "second"
    verdict, result = under_load(project)
    assert verdict["plan"]["empty"]
    assert result.seen == ["first", "second"]
    _check(result)


def test_a_bad_secret_value_loses_no_request(project: Project) -> None:
    """The program dies of it beside the old one, which keeps the value that it has."""
    project.environment["WORD"] = "crash"
    _, result = under_load(project, code=7)
    assert result.seen == ["second"]
    _check(result)
    project.container("web", "app").restart()
    assert project.iac("health", "--wait", "20")
    project.file.write_text(ENTRIES)
    project.deploy()


LIVE = {"Applying:", "Verifying every"}
"""Where a candidate has the traffic for sure; the name moves a moment after it is said."""


STEPS = ["Synthesizing", "Trying web", "gets the traffic", "Applying:", "Verifying every"]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_converges(project: Project, git_server: GitServer, step: str) -> None:
    """kill -9 there, then the same deploy: it ends well, and no request failed in between. The
    leaf that is made anew before all that is the one that is served."""
    commit(git_server, server(step))
    (ROOT / "secrets" / project.name / "web" / "tls.key").chmod(0o640)
    load = Load(project.container("caller", "app"), "web")
    try:
        kill_deploy(project, step)
        assert project.health()["web"]["status"] == "SERVING"
        told = "the candidate of an unfinished deploy has the traffic"
        said = told in project.iac("heal").stderr
        assert said or step not in LIVE
        verdict = deploy_when_free(project)
    finally:
        result = load.end()
    assert verdict["verdict"] == "ok"
    assert result.last == step
    assert len(project.container_ids()) == 5
    _check(result)


def test_a_bad_release_after_kills_loses_no_request(
    project: Project, git_server: GitServer
) -> None:
    """What was killed leaves nothing that a later failure could go back to by mistake."""
    commit(git_server, BROKEN)
    _, result = under_load(project, code=7)
    assert result.seen == ["Verifying every"]
    _check(result)


def test_a_restart_loses_no_request(project: Project) -> None:
    """One service gets new containers, of the same version, and nobody else."""
    before, load = project.container_ids(), Load(project.container("caller", "app"), "web")
    try:
        project.iac("restart", "web")
    finally:
        result = load.end()
    after = project.container_ids()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{project.name}-web-{role}" for role in ("app", "envoy")}
    _check(result)


ROLLBACKS = 5
PROVEN_SECONDS = 3.0
"""Promised on a quiet machine, from the command to the proof; tests allow three times as much."""


@pytest.mark.row(17)
def test_a_rollback_is_proven_soon(project: Project, git_server: GitServer, record: Record) -> None:
    """Back and forth, 200 requests/s meanwhile: from then on callers get the older version."""
    releases = []
    for text in ("older", "newer"):
        commit(git_server, server(text))
        releases.append(project.deploy()["release"])
    load, seconds = Load(project.container("caller", "app"), "web"), []
    try:
        for number in range(ROLLBACKS):
            seconds.append(_proven(project, releases[number % 2]))
    finally:
        result = load.end()
    record(
        f"{ROLLBACKS} rollbacks of one service under load",
        f"{result.sent} calls",
        f"proven, with all of the traffic, after {min(seconds):.1f} to {max(seconds):.1f} s;"
        f" {len(result.failed)} failed",
    )
    assert {*result.seen} == {"older", "newer"}
    assert max(seconds) < 3 * PROVEN_SECONDS
    _check(result)


def _proven(project: Project, to: int) -> float:
    """How long a rollback of `web` takes until it says that the version is proven; to its end."""
    began = time.monotonic()
    with subprocess.Popen(
        project.argv("rollback", "web", "--to", str(to)),
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stderr is not None
        seen, proven = [], 0.0
        for line in running.stderr:
            seen.append(line)
            if "is proven and gets the traffic" in line:
                proven = time.monotonic() - began
        assert running.wait(60) == 0, "".join(seen)
    assert proven, "".join(seen)
    return proven
