from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.adapters.source_cache import SNAPSHOT_KEPT, STALE_AFTER, Commit, SourceCache
from iac_wrapper.adapters.unpack import Limits
from iac_wrapper.errors import SourceError
from iac_wrapper.model.remote import remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from tests.support.git_server import Executable, GitServer, Link


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "server") as running:
        yield running


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, lines: list[str]) -> SourceCache:
    return SourceCache(tmp_path / "cache", Limits(10**6), lines.append)


def _commit(server: GitServer, text: str, sha: str) -> Commit:
    settings = Settings(
        IAC_GITHUB_URL=server.url, IAC_GITLAB_URL=server.url, IAC_BITBUCKET_URL=server.url
    )
    slug = Slug.parse(text)
    return Commit(remote_of(slug, settings), sha, slug.archive_url(settings, sha))


@pytest.fixture
def commit(server: GitServer) -> Commit:
    sha = server.repository("a/b").commit(
        {
            "main.py": "print()\r\n",
            "run": Executable("#!"),
            "d/l": Link("../main.py"),
            "hidden/x": "x",
            ".gitattributes": "hidden export-ignore\nversion export-subst\n",
            "version": "$Format:%H$\n",
        }
    )
    return _commit(server, "gh:a/b", sha)


def test_both_ways_agree(server: GitServer, commit: Commit, cache: SourceCache) -> None:
    """Archive and clone of one commit have one tree hash, attributes of the repository included."""
    first = cache.fetch(commit)
    second = replace(cache, folder=cache.folder / "2").fetch(replace(commit, archive_url=None))
    assert (first.method, second.method) == ("archive", "clone")
    assert first.tree == second.tree
    assert sorted(p.name for p in first.path.iterdir()) == [
        ".gitattributes",
        "d",
        "main.py",
        "run",
        "version",
    ]
    assert (first.path / "version").read_text().strip() == commit.sha


@pytest.mark.parametrize("text", ["gh:a/b", "bb:a/b", "gl:a/b", "gl:g/s/t/b"])
def test_archive_of_every_host(server: GitServer, cache: SourceCache, text: str) -> None:
    """The archive address of each host is asked once, then the cache answers."""
    sha = server.repository(text[3:]).commit({"x": text})
    commit = _commit(server, text, sha)
    assert cache.fetch(commit).method == "archive"
    asked = len(server.requests)
    assert cache.fetch(commit).path.joinpath("x").read_text() == text
    assert (asked, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("body", [None, b"<html>", b"\x1f\x8bbroken"])
def test_fallback(
    server: GitServer, commit: Commit, cache: SourceCache, lines: list[str], body: bytes | None
) -> None:
    """No archive, a page in its place or a broken one: git is used, and it is said why."""
    server.archives = body is not None
    server.archive_body = body
    assert cache.fetch(commit).method == "clone"
    assert len(lines) == 1
    assert "cloning instead" in lines[0]


def test_refused_content_is_final(server: GitServer, cache: SourceCache) -> None:
    """A source that is refused is not fetched a second way, and leaves nothing in the cache."""
    sha = server.repository("a/b").commit({"l": Link("/etc/passwd")})
    with pytest.raises(SourceError, match="symbolic link"):
        cache.fetch(_commit(server, "gh:a/b", sha))
    assert server.count("git-upload-pack") == 0
    assert list(cache.folder.iterdir()) == []


def test_private_archive(server: GitServer, commit: Commit, cache: SourceCache) -> None:
    """Tokens open archives: Basic for GitHub, PRIVATE-TOKEN for GitLab."""
    server.token = "sentinel"
    settings = Settings(IAC_GITLAB_URL=server.url, GITLAB_TOKEN="sentinel")
    slug = Slug.parse("gl:a/b")
    private = Commit(remote_of(slug, settings), commit.sha, slug.archive_url(settings, commit.sha))
    assert cache.fetch(private).method == "archive"


@pytest.mark.parametrize("damage", ["change", "add", "remove", "record", "record is a list"])
def test_altered_tree_heals(
    commit: Commit, cache: SourceCache, lines: list[str], damage: str
) -> None:
    """A cached tree that was altered is noticed, said and fetched again."""
    good = cache.fetch(commit)
    if damage == "change":
        (good.path / "main.py").write_text("evil")
    elif damage == "add":
        (good.path / "evil.py").write_text("evil")
    elif damage == "remove":
        (good.path / "main.py").unlink()
    else:
        (good.path.parent / "source.json").write_text("[]" if "list" in damage else "{")
    healed = cache.fetch(commit)
    assert healed == good
    assert (healed.path / "main.py").read_bytes() == b"print()\r\n"
    assert not (healed.path / "evil.py").exists()
    assert "altered" in lines[0]
    assert len(list(cache.folder.iterdir())) == 1


def test_parallel_fetches_share(commit: Commit, cache: SourceCache) -> None:
    """Any number of fetches at once end with one complete tree."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(cache.fetch, [commit] * 4))
    assert len({(result.path, result.tree) for result in results}) == 1
    assert len(list(cache.folder.iterdir())) == 1


def test_stale_work_is_removed(commit: Commit, cache: SourceCache) -> None:
    """What a killed process left behind goes after a day; younger work stays."""
    old, young = cache.folder / ".tmp-old", cache.folder / ".tmp-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    past = time.time() - STALE_AFTER - 60
    os.utime(old, (past, past))
    cache.fetch(commit)
    assert not old.exists()
    assert young.exists()


def test_snapshot(tmp_path: Path, cache: SourceCache) -> None:
    """A local directory is copied under its content: same content, same place; later edits do
    not reach the copy."""
    source = tmp_path / "app"
    source.mkdir()
    (source / "main.py").write_text("one")
    first = cache.snapshot(source)
    assert cache.snapshot(source) == first
    (source / "main.py").write_text("two")
    second = cache.snapshot(source)
    assert second.path != first.path
    assert (first.path / "main.py").read_text() == "one"
    assert first.method == "local"


def test_snapshots_nobody_uses_go(tmp_path: Path, commit: Commit, cache: SourceCache) -> None:
    """A new snapshot removes those not used for a week; use keeps one, and commits always stay."""
    source = tmp_path / "app"
    source.mkdir()
    made = []
    for text in ("dropped", "used", "new"):
        if text == "new":
            past = time.time() - SNAPSHOT_KEPT - 60
            for folder in cache.folder.iterdir():
                os.utime(folder, (past, past))
            (source / "main.py").write_text("used")
            cache.snapshot(source)
        (source / "main.py").write_text(text)
        made.append(cache.snapshot(source))
        if text == "dropped":
            fetched = cache.fetch(commit)
    assert [snapshot.path.exists() for snapshot in made] == [False, True, True]
    assert fetched.path.exists()
    assert len(list(cache.folder.iterdir())) == 3
