"""Repositories of git among the requirements that only this machine can read.

They are copied into the build context by this machine, with its tokens and ssh keys: the build,
where code of any requirement runs, sees the copies and no credentials. It must not know images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from iac_wrapper.errors import SourceError
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.remote import Remote, remote_at
from iac_wrapper.sources import git

FOLDER = "git"
"""In the build context; steps that install see it at `_MOUNTED`."""

_MOUNTED = "/run/git"
_CONFIG = "config"
_SCP_LIKE = re.compile(r"(?P<login>[\w.-]+@[\w.-]+):(?P<path>[^/].*)")


def private_repositories(urls: Sequence[str], hosts: Hosts) -> dict[str, Remote]:
    """Those of `urls` that ask for credentials of this machine: over ssh, or with a token.

    Raises:
        ConfigError: the base URL of a host is not usable.
    """
    found = {url: remote_at(_fetched(url), hosts) for url in urls}
    return {
        url: remote
        for url, remote in found.items()
        if remote.has_token or remote.url.startswith("ssh://")
    }


def _fetched(url: str) -> str:
    """``git@host:path`` as the ssh URL that it stands for."""
    match = _SCP_LIKE.fullmatch(url)
    return f"ssh://{match['login']}/{match['path']}" if match else url


def write_repositories(repositories: Mapping[str, Remote], folder: Path) -> None:
    """Copy `repositories` to the new folder `folder`, with a configuration that leads git to them.

    Raises:
        SourceError: one cannot be fetched.
    """
    lines = ["[safe]", "\tdirectory = *"]
    for number, (url, remote) in enumerate(repositories.items()):
        try:
            git.mirror(remote, folder / f"{number}.git")
        except SourceError as error:
            error.where = f"a requirement, {url}"
            raise
        lines.append(f'[url "file://{_MOUNTED}/{number}.git"]')
        lines += [f"\tinsteadOf = {known}" for known in dict.fromkeys((url, remote.url))]
    (folder / _CONFIG).write_text("\n".join((*lines, "")), encoding="utf-8")
