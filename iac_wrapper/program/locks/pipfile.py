"""Pipfile.lock, and a Pipfile without one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from iac_wrapper.program.locks import markers
from iac_wrapper.program.locks.names import canonical, lacking
from iac_wrapper.program.locks.pins import Locked, Pin
from iac_wrapper.program.locks.poetry_project import git_url
from iac_wrapper.program.locks.selection import Selection
from iac_wrapper.program.python_project import strings, table, tables

LOCK = "Pipfile.lock"
PIPFILE = "Pipfile"

_MAIN = {"packages": "default", "dev-packages": "develop"}
_UNCONDITIONAL = {
    *("version", "extras", "index", "editable", "path", "file", "url", "git", "ref"),
    "subdirectory",
}
"""What an entry says without making it one for some machines only."""

_NOT_PACKAGES = ("source", "requires", "scripts", "pipfile", "pipenv")


def read(pipfile: dict[str, Any], lock: dict[str, Any], chosen: Selection) -> Locked:
    """What `lock` has installed: its section ``default``, and the categories of `chosen`.

    Raises:
        SourceError: the lock holds what Pipenv does not write.
    """
    sections = ("default", *(_MAIN.get(name, name) for name in chosen.groups))
    pins = [
        _pin(name, entry)
        for section in sections
        for name, entry in table(lock, section).items()
        if isinstance(entry, dict)
    ]
    sources = table(lock, "_meta").get("sources")
    return Locked(tuple(pins), indexes=_indexes(sources), stale=_stale(pipfile, lock))


def categories(pipfile: dict[str, Any]) -> tuple[str, ...]:
    """The names of its sections with packages, but for the main one."""
    found = (k for k, v in pipfile.items() if isinstance(v, dict) and k not in _NOT_PACKAGES)
    return tuple(name for name in found if name != "packages")


def lines(pipfile: dict[str, Any]) -> tuple[str, ...]:
    """The packages of a Pipfile as lines of a requirements file; versions by their ranges."""
    found = []
    for name, value in table(pipfile, "packages").items():
        entry = value if isinstance(value, dict) else {"version": str(value)}
        extras = strings(entry.get("extras"))
        wanted = f"[{','.join(extras)}]" if extras else ""
        url = _url(entry)
        version = str(entry.get("version") or "*").strip()
        target = f" @ {url}" if url else "" if version == "*" else version
        if target[:1].isdigit():
            target = f"=={target}"
        marker = str(entry.get("markers") or "")
        found.append(f"{canonical(name)}{wanted}{target}{f' ; {marker}' if marker else ''}")
        if path := entry.get("path"):
            found[-1] = f"-e {path}" if entry.get("editable") else str(path)
    options = [f"--extra-index-url {url}" for url in _indexes(pipfile.get("source"))]
    return (*options, *found)


def _pin(name: str, entry: Mapping[str, Any]) -> Pin:
    condition = markers.decided(str(entry.get("markers") or ""), ())
    name = canonical(name)
    if path := entry.get("path"):
        return Pin(name, path=str(path), condition=condition)
    hashes = tuple(strings(entry.get("hashes")))
    version = str(entry.get("version") or "").removeprefix("==").strip("*")
    url = _url(entry)
    return Pin(name, version, () if url.startswith("git+") else hashes, url, condition=condition)


def _url(entry: Mapping[str, Any]) -> str:
    if git := entry.get("git"):
        return git_url(str(git), str(entry.get("ref") or ""), str(entry.get("subdirectory") or ""))
    return str(entry.get("file") or entry.get("url") or "")


def _indexes(sources: Any) -> tuple[str, ...]:
    return tuple(str(one["url"]) for one in tables(sources) if "url" in one)


def _stale(pipfile: dict[str, Any], lock: dict[str, Any]) -> str:
    """As ``pipenv install --deploy`` tells: by a hash over the Pipfile. A lock without one, which
    Pipenv refuses, is stale if it lacks what is required everywhere."""
    said = table(lock, "_meta", "hash").get("sha256")
    recorded = said if isinstance(said, str) else ""
    hashes = {_hash(pipfile, one_form=True), _hash(pipfile, one_form=False)}
    if recorded in hashes:
        return ""
    stated = table(pipfile, "packages").items()
    required = [name for name, entry in stated if not _is_conditional(entry)]
    missing = lacking(PIPFILE, required, table(lock, "default"))
    changed = f"{PIPFILE} has changed since {LOCK} was written" if recorded and pipfile else ""
    return missing or changed


def _is_conditional(entry: Any) -> bool:
    """Whether it is wanted on some machines only: by markers, or by one of them as a key."""
    return isinstance(entry, dict) and bool({*entry} - _UNCONDITIONAL)


def _hash(pipfile: dict[str, Any], *, one_form: bool) -> str:
    """Pipenv's hash; its newer releases write names in one way before."""

    def section(name: str) -> dict[str, Any]:
        found = table(pipfile, name)
        return {canonical(k): v for k, v in found.items()} if one_form else found

    data: dict[str, Any] = {
        "_meta": {"sources": pipfile.get("source", []), "requires": table(pipfile, "requires")},
        "default": section("packages"),
        "develop": section("dev-packages"),
    }
    named = {"packages", "dev-packages", "default", "develop", *_NOT_PACKAGES}
    data |= {name: section(name) for name in pipfile if name not in named}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
