"""What was probably meant by text that is not a slug: for the error's next step only."""

from __future__ import annotations

import re

from iac_wrapper.model.base_url import without_credentials

_HOSTS = {"github": "gh", "gitlab": "gl", "bitbucket": "bb"}


def near_miss(text: str, head: str) -> str | None:
    """The right spelling of `text`, whose part before '#' is `head`; None if there is no guess."""
    fragment = text[len(head) :]
    return _host(head, fragment) or _url(text, head) or _bare(text, head)


def _host(head: str, fragment: str) -> str | None:
    """``GitHub:owner/repo``, ``github.com/owner/repo``."""
    prefix, _, rest = head.partition(":")
    short = _HOSTS.get(prefix.lower(), prefix.lower())
    if short in _HOSTS.values() and not rest.startswith("//"):
        return f"{short}:{rest.lstrip('/')}{fragment}"
    web = re.fullmatch(r"(?:https?://)?(?:www\.)?(\w+)\.\w+/(.+)", head)
    known = _HOSTS.get(web[1].lower()) if web else None
    return _from_web_path(known, web[2], fragment) if web and known else None


def _url(text: str, head: str) -> str | None:
    if re.match(r"(https|file)://", head):
        return f"git+{without_credentials(text)}"
    return None


def _bare(text: str, head: str) -> str | None:
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", head):
        return f"gh:{text} (or ./{text} for a directory)"
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)*", head):
        return f"./{text} for a directory, or gh:owner/{head.rpartition('/')[2]}"
    return None


def _from_web_path(kind: str, path: str, fragment: str) -> str:
    """``owner/repo/tree/main/sub`` as a browser shows it -> ``gh:owner/repo#main:sub``."""
    page = re.fullmatch(r"(.+?)/(?:-/)?(?:tree|blob|src)/([^/]+)(?:/(.+))?", path)
    if not page:
        return f"{kind}:{path.rstrip('/').removesuffix('.git')}{fragment}"
    subdir = f":{page[3].rstrip('/')}" if page[3] else ""
    return f"{kind}:{page[1]}#{page[2]}{subdir}"
