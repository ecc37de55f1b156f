"""pylock.toml and pylock.NAME.toml: the lock of PEP 751, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iac_wrapper.program.locks import markers
from iac_wrapper.program.locks.markers import Condition
from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.locks.pins import Locked, Pin
from iac_wrapper.program.locks.poetry_project import git_url
from iac_wrapper.program.locks.selection import PRODUCTION, Selection
from iac_wrapper.program.python_project import strings, table, tables


def read(lock: dict[str, Any], chosen: Selection) -> Locked:
    """What `lock` has installed for the groups and extras of `chosen`.

    Its own default groups are not installed, as they are for development, but those of production.

    Raises:
        SourceError: the lock holds what the format has not.
    """
    packages = tables(lock.get("packages"))
    default = {*strings(lock.get("default-groups"))}
    groups = {*chosen.groups, *(name for name in default if name in PRODUCTION)}
    found = [
        (one, markers.decided(str(one.get("marker") or ""), chosen.extras, groups))
        for one in packages
    ]
    wanted = [(one, condition) for one, condition in found if condition]
    pins = [_pin(one, condition) for one, condition in wanted]
    return Locked(
        tuple(pin for pin in pins if pin.path not in {".", "./"}),
        indexes=tuple(sorted({str(one["index"]) for one, _ in wanted if "index" in one})),
        builds_project=any(pin.path in {".", "./"} for pin in pins),
    )


def _pin(package: Mapping[str, Any], condition: Condition) -> Pin:
    name, version = canonical(str(package.get("name"))), str(package.get("version") or "")
    if directory := table(package, "directory"):
        return Pin(name, version, path=str(directory.get("path")), condition=condition)
    if vcs := table(package, "vcs"):
        commit, subdirectory = str(vcs.get("commit-id") or ""), str(vcs.get("subdirectory") or "")
        url = git_url(str(vcs.get("url") or vcs.get("path") or ""), commit, subdirectory)
        return Pin(name, version, url=url, condition=condition)
    if archive := table(package, "archive"):
        hashes = _hashes(archive)
        if path := archive.get("path"):
            return Pin(name, version, hashes, path=str(path), condition=condition)
        return Pin(name, version, hashes, str(archive.get("url")), condition=condition)
    files = (*tables(package.get("wheels")), table(package, "sdist"))
    hashes = tuple(one for file in files for one in _hashes(file))
    return Pin(name, version, hashes, condition=condition)


def _hashes(file: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}:{value}" for name, value in table(file, "hashes").items())
