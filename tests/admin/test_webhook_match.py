"""Which services a push concerns."""

from __future__ import annotations

import pytest

from admin.webhooks.match import services
from admin.webhooks.push import Push, Ref
from tests.support.deployed import app

URLS = (
    "https://github.com/Owner/Repo.git",
    "git@github.com:Owner/Repo.git",
    "https://github.com/Owner/Repo",
)
MAIN = Ref("branch", "main", deleted=False)


def push(*refs: Ref, default: str | None = "main", host: str = "gh") -> Push:
    assert host in {"gh", "gl", "bb"}
    return Push(host, "Owner/Repo", refs or (MAIN,), default, URLS)  # type: ignore[arg-type]


def concerns(slug: str, pushed: Push) -> bool:
    return services(pushed, [app("web", slug)]) == ("web",)


@pytest.mark.parametrize(
    "slug",
    [
        "gh:owner/repo",
        "gh:OWNER/repo#main",
        "gh:owner/repo#refs/heads/main:services/web",
        "gh:owner/repo#HEAD",
        "git+https://GitHub.com/owner/repo",
        "git+https://github.com:443/owner/repo.git/#main",
        "git+ssh://git@github.com/owner/repo.git",
        "git+ssh://git@github.com:22/owner/repo.git",
    ],
)
def test_the_repository_in_any_spelling(slug: str) -> None:
    """Slugs and clone URLs of the repository match, whatever their case, scheme or ending."""
    assert concerns(slug, push())


@pytest.mark.parametrize(
    "slug",
    [
        "gh:owner/other",
        "gl:owner/repo",
        "bb:owner/repo",
        "git+https://example.org/owner/repo",
        "git+https://github.com:8443/owner/repo",
        "git+https://github.com/owner/repo/more",
        "git+file:///owner/repo",
        "./owner/repo",
        "no slug at all",
    ],
)
def test_other_repositories_stay(slug: str) -> None:
    """Another host, port, path or kind of source is another repository."""
    assert not concerns(slug, push())


def test_only_the_pushed_ref_deploys() -> None:
    """A branch or tag by its short or full name; full names tell the two kinds apart."""
    tag = Ref("tag", "v1", deleted=False)
    assert concerns("gh:owner/repo#v1", push(tag))
    assert concerns("gh:owner/repo#refs/tags/v1", push(tag))
    assert concerns("gh:owner/repo#tags/v1", push(tag))
    assert not concerns("gh:owner/repo#heads/v1", push(tag))
    assert not concerns("gh:owner/repo#refs/heads/v1", push(tag))
    assert not concerns("gh:owner/repo#V1", push(tag))
    assert not concerns("gh:owner/repo", push(tag))
    assert not concerns("gh:owner/repo#main", push(Ref("branch", "dev", deleted=False)))


def test_no_ref_means_the_default_branch() -> None:
    """A slug without ref follows the default branch; any branch if the host names none."""
    dev = Ref("branch", "dev", deleted=False)
    assert not concerns("gh:owner/repo", push(dev))
    assert concerns("gh:owner/repo", push(dev, default=None))
    assert not concerns("gh:owner/repo", push(Ref("tag", "main", deleted=False)))


@pytest.mark.parametrize("sha", ["a" * 40, "A" * 40, "abcdef1", "20260101"])
def test_a_pinned_commit_is_never_redeployed(sha: str) -> None:
    """Not even when somebody pushes a branch that is named like it."""
    assert not concerns(f"gh:owner/repo#{sha}", push(Ref("branch", sha, deleted=False)))
    assert concerns(f"gh:owner/repo#refs/heads/{sha}", push(Ref("branch", sha, deleted=False)))


def test_a_deleted_ref_deploys_nothing() -> None:
    """Deleted branches stay as they were deployed; the others of the same push are looked at."""
    gone = Ref("branch", "main", deleted=True)
    assert not concerns("gh:owner/repo", push(gone))
    assert concerns("gh:owner/repo#dev", push(gone, Ref("branch", "dev", deleted=False)))


def test_all_services_of_a_repository() -> None:
    """Several services of one repository are named together, in the lock's order."""
    apps = [app("a", "gh:owner/repo#:a"), app("b", "gh:x/y"), app("c", "gh:owner/repo#:c")]
    assert services(push(), apps) == ("a", "c")


def test_groups_and_ports_of_a_host_of_ones_own() -> None:
    """GitLab's nested groups, and ssh on a port of its own."""
    urls = ("ssh://git@git.example.org:2222/g/s/r.git", "not a url", "http://[bad/", "/only/path")
    pushed = Push("gl", "g/s/r", (MAIN,), "main", urls)
    assert concerns("gl:g/s/r", pushed)
    assert concerns("git+ssh://git@git.example.org:2222/g/s/r", pushed)
    assert not concerns("git+ssh://git@git.example.org/g/s/r", pushed)
