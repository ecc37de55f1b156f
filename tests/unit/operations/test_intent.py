from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations.intent import from_files, from_slugs, select, warn_of_another
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import deployed


def _app(workspace: Workspace, name: str, *, buildable: bool = True) -> ResolvedApp:
    image = f"iac/{workspace.project}-{name}:0123456789ab"
    if buildable:
        workspace.layout.context(workspace.project, image).mkdir(parents=True)
    entrypoint = Entrypoint("script", "main.py", None, "root")
    return ResolvedApp(
        name,
        f"gh:acme/{name}",
        "1" * 40,
        "sha256:2",
        entrypoint,
        50051,
        False,
        {},
        "3.11",
        "iac/runtime:3.11-x",
        image,
    )


def _lock(workspace: Workspace, *apps: ResolvedApp) -> LockFile:
    return LockFile(workspace.project, "iacnet-demo", "172.21.0.0/24", 15444, apps)


@pytest.fixture
def repos(tmp_path: Path) -> Path:
    path = tmp_path / "repos.yaml"
    path.write_text("- gh:acme/a\n- gh:acme/b\n- gh:acme/c\n")
    return path


def test_a_whole_file_is_resolved_anew(workspace: Workspace, repos: Path) -> None:
    """Without a choice nothing is kept or pinned; the lock gives the addresses only."""
    lock = _lock(workspace, _app(workspace, "a"))
    lock_file.save_lock(lock, repos.with_name("repos.lock.json"))
    found = select(workspace, from_files(repos))
    assert [spec.name for spec in found.fresh] == ["a", "b", "c"]
    assert (found.kept_apps, found.pinned_lock, found.lock_on_disk) == ((), None, lock)


def test_chosen_entries_move_and_the_others_stay(workspace: Workspace, repos: Path) -> None:
    """A locked one stays as it is, one without image and context is resolved at its locked
    commit, one that was never locked is resolved."""
    a, b = _app(workspace, "a"), _app(workspace, "b", buildable=False)
    lock_file.save_lock(_lock(workspace, a, b), repos.with_name("repos.lock.json"))
    found = select(workspace, from_files(repos, chosen=["c"]))
    assert found.kept_apps == (a,)
    assert [spec.name for spec in found.fresh] == ["b", "c"]
    assert found.pinned_lock
    assert found.pinned_lock.apps == (a, b)
    moved = select(workspace, from_files(repos, chosen=["gh:acme/a"]))
    assert moved.pinned_lock
    assert moved.pinned_lock.apps == (b,)


def test_a_lock_of_another_project_is_not_taken(workspace: Workspace, repos: Path) -> None:
    """Images carry the project's name: nothing of another project may be kept."""
    a = _app(workspace, "a")
    lock_file.save_lock(
        replace(_lock(workspace, a), project="x"), repos.with_name("repos.lock.json")
    )
    assert select(workspace, from_files(repos, chosen=["b"])).kept_apps == ()
    with pytest.raises(ConfigError, match="--locked") as caught:
        select(workspace, from_files(repos, locked=True))
    assert caught.value.found == "one of another project"


def test_locked_takes_every_commit(workspace: Workspace, repos: Path) -> None:
    """All entries are resolved at the lock's commits; one it does not hold is refused."""
    lock = _lock(workspace, *(_app(workspace, name) for name in ("a", "b", "c")))
    lock_file.save_lock(lock, repos.with_name("repos.lock.json"))
    assert select(workspace, from_files(repos, locked=True)).pinned_lock == lock
    repos.write_text("- gh:acme/a#v2\n- gh:acme/b\n- gh:acme/new\n")
    with pytest.raises(ConfigError, match="not what is to be deployed") as caught:
        select(workspace, from_files(repos, locked=True))
    wanted = "a: gh:acme/a#v2, in the lock gh:acme/a; new: not in the lock; c: not in"
    assert wanted in (caught.value.found or "")


def test_locked_compares_what_a_source_is(workspace: Workspace, repos: Path) -> None:
    """With LFS and submodules, or by another Dockerfile, it is another one; `env:` may change."""
    lock = _lock(workspace, _app(workspace, "a"))
    lock_file.save_lock(lock, repos.with_name("repos.lock.json"))
    repos.write_text("- slug: https://github.com/acme/a\n  env: {X: new}\n  memory: 1g\n")
    assert select(workspace, from_files(repos, locked=True)).pinned_lock == lock
    for line in ("lfs: true", "submodules: true", "build: dockerfile"):
        repos.write_text(f"- slug: gh:acme/a\n  {line}\n")
        with pytest.raises(ConfigError, match="not what is to be deployed") as caught:
            select(workspace, from_files(repos, locked=True))
        assert line.partition(":")[0] in (caught.value.found or "")
        assert f"iac lock --file {repos}" in (caught.value.next_step or "")


def test_offline_takes_every_commit_that_the_lock_has(workspace: Workspace, repos: Path) -> None:
    """And lets the others be looked for in the cache; so it does for chosen entries."""
    lock = _lock(workspace, *(_app(workspace, name) for name in ("a", "b")))
    lock_file.save_lock(lock, repos.with_name("repos.lock.json"))
    for chosen in ([], ["a"], ["https://github.com/acme/a"]):
        found = select(workspace, from_files(repos, offline=True, chosen=chosen))
        assert (found.pinned_lock, found.offline) == (lock, True)


def test_several_files_are_one_list(workspace: Workspace, repos: Path) -> None:
    """The lock is the first one's, and of the environment that is named; so is the command."""
    more = repos.with_name("more.yaml")
    more.write_text("apps: [{name: a, port: 80}, gh:acme/d]\nenvironments: {live: {except: [b]}}\n")
    intent = from_files(repos, more, environment="live", chosen=["d"])
    assert [spec.name for spec in intent.specs] == ["a", "c", "d"]
    assert (intent.specs[0].port, [spec.name for spec in intent.chosen_specs]) == (80, ["d"])
    assert intent.lock_path == repos.with_name("repos.live.lock.json")
    assert intent.list_name == f"{repos} and {more}"
    assert intent.arguments == f"--file {repos} --file {more} --env live"
    assert select(workspace, intent).environment == "live"
    with pytest.raises(ConfigError, match="b is not in any of the files"):
        from_files(repos, more, environment="live", chosen=["b"])


def test_a_name_among_slugs_is_that_of_a_deployed_service(workspace: Workspace) -> None:
    """It stands for its entry as it is recorded; any other word has to be a slug."""
    state = workspace.layout.state(workspace.project)
    state.parent.mkdir(parents=True)
    lock = _lock(workspace, _app(workspace, "a"))
    state.write_text(json.dumps({"outputs": {"lock": {"value": lock_file.dump(lock)}}}))
    intent = from_slugs(workspace, ["gh:acme/z", "a"], cwd=Path())
    assert [(spec.name, spec.slug.text) for spec in intent.specs] == [
        ("a", "gh:acme/a"),
        ("z", "gh:acme/z"),
    ]
    with pytest.raises(ConfigError, match="not a slug"):
        from_slugs(workspace, ["b"], cwd=Path())


def test_slugs_leave_a_project_the_environment_that_it_is(workspace: Workspace) -> None:
    """What is recorded of the project stays."""
    state = workspace.layout.state(workspace.project)
    state.parent.mkdir(parents=True)
    lock = replace(_lock(workspace), environment="live")
    state.write_text(json.dumps({"outputs": {"lock": {"value": lock_file.dump(lock)}}}))
    intent = from_slugs(workspace, ["gh:acme/z"], cwd=Path())
    assert select(workspace, intent).environment == "live"


def test_a_choice_that_is_not_in_the_file_is_refused(repos: Path) -> None:
    """The error lists the names there are."""
    with pytest.raises(ConfigError, match="d is not in the file") as caught:
        from_files(repos, chosen=["a", "d"])
    assert caught.value.expected == "a, b, c"


def test_slugs_are_added_to_what_runs(workspace: Workspace) -> None:
    """What is applied stays, a slug of a known name replaces that service."""
    kept, replaced = _app(workspace, "a"), _app(workspace, "b")
    state = workspace.layout.state(workspace.project)
    state.parent.mkdir(parents=True)
    lock = _lock(workspace, kept, replaced)
    state.write_text(json.dumps({"outputs": {"lock": {"value": lock_file.dump(lock)}}}))
    found = select(workspace, from_slugs(workspace, ["gh:other/b", "gh:acme/z"], cwd=Path()))
    assert found.kept_apps == (kept,)
    assert [spec.name for spec in found.fresh] == ["b", "z"]


def test_a_service_that_cannot_be_kept_is_refused(workspace: Workspace) -> None:
    """Neither its image nor its context is here any more: say which one, and what to do."""
    state = workspace.layout.state(workspace.project)
    state.parent.mkdir(parents=True)
    lock = _lock(workspace, _app(workspace, "a", buildable=False))
    state.write_text(json.dumps({"outputs": {"lock": {"value": lock_file.dump(lock)}}}))
    with pytest.raises(ConfigError, match="should stay") as caught:
        select(workspace, from_slugs(workspace, ["gh:acme/z"], cwd=Path()))
    assert "of a" in (caught.value.found or "")


def test_replacing_the_lock_of_another_project_is_said(workspace: Workspace, repos: Path) -> None:
    """One line with both names; the project's own lock, or none, is no news."""
    said: list[str] = []
    watched = replace(workspace, emit=lambda event: said.append(f"{event.kind}: {event.message}"))
    own = _lock(workspace, _app(workspace, "a"))
    warn_of_another(watched, from_files(repos))
    lock_file.save_lock(own, repos.with_name("repos.lock.json"))
    warn_of_another(watched, from_files(repos))
    assert said == []
    lock_file.save_lock(replace(own, project="shop"), repos.with_name("repos.lock.json"))
    warn_of_another(watched, from_files(repos))
    assert said == [
        "warning: repos.lock.json was written for project shop;"
        f" it is replaced by that of project {workspace.project}"
    ]


def test_what_a_person_stopped_stays_so(workspace: Workspace, repos: Path) -> None:
    """Whatever a deploy is told, also its name; what the list does not have any more goes."""
    lock = deployed(
        workspace.layout, *(_app(workspace, name) for name in "abcd"), stopped=("b", "d")
    )
    whole = select(workspace, from_files(repos))
    assert ([s.name for s in whole.fresh], whole.parked) == (["a", "c"], lock.parked[:1])
    named = select(workspace, from_files(repos, chosen=["b"]))
    assert [spec.name for spec in named.fresh] == ["a", "c"]  # that they were locked is not written
    added = select(workspace, from_slugs(workspace, ["b", "gh:acme/e"], cwd=repos.parent))
    assert [spec.name for spec in added.fresh] == ["e"]
    assert [app.name for app in added.kept_apps] == ["a", "c"]
    assert added.parked == lock.parked
    lock_file.save_lock(lock, repos.with_name("repos.lock.json"))
    repos.write_text("- gh:acme/a\n- gh:acme/b#v2\n- gh:acme/c\n- gh:acme/d\n")
    locked = select(workspace, from_files(repos, locked=True))
    assert [spec.name for spec in locked.fresh] == ["a", "c"]


def test_a_stopped_process_moves_with_its_image(workspace: Workspace, repos: Path) -> None:
    """It is resolved, to start at the same commit as its service; without that it stays."""
    web, worker = _app(workspace, "a"), replace(_app(workspace, "a-w"), process_of="a")
    repos.write_text("- slug: gh:acme/a\n  processes: {w: python w.py}\n")
    deployed(workspace.layout, web, worker, stopped=("a-w",))
    found = select(workspace, from_files(repos))
    assert ([spec.name for spec in found.fresh], found.parked) == (["a", "a-w"], (worker,))
    deployed(workspace.layout, web, worker, stopped=("a", "a-w"))
    assert select(workspace, from_files(repos)).fresh == ()
