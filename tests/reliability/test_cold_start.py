"""A service whose first act is to call another one, started again and again."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Project
from tests.reliability.conftest import Record, until

pytestmark = [pytest.mark.reliability, pytest.mark.row(5)]

STARTS = 10


@pytest.mark.parametrize("callee", ["runs", "starts as well"])
def test_the_first_act_of_a_cold_start_succeeds(mesh: Project, record: Record, callee: str) -> None:
    """Both containers of the caller are killed and started; so are those of its callee."""
    services = ["eager"] if callee == "runs" else ["eager", "web"]
    pairs = [[mesh.container(name, role) for role in ("envoy", "app")] for name in services]
    said = []
    for _ in range(STARTS):
        before = len(_firsts(mesh))
        for one in (one for pair in pairs for one in pair):
            one.kill()
        for envoys in zip(*pairs, strict=True):
            for one in envoys:
                one.start()
        until(lambda before=before: len(_firsts(mesh)) > before, 40)  # type: ignore[misc]
        said.append(_firsts(mesh)[-1])
    good = said.count("first one")
    record(
        f"Envoy and program started anew, the program calls at once; its callee {callee}",
        f"{STARTS} starts",
        f"{good} of {STARTS} answered" + "".join(f"; {each}" for each in {*said} - {"first one"}),
    )
    assert good == STARTS


def _firsts(project: Project) -> list[str]:
    """What the program has said of its first calls."""
    lines = project.container("eager", "app").logs().decode().splitlines()
    return [line for line in lines if line.startswith("first ")]
