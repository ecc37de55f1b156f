"""Calls of two seconds in flight at every stop and every change: none is lost.

The tests share one project and run in order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Project, git_server, project
from tests.reliability.conftest import Record
from tests.support.git_server import GitServer, Repository
from tests.support.load import LONGEST_GAP
from tests.support.slow_calls import ENTRIES, GRPC, HTTP, RPC, Calls, start, stop_and_start

__all__ = ["git_server", "project"]

pytestmark = [pytest.mark.reliability, pytest.mark.row(6)]

SERVICES = {"rude": "http", "polite": "http", "rpc": "grpc"}


@pytest.fixture(scope="module", autouse=True)
def first(project: Project, git_server: GitServer) -> None:
    """The servers and their caller, deployed once."""
    start(project, git_server, RPC)


@pytest.mark.parametrize("role", ["app", "envoy"])
def test_a_stop_loses_no_call(project: Project, role: str, record: Record) -> None:
    """Either container, with and without a handler for SIGTERM: 8 of 8 each."""
    took = stop_and_start(project, dict.fromkeys(SERVICES, role))
    record(
        f"`docker stop` of the {role} container with calls in flight, others while it starts again",
        f"16 calls of each of {len(SERVICES)} services (no handler, handler, gRPC)",
        f"0 failed; the slowest stop took {took:.1f} s",
    )


ALL = ENTRIES + RPC
CHANGES = {
    "code": ALL,
    "env": ALL.replace("POLITE", "A: '1', POLITE").replace("8080}", "8080, env: {A: '1'}}"),
    "port": ALL.replace("8080", "9090"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_loses_no_call(
    project: Project, git_server: GitServer, what: str, record: Record
) -> None:
    """Eight callers of each service, one call after the other, and a probe each 20 ms."""
    caller = project.container("caller", "app")
    project.file.write_text(CHANGES[what])
    if what == "code":
        for name, code in {"http": HTTP, "grpc": GRPC}.items():
            Repository(git_server.folder / "acme" / name).commit({"main.py": f"{code}# 2\n"})
    with ThreadPoolExecutor(1) as pool:
        deploy = pool.submit(project.deploy)
        running = [Calls(caller, kind, name, 45) for name, kind in SERVICES.items()]
        probe = Calls(caller, "probe", "rude", 45)
        assert deploy.result()["verdict"] == "ok"
        results = [each.end() for each in running]
        gap = probe.end()["gap"]
    sent = sum(each["good"] + len(each["failed"]) for each in results)
    failed = sum(len(each["failed"]) for each in results)
    record(
        f"a change of {what} of all services under calls of 2 s, eight at a time for each",
        f"{sent} calls",
        f"{failed} failed; longest gap of a 20 ms probe {gap:.2f} s",
    )
    assert [each["failed"] for each in results] == [[]] * len(results)
    assert gap < LONGEST_GAP
