"""Calls of two seconds in flight at every stop and every change: none is lost.

The tests share one project and run in order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Project, git_server, project
from tests.support.git_server import GitServer, Repository
from tests.support.load import LONGEST_GAP
from tests.support.slow_calls import ENTRIES, HTTP, Calls, start, stop_and_start

__all__ = ["git_server", "project"]

pytestmark = pytest.mark.reliability

SERVICES = {"rude": "http", "polite": "http", "rpc": "grpc"}


@pytest.fixture(scope="module", autouse=True)
def first(project: Project, git_server: GitServer) -> None:
    """The servers and their caller, deployed once."""
    start(project, git_server)


@pytest.mark.parametrize("role", ["app", "envoy"])
def test_a_stop_loses_no_call(project: Project, role: str) -> None:
    """Either container, with and without a handler for SIGTERM: 8 of 8 each."""
    took = stop_and_start(project, dict.fromkeys(SERVICES, role))
    print(f"8 of 8 for each of {len(SERVICES)} services, the slowest stop took {took:.1f} s")


CHANGES = {
    "code": ENTRIES,
    "env": ENTRIES.replace("port: 8080", 'port: 8080, env: {A: "1"}', 1),
    "port": ENTRIES.replace("8080", "9090"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_loses_no_call(project: Project, git_server: GitServer, what: str) -> None:
    """Eight callers of each service, one call after the other, and a probe each 20 ms."""
    caller = project.container("caller", "app")
    project.file.write_text(CHANGES[what])
    if what == "code":
        Repository(git_server.folder / "acme" / "http").commit({"main.py": HTTP + "# 2\n"})
    with ThreadPoolExecutor(1) as pool:
        deploy = pool.submit(project.deploy)
        running = [Calls(caller, kind, name, 45) for name, kind in SERVICES.items()]
        probe = Calls(caller, "probe", "rude", 45)
        assert deploy.result()["verdict"] == "ok"
        results = [each.end() for each in running]
        gap = probe.end()["gap"]
    sent = sum(each["good"] + len(each["failed"]) for each in results)
    print(f"{what}: {sent} calls of 2 s, longest gap of a 20 ms probe {gap:.3f} s")
    assert [each["failed"] for each in results] == [[]] * len(results)
    assert gap < LONGEST_GAP
