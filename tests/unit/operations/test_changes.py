from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.adapters.planned_containers import PlannedContainer
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health
from iac_wrapper.model.options import Options
from iac_wrapper.operations.changes import VersionChange, _why_in_place, parts
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app

WEB = app("web")
WELL = Health("web", "SERVING", phase="RUNNING", listening="127.0.0.1:5000")
PAIR = {
    role: PlannedContainer("web", role, ("create",), {"mounts": []}) for role in ("app", "envoy")
}
DATA = {**PAIR, "app": PlannedContainer("web", "app", ("create",), {"volumes": [{}]})}


@pytest.mark.parametrize(
    ("one", "seen", "pair", "why"),
    [
        (WEB, WELL, PAIR, None),
        (replace(WEB, run="web"), WELL, PAIR, None),
        (WEB, None, PAIR, "it is new"),
        (WEB, replace(WELL, status="NOT_SERVING"), PAIR, None),  # restarted a moment ago, say
        (
            WEB,
            replace(WELL, status="NOT_SERVING", listening=""),
            PAIR,
            "its old version does not serve",
        ),
        (replace(WEB, run="worker"), WELL, PAIR, "it does not serve requests"),
        (replace(WEB, run="job"), WELL, PAIR, "it does not serve requests"),
        (WEB, replace(WELL, listening=""), PAIR, "it does not serve requests"),
        (replace(WEB, options=Options(rollout="replace")), WELL, PAIR, "`rollout: replace`"),
        (WEB, WELL, DATA, "it holds data"),
        (WEB, WELL, {"app": PAIR["app"]}, "one of its containers is not planned"),
        (replace(WEB, name="x" * 50), WELL, PAIR, "its name is too long"),
    ],
)
def test_only_what_serves_and_holds_no_data_runs_twice(
    workspace: Workspace,
    one: ResolvedApp,
    seen: Health | None,
    pair: dict[str, PlannedContainer],
    why: str | None,
) -> None:
    """Whatever else is replaced in place, with a reason that is said."""
    assert _why_in_place(workspace, one, seen, pair) == why


def test_a_rollout_of_many_has_parts() -> None:
    """So many new versions beside the old ones; what is replaced in place comes with the last."""
    changed = {
        name: VersionChange(app(name), app(name), True, "it is new" if name == "a" else None)
        for name in "abcdef"
    }
    assert [[*part] for part in parts(changed, 2)] == [["b", "c"], ["d", "e"], ["f", "a"]]
    assert [[*part] for part in parts(changed, 5)] == [[*"bcdefa"]]
    assert parts({}, 2) == [{}]
