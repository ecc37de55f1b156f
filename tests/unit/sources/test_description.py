"""Where a commit stands among the tags, with a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from iac_wrapper.sources.description import Description, describe
from tests.support.git_server import GitServer, Repository


@pytest.fixture
def repository(server: GitServer) -> Repository:
    made = server.repository("acme/shop")
    made.commit({"main.py": "one\n"})
    return made


@pytest.fixture
def ask(server: GitServer, repository: Repository, tmp_path: Path) -> Callable[..., Description]:
    """The description of a commit of the repository, the last one by default."""

    def call(ref: str = "", commit: str | None = None) -> Description:
        slug = Slug.parse("gh:acme/shop" + ref)
        found = commit or repository.git("rev-parse", "HEAD")
        checkout = Checkout(AppSpec("shop", slug), tmp_path, "sha256:1", found, "archive")
        return describe(checkout, Settings(IAC_GITHUB_URL=server.url).hosts, tmp_path / "cache")

    return call


def test_the_nearest_tag_and_how_far_it_is(
    ask: Callable[..., Description], repository: Repository
) -> None:
    """The history is fetched for it; a tag without a digit names no version."""
    repository.tag("v1.2", annotated=True)
    repository.commit({"main.py": "two\n"})
    repository.tag("stable")
    head = repository.commit({"main.py": "three\n"})
    assert ask() == Description("v1.2", 2, head)


def test_the_tag_that_the_slug_names(
    ask: Callable[..., Description], repository: Repository
) -> None:
    """Of two tags at one commit it is the one that was asked for."""
    repository.tag("v1.0")
    repository.tag("v1.0rc9")
    head = repository.git("rev-parse", "HEAD")
    assert ask("#v1.0rc9") == Description("v1.0rc9", 0, head)
    assert ask("#refs/tags/v1.0") == Description("v1.0", 0, head)


def test_no_tag(ask: Callable[..., Description], repository: Repository) -> None:
    """The commit is known all the same."""
    assert ask() == Description(sha=repository.git("rev-parse", "HEAD"))


def test_a_commit_is_asked_for_once(
    ask: Callable[..., Description], repository: Repository, server: GitServer
) -> None:
    """A deploy of a known commit needs no server."""
    repository.tag("v1")
    first = ask()
    before = server.count("git-upload-pack")
    assert ask() == first
    assert server.count("git-upload-pack") == before


@pytest.mark.parametrize("changed", [False, True])
def test_a_working_tree(tmp_path: Path, changed: bool) -> None:
    """A path slug is described by its own repository; that files differ from the commit is said."""
    local = Repository.create(tmp_path / "local")
    head = local.commit({"main.py": "one\n"})
    if changed:
        (local.path / "main.py").write_text("two\n")
    checkout = Checkout(AppSpec("a", Slug.parse(str(local.path))), tmp_path, "t", None, "local")
    assert describe(checkout, {}, tmp_path) == Description(sha=head, dirty=changed)
    local.git("tag", "v3")
    assert describe(checkout, {}, tmp_path) == Description("v3", 0, head, changed)


def test_a_folder_in_no_repository(tmp_path: Path) -> None:
    """Nothing is known."""
    checkout = Checkout(AppSpec("a", Slug.parse(str(tmp_path))), tmp_path, "t", None, "local")
    assert describe(checkout, {}, tmp_path) == Description()
