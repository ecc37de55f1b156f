"""Addresses that people paste in place of a slug, and the slug that each one means. No I/O.

The pages are those that github.com, gitlab.com and bitbucket.org show. Of ``/tree/A/B`` the ref is
taken to be ``A``: whether a branch ``A/B`` exists is known where refs are (`sources.resolve`).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

_KINDS = {"github.com": "gh", "gitlab.com": "gl", "bitbucket.org": "bb"}

_WEB = re.compile(
    rf"https?://(?:www\.)?(?P<host>{'|'.join(map(re.escape, _KINDS))})/"
    r"(?P<path>[^?#]*)(?:\?[^#]*)?(?P<fragment>#.*)?"
)
SCP = r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_][A-Za-z0-9_.-]*:/?[^\s?#\\:/][^\s?#\\:]*"
"""``git@host:owner/repo``, as scp and git write it."""

CLONED = r"(?:ssh://[^\s?#\\]+|https://[^\s?#\\@]+\.git/?)"
"""Other addresses that ``git clone`` takes and that are no pages."""

_FOLDER = {
    "gh": r"(?P<repo>[^/]+/[^/]+)/tree/(?P<ref>[^/]+)(?:/(?P<subdir>.+))?",
    "gl": r"(?P<repo>.+?)/(?:-/)?tree/(?P<ref>[^/]+)(?:/(?P<subdir>.+))?",
    "bb": r"(?P<repo>[^/]+/[^/]+)/src/(?P<ref>[^/]+)(?:/(?P<subdir>.+))?",
}
_REF = {
    "gh": r"(?P<repo>[^/]+/[^/]+)/(?:commit|releases/tag)/(?P<ref>.+)",
    "gl": r"(?P<repo>.+?)/-/(?:commit|tags|releases)/(?P<ref>.+)",
    "bb": r"(?P<repo>[^/]+/[^/]+)/(?:commits|branch)/(?P<ref>.+)",
}
_FILE = r"(?P<repo>.+?)/(?:-/)?(?:blob|raw|blame|edit)/(?P<ref>[^/]+)/(?:(?P<folder>.+)/)?[^/]*"
_REPOSITORY = {"gh": r"[^/]+/[^/]+", "gl": r"[^/]+(?:/(?!-/)[^/]+)+", "bb": r"[^/]+/[^/]+"}


class Pasted(NamedTuple):
    """What an address means.

    `slug` is the text to write for it; `unclear` says why it is not simply taken, empty if it is;
    `site` is the scheme and host that the address names, empty if the slug names them too.
    """

    slug: str
    unclear: str = ""
    site: str = ""


def pasted(text: str) -> Pasted | None:
    """The meaning of `text`; None if it is not such an address."""
    if web := _WEB.fullmatch(text):
        return _page(web["host"], web["path"].rstrip("/"), web["fragment"] or "")
    address, mark, fragment = text.partition("#")
    if re.fullmatch(SCP, address):
        login, _, path = address.partition(":")
        return Pasted(f"git+ssh://{login}/{path.lstrip('/')}{mark}{fragment}")
    if re.fullmatch(CLONED, address):
        return Pasted(f"git+{text}")
    return None


def _page(host: str, path: str, fragment: str) -> Pasted | None:
    kind, site = _KINDS[host], f"https://{host}"
    for pattern in (_FOLDER[kind], _REF[kind]):
        if page := re.fullmatch(pattern, path):
            facts = {name: unquote(part) for name, part in page.groupdict().items() if part}
            subdir = f":{facts['subdir']}" if "subdir" in facts else ""
            both = "it names a ref, and another one after '#'" if fragment else ""
            return Pasted(f"{kind}:{facts['repo']}#{facts['ref']}{subdir}", both, site)
    if page := re.fullmatch(_FILE, path):
        folder = unquote(page["folder"] or "")
        slug = f"{kind}:{page['repo']}#{unquote(page['ref'])}{folder and f':{folder}'}"
        return Pasted(slug, "it is the page of a file", site)
    if re.fullmatch(_REPOSITORY[kind], path):
        return Pasted(f"{kind}:{unquote(path).removesuffix('.git')}{fragment}", "", site)
    repository = path.partition("/-/")[0] if "/-/" in path else "/".join(path.split("/")[:2])
    if not re.fullmatch(_REPOSITORY[kind], repository):
        return None
    return Pasted(f"{kind}:{repository}", "it is no page of a repository's files", site)
