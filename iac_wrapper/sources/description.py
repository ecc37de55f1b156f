"""Where a commit stands among the tags of its repository, as `git describe` says it.

The source itself has no history. What is asked of a server is kept beside the cached sources, so
that a deploy of the same commit asks nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.app import Checkout
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.remote import Remote, remote_of
from iac_wrapper.sources import git, git_commands

_TAGS = ("--tags", "--long", "--abbrev=40", "--match=*[0-9]*")
"""Of `git describe`, as setuptools-scm asks it: a tag without a digit names no version."""

_DESCRIBED = re.compile(r"(?P<tag>.+)-(?P<distance>\d+)-g(?P<sha>[0-9a-f]{40})(?P<dirty>-dirty)?")


@dataclass(frozen=True)
class Description:
    """The nearest `tag` at or before a commit, None without one; `distance` is how many commits lie
    between. `sha` is the commit in full, empty if it is not known; `dirty`: files differ from it.
    """

    tag: str | None = None
    distance: int = 0
    sha: str = ""
    dirty: bool = False


def describe(checkout: Checkout, hosts: Hosts, cache: Path) -> Description:
    """The description of what was checked out.

    A tag that the slug names is the one; else the nearest, for which the history is fetched,
    without files where the server can filter.

    Args:
        checkout: what resolving a slug gave.
        hosts: base URLs and tokens.
        cache: the source cache directory.

    Raises:
        SourceError: the server does not answer.
    """
    slug = checkout.spec.slug
    if checkout.commit is None:
        return _local((checkout.spec.base / Path(slug.location).expanduser()).absolute())
    remote = remote_of(slug, hosts)
    key = hashlib.sha256(f"{remote.url}\0{checkout.commit}\0{slug.ref}".encode()).hexdigest()
    known = cache / "described" / f"{key[:40]}.json"
    if (found := _read(known)) is None:
        found = _ask(remote, checkout.commit, slug.ref, cache)
        known.parent.mkdir(parents=True, exist_ok=True)
        write_text(known, json.dumps(asdict(found)) + "\n")
    return found


def _read(path: Path) -> Description | None:
    try:
        return Description(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _ask(remote: Remote, commit: str, ref: str | None, cache: Path) -> Description:
    tags = git.ls_remote(remote).tags(commit)
    for named in (ref or "", (ref or "").removeprefix("refs/").removeprefix("tags/")):
        if named in tags:
            return Description(named, 0, commit)
    with git.history(remote, cache) as repository:
        done = git_commands.local(repository, "describe", *_TAGS, commit)
    return _parse(done.stdout) or Description(sha=commit)


def _local(folder: Path) -> Description:
    """Of a working tree; nothing is known outside of one, or where git refuses to look."""
    described = git_commands.local(folder, "describe", *_TAGS, "--dirty", isolated=False)
    if found := _parse(described.stdout):
        return found
    head = git_commands.local(folder, "rev-parse", "--verify", "HEAD", isolated=False)
    changed = git_commands.local(folder, "diff-index", "--quiet", "HEAD", isolated=False)
    sha = head.stdout.strip() if head.returncode == 0 else ""
    return Description(sha=sha, dirty=bool(sha and changed.returncode))


def _parse(text: str) -> Description | None:
    match = _DESCRIBED.fullmatch(text.strip())
    if match is None:
        return None
    return Description(match["tag"], int(match["distance"]), match["sha"], bool(match["dirty"]))
