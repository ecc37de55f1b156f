from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError, SourceError
from iac_wrapper.files.repos_file import from_slugs
from iac_wrapper.model.app import Checkout
from iac_wrapper.settings import Settings
from iac_wrapper.sources.resolve import LockedCommits, narrowed, resolve
from tests.support.git_server import GitServer, Link, Repository

pytestmark = pytest.mark.slow


class Host:
    """A git host with one repository, and `resolve` against it."""

    def __init__(self, server: GitServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.lines: list[str] = []
        self.hello: Repository = server.repository("acme/hello")
        self.first = self.hello.commit({"main.py": "one\n", "app/web/x.py": "x\n"})
        self.hello.tag("v1", annotated=True)
        self.second = self.hello.commit({"main.py": "two\n"})

    def resolve(
        self, *slugs: str, locked: LockedCommits | None = None, offline: bool = False
    ) -> list[Checkout]:
        return resolve(
            from_slugs(slugs, base_dir=self.folder),
            Settings(IAC_GITHUB_URL=self.server.url),
            cache=self.folder / "cache",
            locked=locked,
            offline=offline,
            progress=self.lines.append,
        )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with GitServer(tmp_path / "server") as server:
        yield Host(server, tmp_path)


def test_order_and_facts(host: Host, tmp_path: Path) -> None:
    """Checkouts come in the order of the specs, each with its commit, tree and files."""
    host.server.repository("acme/other").commit({"o": "o"})
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "f").write_text("f")
    done = host.resolve("./local", "gh:acme/other", "gh:acme/hello#v1")
    assert [checkout.spec.name for checkout in done] == ["local", "other", "hello"]
    assert [checkout.method for checkout in done] == ["local", "archive", "archive"]
    assert done[0].commit is None
    assert done[2].commit == host.first
    assert (done[2].path / "main.py").read_text() == "one\n"
    assert len({checkout.tree for checkout in done}) == 3
    assert f"hello: v1 is {host.first[:12]}" in host.lines


@pytest.mark.parametrize(
    "form",
    [
        *("", "#main", "#{short}", "#{sha}", "#refs/heads/main", "#heads/main"),
        *("#{short_capitals}", "#{sha_capitals}"),
    ],
)
def test_every_form_of_a_ref(host: Host, form: str) -> None:
    """Default branch, branch, short and full SHA and full name lead to the same commit."""
    sha = host.second
    capitals = {"short_capitals": sha[:8].upper(), "sha_capitals": sha.upper()}
    ref = form.format(short=sha[:8], sha=sha, **capitals)
    assert host.resolve(f"gh:acme/hello{ref}")[0].commit == host.second


def test_short_sha_without_a_ref(host: Host) -> None:
    """A short SHA that no ref points at is looked up in the history."""
    third = host.hello.commit({"main.py": "three\n"})
    host.hello.commit({"main.py": "four\n"})
    assert host.resolve(f"gh:acme/hello#{third[:9]}")[0].commit == third
    assert host.resolve(f"gh:acme/hello#{third[:9].upper()}")[0].commit == third
    assert any("history" in line for line in host.lines)


@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_short_sha_that_is_a_name_too(host: Host, kind: str) -> None:
    """A name that is the short SHA of another commit is refused; each reading can be written."""
    short = host.first[:8]  # no ref points at it
    host.hello.git("tag", "-d", "v1")
    host.hello.git("update-ref", f"refs/{kind}/{short}", host.second)
    with pytest.raises(SourceError, match="also the short SHA of a commit") as caught:
        host.resolve(f"gh:acme/hello#{short}")
    assert caught.value.expected == f"#refs/{kind}/{short} or #{host.first}"
    for ref, commit in ((f"refs/{kind}/{short}", host.second), (host.first, host.first)):
        assert host.resolve(f"gh:acme/hello#{ref}")[0].commit == commit


@pytest.mark.parametrize("name", ["20240115", "{short}"])
def test_name_of_digits_that_is_no_other_commit(host: Host, name: str) -> None:
    """A tag that is a date, or the short SHA of its own commit, means what it says."""
    name = name.format(short=host.first[:8])
    host.hello.git("tag", name, host.first)
    assert host.resolve(f"gh:acme/hello#{name}")[0].commit == host.first


def test_notes_name_what_is_missing(host: Host) -> None:
    """A checkout says in sentences what its source has and it lacks, by count and first names."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    host.hello.commit({f"app/{name}.bin": pointer for name in "abcde"} | {"l": Link("/x")})
    several = "5 Git LFS pointers without content: {0}a.bin, {0}b.bin, {0}c.bin and 2 more"
    whole, part = host.resolve("gh:acme/hello", "gh:acme/hello#:app")
    link = "the symbolic link l (-> /x, which leaves the source), left out"
    assert whole.notes == (several.format("app/"), link)
    assert part.notes == (several.format(""),)


def test_each_remote_and_commit_once(host: Host) -> None:
    """Slugs of one repository share the ref listing and the download."""
    done = host.resolve("gh:acme/hello", "gh:acme/hello#main:app", "gh:acme/hello#:app/web")
    assert [checkout.path.name for checkout in done] == ["tree", "app", "web"]
    assert len({checkout.tree for checkout in done}) == 3
    assert host.server.count("info/refs") == 2  # the refs, and the list of the commit
    assert host.server.count("archive") == 1


def test_locked_commit_is_kept(host: Host) -> None:
    """A locked slug keeps its commit without asking; a changed slug is resolved anew."""
    locked = {"hello": ("gh:acme/hello", host.first)}
    assert host.resolve("gh:acme/hello", locked=locked)[0].commit == host.first
    assert not any("is " + host.first[:12] in line for line in host.lines)
    asked = len(host.server.requests)
    assert host.resolve("gh:acme/hello", locked=locked)[0].commit == host.first
    assert len(host.server.requests) == asked
    assert host.resolve("gh:acme/hello#main", locked=locked)[0].commit == host.second


def test_offline_asks_nobody(host: Host) -> None:
    """A locked commit or a full SHA comes from the cache, a local path and git+file: from the disk;
    the others name the command that fetches them."""
    host.resolve("gh:acme/hello")
    asked = len(host.server.requests)
    locked = {"hello": ("gh:acme/hello", host.second)}
    assert host.resolve("gh:acme/hello", locked=locked, offline=True)[0].commit == host.second
    assert host.resolve(f"gh:acme/hello#{host.second}", offline=True)[0].method == "archive"
    here = f"git+file://{host.hello.path}"
    assert host.resolve(here, offline=True)[0].commit == host.second
    for slug, words in (
        ("gh:acme/hello", "known only to its server"),
        (f"gh:acme/hello#{host.first[:9]}", "known only to its server"),
        (f"gh:acme/hello#{host.first}", "not in the cache"),
    ):
        with pytest.raises(SourceError, match=words) as caught:
            host.resolve(slug, offline=True)
        assert caught.value.next_step == "run the command once without --offline"
    assert len(host.server.requests) == asked


def test_a_branch_with_a_slash_that_was_pasted(host: Host) -> None:
    """Of /tree/feature/x/app nobody can tell the branch without the refs: then it is told."""
    host.hello.branch("feature/x")
    host.hello.commit({"main.py": "x"})
    for slug, meant in (
        ("gh:acme/hello#feature:x/app/web", "gh:acme/hello#feature/x:app/web"),
        ("gh:acme/hello#feature:x", "gh:acme/hello#feature/x"),
    ):
        with pytest.raises(SourceError, match="no such branch") as caught:
            host.resolve(slug)
        assert caught.value.next_step == f"write {meant}"


def test_one_error_names_its_place(host: Host) -> None:
    """A missing ref names where it was written, the ref, and near ones."""
    with pytest.raises(SourceError) as caught:
        host.resolve("gh:acme/hello#mian")
    assert caught.value.where == "argument (gh:acme/hello#mian)"
    assert "main" in str(caught.value.detail)


def test_all_errors_at_once(host: Host, tmp_path: Path) -> None:
    """Several failures are told together, the first first; good slugs do not hide them."""
    with pytest.raises(SourceError) as caught:
        host.resolve("gh:acme/nope", "gh:acme/hello", "./missing", "gh:acme/hello#v9:none")
    text = str(caught.value)
    assert caught.value.where == "argument (gh:acme/nope)"
    assert "also failed (2)" in text
    assert str(tmp_path / "missing") in text
    assert "v9" in text


def test_a_folder_knows_the_source_around_it(host: Host, tmp_path: Path) -> None:
    """What it is installed with may lie there; a source that is wanted whole has nothing around."""
    (tmp_path / "shop" / "api").mkdir(parents=True)
    (tmp_path / "shop" / "api" / "main.py").write_text("print()\n")
    (tmp_path / "shop" / "uv.lock").write_text("")
    part, whole = host.resolve("./shop#:api", "./shop")
    (alone,) = host.resolve("./shop/api")
    assert part.source == whole.path
    assert part.path == whole.path / "api"
    assert (whole.source, alone.source) == (None, None)
    assert part.tree == alone.tree


def test_shared_failure_is_told_for_each(host: Host) -> None:
    """Two slugs of one missing repository each have their own place in the error."""
    with pytest.raises(SourceError) as caught:
        host.resolve("gh:acme/nope#:a", "gh:acme/nope#:b")
    assert "gh:acme/nope#:a" in str(caught.value)
    assert "gh:acme/nope#:b" in str(caught.value)
    assert host.server.count("acme/nope.git/info/refs") <= 2


@pytest.mark.parametrize("slug", ["gh:acme/hello#:nope", "gh:acme/hello#:main.py", "./here#:nope"])
def test_missing_subdirectory(host: Host, tmp_path: Path, slug: str) -> None:
    """A missing subdirectory is answered with the directories there are."""
    (tmp_path / "here" / "app").mkdir(parents=True)
    with pytest.raises(SourceError, match="no such subdirectory") as caught:
        host.resolve(slug)
    assert caught.value.detail == "app/"


def test_a_folder_of_a_checkout_is_what_its_slug_would_be(host: Host) -> None:
    """The same files and the same tree, so the same image."""
    whole, part = host.resolve("gh:acme/hello#v1", "gh:acme/hello#v1:app/web")
    found = narrowed(whole, "app/web")
    assert (found.path, found.tree, found.commit) == (part.path, part.tree, part.commit)
    assert narrowed(whole, "") is whole


def test_subdirectory_through_a_link(host: Host, tmp_path: Path) -> None:
    """A link inside is followed, one out of a local source is not."""
    host.hello.commit({"link": Link("app/web")})
    assert (host.resolve("gh:acme/hello#:link")[0].path / "x.py").exists()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "out").symlink_to(tmp_path)
    with pytest.raises(SourceError, match="no such subdirectory"):
        host.resolve("./here#:out")


def test_bad_base_url(tmp_path: Path) -> None:
    """A base URL in clear text is a ConfigError that names the setting."""
    with pytest.raises(ConfigError) as caught:
        resolve(
            from_slugs(["gh:a/b"]),
            Settings(IAC_GITHUB_URL="http://example.org"),
            cache=tmp_path,
        )
    assert caught.value.where == "IAC_GITHUB_URL"


def test_archives_off(host: Host) -> None:
    """Without archives the same tree comes by git."""
    by_archive = host.resolve("gh:acme/hello")[0]
    host.server.archives = False
    for item in (host.folder / "cache").iterdir():
        item.rename(host.folder / "away")
    by_clone = host.resolve("gh:acme/hello")[0]
    assert (by_archive.method, by_clone.method) == ("archive", "clone")
    assert by_archive.tree == by_clone.tree
