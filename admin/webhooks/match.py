"""Which deployed services a push concerns: those whose slug names its repository and ref."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from admin.webhooks.push import Push
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.git_refs import FULL_SHA, SHORT_SHA
from iac_wrapper.model.slug import Slug

_SCP = re.compile(r"[^/@:]+@([^/:]+):(?!/)(.+)")
"""``git@host:owner/repo.git``, git's short spelling of an ssh:// address."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22}


def services(push: Push, apps: Iterable[ResolvedApp]) -> tuple[str, ...]:
    """Names of the apps that a push is about, in the order of `apps`.

    An app that is pinned to a commit never is: not even if somebody pushes a branch of that name.
    If the host does not say which branch is the default one, each may be.
    """
    return tuple(app.name for app in apps if _concerns(push, app.slug))


def _concerns(push: Push, text: str) -> bool:
    try:
        slug = Slug.parse(text)
    except ConfigError:  # a lock that another version wrote
        return False
    return _same_repository(push, slug) and _same_ref(push, slug.ref)


def _same_repository(push: Push, slug: Slug) -> bool:
    if slug.kind == push.host:
        return slug.location.lower() == push.repository.lower()
    if slug.kind != "git":
        return False
    place = _place(slug.location)
    return place is not None and place in map(_place, push.urls)


def _same_ref(push: Push, ref: str | None) -> bool:
    pushed = [found for found in push.refs if not found.deleted]
    if ref in {None, "HEAD"}:
        wanted = push.default_branch
        return any(f.kind == "branch" and wanted in {None, f.name} for f in pushed)
    if SHORT_SHA.fullmatch(ref or "") or FULL_SHA.fullmatch(ref or ""):
        return False
    kinds = {"branch": "heads/", "tag": "tags/"}
    return any(
        ref in {f.name, kinds[f.kind] + f.name, f"refs/{kinds[f.kind]}{f.name}"} for f in pushed
    )


def _place(url: str) -> tuple[str, int | None, str] | None:
    """Host, port (None: the scheme's own) and path: https and ssh are ways to the same place."""
    scp = _SCP.fullmatch(url)
    try:
        parts = urlsplit(f"ssh://{scp[1]}/{scp[2]}" if scp else url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    path = unquote(parts.path).strip("/").removesuffix(".git").lower()
    return host, None if port == _DEFAULT_PORTS.get(parts.scheme) else port, path
