"""Git as argv commands: list refs, fetch one commit, export it as a tar file.

No working tree is ever checked out, so hooks, filters, submodules and links of a repository never
act on this machine: a commit leaves git as a tar stream and is unpacked by `unpack`, exactly like
a downloaded archive. It must not know slugs or the cache.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command, CommandResult
from iac_wrapper.errors import CommandError, SourceError
from iac_wrapper.model.git_refs import Refs, parse_ls_remote
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources.git_errors import explain
from iac_wrapper.sources.retries import TransientError

LIST_TIMEOUT = 60.0
"""Seconds for `ls-remote`: a handshake and one list."""

FETCH_TIMEOUT = 600.0
"""Seconds for a fetch; stalls end earlier, by the low-speed limit below."""

# Git follows no redirect: it would send the extra header on to the new host. `_moved` does, on one
# and the same origin. The system's and the user's configuration stay in force (CA bundles, proxies,
# credential helpers, insteadOf), these few are ours.
_NETWORK_CONFIG = (
    "core.hooksPath=/dev/null",
    "protocol.ext.allow=never",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
)

# Variables of an enclosing git (a hook, an alias) that would point ours elsewhere.
_ENVIRONMENT: Mapping[str, str | None] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": None,
    "GIT_DIR": None,
    "GIT_WORK_TREE": None,
    "GIT_INDEX_FILE": None,
    "GIT_OBJECT_DIRECTORY": None,
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": None,
    "GIT_NAMESPACE": None,
    "GIT_CONFIG_PARAMETERS": None,
    "GIT_TEMPLATE_DIR": "",
    "LC_ALL": "C",
}

_HEADER = "IAC_GIT_HEADER"  # the variable that git is told to read the header from

# Local steps see no configuration at all: a global autocrlf or smudge filter (git-lfs) would
# change the files that come out, and run programs.
_ISOLATED: Mapping[str, str | None] = {
    **_ENVIRONMENT,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": None,
    "GIT_ATTR_NOSYSTEM": "1",
}


def ls_remote(remote: Remote) -> Refs:
    """The refs of a repository on a server.

    Raises:
        SourceError: the server or the repository cannot be reached, or it has no commit yet.
        CommandError: git is not installed.
    """
    done = _network(remote, None, "ls-remote", "--symref", timeout=LIST_TIMEOUT)
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
    """Fetch one commit and write its files, all of them as committed, to the tar file `to`.

    Raises:
        SourceError: as `ls_remote`, or the repository has no such commit.
    """
    with empty_repository(to.parent) as repository:
        _fetch_commit(remote, commit, repository)
        (repository / "info").mkdir(exist_ok=True)
        (repository / "info" / "attributes").write_text(_AS_COMMITTED, encoding="ascii")
        arguments = ("archive", "--format=tar", "-o", str(to), commit)
        local(repository, *arguments).check(f"cannot export commit {commit}")


def list_commit(remote: Remote, commit: str, scratch: Path) -> dict[str, tuple[str, str]]:
    """Path -> (mode, SHA) of everything in a commit: ``100755``, ``120000`` (link), ….

    No file is fetched where the server can filter.

    Raises:
        SourceError: as `export_commit`.
    """
    with empty_repository(scratch) as repository:
        _fetch_commit(remote, commit, repository, "--filter=blob:none")
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
    environment = {**_ENVIRONMENT, "IAC_SSH": _ssh_command()}
    command = Command((*run, *port, "--", login, asked), env=environment)
    done = process.run(command, timeout=LIST_TIMEOUT)
    try:
        return dict(json.loads(done.stdout))
    except (ValueError, TypeError, RecursionError):
        raise explain(done, remote) from None


def _ssh_command() -> str:
    """The user's own ssh command (a key or a port may be in it), which must not ask questions."""
    found = local(Path("/"), "config", "--get", "core.sshCommand", isolated=False).stdout.strip()
    return f"{found or 'ssh'} -oBatchMode=yes -oConnectTimeout=15"


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
        _network(remote, repository, "fetch", "--filter=tree:0", "--no-tags", refspecs=_ALL_REFS)
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


_BUSY = re.compile(r"returned error: (429|5\d\d)")

_ALL_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


# Archives of hosts leave files out (export-ignore) and write into them (export-subst); this file
# of the bare repository beats .gitattributes. Line ends and encodings stay as a checkout has them.
_AS_COMMITTED = "* -export-ignore -export-subst\n"


@contextmanager
def empty_repository(scratch: Path) -> Iterator[Path]:
    """An empty bare repository below `scratch`, for as long as a block runs."""
    with tempfile.TemporaryDirectory(prefix=".tmp-git-", dir=scratch) as folder:
        repository = Path(folder)
        local(repository, "init", "--quiet", "--bare", ".").check("cannot make a git repository")
        yield repository


def _fetch_commit(remote: Remote, commit: str, repository: Path, *options: str) -> None:
    """One commit without history; all refs if the server refuses to hand out a bare SHA."""
    fetch = ("fetch", *options, "--no-tags", "--quiet")
    try:
        _network(remote, repository, *fetch, "--depth=1", refspecs=(commit,))
    except SourceError as error:
        if error.retryable or not _refused_sha(error.detail or ""):
            raise
        _network(remote, repository, *fetch, refspecs=_ALL_REFS)
    if not _is_commit(repository, commit):
        raise SourceError(
            "no such commit",
            found=f"{commit} in {remote.url}",
            expected="a commit that a branch or tag of the repository contains",
            next_step="push the commit, or write another #ref in the slug",
        )


def _refused_sha(stderr: str) -> bool:
    return bool(re.search(r"unadvertised object|not our ref|couldn't find remote ref", stderr))


def _is_commit(repository: Path, sha: str) -> bool:
    return local(repository, "cat-file", "-t", sha).stdout.strip() == "commit"


def _network(
    remote: Remote,
    repository: Path | None,
    *arguments: str,
    refspecs: tuple[str, ...] = (),
    timeout: float = FETCH_TIMEOUT,
) -> CommandResult:
    """A git command that talks to `remote`; the token travels in the environment, never in argv.

    Not as GIT_CONFIG_KEY_0: the user's own GIT_CONFIG_COUNT (a proxy, insteadOf) stays in force.
    """
    config = [part for setting in _NETWORK_CONFIG for part in ("-c", setting)]
    scheme = urlsplit(remote.url).scheme
    environment = {**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": scheme}
    if scheme == "ssh":
        config += ["-c", f"core.sshCommand={_ssh_command()}"]
    if remote.git_header:
        config += [f"--config-env=http.{_origin_url(remote.url)}/.extraHeader={_HEADER}"]
        environment[_HEADER] = remote.git_header
    argv = process.argv("git", config, arguments, "--", remote.url, refspecs)
    try:
        done = process.run(Command(argv, cwd=repository, env=environment), timeout=timeout)
    except CommandError as error:
        if not error.retryable:
            raise
        raise SourceError(
            error.message, found=remote.url, next_step="try again", retryable=True
        ) from None
    if done.returncode and (moved := _moved(done, remote)):
        return _network(moved, repository, *arguments, refspecs=refspecs, timeout=timeout)
    if done.returncode:
        failure = explain(done, remote)
        if isinstance(failure, TransientError) and _BUSY.search(done.stderr):
            from iac_wrapper.sources import http_source

            failure.wait = http_source.asked_to_wait(remote.url, remote.archive_headers)
        raise failure
    return done


def _moved(done: CommandResult, remote: Remote) -> Remote | None:
    """The new place of a renamed repository, if it is on the same scheme, host and port."""
    if not re.search(r"returned error: 30[12378]", done.stderr):
        return None
    from iac_wrapper.sources import http_source

    url = http_source.moved_on_same_origin(remote.url, remote.archive_headers)
    return replace(remote, url=url) if url else None


def local(
    folder: Path, *arguments: str, isolated: bool = True, stdin: str | None = None
) -> CommandResult:
    """A git command in `folder`, without network; a failure is in what it returns.

    `fsmonitor` names a program that a repository wants run: never. `isolated` leaves the
    configuration of the system and the user aside.
    """
    argv = process.argv("git", "-c", "core.fsmonitor=false", "-c", _NETWORK_CONFIG[0], arguments)
    environment = _ISOLATED if isolated else _ENVIRONMENT
    command = Command(argv, cwd=folder, env=environment, stdin=stdin)
    return process.run(command, timeout=FETCH_TIMEOUT)


def _origin_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def mirror(remote: Remote, folder: Path) -> None:
    """Every branch and tag of a repository, as a bare one in the new folder `folder`.

    Commits that no branch or tag points at can be fetched from it as well.

    Raises:
        SourceError: as `ls_remote`.
    """
    default = ls_remote(remote).default
    folder.mkdir(parents=True)
    local(folder, "init", "--quiet", "--bare", ".").check("cannot make a git repository")
    _network(remote, folder, "fetch", "--quiet", "--no-tags", refspecs=_ALL_REFS)
    for settings in (
        ("config", "uploadpack.allowAnySHA1InWant", "true"),
        *((("symbolic-ref", "HEAD", default),) if default else ()),
    ):
        local(folder, *settings).check("cannot set a git repository up")
    (folder / "FETCH_HEAD").unlink(missing_ok=True)  # it has the time in it, and the order
