from __future__ import annotations

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.git_refs import parse_ls_remote

A, B, C = "a" * 40, "b" * 40, "ab" + "c" * 38
LISTING = f"""ref: refs/heads/main\tHEAD
{A}\tHEAD
{A}\trefs/heads/main
{B}\trefs/heads/release/1
{B}\trefs/heads/both
{C}\trefs/tags/both
{B}\trefs/heads/same
{B}\trefs/tags/same
{C}\trefs/tags/v1.0
{B}\trefs/tags/v1.0^{{}}
{C}\trefs/pull/7/head
warning: not a ref line
"""


@pytest.mark.parametrize(
    ("ref", "commit", "name"),
    [
        (None, A, "main"),
        ("HEAD", A, "main"),
        ("main", A, "main"),
        ("release/1", B, "release/1"),
        ("v1.0", B, "v1.0"),
        ("same", B, "same"),
        ("refs/tags/both", C, "refs/tags/both"),
        ("refs/pull/7/head", C, "refs/pull/7/head"),
        ("tags/both", C, "both"),
        ("heads/release/1", B, "release/1"),
        ("a" * 7, A, "a" * 7),
        ("A" * 8, A, "A" * 8),
        ("d" * 40, "d" * 40, "d" * 40),
    ],
)
def test_resolve(ref: str | None, commit: str, name: str) -> None:
    """A ref means the default branch, a branch, a peeled tag, a full name or a SHA."""
    assert parse_ls_remote(LISTING).resolve(ref) == (commit, name)


@pytest.mark.parametrize("ref", ["nope", "aaaaaa", "refs/heads/nope", "1234567"])
def test_unknown(ref: str) -> None:
    """What no ref answers to is None: six digits are not a SHA."""
    assert parse_ls_remote(LISTING).resolve(ref) is None


def test_branch_named_like_a_commit() -> None:
    """A full SHA is that commit, whatever a branch of that name points at."""
    refs = parse_ls_remote(f"{LISTING}{A}\trefs/heads/{'e' * 40}\n")
    assert refs.resolve("e" * 40) == ("e" * 40, "e" * 40)


def test_branch_and_tag_that_differ() -> None:
    """A name that is a branch and a tag is refused with both full names."""
    with pytest.raises(SourceError, match="#refs/heads/both or #refs/tags/both"):
        parse_ls_remote(LISTING).resolve("both")


def test_a_branch_that_is_called_like_a_short_form() -> None:
    """`heads/x` may be a branch of its own; then each is offered by its full name."""
    refs = parse_ls_remote(f"{LISTING}{B}\trefs/heads/heads/main\n")
    with pytest.raises(SourceError, match="#refs/heads/heads/main or #refs/heads/main"):
        refs.resolve("heads/main")
    assert refs.resolve("refs/heads/main") == (A, "refs/heads/main")


def test_short_sha_of_several() -> None:
    """A short SHA that fits two commits is refused."""
    other = "a" * 39 + "0"
    with pytest.raises(SourceError, match="several commits"):
        parse_ls_remote(f"{LISTING}{other}\trefs/heads/other\n").resolve("a" * 8)


def test_no_default_branch() -> None:
    """A HEAD that points nowhere asks for a ref."""
    with pytest.raises(SourceError, match="no default branch"):
        parse_ls_remote(f"{A}\trefs/heads/main\n").resolve(None)


def test_near() -> None:
    """A misspelt ref is answered with near ones, a hopeless one with some; never pull requests."""
    refs = parse_ls_remote(LISTING)
    assert refs.near("mian") == ["main"]
    assert "main" in refs.near("zzz")
    assert "7/head" not in refs.near("7/head")
