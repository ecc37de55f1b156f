"""The cache of commits: what goes, and what a lock or a proven version keeps."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.files import lock_file
from iac_wrapper.files.lock_file import LOCK_OUTPUT
from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations import releases, source_pruning
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support import deployed

DAY = 24 * 3600


def _cached(workspace: Workspace, name: str, *, days: float, size: int = 1000) -> Path:
    folder = workspace.layout.cache / name
    (folder / "tree").mkdir(parents=True)
    (folder / "tree" / "x").write_bytes(bytes(size))
    at = time.time() - days * DAY
    os.utime(folder, (at, at))
    return folder


def _commit(workspace: Workspace, digit: str, *, days: float, size: int = 1000) -> Path:
    return _cached(workspace, f"{'0' * 16}-{digit * 40}", days=days, size=size)


def _prune(workspace: Workspace, max_mb: str = "") -> set[str]:
    limited = replace(workspace, settings=Settings(IAC_CACHE_MAX_MB=max_mb))
    return {path.name for path in source_pruning.prune(limited, (), None)}


def test_what_is_old_goes(workspace: Workspace) -> None:
    """By the time of its last use; work under way is somebody else's."""
    old = _commit(workspace, "a", days=31)
    lfs = _cached(workspace, f"{'1' * 16}-{'a' * 40}-lfs", days=31)
    local = _cached(workspace, f"local-{'b' * 40}", days=31)
    young, work = _commit(workspace, "c", days=29), _cached(workspace, ".tmp-x", days=31)
    assert _prune(workspace) == {old.name, lfs.name, local.name}
    assert young.exists()
    assert work.exists()
    assert not old.exists()


def test_what_is_too_much_goes(workspace: Workspace) -> None:
    """What was used longest ago first; a build may be reading what was used within the hour."""
    for digit, days in (("a", 3.0), ("b", 2.0), ("c", 1.0), ("d", 0.0)):
        _commit(workspace, digit, days=days, size=600_000)
    assert _prune(workspace, max_mb="2") == {f"{'0' * 16}-{'a' * 40}"}
    assert len(_prune(workspace, max_mb="1")) == 2
    assert _prune(workspace, max_mb="1") == set()


def test_what_a_lock_or_a_proven_version_is_made_from_stays(workspace: Workspace) -> None:
    """Of every project of the folder: its lock file, its state, its releases; and this deploy."""
    paths = {digit: _commit(workspace, digit, days=40) for digit in "abcdef"}
    apps = {digit: replace(deployed.app("web"), commit=digit * 40) for digit in "abc"}
    lock = LockFile("other", "iacnet-other", "172.21.0.0/24", 15444, (apps["a"],))
    lock_file.save_lock(lock, workspace.layout.root / "more.lock.json")
    other = workspace.layout.state("third")
    other.parent.mkdir(parents=True)
    text = lock_file.dump(replace(lock, apps=(apps["b"],)))
    other.write_text(json.dumps({"outputs": {LOCK_OUTPUT: {"value": text}}}))
    third = replace(workspace, project="third")
    releases.save_releases(third, releases.Releases().proven([apps["c"]], keep=3))
    now = Checkout(AppSpec("web", Slug.parse("gh:o/r")), paths["d"], "sha256:x", "d" * 40, "clone")
    written = replace(lock, apps=(replace(apps["a"], commit="e" * 40),))
    gone = source_pruning.prune(workspace, [now], written)
    assert gone == [paths["f"]]


@pytest.mark.parametrize("broken", ["a lock", "a state"])
def test_what_cannot_be_read_may_name_anything(workspace: Workspace, broken: str) -> None:
    """Then nothing goes."""
    old = _commit(workspace, "a", days=40)
    path = workspace.layout.root / "x.lock.json"
    if broken == "a state":
        path = workspace.layout.state("third")
        path.parent.mkdir(parents=True)
    path.write_text("{")
    assert _prune(workspace) == set()
    assert old.exists()
