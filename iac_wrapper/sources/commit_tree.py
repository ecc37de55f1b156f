"""From a commit to its tree in a folder: by the host's archive, else by git.

Hosts leave out and rewrite what .gitattributes says, and may leave out that file as well: only
git's own list of the commit tells, so an archive counts only if it is what the list says.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources import git
from iac_wrapper.sources.retries import patiently
from iac_wrapper.sources.survey import SUBMODULE, first_difference
from iac_wrapper.sources.unavailable import SourceUnavailableError
from iac_wrapper.sources.unpack import SourceLimits, unpack

Say = Callable[[str], None]

Listing = Mapping[str, tuple[str, str]]
"""Path -> mode and SHA of everything in a commit."""


@dataclass(frozen=True)
class Commit:
    """One commit to fetch: `sha` in full; `archive_url` where its host offers it as .tar.gz.

    `lfs` and `submodules`: with the content of Git LFS and with submodules.
    """

    remote: Remote
    sha: str
    archive_url: str | None
    lfs: bool = False
    submodules: bool = False

    @property
    def key(self) -> str:
        """Name in the cache."""
        place = hashlib.sha256(self.remote.url.encode()).hexdigest()[:16]
        more = ("lfs" * self.lfs, "submodules" * self.submodules)
        return "-".join((place, self.sha, *filter(None, more)))


@dataclass(frozen=True)
class CommitTree:
    """What came into a folder: by which `method`, what is said of its `links`, and git's `listing`
    of the commit if that was asked for."""

    method: Literal["archive", "clone"]
    links: tuple[Omission, ...]
    listing: Listing | None = None


def obtain(commit: Commit, staging: Path, limits: SourceLimits, say: Say) -> CommitTree:
    """Make ``tree`` in the folder `staging`: the files of `commit`, without submodules.

    Args:
        commit: which one.
        staging: a folder for what is under way.
        limits: of the tree.
        say: is told why an archive was not used.

    Raises:
        SourceError: neither way gives the commit, or what came is refused.
    """
    listing = None
    if commit.archive_url:
        links, listing = _by_archive(commit, commit.archive_url, staging, limits, say)
        if links is not None:
            return CommitTree("archive", links, listing)
    exported = staging / "source.tar"
    patiently(partial(git.export_commit, commit.remote, commit.sha, exported), say)
    links = unpack(exported, staging / "tree", limits, strip_top=False, commit=commit.sha)
    exported.unlink()
    return CommitTree("clone", links, listing)


def submodules_of(
    commit: Commit, listing: Listing | None, staging: Path, say: Say
) -> dict[str, str]:
    """Path -> SHA of the submodules in `commit`, from the `listing` if there is one.

    Raises:
        SourceError: the commit cannot be listed.
    """
    if listing is None:
        listing = patiently(_lister(commit, staging), say)
    return {path: sha for path, (mode, sha) in listing.items() if mode == SUBMODULE}


def _lister(commit: Commit, staging: Path) -> Callable[[], Listing]:
    return partial(git.list_commit, commit.remote, commit.sha, staging)


def _by_archive(
    commit: Commit, url: str, staging: Path, limits: SourceLimits, say: Say
) -> tuple[tuple[Omission, ...] | None, Listing | None]:
    """What is said of links, None with nothing left behind if the archive cannot be had or is not
    the commit; and the list of the commit, which comes while the archive does."""
    tree = staging / "tree"
    with ThreadPoolExecutor(1, "list") as pool:
        coming = pool.submit(patiently, _lister(commit, staging), say)
        links = _download(commit, url, staging, limits, say)
        if links is None:
            return None, None
        listing = coming.result()
    different = first_difference(tree, listing, links)
    if different is None:
        return links, listing
    say(f"{commit.remote.url}: the host's archive changes or lacks {different}; cloning instead")
    shutil.rmtree(tree)
    return None, listing


def _download(
    commit: Commit, url: str, staging: Path, limits: SourceLimits, say: Say
) -> tuple[Omission, ...] | None:
    """None, with nothing left behind, if the archive cannot be had."""
    from iac_wrapper.sources import archive

    tree, file = staging / "tree", staging / "source.tar.gz"
    headers = commit.remote.archive_headers
    try:
        patiently(partial(archive.download, url, headers, file, max_bytes=limits.max_bytes), say)
        return unpack(file, tree, limits, strip_top=True, commit=commit.sha)
    except SourceError as error:
        # What is refused for its content would be refused from git too.
        if not (isinstance(error, SourceUnavailableError) or error.retryable):
            raise
        say(f"{commit.remote.url}: {error.message}; cloning instead")
        shutil.rmtree(tree, ignore_errors=True)
        return None
    finally:
        file.unlink(missing_ok=True)
