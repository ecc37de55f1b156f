"""A slug: the short text that names a git repository (or local path), a ref and a subdirectory.

Grammar: ``<prefix><location>[#[ref][:subdir]]``. Values and text only: it must not know whether a
repository, a ref or a path exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.base_url import is_loopback, origin, without_credentials
from iac_wrapper.model.git_refs import FULL_SHA
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.image_reference import check_reference, repository
from iac_wrapper.model.slug_hints import near_miss
from iac_wrapper.model.slug_pasted import Pasted, pasted

SlugKind = Literal["gh", "gl", "bb", "git", "path", "image"]

EXPECTED = (
    "gh:owner/repo, gl:group/repo, bb:owner/repo, git+https://…, git+ssh://…, git+file:///…"
    " or a path (./x, ../x, /x, ~/x), each with an optional #ref or #ref:subdir"
    "; or the address of a repository's page; or image:NAME[:TAG]"
)
MAX_LENGTH = 1024
"""Longest slug in characters; git hosts cap owner and repository far below."""

IMAGE = "image:"
"""Begins the slug of an image; ``image: NAME`` in repos.yaml is short for it."""

_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_PATH_START = re.compile(r"(\.{1,2}|~|)(/|$)")
_URL_SCHEMES = ("https", "http", "ssh", "file")


@dataclass(frozen=True)
class Slug:
    """A parsed slug.

    `text` is what was written, or the slug that a pasted address means; `location` is
    ``owner/repo`` (gh, gl with nested groups, bb), a clone URL without the ``git+`` prefix (git), a
    path as written (path), or the name of an image (image; it has neither ref nor subdir). `ref` is
    a branch, tag or (short) SHA, None for the default branch; `subdir` is relative and stays
    inside. `site` is the scheme and host of a pasted address, where the slug does not name them.
    """

    text: str
    kind: SlugKind
    location: str
    ref: str | None = None
    subdir: str | None = None
    site: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Slug:
        """Read a slug.

        Raises:
            ConfigError: `text` is not a slug; a near miss is answered with the right spelling.
        """
        if not text or len(text) > MAX_LENGTH or not text.isprintable() or text != text.strip():
            raise _bad("a slug is one line without spaces around it", text)
        if address := pasted(text):
            return _of_an_address(text, address)
        if text.startswith(IMAGE):
            return cls(text, "image", check_reference(text.removeprefix(IMAGE)))
        head, mark, fragment = text.partition("#")
        kind, location = _location(text, head)
        ref, _, subdir = fragment.partition(":")
        if mark and not fragment.rstrip(":"):
            raise _bad("nothing after '#'", text, expected="#ref, #ref:subdir or #:subdir")
        if ref and kind == "path":
            raise _bad(
                "a local path has no ref: it is deployed as it lies on disk",
                text,
                next_step=f"write {head}, or git+file:///absolute/path#{ref} for a commit",
            )
        if ref:
            _check_ref(text, ref)
            ref = ref.lower() if FULL_SHA.fullmatch(ref.lower()) else ref
        return cls(text, kind, location, ref or None, _subdir(text, subdir))

    @property
    def label(self) -> str:
        """The service name this slug suggests: a DNS label, or empty if it suggests none."""
        path = self.location
        if self.kind == "image":
            path = repository(path)
        if self.kind == "git":
            path = unquote(urlsplit(self.location).path)
        name = PurePosixPath(self.subdir or path).name
        return dns_label(name.removesuffix(".git"))

    def with_subdir(self, subdir: str) -> Slug:
        """The same source, another directory of it.

        Raises:
            ConfigError: `subdir` is not a relative path inside the source, or this is an image.
        """
        if self.kind == "image":
            raise _bad("an image has no subdir", self.text, expected="an image, or a slug with one")
        head = self.text.partition("#")[0]
        return replace(Slug.parse(f"{head}#{self.ref or ''}:{subdir}"), site=self.site)

    def clone_url(self, hosts: Hosts) -> str:
        """What git clones.

        Raises:
            ConfigError: the base URL of its host is not https (or http to this machine), or is
                another one than that of the address that was pasted.
            ValueError: the slug is a local path or an image.
        """
        if self.kind in {"path", "image"}:
            raise ValueError(
                f"{self.text} is {'a local path' if self.kind == 'path' else 'an image'}"
            )
        if self.kind == "git":
            return self.location
        host = hosts[self.kind]
        if self.site and origin(self.site) != origin(host.url):
            raise ConfigError(
                f"{self.text} is not at {self.site} here",
                where=host.base_setting,
                found=host.url,
                expected=f"{self.site}, whose address was given",
                next_step=f"write git+{self.site}/{self.location}.git for that host,"
                f" or {self.text} for {host.url}",
            )
        return f"{host.url}/{self.location}.git"

    def archive_url(self, hosts: Hosts, sha: str) -> str | None:
        """Where the host offers the commit as .tar.gz, None if it has no such address."""
        if self.kind in {"git", "path", "image"}:
            return None
        base = f"{hosts[self.kind].url}/{self.location}"
        if self.kind == "gl":
            repository = self.location.rpartition("/")[2]
            return f"{base}/-/archive/{sha}/{repository}-{sha}.tar.gz"
        return f"{base}/{'get' if self.kind == 'bb' else 'archive'}/{sha}.tar.gz"


def dns_label(name: str) -> str:
    """`name` bent into a DNS label (``a-z0-9-``, at most 63 octets); may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-")


def _of_an_address(text: str, address: Pasted) -> Slug:
    """The slug of an address that was pasted."""
    why, step = address.unclear, f"write {address.slug}"
    if not why:
        try:
            return replace(Slug.parse(address.slug), site=address.site)
        except ConfigError as error:
            why, step = error.message, error.next_step or ""
    raise _bad(f"no source can be made of this address: {why}", text, next_step=step)


def _location(text: str, head: str) -> tuple[SlugKind, str]:
    prefix, colon, rest = head.partition(":")
    if _PATH_START.match(head):
        return "path", head
    if head.startswith("git+"):
        return "git", _clone_url(text, head.removeprefix("git+"))
    if colon and prefix == "gh":
        return "gh", _owner_repo(text, rest, nested=False)
    if colon and prefix == "gl":
        return "gl", _owner_repo(text, rest, nested=True)
    if colon and prefix == "bb":
        return "bb", _owner_repo(text, rest, nested=False)
    meant = near_miss(text, head)
    raise _bad("not a slug", text, next_step=f"write {meant}" if meant else "")


def _owner_repo(text: str, rest: str, *, nested: bool) -> str:
    parts = rest.removesuffix("/").removesuffix(".git").split("/")
    enough = len(parts) >= 2 if nested else len(parts) == 2
    if not enough or not all(_PART.fullmatch(part) for part in parts):
        expected = "gl:group[/subgroup…]/repo" if nested else f"{text[:2]}:owner/repo"
        raise _bad("bad repository name", text, expected=expected)
    return "/".join(parts)


def _clone_url(text: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _bad(f"bad clone URL ({error})", text) from None
    if parts.scheme not in _URL_SCHEMES:
        raise _bad("git cannot be used over this scheme here", text)
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise _bad(
            "a slug must not hold credentials: it ends up in the lock file",
            without_credentials(text),
            next_step="set GITHUB_TOKEN, GITLAB_TOKEN or BITBUCKET_TOKEN in .env instead",
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise _bad(
            "http:// lets anybody on the network path change the code",
            text,
            expected="git+https:// (git+http:// is for this machine's loopback only)",
        )
    if parts.scheme == "file":
        if host or not parts.path.startswith("/") or parts.path == "/":
            raise _bad("bad file URL", text, expected="git+file:///absolute/path")
    elif host.startswith("-") or not host or parts.path in {"", "/"}:
        raise _bad("a clone URL needs a host and a path", text)
    if parts.query or "\\" in url or " " in url or (parts.username or "").startswith("-"):
        raise _bad("a clone URL has no query, backslash or space", text)
    return url


def _check_ref(text: str, ref: str) -> None:
    """The rules of ``git check-ref-format``, plus no leading '-': it would read as an option."""
    forbidden = re.search(r"^-|\.\.|@\{|//|^/|/$|\.$|^@$|[\s~^?*\[\\]|(^|/)\.|\.lock(/|$)", ref)
    if forbidden:
        raise _bad(
            f"bad ref {ref!r}",
            text,
            expected="a branch, a tag or a commit SHA, as `git check-ref-format` allows",
        )


def _subdir(text: str, subdir: str) -> str | None:
    if not subdir:
        return None
    parts = [part for part in subdir.split("/") if part not in {"", "."}]
    if subdir.startswith(("/", "~")) or ".." in parts or "\\" in subdir or not parts:
        raise _bad(f"bad subdirectory {subdir!r}", text, expected="a relative path without '..'")
    return "/".join(parts)


def _bad(message: str, text: str, *, expected: str = EXPECTED, next_step: str = "") -> ConfigError:
    shown = repr(without_credentials(text))
    step = next_step or "write the slug in the form that is expected"
    return ConfigError(message, found=shown, expected=expected, next_step=step)
