"""A program that fails each request for a cause that stays is not waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.model.health import Health
from iac_wrapper.operations.failing import FAILING_SECONDS, FailingCheck
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app
from tests.support.docker_daemon import Daemon, FakeContainer

FAILS = Health(
    *("web", "NOT_SERVING", "RUNNING"),
    message="GET / on port 5000: 500",
    cause="no-answer",
    incarnation=1,
    fault=True,
)
MISSING = b"Traceback:\nModuleNotFoundError: No module named 'yaml'\nGET / 500\n"


@pytest.fixture
def check(workspace: Workspace) -> FailingCheck:
    return FailingCheck(workspace, app("web"), "demo-web-app")


def _later(check: FailingCheck, *seen: Health) -> bool:
    """Whether waiting has ended after looks at FAILING_SECONDS and twice that."""
    first = check(replace(FAILS, seconds=1.0))
    assert not first.hopeless, "the first failure may be of a start that goes on"
    looks = [
        check(replace(health, seconds=1.0 + FAILING_SECONDS * (n + 1)))
        for n, health in enumerate(seen)
    ]
    return looks[-1].hopeless


def test_a_cause_that_each_request_brings_ends_the_wait(
    check: FailingCheck, engine_double: Daemon
) -> None:
    """Only what was printed since the request before is read."""
    engine_double.add(FakeContainer("demo-web-app", "demo", "web", "app", log=[(2, MISSING)]))
    assert _later(check, FAILS)
    assert [query["since"] for query in engine_double.queries if "since" in query]


@pytest.mark.parametrize(
    ("log", "health"),
    [
        (b"Traceback:\nValueError: bad\n", FAILS),
        (b"OSError: [Errno 98] Address already in use\n", FAILS),
        (MISSING, replace(FAILS, fault=False, message="GET / on port 5000: 503")),
        (MISSING, replace(FAILS, incarnation=2)),
    ],
    ids=["no known cause", "one that heals", "not ready yet", "started anew"],
)
def test_others_get_their_time(
    check: FailingCheck, engine_double: Daemon, log: bytes, health: Health
) -> None:
    """What may heal is waited for."""
    engine_double.add(FakeContainer("demo-web-app", "demo", "web", "app", log=[(2, log)]))
    assert not _later(check, health)


def test_workers_that_are_killed_again_and_again_end_the_wait(check: FailingCheck) -> None:
    """Memory does not grow by waiting; a single one may have been bad luck."""
    assert not _later(check, replace(FAILS, oom_kills=1))
    assert _later(check, FAILS, replace(FAILS, oom_kills=2))
