"""What was pushed: the payloads of the three hosts as one value.

Formats: the hosts' documents on webhook events (GitHub ``push``, GitLab ``Push Hook`` and ``Tag
Push Hook``, Bitbucket Cloud ``repo:push``). It must not know whether a payload can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from admin.problem import Problem

Host = Literal["gh", "gl", "bb"]

HOSTS: Mapping[str, Host] = {"github": "gh", "gitlab": "gl", "bitbucket": "bb"}
"""The hosts' names, as in addresses and in the audit."""

_REF_KINDS: tuple[tuple[str, Literal["branch", "tag"]], ...] = (
    ("refs/heads/", "branch"),
    ("refs/tags/", "tag"),
)


@dataclass(frozen=True)
class Ref:
    """A branch or tag that was pushed, by its short name; `deleted`: it is gone now."""

    kind: Literal["branch", "tag"]
    name: str
    deleted: bool


@dataclass(frozen=True)
class Push:
    """One push.

    `repository` is its full path (``owner/repo``, with GitLab's groups); `default_branch` is None
    if the host does not say (Bitbucket); `urls` are addresses of the repository, for people and
    for git.
    """

    host: Host
    repository: str
    refs: tuple[Ref, ...]
    default_branch: str | None
    urls: tuple[str, ...]


def parse(host: Host, body: bytes) -> Push:
    """Read the payload of a push.

    Raises:
        Problem: 400 if it is not JSON or not a push of this host.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise _bad("the body is not JSON", expected="content type application/json") from None
    try:
        return _PARSERS[host](data)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        found = f"no {error}" if isinstance(error, LookupError) else str(error)
        raise _bad("the body is not a push as this host sends them", found=found) from None


def _github(data: Any) -> Push:
    repository = data["repository"]
    return Push(
        "gh",
        _text(repository["full_name"]),
        _ref(data["ref"], deleted=data["deleted"] is True),
        repository.get("default_branch"),
        _urls(repository, "clone_url", "ssh_url", "html_url"),
    )


def _gitlab(data: Any) -> Push:
    project = data["project"]
    return Push(
        "gl",
        _text(project["path_with_namespace"]),
        _ref(data["ref"], deleted=set(_text(data["after"])) == {"0"}),
        project.get("default_branch"),
        _urls(project, "git_http_url", "git_ssh_url", "web_url"),
    )


def _bitbucket(data: Any) -> Push:
    repository = data["repository"]
    refs = []
    for change in data["push"]["changes"]:
        state = change["new"] or change["old"]
        kind = _text(state["type"])
        if kind in {"branch", "tag"}:
            refs.append(
                Ref(
                    "tag" if kind == "tag" else "branch",
                    _text(state["name"]),
                    deleted=change["new"] is None,
                )
            )
    return Push(
        "bb",
        _text(repository["full_name"]),
        tuple(refs),
        (repository.get("mainbranch") or {}).get("name"),
        _urls(repository["links"]["html"], "href"),
    )


_PARSERS: Mapping[Host, Callable[[Any], Push]] = {
    "gh": _github,
    "gl": _gitlab,
    "bb": _bitbucket,
}


def _ref(full: Any, *, deleted: bool) -> tuple[Ref, ...]:
    """``refs/heads/main``; other kinds of refs concern nobody here."""
    if not _text(full).startswith("refs/"):
        raise ValueError(f"ref {full!r}")
    return tuple(
        Ref(kind, full.removeprefix(prefix), deleted)
        for prefix, kind in _REF_KINDS
        if full.startswith(prefix)
    )


def _urls(data: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(data[name] for name in names if isinstance(data.get(name), str))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r:.80} is not text")
    return value


def _bad(detail: str, *, found: str | None = None, expected: str | None = None) -> Problem:
    return Problem(400, "bad-payload", detail, found=found, expected=expected)
