"""The refs of a repository as `git ls-remote --symref` prints them, and what a name means there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from iac_wrapper.errors import SourceError

SHORT_SHA = re.compile(r"[0-9a-fA-F]{7,39}")
"""As a person writes it; git prints lower case."""

FULL_SHA = re.compile(r"[0-9a-f]{40}")

_NEAR = 8
"""How many refs an error lists."""

Found = tuple[str, str]
"""A commit's SHA, and the name it was found under."""

_KINDS = {"heads": "branch", "tags": "tag"}


@dataclass(frozen=True)
class Refs:
    """`commits`: full ref name -> SHA of the commit (annotated tags peeled).

    `default` is the full name of the branch HEAD stands for, None when HEAD is detached.
    """

    commits: Mapping[str, str]
    default: str | None

    def resolve(self, ref: str | None) -> Found | None:
        """The commit `ref` means here and the name it was found under; None if there is none.

        Order, git's own (gitrevisions): default branch for None, a full SHA, a full ref name, a
        branch or a tag, also as ``heads/x`` or ``tags/x``, a short SHA (7 digits and more) that a
        ref points at. Whether a name that
        looks like a short SHA is one as well, of any commit, is `resolve_short`'s matter. So nobody
        can take over a pinned commit by pushing a branch of that name.

        Raises:
            SourceError: a branch and a tag share the name and differ (git itself answers such a
                name one way in `clone --branch` and the other way in `rev-parse`), or a short
                SHA fits several commits.
        """
        if ref is None or ref == "HEAD":
            return self._head()
        if FULL_SHA.fullmatch(ref):
            return ref, ref
        if ref.startswith("refs/") and ref in self.commits:
            return self.commits[ref], ref
        if names := self._names(ref):
            return self._single(ref, names)
        return self._by_sha(ref)

    def resolve_short(self, short: str, commits: Sequence[str]) -> Found | None:
        """What `short`, 7 to 39 hexadecimal digits, means here; None if nothing.

        Args:
            short: looks like a short SHA; may be a name as well.
            commits: every commit of the history whose SHA begins so.

        Raises:
            SourceError: it can mean several commits.
        """
        found = self.resolve(short)
        others = [sha for sha in commits if not found or sha != found[0]]
        if not others or (found is None and len(others) == 1):
            return (others[0], short) if others else found
        if found is None:
            raise _several(short, others)
        names = self._names(short)
        raise SourceError(
            f"{short} is a {_KINDS[names[0].split('/')[1]]} and also the short SHA of a commit",
            expected=" or ".join(f"#{one}" for one in (*names, *others)),
            next_step="write one of these in the slug",
            detail="\n".join([*(f"{name} {found[0]}" for name in names), *others]),
        )

    def tags(self, commit: str) -> list[str]:
        """The tags of a commit, by their short names."""
        prefix = "refs/tags/"
        tagged = [name for name, sha in self.commits.items() if sha == commit]
        return [name.removeprefix(prefix) for name in tagged if name.startswith(prefix)]

    def longer(self, ref: str, subdir: str) -> tuple[str, str] | None:
        """The branch or tag that `ref` and the first folders of `subdir` name together, and the
        other folders: ``feature`` and ``x/apps`` may mean the branch ``feature/x``.
        """
        folders = subdir.split("/")
        for count in range(1, len(folders) + 1):
            name = "/".join((ref, *folders[:count]))
            if self._names(name):
                return name, "/".join(folders[count:])
        return None

    def near(self, ref: str) -> list[str]:
        """Branches and tags to offer instead of a missing `ref`."""
        names = [
            name.split("/", 2)[2]
            for name in self.commits
            if name.startswith(("refs/heads/", "refs/tags/"))
        ]
        return get_close_matches(ref, names, n=_NEAR, cutoff=0.5) or sorted(set(names))[:_NEAR]

    def _head(self) -> Found:
        commit = self.commits.get("HEAD")
        if commit is None:
            raise SourceError(
                "the repository has no default branch",
                expected="#branch, #tag or #commit after the slug",
                next_step="write one of the refs below after the slug, as #ref",
                detail="\n".join(self.near("main")),
            )
        return commit, (self.default or "HEAD").removeprefix("refs/heads/")

    def _names(self, ref: str) -> list[str]:
        """The branch and the tag of this name, or of the rest of it after ``heads/`` or ``tags/``,
        in full."""
        names = [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        names += [f"refs/{ref}"] if ref.startswith(("heads/", "tags/")) else []
        return [name for name in names if name in self.commits]

    def _single(self, ref: str, names: list[str]) -> Found:
        commits = {self.commits[name] for name in names}
        if len(commits) > 1:
            raise SourceError(
                f"{ref!r} means several branches or tags, at different commits",
                expected=" or ".join(f"#{name}" for name in names),
                next_step="write one of these in the slug",
                detail="\n".join(f"{name} {self.commits[name]}" for name in names),
            )
        return self.commits[names[0]], names[0].split("/", 2)[2]

    def _by_sha(self, ref: str) -> Found | None:
        if not SHORT_SHA.fullmatch(ref):
            return None
        digits = ref.lower()
        found = sorted({sha for sha in self.commits.values() if sha.startswith(digits)})
        if len(found) > 1:
            raise _several(ref, found)
        return (found[0], ref) if found else None


def _several(short: str, commits: Sequence[str]) -> SourceError:
    return SourceError(
        f"the short SHA {short} matches several commits",
        expected="more digits",
        next_step="write one of the commits below in the slug",
        detail="\n".join(commits),
    )


def parse_ls_remote(text: str) -> Refs:
    """Read what ``git ls-remote --symref`` prints."""
    commits: dict[str, str] = {}
    peeled: dict[str, str] = {}
    default = None
    for line in text.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            default = value.removeprefix("ref: ")
        elif FULL_SHA.fullmatch(value) and name.endswith("^{}"):
            peeled[name.removesuffix("^{}")] = value
        elif FULL_SHA.fullmatch(value):
            commits[name] = value
    return Refs({**commits, **peeled}, default)
