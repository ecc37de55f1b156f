"""poetry.lock: of every Poetry since 1.0, whose locks grew groups and markers with 2.0."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from iac_wrapper.program.locks import graph, markers
from iac_wrapper.program.locks import poetry_project as project
from iac_wrapper.program.locks.graph import Node, Wanted
from iac_wrapper.program.locks.markers import NEVER, Condition
from iac_wrapper.program.locks.names import canonical, lacking
from iac_wrapper.program.locks.pins import Locked, Pin
from iac_wrapper.program.locks.selection import Selection
from iac_wrapper.program.python_project import strings, table, tables

LOCK = "poetry.lock"


def read(root: Path, pyproject: dict[str, Any], lock: dict[str, Any], chosen: Selection) -> Locked:
    """What `lock` has installed for the groups and extras of `chosen`.

    Args:
        root: the project's folder.
        pyproject: its pyproject.toml.
        lock: its poetry.lock.
        chosen: groups and extras beside the main ones.

    Raises:
        SourceError: the lock holds what Poetry does not write.
    """
    packages = tables(lock.get("package"))
    wanted_groups = {project.MAIN, *chosen.groups}
    if any("groups" in one for one in packages):
        where = [_said(one, wanted_groups, chosen.extras) for one in packages]
    else:
        where = _walked(packages, project.groups(pyproject), wanted_groups, pyproject, chosen)
    hashes = table(lock, "metadata", "files")
    pins = [
        _pin(one, condition, hashes)
        for one, condition in zip(packages, where, strict=True)
        if condition
    ]
    legacy = (
        table(one, "source").get("url")
        for one, condition in zip(packages, where, strict=True)
        if condition and table(one, "source").get("type") == "legacy"
    )
    return Locked(
        tuple(pins),
        indexes=tuple(sorted({str(url) for url in legacy if url})),
        builds_project=project.is_package(root, pyproject),
        stale=_stale(pyproject, lock),
    )


def _said(
    package: Mapping[str, Any], groups: Collection[str], extras: Collection[str]
) -> Condition:
    """Locks of version 2.1 say groups and markers of every package."""
    condition = NEVER
    for group in {*strings(package.get("groups"))} & {*groups}:
        marker = package.get("markers") or ""
        text = marker.get(group, "") if isinstance(marker, dict) else marker
        condition = markers.either(condition, markers.decided(str(text), extras))
    return condition


def _walked(
    packages: tuple[dict[str, Any], ...],
    groups: Mapping[str, list[project.Dependency]],
    wanted: Collection[str],
    pyproject: dict[str, Any],
    chosen: Selection,
) -> list[Condition]:
    """Where each of `packages` is wanted, along their dependencies."""
    optional = project.in_extras(pyproject, chosen.extras)
    roots = [
        dependency.wanted(chosen.extras)
        for group in wanted
        for dependency in groups.get(group, ())
        if not dependency.optional or dependency.name in optional
    ]
    found = graph.conditions([_node(one) for one in packages], roots)
    return [found.get((_name(one), str(one.get("version"))), NEVER) for one in packages]


def _node(package: Mapping[str, Any]) -> Node:
    needs = [*_needs(table(package, "dependencies"))]
    extras = {
        canonical(extra): tuple(_of_extra(extra, strings(texts), needs))
        for extra, texts in table(package, "extras").items()
    }
    always = tuple(d.wanted(()) for d in needs if not d.optional)
    return Node(_name(package), str(package.get("version")), always, extras)


def _needs(dependencies: Mapping[str, Any]) -> Iterator[project.Dependency]:
    for name, value in dependencies.items():
        for one in value if isinstance(value, list) else [value]:
            entry = one if isinstance(one, dict) else {"version": str(one)}
            yield project.Dependency(canonical(name), entry)


def _of_extra(
    extra: str, texts: Collection[str], needs: Collection[project.Dependency]
) -> Iterator[Wanted]:
    """What an extra adds: by the package's dependencies of these names, which have the markers."""
    for text in texts:
        name = canonical(re.split(r"[^\w.-]", text.strip())[0])
        entries = [d for d in needs if d.name == name]
        yield from (entry.wanted((extra,)) for entry in entries)
        if not entries and (requirement := _requirement(text)):
            marker = str(requirement.marker or "")
            yield Wanted(name, tuple(sorted(requirement.extras)), markers.decided(marker, (extra,)))


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _name(package: Mapping[str, Any]) -> str:
    return canonical(str(package.get("name")))


def _pin(package: Mapping[str, Any], condition: Condition, hashes: Mapping[str, Any]) -> Pin:
    source = table(package, "source")
    name, version = _name(package), str(package.get("version"))
    kind, url = source.get("type"), str(source.get("url") or "")
    if kind == "git":
        commit = str(source.get("resolved_reference") or source.get("reference") or "")
        subdirectory = str(source.get("subdirectory") or "")
        return Pin(
            name, version, url=project.git_url(url, commit, subdirectory), condition=condition
        )
    if kind in {"directory", "file"}:
        return Pin(name, version, path=url, condition=condition)
    files = package.get("files") or hashes.get(str(package.get("name"))) or ()
    found = tuple(str(one["hash"]) for one in tables(files) if "hash" in one)
    return Pin(name, version, found, url if kind == "url" else "", condition=condition)


def _stale(pyproject: dict[str, Any], lock: dict[str, Any]) -> str:
    """As Poetry itself tells: by a hash over what the lock was made of. A lock without one, which
    Poetry refuses, is stale if it lacks what is required everywhere."""
    said = table(lock, "metadata").get("content-hash")
    recorded = said if isinstance(said, str) else ""
    hashes = {_content_hash(pyproject, groups=True), _content_hash(pyproject, groups=False)}
    if recorded in hashes:
        return ""
    if _is_older(lock) and recorded == _content_hash({"tool": pyproject.get("tool")}, groups=False):
        recorded = ""  # written by a Poetry that did not read [project]
    required = [d.name for d in project.groups(pyproject)[project.MAIN] if not d.marker]
    missing = lacking("pyproject.toml", required, map(_name, tables(lock.get("package"))))
    changed = "pyproject.toml has changed since poetry.lock was written" if recorded else ""
    return missing or changed


def _is_older(lock: dict[str, Any]) -> bool:
    """Whether a Poetry before 2.0 wrote it: that began with locks of version 2.1."""
    version = re.match(r"(\d+)\.(\d+)", str(table(lock, "metadata").get("lock-version") or ""))
    return version is not None and (int(version[1]), int(version[2])) < (2, 1)


_LEGACY = ("dependencies", "source", "extras", "dev-dependencies")
_OF_PROJECT = ("requires-python", "dependencies", "optional-dependencies")


def _content_hash(pyproject: dict[str, Any], *, groups: bool) -> str:
    """Poetry's hash: its older form where only its own table says something; without groups of
    PEP 735 before 2.3."""
    stated = table(pyproject, "project")
    of_project = {key: stated[key] for key in _OF_PROJECT if key in stated}
    of_groups = table(pyproject, "dependency-groups") if groups else {}
    poetry = table(pyproject, "tool", "poetry")
    keys: dict[str, Any] = {}
    for key in (*_LEGACY, "group"):
        if key in poetry or (key in _LEGACY and not (of_project or of_groups)):
            keys[key] = poetry.get(key)
    content: dict[str, Any] = {}
    content |= {"project": of_project} if of_project else {}
    content |= {"dependency-groups": of_groups} if of_groups else {}
    content = {**content, "tool": {"poetry": keys}} if content else keys
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
