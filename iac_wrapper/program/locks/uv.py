"""uv.lock: whether it is of this pyproject.toml, and which folders of the source it installs.

uv's own `--locked` would tell the first as well, but it takes a lock that was made with another
index, or the same one with a slash at its end, for outdated (findings/uv-locked-index.sh), and then
asks the index. What is compared here are the requirements that the lock recorded.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.python_project import strings, table, tables

LOCK = "uv.lock"
_LOCAL = ("editable", "virtual", "directory", "path")


def stale(pyproject: dict[str, Any], lock: dict[str, Any]) -> str:
    """How the lock differs from what pyproject.toml requires; empty if no difference is certain."""
    project = table(pyproject, "project")
    name = canonical(str(project.get("name") or ""))
    own = next((one for one in _packages(lock) if _is_own(one, name)), None)
    if not project:
        return ""
    if own is None:
        return f"the lock has no project {name}"
    if "metadata" not in own and own.get("dependencies"):
        return ""  # an early uv did not record them
    metadata = table(own, "metadata")
    sources = {canonical(key) for key in table(pyproject, "tool", "uv", "sources")}
    dynamic = strings(project.get("dynamic"))
    parts: list[tuple[list[str], Any]] = []
    if "dependencies" not in dynamic and "optional-dependencies" not in dynamic:
        extras = table(project, "optional-dependencies").values()
        lines = [
            *strings(project.get("dependencies")),
            *(t for one in extras for t in strings(one)),
        ]
        parts.append((lines, metadata.get("requires-dist")))
    recorded = table(metadata, "requires-dev")
    for group, lines in _groups(pyproject).items():
        parts.append((lines, recorded.get(group)))
    return next((found for one in parts if (found := _difference(*one, sources))), "")


def stale_script(metadata: dict[str, Any], lock: dict[str, Any]) -> str:
    """The same for the metadata of a script and the lock beside it."""
    sources = {canonical(key) for key in table(metadata, "tool", "uv", "sources")}
    recorded = table(lock, "manifest").get("requirements")
    return _difference(strings(metadata.get("dependencies")), recorded, sources)


def member_name(pyproject: dict[str, Any]) -> str:
    """The name by which uv knows the project."""
    return str(table(pyproject, "project").get("name") or "")


def local_packages(lock: dict[str, Any]) -> dict[str, str]:
    """Name -> folder, relative to the lock, of each package that lies in the source."""
    found = {}
    for package in _packages(lock):
        source = table(package, "source")
        for key in _LOCAL:
            if isinstance(source.get(key), str):
                found[canonical(str(package.get("name")))] = posixpath.normpath(source[key])
    return found


def needed_folders(lock: dict[str, Any], name: str) -> tuple[str, ...]:
    """The folders of the source that installing the package `name` builds, its own among them."""
    local = local_packages(lock)
    needs = {canonical(str(one.get("name"))): _needs(one) for one in _packages(lock)}
    seen: set[str] = set()
    waiting = [canonical(name)]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += needs.get(current, ())
    return tuple(sorted(local[one] for one in seen if one in local))


def _needs(package: Mapping[str, Any]) -> list[str]:
    lists = [package.get("dependencies"), *table(package, "optional-dependencies").values()]
    lists += table(package, "dev-dependencies").values()
    return [canonical(str(entry.get("name"))) for one in lists for entry in tables(one)]


def _packages(lock: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tables(lock.get("package"))


def _is_own(package: Mapping[str, Any], name: str) -> bool:
    source = table(package, "source")
    return canonical(str(package.get("name"))) == name and any(k in source for k in _LOCAL)


def _groups(pyproject: dict[str, Any]) -> dict[str, list[str]]:
    """Dependency groups that are lists of requirements only: others are uv's to put together."""
    found = {}
    for name, lines in table(pyproject, "dependency-groups").items():
        if isinstance(lines, list) and all(isinstance(line, str) for line in lines):
            found[canonical(name)] = [*lines]
    old = strings(table(pyproject, "tool", "uv").get("dev-dependencies"))
    if old:
        found.pop("dev", None)
    return found


def _difference(lines: Iterable[str], recorded: Any, sources: set[str]) -> str:
    locked: dict[str, set[SpecifierSet]] = {}
    direct = set(sources)
    for entry in tables(recorded):
        name = canonical(str(entry.get("name")))
        locked.setdefault(name, set()).add(_specifiers(str(entry.get("specifier") or "")))
        if {*entry} - {"name", "specifier", "extras", "marker", "index"}:
            direct.add(name)
    wanted: dict[str, set[SpecifierSet]] = {}
    for text in lines:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return ""  # uv says what is wrong with it
        name = canonical(requirement.name)
        wanted.setdefault(name, set()).add(requirement.specifier)
        if requirement.url:
            direct.add(name)
    if added := sorted({*wanted} - {*locked}):
        return f"pyproject.toml requires {', '.join(added)}, the lock does not"
    if removed := sorted({*locked} - {*wanted}):
        return f"the lock requires {', '.join(removed)}, pyproject.toml does not"
    for name in sorted({*wanted} - direct):
        if wanted[name] != locked[name]:
            return (
                f"pyproject.toml requires {name}{_said(wanted[name])},"
                f" the lock {name}{_said(locked[name])}"
            )
    return ""


def _said(specifiers: set[SpecifierSet]) -> str:
    return " and ".join(sorted(map(str, specifiers)))


def _specifiers(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return SpecifierSet()
