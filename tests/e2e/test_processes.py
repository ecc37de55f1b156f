"""A web program, a worker of the same image and a composed secret, in the order of their needs.

The tests share one project and run in order.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.support.git_server import GitServer, Repository
from tests.support.rollouts import server
from tests.support.sentinel import showing

pytestmark = pytest.mark.integration

SENTINEL = "sentinel/4711 a"

TOKEN = "ghp-sentinel" + "7Qx" * 4
"""Of the host, whose repositories are private."""

DB = f"import time\ntime.sleep(3)\n{server('db')}"

WORKER = """import os, sys, time, urllib.request
first = urllib.request.urlopen("http://db/", timeout=5).read().decode()
url = os.environ["URL"]
print("asked", first, "as", sys.argv[1:], url, "with", url[17:-8], os.environ["TEXT"], flush=True)
while True: time.sleep(1)
"""

CALLER = """import sys, time, urllib.request
try: urllib.request.urlopen("http://bad/", timeout=1)
except Exception as error: sys.exit(f"ConnectionError: http://bad/: {error}")
while True: time.sleep(1)
"""

ENTRIES = """\
- slug: gh:acme/shop
  needs: [db]
  env: {URL: "postgresql://app:${PASSWORD}@db/app?", TEXT: "$${HOME} $1"}
  processes:
    worker: python worker.py --fast
- {slug: gh:acme/shop, name: db, entrypoint: db.py}
- {slug: gh:acme/shop, name: caller, entrypoint: caller.py, run: worker}
- {slug: gh:acme/bad, run: web}
- {slug: gh:acme/shop, name: late, needs: [bad], entrypoint: "python -m http.server $PORT"}
"""


@pytest.fixture(scope="module")
def first(project: Project, git_server: GitServer) -> dict[str, Any]:
    """What a deploy says in which one service of several fails."""
    git_server.token = TOKEN
    project.environment |= {"IAC_PROBATION": "3", "PASSWORD": SENTINEL, "GITHUB_TOKEN": TOKEN}
    shop = {"web.py": server("shop"), "worker.py": WORKER, "db.py": DB, "caller.py": CALLER}
    git_server.repository("acme/shop").commit({**shop, "Procfile": "web: python web.py\n"})
    git_server.repository("acme/bad").commit({"main.py": "raise SystemExit('no')\n"})
    project.file.write_text(ENTRIES)
    return project.deploy(code=7)


def _rows(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {service["name"]: service for service in verdict["services"]}


def test_what_needs_another_starts_after_it(first: dict[str, Any], project: Project) -> None:
    """The first call of the worker is answered; what lacks a service is not there at all."""
    rows = _rows(first)
    assert (
        first["error"]["found"] == "deployed: db, shop, shop-worker; not healthy: bad, caller; "
        "not started: late"
    )
    said = project.container("shop-worker", "app").logs().decode()
    assert said.startswith("asked db as ['--fast']")
    assert (rows["late"]["cause"], rows["late"]["message"]) == (
        "waiting",
        "it was not started: it waits for bad",
    )
    assert rows["late"]["evidence"].startswith("bad is not good: ")
    assert not [name for name in project.container_ids() if "-late-" in name]
    later = project.health(code=7)["late"]
    assert later["message"].startswith("the last deploy did not start it: waits for bad")
    assert later["next_step"] == rows["late"]["next_step"]


def test_a_process_is_a_service_that_runs_the_image_of_its_entry(
    first: dict[str, Any], project: Project
) -> None:
    """With an identity of its own."""
    rows = _rows(first)
    assert rows["shop-worker"]["image"] == rows["shop"]["image"]
    assert len([tag for tag in project.image_tags() if "-shop" in tag]) == 1
    assert rows["shop-worker"]["identity"].endswith("/shop-worker")
    assert rows["shop-worker"]["identity_proven"]
    assert (rows["shop"]["run"], rows["shop-worker"]["run"]) == ("web", "worker")


def test_a_secret_within_text_is_shown_nowhere(first: dict[str, Any], project: Project) -> None:
    """Not whole and not alone: in the logs, the lock, the state and what the engine knows."""
    container = project.container("shop-worker", "app")
    value = container.exec_run(["cat", "/run/iac/env/URL"]).output.decode()
    assert value == f"postgresql://app:{SENTINEL}@db/app?"
    assert SENTINEL.encode() in container.logs()
    shown = project.iac("logs", "shop-worker").stdout
    assert "as ['--fast'] [redacted] with [redacted] ${HOME} $1" in shown
    files = [*project.directory.rglob("*.tfstate"), project.folder / "repos.lock.json"]
    texts = [json.dumps(container.attrs), shown, *(file.read_text() for file in files)]
    assert all(SENTINEL not in text for text in texts)
    assert all(SENTINEL not in line for line in project.iac("health", code=7).stdout.splitlines())


def test_the_token_of_a_host_is_shown_nowhere(first: dict[str, Any], project: Project) -> None:
    """Not in the verdict, lock, plan, state, stack, contexts, cache, images, containers or logs."""
    planned = project.iac("plan", "--full", "--file", str(project.file))
    texts = [json.dumps(first), planned.stdout, planned.stderr, *project.traces()]
    assert not [text[:200] for text in showing(texts, TOKEN)]


def test_what_failed_or_waited_is_tried_when_its_neighbour_is_good(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """The caller never said that it needs it: the evidence of its failure does."""
    Repository(git_server.folder / "acme" / "bad").commit({"main.py": server("bad")})
    before = project.container_ids()

    rows = _rows(project.deploy())

    assert {rows[name]["status"] for name in rows} == {"SERVING"}
    assert rows["late"]["entrypoint"] == "http.server $PORT"
    after = project.container_ids()
    kept = {name for name in before if before[name] == after.get(name)}
    assert {f"{project.name}-{name}-app" for name in ("db", "shop", "shop-worker")} <= kept
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")
