"""What operations write into the ledger, and what looks into it say: real files, no engine."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller, LedgerEntry
from iac_wrapper.model.options import Options
from iac_wrapper.operations import history, recording
from iac_wrapper.operations.destroy import destroy
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed

FORK = multiprocessing.get_context("fork")


def _release(workspace: Workspace, *apps: ResolvedApp, kind: str = "deploy") -> int:
    """As a deploy does it, with an apply of `apps`."""
    with workspace.hold("iac deploy"), recording.release(workspace, kind) as release:
        release.start()
        deployed(workspace.layout, *apps)
        release.plan_hash = "a" * 64
    return release.number


def _fails(workspace: Workspace, error: BaseException, *, starts: bool) -> None:
    with recording.release(workspace, "deploy") as release:
        if starts:
            release.start()
        raise error


def _all(workspace: Workspace) -> list[LedgerEntry]:
    return list(reversed(history.history(workspace).entries))


def _facts(workspace: Workspace) -> list[tuple[int, str, str]]:
    return [(each.number, each.kind, each.verdict) for each in _all(workspace)]


def test_a_release_says_what_became_of_each_service(workspace: Workspace) -> None:
    """Also of one that has no new container, or none at all any more."""
    _release(workspace, app("web"), app("old"))
    _release(workspace, replace(app("web"), options=Options(allow={"api": ()})), app("api"))
    first, second = (each.facts["changed"] for each in _all(workspace))
    assert first == {"old": "added", "web": "added"}
    assert second == {"api": "added", "old": "removed", "web": "changed"}


def test_a_release_says_who_what_and_what_is_deployed(workspace: Workspace) -> None:
    """The lock in full lies beside it, and a release that changes nothing names the same one."""
    assert _release(workspace, app("web")) == 1
    assert _release(workspace, app("web")) == 2
    first, second = (each.facts for each in _all(workspace))
    assert (first["by"]["uid"], first["by"]["source"]) == (os.getuid(), "cli")
    assert first["by"]["user"]
    assert first["by"]["host"]
    assert (first["before"], first["plan"], first["tool"]) == (None, "a" * 64, "0.1.0")
    assert first["commits"] == {"web": "a" * 40}
    assert second["before"] == second["lock"] == first["lock"]
    assert first["at"].endswith("+00:00")
    assert first["at"] <= first["ended_at"]
    assert len(first["authority"]) == 1
    text = recording.ledger_of(workspace).lock_text(first["lock"])
    assert json.loads(text)["apps"].keys() == {"web"}


def test_an_error_is_a_verdict_without_secrets(workspace: Workspace, events: list[Event]) -> None:
    """What an error says goes through the redactor; Ctrl-C is no failure; what is refused before
    the start leaves no trace."""
    folder = workspace.layout.env_files("demo", "web")
    folder.mkdir(parents=True)
    (folder / "KEY").write_text("sentinel-value-1")
    failed = CommandError("the build failed", found="sentinel-value-1 is wrong")
    for error, starts in ((failed, True), (KeyboardInterrupt(), True), (failed, False)):
        with pytest.raises(type(error)):
            _fails(workspace, error, starts=starts)
    assert _facts(workspace) == [(1, "deploy", "failed"), (2, "deploy", "interrupted")]
    error = _all(workspace)[0].facts["error"]
    assert (error["message"], error["found"]) == ("the build failed", "[redacted] is wrong")
    assert "sentinel" not in recording.ledger_of(workspace).path.read_text()
    assert events == []


def _die(workspace: Workspace, apps: tuple[ResolvedApp, ...]) -> None:
    with workspace.hold("iac deploy"), recording.release(workspace, "deploy") as release:
        release.start()
        deployed(workspace.layout, *apps)
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_killed_is_said_and_closed_by_the_next(workspace: Workspace) -> None:
    """With what it had applied by then; looking alone changes nothing."""
    for number in range(3):
        killed = FORK.Process(target=_die, args=(workspace, (app("web"), app(f"s{number}"))))
        killed.start()
        killed.join()
        assert killed.exitcode == -signal.SIGKILL
        found = history.history(workspace)
        assert (found.entries[0].verdict, found.entries[0].ended) == ("interrupted", False)
        assert found.remarks == (
            f"{number + 1} (deploy) never ended; the next command that changes the project"
            " closes it",
        )
    assert _release(workspace, app("web")) == 4
    assert history.history(workspace).remarks == ()
    assert _facts(workspace)[:3] == [(n, "deploy", "interrupted") for n in (1, 2, 3)]
    assert all(each.ended for each in _all(workspace))
    assert _all(workspace)[2].facts["commits"].keys() == {"web", "s2"}


def test_a_release_under_way_is_running(workspace: Workspace) -> None:
    """As long as its process holds the project, not that of somebody else."""
    with workspace.hold("iac deploy"), recording.release(workspace, "deploy") as release:
        release.start()
        assert _facts(workspace) == [(1, "deploy", "running")]
        assert history.history(workspace).remarks == ()
    killed = FORK.Process(target=_die, args=(workspace, ()))
    killed.start()
    killed.join()
    with workspace.hold("iac plan"):
        assert _facts(workspace)[-1] == (2, "deploy", "interrupted")


def test_what_terraform_applied_alone_is_said_and_recorded(workspace: Workspace) -> None:
    """`cdktf deploy` says nothing to anybody: the state tells, and the next command notes it."""
    _release(workspace, app("web"))
    deployed(workspace.layout, app("web"), app("api"))
    (remark,) = history.history(workspace).remarks
    assert remark.startswith("another lock was applied without a release, by 20")
    assert _facts(workspace) == [(1, "deploy", "good")]
    _release(workspace, app("web"), app("api"))
    assert _facts(workspace)[1:] == [(2, "apply", "unproven"), (3, "deploy", "good")]
    noted = _all(workspace)[1]
    assert (noted.facts["by"], noted.is_release) == ({"source": "terraform"}, False)
    assert noted.who == "terraform"
    assert noted.facts["commits"].keys() == {"web", "api"}
    assert noted.facts["applied_at"] <= noted.facts["at"]
    assert history.history(workspace).remarks == ()


def test_a_destroy_is_the_last_release_and_numbers_go_on(workspace: Workspace) -> None:
    """The ledger outlives the project's folder."""
    with workspace.hold("iac deploy"), recording.release(workspace, "deploy") as release:
        release.start()
    assert destroy(workspace).release == 2
    assert not workspace.directory.exists()
    assert _all(workspace)[1].facts["lock"] is None
    assert _release(workspace, app("web")) == 3
    assert _all(workspace)[2].facts["before"] is None


def test_a_state_that_cannot_be_read_stands_in_nobodys_way(workspace: Workspace) -> None:
    """A destroy works without it; the line lacks what is deployed."""
    workspace.directory.mkdir(parents=True)
    workspace.layout.state("demo").write_text("{broken")
    with recording.release(workspace, "destroy") as release:
        release.start()
    (entry,) = _all(workspace)
    assert (entry.verdict, entry.has_lock) == ("good", False)


def test_a_line_that_cannot_be_written_stops_what_has_not_begun(
    workspace: Workspace, events: list[Event]
) -> None:
    """Nothing changes without a line; what has happened is a warning."""
    ledger = recording.ledger_of(workspace)
    ledger.path.parent.mkdir(parents=True)
    ledger.path.mkdir()
    with pytest.raises(ConfigError, match="cannot read the ledger"):
        _release(workspace, app("web"))
    recording.note(workspace, "heal", ["demo-web-app: started"])
    assert [event.kind for event in events] == ["warning"]
    assert "the ledger of releases lacks a line" in events[0].message
    ledger.path.rmdir()
    with recording.release(workspace, "deploy") as release:
        release.start()
        ledger.path.unlink()
        ledger.path.mkdir()
    assert len(events) == 2


def test_events_are_told_and_repairs_not_again_and_again(workspace: Workspace) -> None:
    """What a person asks for is told each time; what acts by itself once an hour."""
    kept = replace(workspace, caller=Caller("keeper"))
    for one in (workspace, workspace, kept, kept):
        recording.note(one, "heal", ["demo-web-app: started"])
    recording.note(kept, "heal", ["demo-api-app: started"])
    recording.note(kept, "heal", ["demo-web-app: started"])
    recording.note(kept, "heal", [])
    assert [each.facts["done"] for each in _all(workspace)] == [
        ["demo-web-app: started"],
        ["demo-web-app: started"],
        ["demo-api-app: started"],
    ]
    assert not any(each.is_release for each in _all(workspace))


def test_a_job_finds_its_release(workspace: Workspace) -> None:
    """By its id; one that was refused has none."""
    caller = Caller("api", subject="uid:7", name="ann", job="20261128T110000-00000000")
    _release(replace(workspace, caller=caller), app("web"))
    _release(workspace, app("web"))
    assert recording.number_of_job(workspace.layout, "demo", caller.job) == 1
    assert recording.number_of_job(workspace.layout, "demo", "20261128T110000-00000001") is None
    assert _all(workspace)[0].who == "ann, api"


def _subject(cache: Path, sha: str, subject: str) -> None:
    folder = cache / f"{'0' * 16}-{sha}"
    folder.mkdir(parents=True)
    (folder / "subject").write_text(f"{subject}\n")


def test_a_difference_names_and_tells_no_values(workspace: Workspace) -> None:
    """Commits with the subjects that the cache has, images, ports, names of variables and keys."""
    old = replace(app("web"), env={"GONE": "sentinel-1", "SAME": "x", "OTHER": "sentinel-2"})
    new = replace(
        app("web"),
        commit="c" * 40,
        image="iac/demo-web:ffffffffffff",
        port=8000,
        env={"CAME": "sentinel-3", "SAME": "x", "OTHER": "sentinel-4"},
        options=Options(memory_mb=256),
    )
    _release(workspace, old, app("gone"))
    _release(workspace, new, app("came"))
    recording.note(workspace, "heal", ["demo-web-app: started"])
    _subject(workspace.layout.cache, "a" * 40, "First")
    _subject(workspace.layout.cache, "c" * 40, "Second")
    found = history.difference(workspace, 1, 3)  # an event leaves what is deployed as it was
    assert found.subjects == {"a" * 40: "First", "c" * 40: "Second"}
    came, gone, web = found.services
    assert [(came.name, came.kind), (gone.name, gone.kind)] == [
        ("came", "added"),
        ("gone", "removed"),
    ]
    assert web.changes["commit"] == ("a" * 40, "c" * 40)
    assert set(web.changes) == {"commit", "image", "port"}
    assert web.changes["port"] == (50051, 8000)
    assert (web.env_added, web.env_removed, web.env_changed) == (("CAME",), ("GONE",), ("OTHER",))
    assert web.keys_changed == ("memory",)
    shown: Any = [found.to_dict(), history.show(workspace, 2).to_dict()]
    assert "sentinel" not in json.dumps(shown)
    assert history.difference(workspace, 2, 3).is_empty
    assert not history.difference(workspace, 2, 1).is_empty


def test_another_authority_is_a_difference(workspace: Workspace) -> None:
    """Certificates of before cannot be gone back to."""
    _release(workspace, app("web"))
    for name in ("ca.pem", "ca.key"):
        (workspace.layout.secrets / name).unlink()
    _release(workspace, app("web"))
    found = history.difference(workspace, 1, 2)
    assert found.authorities
    assert found.authorities[0] != found.authorities[1]
    assert not found.services


def test_a_number_that_is_not_there(workspace: Workspace) -> None:
    """Says which are."""
    with pytest.raises(history.UnknownReleaseError, match="has no release 1") as caught:
        history.show(workspace, 1)
    assert caught.value.found == "no releases"
    _release(workspace, app("web"))
    with pytest.raises(history.UnknownReleaseError) as caught:
        history.difference(workspace, 1, 2)
    assert caught.value.found == "1 to 1"
