from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.model.event import Event
from iac_wrapper.model.intent import Intent
from iac_wrapper.operations import prune
from iac_wrapper.operations.intent import from_files, from_slugs
from iac_wrapper.operations.prune import PruneError
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer


@pytest.fixture
def intent(workspace: Workspace, tmp_path: Path) -> Intent:
    """A list of `a`, where `a`, `b` and `c` run."""
    deployed(workspace.layout, app("a"), app("b"), app("c"))
    file = tmp_path / "repos.yaml"
    file.write_text("- gh:acme/a\n")
    return from_files(file)


def test_what_a_list_leaves_out_is_not_removed_unasked(
    workspace: Workspace, intent: Intent
) -> None:
    """The error names the services and the command that removes them."""
    with pytest.raises(PruneError) as caught:
        prune.check(workspace, intent)
    error = caught.value
    assert (error.exit_code, error.services, error.found) == (2, ("b", "c"), "b, c")
    assert f"iac deploy --file {intent.files[0]} --prune --project demo" in (error.next_step or "")


def test_consent_is_to_names_or_to_all(workspace: Workspace, intent: Intent) -> None:
    """Who agreed to some did not agree to others that came meanwhile."""
    prune.check(workspace, replace(intent, prune=True))
    prune.check(workspace, replace(intent, agreed_removals=("b", "c")))
    with pytest.raises(PruneError):
        prune.check(workspace, replace(intent, agreed_removals=("b",)))


def test_what_a_cut_off_deploy_left_counts(
    workspace: Workspace, intent: Intent, engine_double: Daemon
) -> None:
    """A service that has containers but is in no record is a service; the gateway is none."""
    engine_double.add(FakeContainer("1", "demo", "half", "app"))
    engine_double.add(FakeContainer("2", "demo", "gateway", "gateway"))
    assert prune.removals(workspace, intent) == ("b", "c", "half")


def test_slugs_alone_remove_nothing_that_is_recorded(
    workspace: Workspace, intent: Intent, engine_double: Daemon, events: list[Event]
) -> None:
    """What an unfinished deploy left goes, with a warning."""
    del intent
    added = from_slugs(workspace, ["gh:acme/new"], cwd=Path())
    assert prune.removals(workspace, added) == ()
    engine_double.add(FakeContainer("1", "demo", "half", "app"))
    prune.check(workspace, added)
    assert "half is removed" in events[-1].message
