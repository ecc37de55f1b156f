"""Repositories of git among the requirements that only this machine can read.

They are copied into the build context by this machine, with its tokens and ssh keys: the build,
where code of any requirement runs, sees the copies and no credentials. It must not know images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from iac_wrapper.errors import SourceError
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.remote import Remote, remote_at
from iac_wrapper.sources import git
from iac_wrapper.sources.own_access import has_own_access

FOLDER = "git"
"""In the build context; steps that install see it at `_MOUNTED`."""

_MOUNTED = "/run/git"
_CONFIG = "config"
_SCP_LIKE = re.compile(r"(?P<login>[\w.-]+@[\w.-]+):(?P<path>[^/].*)")
_VARIABLES = re.compile(r"(?<=://)(?:[\w.-]*:)?\$\{\w+\}(?::\$\{\w+\}|:[\w.-]*)?@")


def private_repositories(urls: Sequence[str], hosts: Hosts) -> dict[str, Remote]:
    """Those of `urls` that this machine opens and a build might not: over ssh, with a token, or by
    what git here is told or has a password for.

    Raises:
        ConfigError: the base URL of a host is not usable.
    """
    found = {url: remote_at(_fetched(url), hosts) for url in urls}
    return {url: remote for url, remote in found.items() if _is_opened_here(remote)}


def _is_opened_here(remote: Remote) -> bool:
    return remote.has_token or remote.url.startswith("ssh://") or has_own_access(remote.url)


def _fetched(url: str) -> str:
    """``git@host:path`` as the ssh URL that it stands for; a URL without what pip would take from
    the environment (``${TOKEN}@``)."""
    if match := _SCP_LIKE.fullmatch(url):
        return f"ssh://{match['login']}/{match['path']}"
    return _VARIABLES.sub("", url)


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
        # uv quotes the braces of a variable.
        known = (url, url.replace("{", "%7B").replace("}", "%7D"), remote.url)
        lines += [
            f"\tinsteadOf = {json.dumps(one, ensure_ascii=False)}" for one in dict.fromkeys(known)
        ]
    (folder / _CONFIG).write_text("\n".join((*lines, "")), encoding="utf-8")
