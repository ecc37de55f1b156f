"""Which release a rollback goes back to, and what it refuses before anything moves: real files."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.adapters.engine import free_port
from iac_wrapper.errors import CertificateError, ConfigError
from iac_wrapper.files import host
from iac_wrapper.identity.certificates import ensure_ca
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.event import Event
from iac_wrapper.model.exposure import Exposure
from iac_wrapper.model.ledger import Verdict
from iac_wrapper.model.options import Options
from iac_wrapper.operations import history, recording, rollback
from iac_wrapper.operations.rollback_target import KIND, Target, find
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import load_settings
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon

PORT = free_port()


@pytest.fixture(autouse=True)
def machine(workspace: Workspace) -> None:
    """A machine that was set up."""
    record = host.Host("d", "t", "n", "embedded", "iac/envoy:x", {})
    host.save_host(record, workspace.settings.machine_home)


def _app(name: str, version: str = "1", **more: object) -> ResolvedApp:
    """A service whose commit and image are of `version`, a digit."""
    made = replace(app(name), commit=version * 40, image=f"iac/demo-{name}:{version * 12}")
    return replace(made, **more)  # type: ignore[arg-type]


def _release(
    workspace: Workspace,
    *apps: ResolvedApp,
    kind: str = "deploy",
    verdict: Verdict = "good",
    broken: Sequence[str] = (),
    stopped: Collection[str] = (),
    **of: object,
) -> int:
    """As a release does it, with an apply of `apps`, whose images are on the engine."""
    with recording.release(workspace, kind) as release:
        release.of = of
        release.start()
        deployed(workspace.layout, *apps, gateway_port=PORT, stopped=stopped)
        release.end(verdict, broken=broken)
    return release.number


def _images(engine: Daemon, *apps: ResolvedApp) -> None:
    engine.images += [{"RepoTags": [each.image]} for each in apps]


def _commits(target: Target) -> dict[str, str]:
    return {each.name: (each.commit or "")[:1] for each in target.lock.apps}


def _three(workspace: Workspace, engine: Daemon) -> None:
    """1: web and api; 2: another web, 3: another api; 4 failed, and is what 3 was."""
    versions = [(_app("web", w), _app("api", a)) for w, a in ("11", "21", "22", "22")]
    for number, apps in enumerate(versions, 1):
        _images(engine, *apps)
        _release(workspace, *apps, verdict="good" if number < 4 else "unhealthy")


def test_the_default_is_the_good_one_before_what_serves(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """What was not good, and what is no other, is passed over; of a service it is the last release
    in which that was another."""
    _three(workspace, engine_double)
    assert _commits(find(workspace)) == {"web": "2", "api": "1"}
    target = find(workspace, ["web"])
    assert (target.entry.number, *target.named) == (1, "web")
    assert _commits(target) == {"web": "1", "api": "2"}
    assert _commits(find(workspace, to=1)) == {"web": "1", "api": "1"}


def test_a_version_that_was_broken_already_is_not_gone_back_to(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """The release is good, as it is not at fault; the other services can go back to it."""
    for number, broken in (("1", ()), ("2", ("web",)), ("3", ())):
        apps = (_app("web", number), _app("api", number))
        _images(engine_double, *apps)
        _release(workspace, *apps, broken=broken)
    assert find(workspace).entry.number == 1
    assert find(workspace, ["api"]).entry.number == 2
    with pytest.raises(ConfigError, match="2 cannot be gone back to with web") as caught:
        find(workspace, to=2)
    assert caught.value.found == "web did not serve then"


def test_a_service_that_never_was_is_named(workspace: Workspace, engine_double: Daemon) -> None:
    """With those that are there, or were."""
    _three(workspace, engine_double)
    with pytest.raises(ConfigError, match="never had a service wbe") as caught:
        find(workspace, ["web", "wbe"])
    assert caught.value.found == "the services api, web"


def test_one_more_goes_further_back(workspace: Workspace, engine_double: Daemon) -> None:
    """Not forward to what was just left; a rollback of one service is none of the others."""
    _three(workspace, engine_double)
    _release(workspace, _app("web", "2"), _app("api", "1"), kind=KIND, to=2, named=[])
    assert find(workspace).entry.number == 1
    _release(workspace, _app("web", "1"), _app("api", "1"), kind=KIND, to=1, named=["web"])
    with pytest.raises(ConfigError, match="no release to go back to"):
        find(workspace, ["web"])
    assert find(workspace).entry.number == 5


def test_a_destroy_can_be_gone_back_from(workspace: Workspace, engine_double: Daemon) -> None:
    """What ran before comes back, all of it."""
    _images(engine_double, _app("web"))
    _release(workspace, _app("web"))
    _release(workspace, kind="destroy")
    assert _commits(find(workspace)) == {"web": "1"}
    with pytest.raises(ConfigError, match="2 cannot be gone back to") as caught:
        find(workspace, to=2)
    assert "nothing was deployed" in (caught.value.found or "")


def test_what_changes_and_what_stays_is_said(
    workspace: Workspace,
    engine_double: Daemon,
    events: list[Event],
) -> None:
    """A service that the release does not have runs on; values of secrets are today's."""
    environment = {**workspace.settings.environment, "KEY": "x"}
    chosen = load_settings(workspace.layout.root, environment)
    workspace = replace(workspace, settings=chosen)
    local = _app("local", commit=None, tree=f"sha256:{'c' * 64}", slug="./local")
    old = _app("web", env={"A": "${KEY}", "B": "1"}), _app("gone"), local
    _images(engine_double, *old)
    _release(workspace, *old)
    newer = replace(local, tree=f"sha256:{'d' * 64}", port=80)
    _release(workspace, _app("web", "2"), _app("new"), newer)
    target = find(workspace)
    assert (target.stay, _commits(target)) == (
        ("new",),
        {"gone": "1", "local": "", "new": "1", "web": "1"},
    )
    said = [event.message for event in events]
    assert said[0].startswith("Going back to release 1 (deploy of 20")
    assert said[1:] == [
        "gone: comes back",
        "local: tree ddddddd -> ccccccc; port",
        "web: commit 2222222 -> 1111111; env A, B",
        "new: stays as it is, release 1 does not have it; `iac remove new --project demo` takes it"
        " away",
        "secret values are today's: KEY",
    ]


def test_processes_come_back_with_their_entry(workspace: Workspace, engine_double: Daemon) -> None:
    """They share its image; one that came later stays, and is named."""
    worker = _app("web-worker", process_of="web")
    _images(engine_double, _app("web"), worker)
    _release(workspace, _app("web"), worker, _app("api"))
    newer = [replace(each, commit="2" * 40) for each in (_app("web"), worker)]
    late = _app("web-late", "2", process_of="web")
    _release(workspace, *newer, late, _app("api", "2"), _app("other"))
    for name in ("web", "web-worker"):
        target = find(workspace, [name])
        assert target.named == {"web", "web-worker"}
        assert target.stay == ("web-late",)
        assert _commits(target)["api"] == "2"


def _refused(workspace: Workspace, *names: str, to: int | None = None) -> ConfigError:
    """The error of a rollback, which has changed nothing and is no release."""
    before = sorted(workspace.layout.root.rglob("*"))
    with pytest.raises(ConfigError) as caught:
        rollback.rollback(workspace, names, to=to)
    lock = workspace.directory / "workspace.lock"
    assert sorted({*workspace.layout.root.rglob("*")} - {lock}) == sorted({*before} - {lock})
    assert caught.value.next_step
    return caught.value


def test_what_cannot_be_gone_back_to_is_refused(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """No such release, not a good one, an event, and a service that it does not have."""
    _three(workspace, engine_double)
    recording.note(workspace, "heal", ["web: started"])
    _release(workspace, _app("web", "2"), _app("new"))
    assert "has no release 9" in _refused(workspace, to=9).message
    assert _refused(workspace, to=4).found == "release 4: deploy, unhealthy"
    assert _refused(workspace, to=5).found == "event 5: heal, good"
    unknown = _refused(workspace, "nosuch", to=1)
    assert (unknown.message, unknown.found) == (
        "release 1 does not have nosuch",
        "the services api, web",
    )
    later = _refused(workspace, "new", to=1)
    assert later.message == "release 1 does not have new, which runs now"
    assert later.next_step == "iac remove new --project demo takes it away"
    assert _refused(workspace, "nosuch").found == "the services api, new, web"


def test_an_image_that_was_removed_is_named_with_its_commit(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Nothing is built; the commit brings it back."""
    old = _app("web", slug="gh:acme/shop#main:api"), _app("api")
    _images(engine_double, _app("api"))
    _release(workspace, *old)
    _release(workspace, _app("web", "2"), _app("api", "2"))
    error = _refused(workspace)
    assert (error.where, error.found) == ("service web", "no image iac/demo-web:111111111111")
    assert f"`slug: gh:acme/shop#{'1' * 40}:api`" in (error.next_step or "")
    assert "`iac deploy --file repos.yaml web --project demo`" in (error.next_step or "")
    assert _commits(find(workspace, ["api"])) == {"api": "1", "web": "2"}


def test_secret_values_that_are_missing_are_named(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Those of today are needed, of every service."""
    old = _app("web", env={"A": "${GONE_ONE}"}), _app("api", env={"B": "${GONE_TWO}"})
    _images(engine_double, *old)
    _release(workspace, *old)
    _release(workspace, _app("web", "2"), _app("api", "2"))
    error = _refused(workspace)
    assert error.message.endswith("not set: GONE_ONE, GONE_TWO")
    assert "service web: env A refers to ${GONE_ONE}" in (error.detail or "")


def test_an_address_that_another_service_has_now_is_refused(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Both are named."""
    shop = Options(expose=(Exposure("shop.example.org", tls="off"),))
    _images(engine_double, _app("old"))
    _release(workspace, _app("old", options=shop), _app("web"))
    _release(workspace, _app("web", "2", options=shop))
    error = _refused(workspace, "old")
    assert error.message == "shop.example.org is exposed twice"
    assert error.found == "old and web"


def test_another_authority_is_refused(workspace: Workspace, engine_double: Daemon) -> None:
    """Services that run would refuse a leaf of it."""
    _images(engine_double, _app("web"))
    _release(workspace, _app("web"))
    _release(workspace, _app("web", "2"))
    find(workspace)
    for file in ("ca.pem", "ca.key"):
        (workspace.layout.secrets / file).unlink()
    with pytest.raises(CertificateError, match="there is no CA"):
        find(workspace)
    ensure_ca(workspace.layout.secrets)
    with pytest.raises(CertificateError, match="another than that") as caught:
        find(workspace)
    assert caught.value.found == "web would refuse what comes back"


def test_the_lock_of_the_list_says_what_serves(workspace: Workspace, tmp_path: Path) -> None:
    """The one beside the list that was deployed last, if it is this project's still."""
    path = tmp_path / "list" / "repos.lock.json"
    path.parent.mkdir()
    for project, wanted in (("demo", path), ("other", None)):
        _release(workspace, _app("web"), lock_file=str(path))
        _release(workspace, _app("web"))
        lock = json.loads((workspace.layout.state("demo")).read_text())["outputs"]["lock"]["value"]
        path.write_text(lock.replace('"project": "demo"', f'"project": "{project}"'))
        assert history.list_lock(workspace) == wanted


def test_what_a_person_stopped_starts_only_by_its_name(
    workspace: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """Its next start is that of the version gone back to; that it runs there is no reason to go."""
    old, new = (_app("web", "1"), _app("api", "1")), (_app("web", "2"), _app("api", "2"))
    _images(engine_double, *old, *new)
    _release(workspace, *old)
    _release(workspace, *new)
    _release(workspace, *new, kind="stop", stopped=["web"], named=["web"])
    every = find(workspace)
    assert (every.entry.number, every.lock.parked, every.lock.apps) == (1, old[:1], old[1:])
    assert find(workspace, ["web"]).entry.number == 2  # back to that it runs
    named = find(workspace, ["web"], to=1)
    assert (named.lock.parked, named.lock.apps) == ((), (new[1], old[0]))
    assert "web: starts; commit 2222222 -> 1111111" in [event.message for event in events]


def test_what_was_stopped_then_and_runs_now_stays(
    workspace: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """It is no service to take away: what does the same to it is a stop."""
    old, new = (_app("web", "1"), _app("api", "1")), (_app("web", "2"), _app("api", "2"))
    _images(engine_double, *old, *new)
    _release(workspace, *old, stopped=["web"])
    _release(workspace, *new)
    target = find(workspace, to=1)
    assert (target.stay, _commits(target)) == (("web",), {"api": "1", "web": "2"})
    assert [event.message for event in events][-1] == (
        "web: stays as it is, in release 1 a person had stopped it; `iac stop web --project demo`"
        " stops it"
    )
    named = _refused(workspace, "web", to=1)
    assert named.message == "in release 1 a person had stopped web, which runs now"
    assert named.next_step == "iac stop web --project demo stops it"
