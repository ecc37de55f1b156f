"""Submodules: which server each is fetched from, and how their trees become part of one.

A submodule is the commit that its repository names. It comes from the server of that repository,
with the same token, or from a host that a setting allows.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from iac_wrapper.errors import SourceError
from iac_wrapper.model.base_url import is_loopback, origin, without_credentials
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.omission import Omission
from iac_wrapper.model.remote import Remote, remote_at
from iac_wrapper.model.slug_pasted import SCP
from iac_wrapper.sources.source_copy import copy_source
from iac_wrapper.sources.survey import tree_entries, tree_size
from iac_wrapper.sources.tree import leaving_links
from iac_wrapper.sources.unpack import SourceLimits

MAX_DEPTH = 5
"""Submodules within submodules; two levels are rare."""

MAX_MODULES = 100
"""Submodules of one repository."""


@dataclass(frozen=True)
class SubmoduleRules:
    """`hosts` have the tokens; `allowed` are host names besides the repository's own."""

    hosts: Hosts = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()

    def remote(self, parent: Remote, url: str) -> Remote:
        """Where the submodule with the URL `url` of a repository at `parent` is fetched from.

        Raises:
            SourceError: its host is not the repository's and is not allowed.
        """
        own = urlsplit(parent.url)
        try:
            target = _absolute(parent.url, url)
            parts, place = urlsplit(target), origin(target)
        except ValueError:
            raise _bad_url(url) from None
        if re.search(r"[\s\\]", target) or not target.isprintable() or not parts.path.strip("/"):
            raise _bad_url(url)
        same_host = bool(own.hostname) and parts.hostname == own.hostname
        if same_host and parts.scheme == "ssh" and own.scheme in {"http", "https"}:
            # The same server, by the way that has the token.
            return replace(parent, url=urlunsplit((own.scheme, own.netloc, parts.path, "", "")))
        if place == origin(parent.url) and (own.scheme != "file" or _is_relative(url)):
            return replace(parent, url=target)
        host = parts.netloc.rpartition("@")[2]
        in_clear = parts.scheme == "http" and is_loopback(parts.hostname or "")
        secure = parts.scheme in {"https", "ssh"} or in_clear
        by_https = same_host and own.scheme == "ssh" and place[2] == 443
        if secure and host and not host.startswith("-") and (by_https or host in self.allowed):
            return remote_at(target, self.hosts)
        raise SourceError(
            "a submodule comes from another server",
            found=f"{host or target} in a repository of {own.hostname or parent.url}",
            expected="the repository's own server, or one of IAC_SUBMODULE_HOSTS",
            next_step=f"IAC_SUBMODULE_HOSTS={host} in .env if you trust it; or `submodules: false`",
        )


def fill(
    tree: Path,
    modules: Mapping[str, str],
    urls: Mapping[str, str],
    fetch: Callable[[str, str], tuple[Path, tuple[Omission, ...]]],
    limits: SourceLimits,
) -> tuple[Omission, ...]:
    """Put submodules in their places in `tree`.

    Args:
        tree: the tree of their repository, without them.
        modules: path -> SHA.
        urls: path -> URL; what has none stays out.
        fetch: URL and SHA -> the tree of a submodule with all of its own, and what that lacks.
        limits: of the whole tree.

    Returns:
        What the submodules lack, and links that would leave the whole.

    Raises:
        SourceError: one cannot be fetched, or all together are too large.
    """
    lacking: list[Omission] = []
    _check_number(modules)
    size, count = tree_size(tree), tree_entries(tree)
    for path, sha in sorted(modules.items()):
        if not urls.get(path):
            continue
        try:
            source, omissions = fetch(urls[path], sha)
        except SourceError as error:
            error.message = f"the submodule {path}: {error.message}"
            raise
        size, count = size + tree_size(source), count + tree_entries(source)
        limits.check(
            size, count, of="the source with its submodules", instead="write `submodules: false`"
        )
        copy_source(source, _place(tree, path))
        told = (one for one in omissions if one.kind in {"link", "dangling"})
        lacking += (replace(one, path=f"{path}/{one.path}") for one in told)
    leaving = leaving_links(tree)  # what one tree alone cannot tell: a way through another's links
    for one in leaving:
        (tree / one.path).unlink()
    return (*lacking, *leaving)


def _check_number(modules: Mapping[str, str]) -> None:
    if len(modules) > MAX_MODULES:
        raise SourceError(
            "too many submodules",
            found=str(len(modules)),
            expected=f"at most {MAX_MODULES}",
            next_step="write `submodules: false`",
        )


def _place(tree: Path, path: str) -> Path:
    """The place of a submodule, free and without a link on the way."""
    parts = PurePosixPath(path).parts
    here = tree
    for part in parts[:-1]:
        here /= part
        if here.is_symlink() or (here.exists() and not here.is_dir()):
            raise _no_place(path)
        here.mkdir(exist_ok=True)
    place = here / parts[-1]
    if place.is_symlink() or ".." in parts or any(part.casefold() == ".git" for part in parts):
        raise _no_place(path)
    if place.exists():
        try:
            place.rmdir()
        except OSError:
            raise _no_place(path) from None
    return place


def _no_place(path: str) -> SourceError:
    return SourceError(
        "a submodule lies where something else is",
        found=path,
        expected="an empty folder of the repository",
        next_step="move the submodule in the repository, or write `submodules: false`",
    )


def _bad_url(url: str) -> SourceError:
    return SourceError(
        "a submodule has no URL that git can fetch",
        where=".gitmodules",
        found=repr(without_credentials(url)[:200]),
        next_step="correct it in the repository, or write `submodules: false`",
    )


def _is_relative(url: str) -> bool:
    return url.startswith(("./", "../"))


def _absolute(parent: str, url: str) -> str:
    """`url` as an address: relative ones start at the repository's own, as in git."""
    own = urlsplit(parent)
    if _is_relative(url):
        path = posixpath.normpath(posixpath.join(own.path.rstrip("/"), url))
        return urlunsplit((own.scheme, own.netloc, path, "", ""))
    if re.fullmatch(SCP, url):
        login, _, path = url.partition(":")
        return f"ssh://{login}/{path.lstrip('/')}"
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user = f"{login.partition(':')[0]}@" if login and parts.scheme == "ssh" else ""
    return urlunsplit((parts.scheme, f"{user}{host}", parts.path, "", ""))
