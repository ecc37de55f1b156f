"""Git as argv commands: list refs, fetch one commit, export it as a tar file.

No working tree is ever checked out, so hooks, filters, submodules and links of a repository never
act on this machine: a commit leaves git as a tar stream and is unpacked by `unpack`, exactly like
a downloaded archive. It must not know slugs or the cache.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import SourceError
from iac_wrapper.model.git_refs import Refs, parse_ls_remote
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources.git_commands import (
    ENVIRONMENT,
    empty_repository,
    local,
    network,
    ssh_command,
)
from iac_wrapper.sources.git_errors import explain

SUBJECT = "subject"
"""The file with the first line of a commit's message."""

SUBJECT_LONGEST = 200
"""Characters of it."""

LIST_TIMEOUT = 60.0
"""Seconds for `ls-remote`: a handshake and one list."""


def ls_remote(remote: Remote) -> Refs:
    """The refs of a repository on a server.

    Raises:
        SourceError: the server or the repository cannot be reached, or it has no commit yet.
        CommandError: git is not installed.
    """
    done = network(remote, None, "ls-remote", "--symref", timeout=LIST_TIMEOUT)
    refs = parse_ls_remote(done.stdout)
    if not refs.commits:
        raise SourceError(
            "the repository is empty",
            found=remote.url,
            expected="at least one commit",
            next_step="push a commit to it, or correct the slug",
        )
    return refs


def export_commit(remote: Remote, commit: str, to: Path) -> None:
    """Fetch one commit and write its files, all of them as committed, to the tar file `to`; beside
    it `SUBJECT`.

    Raises:
        SourceError: as `ls_remote`, or the repository has no such commit.
    """
    with empty_repository(to.parent) as repository:
        _fetch_commit(remote, commit, repository)
        _keep_subject(repository, commit, to.parent)
        (repository / "info").mkdir(exist_ok=True)
        (repository / "info" / "attributes").write_text(_AS_COMMITTED, encoding="ascii")
        arguments = ("archive", "--format=tar", "-o", str(to), commit)
        local(repository, *arguments).check(f"cannot export commit {commit}")


def list_commit(remote: Remote, commit: str, scratch: Path) -> dict[str, tuple[str, str]]:
    """Path -> (mode, SHA) of everything in a commit: ``100755``, ``120000`` (link), ….

    No file is fetched where the server can filter. `SUBJECT` is written into the folder `scratch`.

    Raises:
        SourceError: as `export_commit`.
    """
    with empty_repository(scratch) as repository:
        _fetch_commit(remote, commit, repository, "--filter=blob:none")
        _keep_subject(repository, commit, scratch)
        listed = local(repository, "ls-tree", "-r", "-z", commit).check(f"cannot list {commit}")
    entries = (line.partition("\t") for line in listed.stdout.split("\0") if line)
    return {name: (fact[:6], fact.split()[2]) for fact, _, name in entries}


def lfs_authenticate(remote: Remote) -> dict[str, Any]:
    """What the ssh server of `remote` says of its Git LFS server: ``href`` and ``header``.

    Raises:
        SourceError: it does not know Git LFS, or refuses the login.
    """
    parts = urlsplit(remote.url)
    login = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
    port = ("-p", str(parts.port)) if parts.port else ()
    asked = f"git-lfs-authenticate {shlex.quote(unquote(parts.path).lstrip('/'))} download"
    # As git does with it: the command may have options.
    run = ("sh", "-c", 'eval "${GIT_SSH_COMMAND:-$IAC_SSH} \\"\\$@\\""', "ssh")
    environment = {**ENVIRONMENT, "IAC_SSH": ssh_command()}
    command = Command((*run, *port, "--", login, asked), env=environment)
    done = process.run(command, timeout=LIST_TIMEOUT)
    try:
        return dict(json.loads(done.stdout))
    except (ValueError, TypeError, RecursionError):
        raise explain(done, remote) from None


def find_commits(remote: Remote, short: str, scratch: Path) -> list[str]:
    """The full SHAs of the commits, anywhere in the history, that begin with `short`.

    Only commits are fetched where the server can filter.

    Raises:
        SourceError: as `ls_remote`.
    """
    with history(remote, scratch) as repository:
        done = local(repository, "rev-parse", f"--disambiguate={short}")
        return [sha for sha in done.stdout.split() if _is_commit(repository, sha)]


@contextmanager
def history(remote: Remote, scratch: Path) -> Iterator[Path]:
    """A bare repository with all branches, tags and commits, for as long as a block runs.

    No file is fetched where the server can filter.

    Raises:
        SourceError: as `ls_remote`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with empty_repository(scratch) as repository:
        network(remote, repository, "fetch", "--filter=tree:0", "--no-tags", refspecs=_ALL_REFS)
        yield repository


def count_commits(remote: Remote, old: str, new: str) -> int | None:
    """How many commits `new` is ahead of `old`; None unless the repository lies on this machine
    and has them in one line.
    """
    parts = urlsplit(remote.url)
    folder = Path(unquote(parts.path))
    if parts.scheme != "file" or not folder.is_dir():
        return None
    counted = local(folder, "rev-list", "--count", "--left-right", f"{old}...{new}", "--")
    behind, _, ahead = counted.stdout.strip().partition("\t")
    return int(ahead) if counted.returncode == 0 and behind == "0" else None


_ALL_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


# Archives of hosts leave files out (export-ignore) and write into them (export-subst); this file
# of the bare repository beats .gitattributes. Line ends and encodings stay as a checkout has them.
_AS_COMMITTED = "* -export-ignore -export-subst\n"


def _fetch_commit(remote: Remote, commit: str, repository: Path, *options: str) -> None:
    """One commit without history; all refs if the server refuses to hand out a bare SHA."""
    fetch = ("fetch", *options, "--no-tags", "--quiet")
    try:
        network(remote, repository, *fetch, "--depth=1", refspecs=(commit,))
    except SourceError as error:
        if error.retryable or not _refused_sha(error.detail or ""):
            raise
        network(remote, repository, *fetch, refspecs=_ALL_REFS)
    if not _is_commit(repository, commit):
        raise SourceError(
            "no such commit",
            found=f"{commit} in {remote.url}",
            expected="a commit that a branch or tag of the repository contains",
            next_step="push the commit, or write another #ref in the slug; if it is the lock's and"
            " the branch was rewritten since, iac lock --update NAME takes what the branch is now",
        )


def _keep_subject(repository: Path, commit: str, folder: Path) -> None:
    """For those who compare versions later: the source itself has no history."""
    shown = local(repository, "show", "--no-patch", "--format=%s", commit, "--")
    subject = shown.stdout.strip()[:SUBJECT_LONGEST]
    (folder / SUBJECT).write_text(f"{subject}\n", encoding="utf-8", errors="replace")


def _refused_sha(stderr: str) -> bool:
    return bool(re.search(r"unadvertised object|not our ref|couldn't find remote ref", stderr))


def _is_commit(repository: Path, sha: str) -> bool:
    return local(repository, "cat-file", "-t", sha).stdout.strip() == "commit"


def mirror(remote: Remote, folder: Path) -> None:
    """Every branch and tag of a repository, as a bare one in the new folder `folder`.

    Commits that no branch or tag points at can be fetched from it as well.

    Raises:
        SourceError: as `ls_remote`.
    """
    default = ls_remote(remote).default
    folder.mkdir(parents=True)
    local(folder, "init", "--quiet", "--bare", ".").check("cannot make a git repository")
    network(remote, folder, "fetch", "--quiet", "--no-tags", refspecs=_ALL_REFS)
    for settings in (
        ("config", "uploadpack.allowAnySHA1InWant", "true"),
        *((("symbolic-ref", "HEAD", default),) if default else ()),
    ):
        local(folder, *settings).check("cannot set a git repository up")
    (folder / "FETCH_HEAD").unlink(missing_ok=True)  # it has the time in it, and the order
