"""How git runs here: what it may read, whom it may talk to, and what it is told of secrets.

`network` talks to a server, `local` works on a folder. It must not know what for.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command, CommandResult
from iac_wrapper.errors import CommandError, SourceError
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources.git_errors import explain
from iac_wrapper.sources.retries import TransientError

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
ENVIRONMENT: Mapping[str, str | None] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GCM_INTERACTIVE": "never",  # Git Credential Manager would open a window
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
    **ENVIRONMENT,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": None,
    "GIT_ATTR_NOSYSTEM": "1",
}


def network(
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
    environment = {**ENVIRONMENT, "GIT_ALLOW_PROTOCOL": ":".join(_allowed(remote))}
    if not remote.is_here:
        config += ["-c", f"core.sshCommand={ssh_command()}"]
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
        return network(moved, repository, *arguments, refspecs=refspecs, timeout=timeout)
    if done.returncode:
        failure = explain(done, remote)
        if isinstance(failure, TransientError) and _over_http(remote) and _BUSY.search(done.stderr):
            from iac_wrapper.sources import http_source

            failure.wait = http_source.asked_to_wait(remote.url, remote.archive_headers)
        raise failure
    return done


def local(
    folder: Path, *arguments: str, isolated: bool = True, stdin: str | None = None
) -> CommandResult:
    """A git command in `folder`, without network; a failure is in what it returns.

    `fsmonitor` names a program that a repository wants run: never. `isolated` leaves the
    configuration of the system and the user aside.
    """
    argv = process.argv("git", "-c", "core.fsmonitor=false", "-c", _NETWORK_CONFIG[0], arguments)
    environment = _ISOLATED if isolated else ENVIRONMENT
    command = Command(argv, cwd=folder, env=environment, stdin=stdin)
    return process.run(command, timeout=FETCH_TIMEOUT)


@contextmanager
def empty_repository(scratch: Path) -> Iterator[Path]:
    """An empty bare repository below `scratch`, for as long as a block runs."""
    with tempfile.TemporaryDirectory(prefix=".tmp-git-", dir=scratch) as folder:
        repository = Path(folder)
        local(repository, "init", "--quiet", "--bare", ".").check("cannot make a git repository")
        yield repository


def ssh_command() -> str:
    """The user's own ssh command (a key or a port may be in it), which must not ask questions."""
    found = local(Path("/"), "config", "--get", "core.sshCommand", isolated=False).stdout.strip()
    return f"{found or 'ssh'} -oBatchMode=yes -oConnectTimeout=15"


_BUSY = re.compile(r"returned error: (429|5\d\d)")


def _allowed(remote: Remote) -> set[str]:
    """Schemes that git may use: the user's `insteadOf` can put https and ssh in each other's place.

    Never http in place of one of these, or a program (``ext::``), or a folder.
    """
    scheme = urlsplit(remote.url).scheme
    return {scheme} if remote.is_here else {scheme, "https", "ssh"}


def _moved(done: CommandResult, remote: Remote) -> Remote | None:
    """The new place of a renamed repository, if it is on the same scheme, host and port."""
    if not _over_http(remote) or not re.search(r"returned error: 30[12378]", done.stderr):
        return None
    from iac_wrapper.sources import http_source

    url = http_source.moved_on_same_origin(remote.url, remote.archive_headers)
    return replace(remote, url=url) if url else None


def _over_http(remote: Remote) -> bool:
    return remote.url.startswith(("http://", "https://"))


def _origin_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
