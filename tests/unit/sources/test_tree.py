from __future__ import annotations

import os
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission
from iac_wrapper.sources.local_tree import read_local
from iac_wrapper.sources.tree import tree_hash
from iac_wrapper.sources.unpack import SourceLimits
from tests.support.git_server import Executable, Link, Repository

LIMITS = SourceLimits(10**6, 100)


def _write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def copy_local(source: Path, to: Path, limits: SourceLimits) -> tuple[Omission, ...]:
    """What a copy lacks; the hash that was read beforehand is the copy's own."""
    local = read_local(source, limits)
    local.copy(to)
    assert tree_hash(to) == local.tree
    return local.omissions


def _names(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def test_hash_sees_what_counts(tmp_path: Path) -> None:
    """Names, contents, the executable bit and link targets change the hash."""
    _write(tmp_path, "a", "d/b")
    (tmp_path / "l").symlink_to("a")
    seen = {tree_hash(tmp_path)}
    (tmp_path / "a").chmod(0o755)
    seen.add(tree_hash(tmp_path))
    (tmp_path / "a").write_text("other")
    seen.add(tree_hash(tmp_path))
    (tmp_path / "a").rename(tmp_path / "aa")
    seen.add(tree_hash(tmp_path))
    (tmp_path / "l").unlink()
    (tmp_path / "l").symlink_to("aa")
    seen.add(tree_hash(tmp_path))
    (tmp_path / "l").unlink()
    (tmp_path / "l").write_text("aa")
    seen.add(tree_hash(tmp_path))
    assert len(seen) == 6
    assert all(value.startswith("sha256:") and len(value) == 71 for value in seen)


def test_hash_ignores_what_does_not(tmp_path: Path) -> None:
    """Times, other mode bits, empty directories and .git do not change the hash."""
    _write(tmp_path, "a", "d/b")
    before = tree_hash(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "empty").mkdir()
    _write(tmp_path, ".git/config")
    assert tree_hash(tmp_path) == before


def test_hash_does_not_confuse_boundaries(tmp_path: Path) -> None:
    """Moving a boundary between name and content, or between files, is seen."""
    for number, (name, content) in enumerate([("ab", "c"), ("a", "bc")]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / name).write_text(content)
    assert tree_hash(tmp_path / "0") != tree_hash(tmp_path / "1")


def test_copy_in_a_working_tree(tmp_path: Path) -> None:
    """In a git working tree: tracked files, changes and new files, but nothing ignored."""
    repository = Repository.create(tmp_path / "r")
    repository.commit(
        {
            ".gitignore": "*.log\nsecret\n",
            "tracked.log": "kept: tracked",
            "gone": "x",
            "app/run": Executable("#!"),
            "app/l": Link("../tracked.log"),
        }
    )
    (tmp_path / "r" / "gone").unlink()
    _write(tmp_path / "r", "new.py", "x.log", "secret/key", "__pycache__/m.pyc", ".env")
    copy_local(tmp_path / "r", tmp_path / "copy", LIMITS)
    assert _names(tmp_path / "copy") == [
        ".gitignore",
        "app/l",
        "app/run",
        "new.py",
        "tracked.log",
    ]
    assert (tmp_path / "copy/app/run").stat().st_mode & 0o777 == 0o755


def test_copy_does_not_depend_on_the_umask(tmp_path: Path, strict_umask: None) -> None:
    """Every directory is 0755 and every file 0644 or 0755, however deep."""
    del strict_umask
    _write(tmp_path / "x", "a", "b/c/d")
    (tmp_path / "x/b/c/d").chmod(0o700)
    copy_local(tmp_path / "x", tmp_path / "copy", LIMITS)
    copy = tmp_path / "copy"
    modes = {str(p.relative_to(copy)): p.stat().st_mode & 0o7777 for p in (copy, *copy.rglob("*"))}
    assert modes == {".": 0o755, "a": 0o644, "b": 0o755, "b/c": 0o755, "b/c/d": 0o755}


def test_copy_elsewhere(tmp_path: Path) -> None:
    """Outside of git: everything but caches, environments and a directory with a CA's key."""
    root = tmp_path / "x"
    _write(root, "a.py", "b/c.py", ".venv/x", "node_modules/y", "b/__pycache__/c.pyc", ".env")
    _write(root, "secrets/ca.key", "secrets/iacnet/app/tls.key", ".iac/host.json")
    omissions = copy_local(root, tmp_path / "copy", LIMITS)
    assert _names(tmp_path / "copy") == ["a.py", "b/c.py"]
    named = [(one.kind, one.path) for one in omissions]
    assert named == [("key", "secrets"), ("own", ".env"), ("own", "node_modules")]


@pytest.mark.parametrize("in_git", [True, False])
def test_what_a_program_may_miss_is_named_wherever_it_lies(tmp_path: Path, in_git: bool) -> None:
    """Of a folder its own name alone; caches and what lies in them are silent. Empty folders are
    left out, as git does: a folder and its commit give the same image."""
    root = tmp_path / "x"
    if in_git:
        Repository.create(root).commit({"a.py": "a", "lib/m.py": "m", ".gitignore": ".env\nout\n"})
        _write(root, "out/.env", "out/b.pyc")
    _write(root, "a.py", "app/.env", "web/node_modules/y/.env", "web/i.js", "lib/m.py")
    _write(root, "lib/m.pyc", "lib/__pycache__/m.pyc", "src/x.egg-info/PKG-INFO", ".venv/l/e.pyc")
    (root / "data/in").mkdir(parents=True)
    (root / "lib/__pycache__/empty").mkdir()
    omissions = copy_local(root, tmp_path / "copy", LIMITS)
    assert {"lib/m.py", "web/i.js"} <= set(_names(tmp_path / "copy"))
    assert [(one.kind, one.path) for one in omissions] == [
        ("empty", "data/in"),
        ("own", "app/.env"),
        ("own", "lib/m.pyc"),
        ("own", "src/x.egg-info"),
        ("own", "web/node_modules"),
    ]


def test_what_git_tracks_is_part_of_the_source_whatever_its_name(tmp_path: Path) -> None:
    """And so is not said; nor are empty folders of a repository or submodule that is left out."""
    repository = Repository.create(tmp_path / "r")
    repository.commit({"app/.env": "A=1", "node_modules/m/i.js": "x"})
    Repository.create(repository.path / "other").commit({"x": "x"})
    (repository.path / "other/empty").mkdir()
    omissions = copy_local(repository.path, tmp_path / "copy", LIMITS)
    assert _names(tmp_path / "copy") == ["app/.env", "node_modules/m/i.js"]
    assert [(one.kind, one.path) for one in omissions] == [("repository", "other")]


def test_copy_leaves_out_what_cannot_be_in_an_image(tmp_path: Path) -> None:
    """Links out and in circles, and a fifo, are left out and named; the rest is there."""
    root = tmp_path / "x"
    _write(root, "a", "d/b")
    for name, target in (
        ("l", "/etc/passwd"),
        ("m", "../outside"),
        ("loop", "loop"),
        ("ok", "d/b"),
    ):
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    omissions = copy_local(root, tmp_path / "copy", LIMITS)
    assert _names(tmp_path / "copy") == ["a", "d/b", "ok"]
    assert [(one.kind, one.path) for one in omissions] == [
        ("link", "l"),
        ("link", "loop"),
        ("link", "m"),
        ("special", "pipe"),
    ]


def test_copy_names_what_it_leaves_out(tmp_path: Path) -> None:
    """Keys and repositories that git does not track, files that are gone, and .env are named."""
    repository = Repository.create(tmp_path / "r")
    repository.commit({"a": "a", "gone": "x", "certs/ca.key": "tracked", ".gitignore": ".env\n"})
    (repository.path / "gone").unlink()
    _write(repository.path, "secrets/ca.key", "secrets/iacnet/web/tls.key", ".env")
    Repository.create(repository.path / "other").commit({"x": "x"})
    omissions = copy_local(repository.path, tmp_path / "copy", LIMITS)
    assert _names(tmp_path / "copy") == [".gitignore", "a", "certs/ca.key"]
    assert [(one.kind, one.path) for one in omissions] == [
        ("gone", "gone"),
        ("key", "secrets"),
        ("own", ".env"),
        ("repository", "other"),
    ]


def test_copy_refuses_tracked_files_behind_a_link(tmp_path: Path) -> None:
    """A tracked directory that became a link is not read through."""
    outside = tmp_path / "outside"
    _write(outside, "f")
    repository = Repository.create(tmp_path / "r")
    repository.commit({"d/f": "inside"})
    (tmp_path / "r/d/f").unlink()
    (tmp_path / "r/d").rmdir()
    (tmp_path / "r/d").symlink_to(outside)
    _write(tmp_path / "r", ".git/info/exclude")
    (tmp_path / "r/.git/info/exclude").write_text("/d\n")
    with pytest.raises(SourceError, match="behind a symbolic link"):
        copy_local(tmp_path / "r", tmp_path / "copy", LIMITS)


def test_copy_runs_nothing_of_the_repository(tmp_path: Path) -> None:
    """A repository's own configuration cannot start a program here."""
    repository = Repository.create(tmp_path / "r")
    repository.commit({"a": "x"})
    hook = tmp_path / "r/.git/evil"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(hook))
    copy_local(tmp_path / "r", tmp_path / "copy", LIMITS)
    assert not (tmp_path / "ran").exists()


def test_copy_caps(tmp_path: Path) -> None:
    """Too many files or bytes are refused with the way out."""
    root = tmp_path / "x"
    _write(root, *(str(i) for i in range(11)))
    with pytest.raises(SourceError, match=r"more than 10 files(?s:.*)\.gitignore"):
        copy_local(root, tmp_path / "1", SourceLimits(10**6, 10))
    with pytest.raises(SourceError, match="IAC_FETCH_MAX_MB"):
        copy_local(root, tmp_path / "2", SourceLimits(5, 100))


def test_copy_of_a_broken_repository(tmp_path: Path) -> None:
    """A broken index is an error: falling back to all files could copy ignored secrets."""
    repository = Repository.create(tmp_path / "r")
    repository.commit({"a": "x"})
    (tmp_path / "r/.git/index").write_bytes(b"broken")
    with pytest.raises(SourceError):
        copy_local(tmp_path / "r", tmp_path / "copy", LIMITS)
