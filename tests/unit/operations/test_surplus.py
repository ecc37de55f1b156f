"""What `iac prune` takes and what it leaves, on an engine double."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.adapters import build_cache
from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.ledger import entries
from iac_wrapper.model.one_off import Record
from iac_wrapper.operations import recording, releases, run_folder, surplus
from iac_wrapper.operations.releases import Releases
from iac_wrapper.operations.surplus import Pruned
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer

NOW = datetime.now(UTC)
OURS = "mount / from exec /bin/sh -c /opt/iac/bin/uv venv"


def _cached(name: str, parent: str, description: str, **more: Any) -> dict[str, Any]:
    used = (NOW - timedelta(hours=2)).isoformat()
    record = {"ID": name, "Parent": parent, "Description": description, "Size": 10}
    return {**record, "InUse": False, "Shared": False, "LastUsedAt": used, "CreatedAt": used} | more


def _image(engine: Daemon, name: str) -> None:
    labels = {"org.karstkit.project": "demo", "org.karstkit.service": "web"}
    used = NOW - timedelta(days=2)
    engine.images.append(
        {
            "RepoTags": [name],
            "Labels": labels,
            "Created": int(used.timestamp()),
            "LastTagTime": used.isoformat(),
            "Size": 1_000_000,
        }
    )


def _of(done: Pruned) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in done.found if each.kind != "build cache"}


def _run(workspace: Workspace, day: int, *, ended: bool = True) -> str:
    at = datetime(2026, 11, day, tzinfo=UTC)
    record = Record(f"web-{day}", "web", ("task",), "run", started=at)
    record = replace(record, ended=at, exit_code=0) if ended else record
    folder = run_folder.folder(workspace, record.id)
    folder.path.mkdir(parents=True)
    folder.save(record)
    return record.id


@pytest.fixture
def used(workspace: Workspace, engine_double: Daemon) -> Workspace:
    """A project with one of everything that may go, and of everything that must not."""
    layout = workspace.layout
    names = [f"iac/demo-web:{number:012x}" for number in (1, 2, 3)]
    _, old, new = names
    deployed(layout, replace(app("web"), image=new), app("db"), stopped=["db"])
    layout.context("demo", app("db").image).mkdir(parents=True)
    proven = replace(app("web"), image=old, commit="c" * 40)
    releases.save_releases(workspace, Releases().proven([proven], keep=3))
    for name in names:
        _image(engine_double, name)
        (layout.context("demo", name) / "app").mkdir(parents=True)
    (layout.contexts("shop") / "web-0123").mkdir(parents=True)
    for digit in "acd":  # the deployed commit, the one to go back to, one that nobody knows
        folder = layout.cache / f"{'0' * 16}-{digit * 40}"
        (folder / "tree").mkdir(parents=True)
        os.utime(folder, (time.time() - 7200, time.time() - 7200))
    _run(workspace, 1)
    _run(workspace, 2)
    _run(workspace, 3, ended=False)
    for path in ("log/terraform.log", "failed/web.log", "previous/web.log"):
        write_text(workspace.directory / path, "x" * 100)
    for number, (project, at) in enumerate((("demo", "now"), ("demo", None), ("shop", "now"))):
        job = {"request": {"project": project}, "finished_at": at}
        write_text(layout.jobs / str(number) / "job.json", json.dumps(job))
    engine_double.add(FakeContainer("e", "demo", "web", "candidate-envoy"))
    return workspace


GONE = {
    ("candidates", "web"),
    ("images", "iac/demo-web:000000000001"),
    ("build contexts", "web-000000000001"),
    ("sources", f"{'0' * 16}-{'d' * 40}"),
    ("runs", "web-1"),
    ("logs", "terraform.log"),
    ("logs", "web.log"),
    ("jobs", "0"),
}


def test_what_nothing_needs_goes(used: Workspace, engine_double: Daemon) -> None:
    """Deployed, to go back to, running, newest of its kind, another project's: all of that stays;
    a second time there is nothing; the ledger says what went."""
    seen = surplus.look(used)
    assert _of(seen) == GONE
    assert engine_double.containers

    done = surplus.prune(used)

    assert _of(done) == GONE
    assert surplus.look(used).found == []
    assert engine_double.containers == {}
    assert {name for image in engine_double.images for name in image["RepoTags"]} == {
        "iac/demo-web:000000000002",
        "iac/demo-web:000000000003",
    }
    assert [path.name for path in used.layout.contexts("shop").iterdir()] == ["web-0123"]
    assert {path.name for path in used.layout.jobs.iterdir()} >= {"1", "2"}
    (entry,) = entries(recording.ledger_of(used).read().lines)
    assert (entry.kind, entry.is_release) == ("prune", False)
    assert "1 images, 1000000 bytes: iac/demo-web:000000000001" in entry.facts["done"]
    assert "3 logs, 300 bytes" in entry.facts["done"]
    assert done.to_dict()["disks"][0]["free_after"] > 0


def test_jobs_of_a_server_that_runs_are_its_own(used: Workspace) -> None:
    """It has them in memory."""
    fd = file_lock.acquire(used.layout.jobs / "server.lock")
    assert fd is not None
    assert "jobs" not in surplus.prune(used).kinds()
    file_lock.release(fd)
    assert "jobs" in surplus.look(used).kinds()


def test_a_lock_that_cannot_be_read_may_name_anything(used: Workspace) -> None:
    """So what locks name stays."""
    (used.layout.root / "other.lock.json").write_text("{")
    assert not {"sources", "build contexts"} & surplus.look(used).kinds().keys()


def test_of_the_build_cache_ours_goes(workspace: Workspace, engine_double: Daemon) -> None:
    """What our Dockerfiles ran and what is built on it, from the top down; not what an image
    shares, a build uses or has just used, nor what somebody else's Dockerfile ran."""
    just = NOW.isoformat()
    engine_double.build_cache = [
        _cached("top", "middle", "fileop target"),
        _cached("ours", "base", OURS),
        _cached("middle", "ours", "fileop target"),
        _cached("shared", "base", OURS, Shared=True),
        _cached("busy", "base", OURS, InUse=True),
        _cached("young", "base", OURS, LastUsedAt=just),
        _cached("theirs", "base", "mount / from exec /bin/sh -c apt-get update"),
        _cached("context", "", "local source for context"),
    ]
    assert surplus.look(workspace).kinds() == {"build cache": (3, 30)}
    assert surplus.prune(workspace).kinds() == {"build cache": (3, 30)}
    left = {record["ID"] for record in engine_double.build_cache}
    assert left == {"shared", "busy", "young", "theirs", "context"}
    record = build_cache.CacheRecord("x", 1)
    engine_double.build_cache = [_cached("x", "", OURS), _cached("y", "x", "fileop target")]
    assert not build_cache.remove(workspace.engine, record)  # somebody built on it meanwhile


def test_our_dockerfiles_say_that_they_are_ours() -> None:
    """Else nobody would find their part of the cache."""
    root = Path(build_cache.__file__).parents[1]
    texts = [*root.glob("bootstrap/*.Dockerfile"), root / "program/templates/Dockerfile.j2"]
    assert len(texts) == 3
    for path in texts:
        assert any(word in path.read_text() for word in build_cache._OWN), path
