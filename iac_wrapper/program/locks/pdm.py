"""pdm.lock: with groups and conditions of each package, or with its dependencies to follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from iac_wrapper.program.locks import graph, markers
from iac_wrapper.program.locks.graph import Node, Wanted
from iac_wrapper.program.locks.markers import NEVER, Condition
from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.locks.pins import Locked, Pin
from iac_wrapper.program.locks.poetry_project import git_url
from iac_wrapper.program.locks.selection import Selection
from iac_wrapper.program.python_project import strings, table, tables

LOCK = "pdm.lock"
_MAIN = "default"


def read(pyproject: dict[str, Any], lock: dict[str, Any], chosen: Selection) -> Locked:
    """What `lock` has installed for the groups and extras of `chosen`.

    Raises:
        SourceError: the lock holds what PDM does not write.
    """
    packages = tables(lock.get("package"))
    metadata = table(lock, "metadata")
    wanted = {_MAIN, *chosen.names}
    if "inherit_metadata" in strings(metadata.get("strategy")):
        where = [_said(one, wanted) for one in packages]
    else:
        where = _walked(packages, _roots(pyproject, wanted))
    pins = [_pin(one, it) for one, it in zip(packages, where, strict=True) if it]
    return Locked(
        tuple(pins),
        indexes=_indexes(pyproject),
        builds_project=_is_package(pyproject),
        notes=_notes(pyproject, metadata),
    )


def groups(pyproject: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The lines of each development group, as far as they are requirements."""
    found = {k: strings(v) for k, v in table(pyproject, "dependency-groups").items()}
    for name, lines in table(pyproject, "tool", "pdm", "dev-dependencies").items():
        found[name] = (*found.get(name, ()), *strings(lines))
    return found


def _roots(pyproject: dict[str, Any], wanted: Iterable[str]) -> list[Wanted]:
    project = table(pyproject, "project")
    lines = {
        _MAIN: strings(project.get("dependencies")),
        **{k: strings(v) for k, v in table(project, "optional-dependencies").items()},
        **groups(pyproject),
    }
    return [*_wanted(text for group in wanted for text in lines.get(group, ()))]


def _wanted(texts: Iterable[str]) -> Iterable[Wanted]:
    for text in texts:
        try:
            found = Requirement(text)
        except InvalidRequirement:
            continue
        yield Wanted(
            canonical(found.name),
            tuple(canonical(extra) for extra in sorted(found.extras)),
            markers.decided(str(found.marker or ""), ()),
            _allows(found),
        )


def _allows(requirement: Requirement) -> Any:
    return lambda version: requirement.specifier.contains(version, prereleases=True)


def _walked(packages: tuple[dict[str, Any], ...], roots: list[Wanted]) -> list[Condition]:
    nodes: dict[tuple[str, str], Node] = {}
    for package in sorted(packages, key=lambda one: bool(one.get("extras"))):
        key = _key(package)
        needs = tuple(_wanted(strings(package.get("dependencies"))))
        node = nodes.get(key, Node(*key))
        extras = strings(package.get("extras"))
        if extras:
            added = {canonical(extra): needs for extra in extras}
            nodes[key] = Node(*key, node.needs, {**node.extras, **added})
        else:
            nodes[key] = Node(*key, needs, node.extras)
    found = graph.conditions(nodes.values(), roots)
    return [found.get(_key(one), NEVER) for one in packages]


def _said(package: Mapping[str, Any], wanted: set[str]) -> Condition:
    if not wanted & {*strings(package.get("groups"))}:
        return NEVER
    return markers.decided(str(package.get("marker") or ""), ())


def _key(package: Mapping[str, Any]) -> tuple[str, str]:
    return canonical(str(package.get("name"))), str(package.get("version"))


def _pin(package: Mapping[str, Any], condition: Condition) -> Pin:
    name, version = _key(package)
    if git := package.get("git"):
        commit = str(package.get("revision") or package.get("ref") or "")
        url = git_url(str(git), commit, str(package.get("subdirectory") or ""))
        return Pin(name, version, url=url, condition=condition)
    if path := package.get("path"):
        return Pin(name, version, path=str(path), condition=condition)
    hashes = tuple(str(one["hash"]) for one in tables(package.get("files")) if "hash" in one)
    return Pin(name, version, hashes, str(package.get("url") or ""), condition=condition)


def _indexes(pyproject: dict[str, Any]) -> tuple[str, ...]:
    """Of ``[[tool.pdm.source]]``: one called pypi takes the place of the default."""
    found = tables(table(pyproject, "tool", "pdm").get("source"))
    return tuple(str(one["url"]) for one in found if "url" in one and _is_index(one))


def _is_index(source: Mapping[str, Any]) -> bool:
    return bool(source.get("type", "index") == "index")


def _is_package(pyproject: dict[str, Any]) -> bool:
    pdm = table(pyproject, "tool", "pdm")
    application = pdm.get("distribution") is False or pdm.get("package-type") == "application"
    return "build-system" in pyproject and "project" in pyproject and not application


def _notes(pyproject: dict[str, Any], metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """PDM itself installs from a lock whose hash is another, and warns."""
    recorded = metadata.get("content_hash")
    if not isinstance(recorded, str) or not recorded.startswith("sha256:"):
        return ()
    if recorded.removeprefix("sha256:") in _content_hashes(pyproject):
        return ()
    said = "pyproject.toml has changed since pdm.lock was written; its versions are installed"
    return (f"{said}: run `pdm lock` and commit it",)


def _content_hashes(pyproject: dict[str, Any]) -> set[str]:
    """PDM's hash, with the name that overrides have in its newer and older releases."""
    project = table(pyproject, "project")
    pdm = table(pyproject, "tool", "pdm")
    resolution = table(pdm, "resolution")
    facts = {
        "sources": pdm.get("source", []),
        "dependencies": project.get("dependencies", []),
        "optional-dependencies": project.get("optional-dependencies", {}),
        "requires-python": project.get("requires-python", ""),
    }
    own = table(pdm, "dev-dependencies")
    everything = {
        canonical(k): [*v]
        for k, v in table(pyproject, "dependency-groups").items()
        if isinstance(v, list)
    }
    for name, lines in own.items():
        everything.setdefault(canonical(name), []).extend(strings(lines))
    forms: list[dict[str, Any]] = [
        {"resolution": resolution},
        {"overrides": resolution.get("overrides", {})},
    ]
    texts = [
        json.dumps({**facts, **form, "dev-dependencies": dev}, sort_keys=True, default=str)
        for form in forms
        for dev in (everything, own)
    ]
    return {hashlib.sha256(text.encode()).hexdigest() for text in texts}
