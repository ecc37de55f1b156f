from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission
from iac_wrapper.model.remote import remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from iac_wrapper.sources.commit_tree import Commit
from iac_wrapper.sources.source_cache import SNAPSHOT_KEPT, STALE_AFTER, SourceCache, subject_of
from iac_wrapper.sources.unpack import SourceLimits
from tests.support.git_server import Content, Executable, GitServer, Link, Repository

pytestmark = pytest.mark.slow


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, lines: list[str]) -> SourceCache:
    return SourceCache(tmp_path / "cache", SourceLimits(10**6), lines.append)


def _commit(server: GitServer, text: str, sha: str) -> Commit:
    settings = Settings(
        IAC_GITHUB_URL=server.url, IAC_GITLAB_URL=server.url, IAC_BITBUCKET_URL=server.url
    )
    slug = Slug.parse(text)
    return Commit(remote_of(slug, settings.hosts), sha, slug.archive_url(settings.hosts, sha))


@pytest.fixture
def commit(server: GitServer) -> Commit:
    sha = server.repository("a/b").commit(
        {
            "main.py": "print()\r\n",
            "run": Executable("#!"),
            "d/l": Link("../main.py"),
        }
    )
    return _commit(server, "gh:a/b", sha)


def test_both_ways_agree(commit: Commit, cache: SourceCache) -> None:
    """Archive and clone of one commit have one tree hash."""
    first = cache.fetch(commit)
    second = replace(cache, folder=cache.folder / "2").fetch(replace(commit, archive_url=None))
    assert (first.method, second.method) == ("archive", "clone")
    assert first.tree == second.tree
    assert first.omissions == second.omissions == ()
    for folder in (cache.folder, cache.folder / "2"):
        assert subject_of(folder, commit.sha) == "change"
    assert subject_of(cache.folder, "f" * 40) is None


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"

HARD: dict[str, dict[str, Content]] = {
    "export-ignore": {".gitattributes": "tests export-ignore\n", "tests/x": "x"},
    "export-ignore, hidden": {
        ".gitattributes": "tests export-ignore\n.gitattributes export-ignore\n",
        "tests/x": "x",
    },
    "export-subst": {".gitattributes": "version export-subst\n", "version": "$Format:%H %d$"},
    "line ends": {".gitattributes": "*.bat text eol=crlf\n", "a.bat": "a\nb\n"},
    "lfs": {"a.bin": LFS, "b/c.bin": LFS},
    "links": {"out": Link("/etc/passwd"), "d/up": Link("../../x"), "none": Link("n"), "a/b": "x"},
    "keys and caches": {"certs/ca.key": "k", ".venv/x": "x", ".iac/y": "y", "__pycache__/z": "z"},
    "line ends that git keeps": {".gitattributes": "* -text\n", "a.txt": "a\r\nb\n", "b": "c\r"},
    "line ends that git chooses": {".gitattributes": "* text=auto eol=crlf\n", "a.txt": "a\nb\n"},
    "an encoding": {
        ".gitattributes": "*.rc text working-tree-encoding=UTF-16LE eol=crlf\n",
        "a.rc": "a\nb\n".encode("utf-16-le"),
    },
    "ident": {".gitattributes": "a.c ident\n", "a.c": "$Id$\n"},
    "attributes of a folder": {
        "d/.gitattributes": "v export-subst\n",
        "d/v": "$Format:%H$",
        "v": "x",
    },
    "modes": {"run": Executable("#!/bin/sh\n"), "plain": "#!/bin/sh\n", "d/l": Link("../run")},
    "names": {
        "caf\u00e9": "one form",
        "cafe\u0301": "the other",
        "\u65e5\u672c/\U0001f600 \"q\" 'x'": "x",
        "-rf": "x",
        "two\nlines": "x",
        "tab\there/ trailing ": "x",
        "\u540d": Link("caf\u00e9"),
    },
    "long names": {
        f"{'d' * 120}/{'e' * 120}/{'f' * 200}": "x",
        "l": Link(f"{'d' * 120}/{'e' * 120}/{'f' * 200}"),
    },
    "empty files": {"a": "", "d/__init__.py": ""},
    "a version": {".gitattributes": "v.txt export-subst\n", "v.txt": "$Format:%d %an %H$\n"},
    "nothing": {},
}
"""Commits whose archive, clone and checkout differ, or were refused, unless care is taken."""


@pytest.mark.parametrize("case", HARD)
def test_every_way_to_a_commit_gives_its_tree(
    server: GitServer, cache: SourceCache, case: str
) -> None:
    """Archive, clone and a clean working tree have one hash and lack the same, which is named."""
    repository = server.repository("a/b")
    sha = repository.commit({"main.py": "print()\n", **HARD[case]})
    repository.git("rm", "-q", "-r", "--cached", ".")
    repository.git("reset", "-q", "--hard")
    commit = _commit(server, "gh:a/b", sha)
    ways = [
        cache.fetch(commit),
        replace(cache, folder=cache.folder / "2").fetch(replace(commit, archive_url=None)),
        cache.snapshot(repository.path),
    ]
    assert len({way.tree for way in ways}) == 1
    assert len({way.omissions for way in ways}) == 1
    named = {one.path for one in ways[0].omissions}
    there = {str(p.relative_to(ways[0].path)) for p in ways[0].path.rglob("*") if not p.is_dir()}
    kept = {one.path for one in ways[0].omissions if one.kind in ("lfs", "dangling")}
    assert there == {"main.py", *HARD[case]} - named | kept
    assert named == {"lfs": {"a.bin", "b/c.bin"}, "links": {"out", "d/up", "none"}}.get(case, set())


def test_submodules_are_named_every_way(
    server: GitServer, cache: SourceCache, tmp_path: Path
) -> None:
    """A submodule is in no source, on disk or not; its path and URL are told, no credentials."""
    library = Repository.create(tmp_path / "library")
    library.commit({"x": "x"})
    repository = server.repository("a/b")
    repository.commit({"main.py": "print()\n"})
    allow = ("-c", "protocol.file.allow=always")
    repository.git(*allow, "submodule", "--quiet", "add", str(library.path), "libs/x")
    repository.git("config", "-f", ".gitmodules", "submodule.libs/x.url", "https://u:p@h.test/x")
    sha = repository.commit({})
    commit = _commit(server, "gh:a/b", sha)
    assert (repository.path / "libs/x/x").exists()
    ways = [
        cache.fetch(commit),
        replace(cache, folder=cache.folder / "2").fetch(replace(commit, archive_url=None)),
        cache.snapshot(repository.path),
    ]
    assert [way.method for way in ways] == ["archive", "clone", "local"]
    assert len({way.tree for way in ways}) == 1
    expected = (Omission("submodule", "libs/x", "https://h.test/x"),)
    assert {way.omissions for way in ways} == {expected}
    assert cache.fetch(commit).omissions == expected
    inside = cache.snapshot(repository.path / "libs")
    assert inside.omissions == (Omission("submodule", "x", "https://h.test/x"),)


def test_a_folder_of_a_source(server: GitServer, cache: SourceCache) -> None:
    """A subdirectory has the same hash and omissions whether it comes by slug or by path."""
    repository = server.repository("a/b")
    sha = repository.commit(
        {
            "app/main.py": "x",
            "app/up": Link("../lib/y"),
            "lib/y": "y",
            "app/a.bin": LFS,
            "b.bin": LFS,
        }
    )
    cached = cache.fetch(_commit(server, "gh:a/b", sha))
    part, local = cached.part(cached.path / "app"), cache.snapshot(repository.path / "app")
    assert part.tree == local.tree
    assert part.omissions == local.omissions
    assert [(one.kind, one.path) for one in part.omissions] == [("lfs", "a.bin"), ("link", "up")]


def test_a_tree_of_an_earlier_version_is_fetched_again(
    commit: Commit, cache: SourceCache, lines: list[str]
) -> None:
    """Its record has no format: it may lack what the host's archive left out. Nothing is said."""
    good = cache.fetch(commit)
    (good.path.parent / "source.json").write_text(
        json.dumps({"tree": good.tree, "method": "archive"})
    )
    (good.path / "new").write_text("x")
    assert cache.fetch(commit) == good
    assert not (good.path / "new").exists()
    assert lines == []


@pytest.mark.parametrize("text", ["gh:a/b", "bb:a/b", "gl:a/b", "gl:g/s/t/b"])
def test_archive_of_every_host(server: GitServer, cache: SourceCache, text: str) -> None:
    """The archive address of each host is asked once, then the cache answers."""
    sha = server.repository(text[3:]).commit({"x": text})
    commit = _commit(server, text, sha)
    assert cache.fetch(commit).method == "archive"
    asked = len(server.requests)
    assert cache.fetch(commit).path.joinpath("x").read_text() == text
    assert (server.count("archive|/get/"), len(server.requests)) == (1, asked)


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


def test_refused_content_is_final(
    server: GitServer, commit: Commit, cache: SourceCache, lines: list[str]
) -> None:
    """A source that is refused is not fetched a second way, and leaves nothing in the cache."""
    del server
    with pytest.raises(SourceError, match="too large"):
        replace(cache, limits=SourceLimits(5)).fetch(commit)
    assert lines == []
    assert list(cache.folder.iterdir()) == []


def test_private_archive(server: GitServer, commit: Commit, cache: SourceCache) -> None:
    """Tokens open archives: Basic for GitHub, PRIVATE-TOKEN for GitLab."""
    server.token = "sentinel"
    settings = Settings(IAC_GITLAB_URL=server.url, GITLAB_TOKEN="sentinel")
    slug = Slug.parse("gl:a/b")
    private = Commit(
        remote_of(slug, settings.hosts), commit.sha, slug.archive_url(settings.hosts, commit.sha)
    )
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
    untouched = cache.folder.stat().st_mtime_ns
    assert cache.snapshot(source) == first
    assert cache.folder.stat().st_mtime_ns == untouched  # not even a copy to compare with
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
