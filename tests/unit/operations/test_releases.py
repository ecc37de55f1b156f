from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.operations import kept_logs, releases
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.logs import logs
from iac_wrapper.operations.releases import Releases, StoppedService
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer


def _images(*numbers: int) -> list[str]:
    return [f"iac/demo-web:{number:012x}" for number in numbers]


def test_the_last_good_images_are_known(workspace: Workspace) -> None:
    """Newest first, as many images as are to be kept, entries with another `env:` among them; the
    record survives on disk."""
    web = app("web")
    known = Releases()
    for image in _images(1, 2, 3, 4):
        known = known.proven([replace(web, image=image)], keep=3)
        known = known.proven([replace(web, image=image, env={"A": "b"})], keep=3)
    releases.save_releases(workspace, known)

    again = releases.load_releases(workspace)

    assert again == known
    assert again.images("web") == set(_images(2, 3, 4))
    assert again.last_good("web") == replace(web, image=_images(4)[0], env={"A": "b"})
    assert len(again.good["web"]) == 6


def test_a_version_that_is_proven_again_is_one_entry(workspace: Workspace) -> None:
    """Going back to an older version moves its entry to the front."""
    one, two = (replace(app("web"), image=image) for image in _images(1, 2))
    known = Releases().proven([one], keep=3).proven([two], keep=3).proven([one], keep=3)
    assert [release.app for release in known.good["web"]] == [one, two]


def test_what_belongs_to_services_that_are_gone_is_dropped(workspace: Workspace) -> None:
    """Their versions cannot be gone back to."""
    lock = deployed(workspace.layout, app("web"))
    releases.finish(workspace, lock, Releases().proven([app("web"), app("gone")], keep=3))
    assert releases.load_releases(workspace).good.keys() == {"web"}


def test_a_record_that_cannot_be_read_says_so(workspace: Workspace) -> None:
    """No traceback, and a way on."""
    path = workspace.layout.releases("demo")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(ConfigError, match="cannot read the record of proven versions"):
        releases.load_releases(workspace)


def test_what_never_served_stays_stopped_until_it_changes(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Neither heal nor an unrelated deploy starts it; another version, another value or its name
    does."""
    lock = deployed(workspace.layout, app("late"), app("web"))
    engine_double.add(FakeContainer("e", "demo", "late", "envoy", state="exited"))
    releases.save_releases(workspace, Releases(stopped={"late": StoppedService()}))
    nothing: dict[str, dict[str, str]] = {"late": {}, "web": {}}

    def resting(port: int = lock.apps[0].port) -> frozenset[str]:
        apps = (replace(lock.apps[0], port=port), *lock.apps[1:])
        named = frozenset({"web"})
        return releases.resting(workspace, replace(lock, apps=apps), nothing, named)

    assert heal(workspace) == []
    assert resting() == {"late"}
    assert resting(port=1234) == frozenset()
    assert releases.resting(workspace, lock, {**nothing, "late": {"A": "b"}}, frozenset()) == set()
    assert releases.wake(workspace, lock, nothing, frozenset({"late"})) == frozenset()
    assert heal(workspace) == ["demo-late-envoy: started"]


def test_what_was_stopped_is_told_with_when_why_and_what_next(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """In place of "nobody answers", and nobody waits for it; once it runs again it is asked."""
    lock = deployed(workspace.layout, app("late"))
    late = FakeContainer(
        "demo-late-app", "demo", "late", "app", state="exited", log=[(1, b"No module\n")]
    )
    engine_double.add(late)
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    why = StoppedService(at, "the module yaml is missing", "No module named 'yaml'", "add PyYAML")
    releases.save_releases(workspace, Releases(stopped={"late": why}))

    report = verify(workspace, lock, wait=60)

    (row,) = report.services
    assert not report.good
    assert row.to_dict()["changed"] is False
    assert row.diagnosis is not None
    assert row.diagnosis.render("late").splitlines() == [
        "late: its first version failed, and the deploy stopped it at 2026-03-04 05:06:07 UTC:"
        " the module yaml is missing",
        "  evidence: No module named 'yaml'",
        "  next: add PyYAML; then iac deploy --file repos.yaml late --project demo",
        "  app container: exited, 0 restarts; exit code 0",
        "  last lines:",
        "    No module",
    ]
    late.state = "running"
    assert verify(workspace, lock, wait=0).services[0].health.cause != "stopped"


def test_a_record_without_reasons_is_read(workspace: Workspace) -> None:
    """Of before they were noted: a list of names."""
    path = workspace.layout.releases("demo")
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 1, "good": {}, "stopped": ["late"]}')
    known = releases.load_releases(workspace)
    assert known.stopped == {"late": StoppedService()}
    releases.save_releases(workspace, known)
    assert releases.load_releases(workspace) == known


def test_the_last_lines_of_a_failed_version_stay_readable(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """`iac logs` shows them before what runs, with a line that says what they are."""
    failed = FakeContainer("f", "demo", "web", "candidate-app", log=[(1, b"one\ntwo\nthree\n")])
    engine_double.add(failed)
    container = workspace.engine.containers("demo")[0]
    kept_logs.keep(workspace, "failed", replace(app("web"), commit="c" * 40), container)
    engine_double.containers.clear()
    engine_double.add(FakeContainer("a", "demo", "web", "app", log=[(1, b"good\n")]))

    records = [(r.role, r.line) for r in logs(workspace, ["web"], roles=["app"], tail=2)]

    assert records[0][1].startswith("--- the last lines of a version that failed (commit cccccc")
    assert records[1:] == [("failed", "two"), ("failed", "three"), ("app", "good")]
    kept_logs.only(workspace, ["other"])
    assert kept_logs.kept(workspace, "failed") == set()
