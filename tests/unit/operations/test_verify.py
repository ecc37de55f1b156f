from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from iac_wrapper.adapters.engine import Container
from iac_wrapper.model.health import Health
from iac_wrapper.operations.verify import container_state

RUNS = Container(
    "1",
    "web-app",
    "web",
    "app",
    "running",
    0,
    oom_killed=False,
    restarts=0,
    started_at=datetime.now(UTC),
    network_mode="",
    mounts=(),
)
FAILED = Health("web", "NOT_SERVING", "FAILED", exit_code=3, failures=3)
GONE = Health("web", "UNREACHABLE")


@pytest.mark.parametrize(
    ("health", "container", "text"),
    [
        (FAILED, RUNS, "running; the program ended 3 times (exit code 3)"),
        (replace(FAILED, failures=1), RUNS, "running; the program ended once (exit code 3)"),
        (
            FAILED,
            replace(RUNS, restarts=2),
            "running, 2 restarts; the program ended 3 times (exit code 3)",
        ),
        (GONE, RUNS, "running, 0 restarts; the program has not ended"),
        (GONE, replace(RUNS, state="exited", exit_code=9), "exited, 0 restarts; exit code 9"),
        (GONE, None, "is gone"),
    ],
)
def test_the_state_counts_the_ends_of_the_program(
    health: Health, container: Container | None, text: str
) -> None:
    """The runner starts it again in one container, so that the engine counts no restart."""
    assert container_state(health, container) == text
