"""Git LFS content and submodules, from real git servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission
from iac_wrapper.model.remote import Remote, remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from iac_wrapper.sources import lfs, retries
from iac_wrapper.sources.commit_tree import Commit
from iac_wrapper.sources.source_cache import CachedTree, SourceCache
from iac_wrapper.sources.submodules import SubmoduleRules
from iac_wrapper.sources.unpack import SourceLimits
from tests.support.git_server import GitServer, Link, Repository

pytestmark = pytest.mark.slow

LFS = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
TOKEN = "sentinel-token-of-a-host"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setattr(retries, "PAUSES", (0.01, 0.01))
    with GitServer(tmp_path / "server") as running:
        running.token = TOKEN
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "cache", SourceLimits(10**6), lambda _: None)


def _commit(server: GitServer, name: str, sha: str, **wanted: bool) -> Commit:
    settings = Settings(IAC_GITHUB_URL=server.url, GITHUB_TOKEN=TOKEN)
    slug = Slug.parse(f"gh:{name}")
    remote = remote_of(slug, settings.hosts)
    return Commit(remote, sha, slug.archive_url(settings.hosts, sha), **wanted)


def _submodule(repository: Repository, path: str, url: str, sha: str) -> None:
    """Add a submodule as git records it; nothing is cloned."""
    repository.git("config", "-f", ".gitmodules", f"submodule.{path}.path", path)
    repository.git("config", "-f", ".gitmodules", f"submodule.{path}.url", url)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{sha},{path}")
    repository.git("add", ".gitmodules")
    repository.git("commit", "-q", "-m", "submodule")


def test_lfs_content_takes_the_place_of_its_pointers(server: GitServer, cache: SourceCache) -> None:
    """The tree holds content, and its hash is that of the content; other pointers stay."""
    content = b"\0model" * 1000
    repository = server.repository("a/b")
    pointer = server.lfs_pointer(content)
    files = {".gitattributes": LFS, "m.bin": pointer, "d/copy.bin": pointer, "no.txt": pointer}
    sha = repository.commit({**files, "main.py": "x"})
    plain = cache.fetch(_commit(server, "a/b", sha))
    full = cache.fetch(_commit(server, "a/b", sha, lfs=True))
    assert (full.path / "m.bin").read_bytes() == (full.path / "d/copy.bin").read_bytes() == content
    assert full.omissions == (Omission("lfs", "no.txt"),)
    assert len(plain.omissions) == 3
    repository.commit({"m.bin": content, "d/copy.bin": content})
    assert full.tree == cache.snapshot(repository.path).tree != plain.tree
    asked = len(server.requests)
    assert cache.fetch(_commit(server, "a/b", sha, lfs=True)) == full
    assert len(server.requests) == asked


def test_a_token_goes_to_its_own_server_only(
    server: GitServer, cache: SourceCache, tmp_path: Path
) -> None:
    """Content that lies elsewhere is asked for with the headers that were given for it."""
    sha = server.repository("a/b").commit(
        {".gitattributes": LFS, "m.bin": server.lfs_pointer(b"content")}
    )
    with GitServer(tmp_path / "elsewhere") as other:
        other.lfs, other.token = server.lfs, "of-the-other"
        server.lfs_place, server.lfs_headers = other.url, {"PRIVATE-TOKEN": "of-the-other"}
        got = cache.fetch(_commit(server, "a/b", sha, lfs=True))
        assert (got.path / "m.bin").read_bytes() == b"content"
        assert other.authorizations == ["of-the-other"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gone", "does not have the Git LFS content"),
        ("other", "not that of its pointer"),
        ("longer", "not that of its pointer"),
        ("limit", "too large"),
        ("place", "an address that is not used"),
        ("config", "another server"),
    ],
)
def test_lfs_content_that_cannot_be_had(
    server: GitServer, cache: SourceCache, change: str, words: str
) -> None:
    """Each has a sentence and a step, shows no token, and leaves nothing in the cache."""
    pointer = server.lfs_pointer(b"c" * 5000)
    config = {".lfsconfig": "[lfs]\n\turl = https://lfs.test/x\n"} if change == "config" else {}
    sha = server.repository("a/b").commit({".gitattributes": LFS, "m.bin": pointer, **config})
    commit = _commit(server, "a/b", sha, lfs=True)
    (oid,) = server.lfs
    if change == "gone":
        server.lfs = {}
    elif change in {"other", "longer"}:
        server.lfs[oid] = b"d" * (5000 if change == "other" else 6000)
    elif change == "limit":
        cache = replace(cache, limits=SourceLimits(4000))
    elif change == "place":
        server.lfs_place = "file:///etc"
    with pytest.raises(SourceError, match=words) as caught:
        cache.fetch(commit)
    assert caught.value.next_step
    assert TOKEN not in str(caught.value)
    assert list(cache.folder.iterdir()) == []


def test_lfs_content_of_a_busy_server_is_asked_for_again(
    server: GitServer, cache: SourceCache, tmp_path: Path
) -> None:
    """Where the content lies elsewhere, that server may be the busy one."""
    sha = server.repository("a/b").commit(
        {".gitattributes": LFS, "m.bin": server.lfs_pointer(b"content")}
    )
    with GitServer(tmp_path / "other") as other:
        other.lfs, server.lfs_place = server.lfs, other.url
        other.refusals = [(429, {"Retry-After": "0"}), (503, {})]
        got = cache.fetch(_commit(server, "a/b", sha, lfs=True))
    assert (got.path / "m.bin").read_bytes() == b"content"


def test_lfs_without_the_token(server: GitServer, cache: SourceCache, tmp_path: Path) -> None:
    """The step names the setting that would open it."""
    sha = server.repository("a/b").commit(
        {".gitattributes": LFS, "m.bin": server.lfs_pointer(b"content")}
    )
    commit = _commit(server, "a/b", sha)
    stranger = Remote(commit.remote.url, "GITHUB_TOKEN")
    with pytest.raises(SourceError, match="not to be had here") as caught:
        lfs.fill(cache.fetch(commit).path, stranger, cache.limits, tmp_path, cache.progress)
    assert "set GITHUB_TOKEN" in (caught.value.next_step or "")


def test_lfs_of_a_repository_on_this_machine(cache: SourceCache, tmp_path: Path) -> None:
    """git+file:// takes what git-lfs keeps there."""
    repository = Repository.create(tmp_path / "r")
    with GitServer(tmp_path / "server") as server:
        pointer = server.lfs_pointer(b"content")
        (oid,) = server.lfs
    sha = repository.commit({".gitattributes": LFS, "m.bin": pointer})
    commit = Commit(Remote(f"file://{tmp_path}/r"), sha, None, lfs=True)
    with pytest.raises(SourceError, match="does not have"):
        cache.fetch(commit)
    kept = repository.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"content")
    assert (cache.fetch(commit).path / "m.bin").read_bytes() == b"content"


@pytest.fixture
def nested(server: GitServer) -> tuple[Repository, str]:
    """a/app with libs/one (relative), which has deep (by ssh on the same host), with LFS in it."""
    deep = server.repository("b/deep").commit(
        {".gitattributes": LFS, "d.bin": server.lfs_pointer(b"deep"), "x.py": "x"}
    )
    one = server.repository("a/one")
    one.commit({"one.py": "1", "up": Link("../../main.py")})
    _submodule(one, "deep", "ssh://git@127.0.0.1/b/deep.git", deep)
    app = server.repository("a/app")
    app.commit({"main.py": "x", "direct": Link("libs/one/one.py")})
    _submodule(app, "libs/one", "../one.git", one.git("rev-parse", "HEAD"))
    return app, app.git("rev-parse", "HEAD")


def _files(tree: CachedTree) -> set[str]:
    found = (p for p in tree.path.rglob("*") if p.is_symlink() or p.is_file())
    return {str(path.relative_to(tree.path)) for path in found}


def test_submodules_and_what_is_in_them(
    server: GitServer, cache: SourceCache, nested: tuple[Repository, str]
) -> None:
    """Relative URLs, nested ones, the same host by ssh: with the token of the host."""
    _, sha = nested
    without = cache.fetch(_commit(server, "a/app", sha))
    assert [one.kind for one in without.omissions] == ["dangling", "submodule"]
    full = cache.fetch(_commit(server, "a/app", sha, submodules=True, lfs=True))
    inside = {"one.py", ".gitmodules", "deep/d.bin", "deep/x.py", "deep/.gitattributes"}
    expected = {"main.py", "direct", ".gitmodules", *(f"libs/one/{name}" for name in inside)}
    assert _files(full) == expected
    assert (full.path / "libs/one/deep/d.bin").read_bytes() == b"deep"
    (left_out,) = full.omissions
    assert (left_out.kind, left_out.path) == ("link", "libs/one/up")
    server.archives = False
    again = replace(cache, folder=cache.folder / "2")
    assert again.fetch(_commit(server, "a/app", sha, submodules=True, lfs=True)).tree == full.tree
    only = cache.fetch(_commit(server, "a/app", sha, submodules=True))
    assert Omission("lfs", "libs/one/deep/d.bin") in only.omissions


def test_a_commit_with_submodules_is_listed_once(
    server: GitServer, cache: SourceCache, nested: tuple[Repository, str]
) -> None:
    """The list that an archive is held against names the submodules too."""
    _, sha = nested
    assert cache.fetch(_commit(server, "a/app", sha)).method == "archive"
    listings = server.count(r"POST /a/app(\.git)?/git-upload-pack")
    got = cache.fetch(_commit(server, "a/app", sha, submodules=True))
    assert got.method == "archive"
    assert server.count(r"POST /a/app(\.git)?/git-upload-pack") == 2 * listings > 0


def test_all_of_it_is_within_the_limits(
    server: GitServer, cache: SourceCache, nested: tuple[Repository, str]
) -> None:
    _, sha = nested
    small = replace(cache, limits=SourceLimits(10**6, max_entries=6))
    with pytest.raises(SourceError, match="too many files") as caught:
        small.fetch(_commit(server, "a/app", sha, submodules=True))
    assert caught.value.next_step == "write `submodules: false`"


def test_a_way_out_through_two_trees_is_closed(server: GitServer, cache: SourceCache) -> None:
    """A link that leads out only because of a submodule's link is not made."""
    sub = server.repository("a/sub")
    sub.commit({"x": "x", "b": Link(".")})
    app = server.repository("a/app")
    app.commit({"main.py": "x", "out": Link("sub/b/../../etc")})
    _submodule(app, "sub", "../sub", sub.git("rev-parse", "HEAD"))
    sha = app.git("rev-parse", "HEAD")
    full = cache.fetch(_commit(server, "a/app", sha, submodules=True))
    assert not (full.path / "out").is_symlink()
    assert ("link", "out") in [(one.kind, one.path) for one in full.omissions]


RULES = SubmoduleRules(
    Settings(GITHUB_TOKEN=TOKEN).hosts, frozenset({"github.com", "git.test", "localhost"})
)


@pytest.mark.parametrize(
    ("parent", "url", "found", "token"),
    [
        ("https://gh.test/a/b.git", "../c.git", "https://gh.test/a/c.git", True),
        ("https://gh.test/a/b.git", "https://gh.test/x/y", "https://gh.test/x/y", True),
        ("https://gh.test/a/b.git", "git@gh.test:x/y.git", "https://gh.test/x/y.git", True),
        ("https://gh.test/a/b.git", "https://u:p@gh.test/x", "https://gh.test/x", True),
        ("https://gh.test/a/b.git", "https://git.test/x", "https://git.test/x", False),
        ("https://gh.test/a/b.git", "git@git.test:x/y", "ssh://git@git.test/x/y", False),
        ("ssh://git@gh.test/a/b.git", "../c.git", "ssh://git@gh.test/a/c.git", True),
        ("ssh://git@gh.test/a/b.git", "https://gh.test/x", "https://gh.test/x", False),
        ("https://gh.test/a/b.git", "https://github.com/x/y", "https://github.com/x/y", True),
        ("file:///srv/a/b", "../c", "file:///srv/a/c", True),
    ],
)
def test_where_a_submodule_comes_from(parent: str, url: str, found: str, token: bool) -> None:
    """The repository's own server with its token, or an allowed host with the token of that."""
    remote = RULES.remote(Remote(parent, "T", "u", "t"), url)
    assert (remote.url, remote.has_token) == (found, token)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/x",
        "https://gh.test:8443/x",
        "http://gh.test/x",
        "http://git.test/x",
        "git://localhost/x",
        "git@evil.test:x",
        "file:///etc",
        "/etc",
        "ext::sh -c id",
        "--upload-pack=id",
        "https://[/x",
        "ssh://-oProxyCommand=id/x",
        "https://gh.test/a b",
        "",
    ],
)
@pytest.mark.parametrize("parent", ["https://gh.test/a/b.git", "file:///srv/a/b"])
def test_other_servers_are_refused(parent: str, url: str) -> None:
    """Also other ports, clear text, and what is on the machine itself."""
    with pytest.raises(SourceError, match="submodule") as caught:
        RULES.remote(Remote(parent, "T", "u", "t"), url)
    assert caught.value.next_step
