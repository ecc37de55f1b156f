"""Git LFS: put the content in the place of its pointers.

The batch API of git-lfs (its docs/api/batch.md), with the token of the repository's own server.
Where a server says that the content lies elsewhere, it is asked for there with the headers that it
gave, never with the token; whatever comes must have the pointer's size and SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from iac_wrapper.errors import SourceError
from iac_wrapper.model.base_url import origin
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources import git, http_source, working_tree
from iac_wrapper.sources.retries import TransientError, patiently, retry_after
from iac_wrapper.sources.survey import POINTER, is_pointer, tree_size
from iac_wrapper.sources.unpack import SourceLimits

BATCH = 100
"""Objects asked for at once: the number that git-lfs itself asks for."""

_PARALLEL = 4
_MEDIA = "application/vnd.git-lfs+json"
_MAX_ANSWER = 10 * 2**20  # bytes; a hundred objects with signed addresses take about 0.1 MB
_FORM = re.compile(
    re.escape(POINTER.decode()) + r"(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n"
)


@dataclass(frozen=True)
class _Object:
    oid: str
    size: int
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class _Server:
    """Where objects are asked for, and with which headers."""

    url: str
    headers: Mapping[str, str]


def fill(
    tree: Path, remote: Remote, limits: SourceLimits, scratch: Path, say: Callable[[str], None]
) -> None:
    """Replace the pointers in `tree` that .gitattributes gives to git-lfs by their content.

    Args:
        tree: a complete tree; other pointers stay.
        remote: where it is from.
        limits: of the whole tree, content included.
        scratch: a folder for what is under way.
        say: gets one line if there is anything to fetch, and one before each new try.

    Raises:
        SourceError: the content is too large, not there, or not to be had.
    """
    objects = _objects(tree, scratch)
    if not objects:
        return
    total = sum(one.size * len(one.paths) for one in objects)
    limits.check(
        tree_size(tree) + total,
        0,
        of=f"the source with {total / 10**6:.1f} MB of Git LFS content",
        instead="write `lfs: false`",
    )
    say(f"{remote.url}: {len(objects)} Git LFS objects, {total / 10**6:.1f} MB")
    if urlsplit(remote.url).scheme == "file":
        for one in objects:
            _place(_on_this_machine(remote, one), one)
        return
    server = patiently(lambda: _server(tree, remote), say)
    for start in range(0, len(objects), BATCH):
        some = objects[start : start + BATCH]
        answers = patiently(partial(_ask, server, remote, some), say)
        with ThreadPoolExecutor(_PARALLEL, "lfs") as pool:
            fetch = partial(_fetch, server, scratch=scratch, say=say)
            list(pool.map(fetch, some, answers))


def _objects(tree: Path, scratch: Path) -> list[_Object]:
    found: dict[tuple[str, int], list[Path]] = {}
    pointers = [path for path in _files(tree) if is_pointer(path)]
    for path in working_tree.with_filter(tree, pointers, "lfs", scratch):
        pointer = _FORM.fullmatch(path.read_text(encoding="utf-8", errors="replace"))
        if pointer:
            found.setdefault((pointer[1], int(pointer[2])), []).append(path)
    return [_Object(oid, size, tuple(paths)) for (oid, size), paths in sorted(found.items())]


def _files(tree: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(tree):
        yield from (Path(folder, name) for name in names)


def _on_this_machine(remote: Remote, one: _Object) -> Path:
    """Where git-lfs keeps an object of a repository on disk."""
    repository = Path(unquote(urlsplit(remote.url).path))
    inside = Path("lfs", "objects", one.oid[:2], one.oid[2:4], one.oid)
    for folder in (repository / ".git", repository, repository.with_name(f"{repository.name}.git")):
        if (folder / inside).is_file():
            return folder / inside
    raise _not_there(one, remote)


def _server(tree: Path, remote: Remote) -> _Server:
    if urlsplit(remote.url).scheme == "ssh":
        answer = git.lfs_authenticate(remote)
        return _Server(_checked(remote, answer.get("href")), _texts(answer.get("header")))
    url = working_tree.config_value(tree / ".lfsconfig", "lfs.url")
    if url is None:
        url = remote.url.rstrip("/")
        url += "/info/lfs" if url.endswith(".git") else ".git/info/lfs"
    elif not url.startswith(("http://", "https://")) or origin(url) != origin(remote.url):
        raise SourceError(
            "Git LFS content of this repository lies on another server",
            where=".lfsconfig",
            found=f"lfs.url of {urlsplit(url).hostname or 'an unknown host'}",
            expected=f"the server of {remote.url}",
            next_step="write `lfs: false`, and have the program fetch that content itself",
        )
    if remote.git_header:
        return _Server(url.rstrip("/"), {"Authorization": remote.git_header.partition(": ")[2]})
    if known := requests.utils.get_netrc_auth(url):
        prepared = requests.auth.HTTPBasicAuth(*known)(requests.Request("GET", url).prepare())
        return _Server(url.rstrip("/"), {"Authorization": prepared.headers["Authorization"]})
    return _Server(url.rstrip("/"), {})


def _ask(server: _Server, remote: Remote, some: Sequence[_Object]) -> list[dict[str, Any]]:
    """The answer to each object, in their order."""
    body = {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": one.oid, "size": one.size} for one in some],
    }
    headers = {**server.headers, "Accept": _MEDIA, "Content-Type": _MEDIA}
    url = f"{server.url}/objects/batch"
    with http_source.post(url, headers, json.dumps(body).encode()) as response:
        _check_status(response, remote, url)
        content = response.raw.read(_MAX_ANSWER + 1)
    try:
        answered = {str(one["oid"]): dict(one) for one in json.loads(content)["objects"]}
        return [answered[one.oid] for one in some]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(
            "the answer of the Git LFS server cannot be read",
            found=f"{url}: {type(error).__name__}",
            expected="the batch API of git-lfs",
            next_step="check the address in a browser; or write `lfs: false`",
        ) from None


def _check_status(response: requests.Response, remote: Remote, url: str) -> None:
    status = response.status_code
    if status == requests.codes.ok:
        return
    _check_busy(response, f"the Git LFS server answers HTTP {status}", url)
    token = remote.token_setting or "a line for the host in ~/.netrc, or use git+ssh://"
    raise SourceError(
        "Git LFS content is not to be had here",
        found=f"HTTP {status} from {url}",
        expected="a server of Git LFS that lets you read",
        next_step=f"if the repository is private, set {token}; or write `lfs: false`",
    )


def _check_busy(response: requests.Response, message: str, found: str) -> None:
    status = response.status_code
    if status == requests.codes.too_many_requests or status >= 500:
        busy = TransientError(message, found=found, next_step="try again later", retryable=True)
        busy.wait = retry_after(response.headers.get("Retry-After"))
        raise busy


def _fetch(
    server: _Server,
    one: _Object,
    answer: Mapping[str, Any],
    *,
    scratch: Path,
    say: Callable[[str], None],
) -> None:
    actions = answer.get("actions")
    action = actions.get("download") if isinstance(actions, Mapping) else None
    if not isinstance(action, Mapping):
        raise _not_there(one, Remote(server.url))
    target = _checked(Remote(server.url), action.get("href"))
    headers = _texts(action.get("header"))
    if origin(target) == origin(server.url) and not answer.get("authenticated"):
        headers = {**server.headers, **headers}
    file = scratch / f".lfs-{one.oid}"
    patiently(partial(_download, target, headers, one, file), say)
    _place(file, one)
    file.unlink()


def _download(url: str, headers: Mapping[str, str], one: _Object, to: Path) -> None:
    found = f"the object of {one.paths[0].name} at {urlsplit(url).netloc}"
    response = http_source.open_stream(url, headers, redirects=http_source.may_lead)
    with response:
        if response.status_code != requests.codes.ok:
            message = f"Git LFS content answers HTTP {response.status_code}"
            _check_busy(response, message, found)
            raise SourceError(message, found=found, next_step="run the command again")
        digest, size = hashlib.sha256(), 0
        try:
            with to.open("wb") as file:
                for chunk in response.iter_content(64 * 1024):
                    size += len(chunk)
                    if size > one.size:
                        break
                    digest.update(chunk)
                    file.write(chunk)
        except requests.RequestException as error:
            raise TransientError(
                "the download broke off",
                found=found,
                detail=str(error),
                next_step="try again",
                retryable=True,
            ) from None
    if size != one.size or digest.hexdigest() != one.oid:
        raise TransientError(
            "the Git LFS content that came is not that of its pointer",
            found=found,
            expected=f"{one.size} bytes with the SHA-256 {one.oid}",
            next_step="try again; if it stays so, push the content anew: git lfs push --all origin",
            retryable=True,
        )


def _place(content: Path, one: _Object) -> None:
    for path in one.paths:
        shutil.copyfile(content, path, follow_symlinks=False)  # the mode stays


def _checked(remote: Remote, url: object) -> str:
    """An address that a server gave, if it is one to send a request to."""
    if isinstance(url, str) and http_source.may_lead(remote.url, url):
        return url
    raise SourceError(
        "the Git LFS server names an address that is not used",
        found=str(url).partition("?")[0][:200],
        expected="https, and no private address of a public server",
        next_step="write `lfs: false`, and have the program fetch that content itself",
    )


def _texts(headers: object) -> dict[str, str]:
    """Headers that a server gave for an address of its own."""
    if not isinstance(headers, Mapping):
        return {}
    return {str(k): str(v) for k, v in headers.items() if f"{k}{v}".isprintable()}


def _not_there(one: _Object, remote: Remote) -> SourceError:
    return SourceError(
        "the server does not have the Git LFS content of a file",
        found=f"{one.paths[0].name} ({one.oid[:12]}…) at {remote.url}",
        next_step="push it: git lfs push --all origin; or write `lfs: false`",
    )
