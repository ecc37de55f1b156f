"""A Poetry project: its dependencies by group, and whether it is a package.

Poetry 2 reads ``[project]`` as well; its own table then adds where things come from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from iac_wrapper.program.locks import markers, poetry_versions
from iac_wrapper.program.locks.graph import Wanted
from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.python_project import strings, table, tables

MAIN = "main"


@dataclass(frozen=True)
class Dependency:
    """One entry of a table: ``name = "^1"`` or ``name = {version = "^1", …}``."""

    name: str
    entry: Mapping[str, Any]

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras of it that are wanted."""
        return strings(self.entry.get("extras"))

    @property
    def optional(self) -> bool:
        """Whether only an extra of the project wants it."""
        return self.entry.get("optional") is True

    @property
    def marker(self) -> str:
        """Where it is wanted."""
        python = self.entry.get("python")
        parts = [
            poetry_versions.python_markers(python) if isinstance(python, str) else "",
            str(self.entry.get("markers") or ""),
            f'sys_platform == "{self.entry["platform"]}"' if "platform" in self.entry else "",
        ]
        return " and ".join(f"({part})" for part in parts if part)

    @property
    def constraint(self) -> str:
        """The versions that it allows, as Poetry writes them."""
        return str(self.entry.get("version") or "*")

    @property
    def path(self) -> str:
        """The file or folder of the source that it is, empty if it is none."""
        return str(self.entry.get("path") or self.entry.get("file") or "")

    def wanted(self, extras: Collection[str]) -> Wanted:
        """It as a root of the lock's graph, for a project with these `extras`."""
        condition = markers.decided(self.marker, extras)
        constraint = self.constraint
        return Wanted(
            canonical(self.name),
            tuple(canonical(extra) for extra in self.extras),
            condition,
            lambda version: poetry_versions.allows(constraint, version),
        )

    def line(self) -> str:
        """It as a line of a requirements file; of several ranges the last, which is the newest."""
        name = canonical(self.name)
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        if url := self._url():
            return f"{name}{extras} @ {url}{marker}"
        return f"{name}{extras}{poetry_versions.ranges(self.constraint)[-1]}{marker}"

    def _url(self) -> str:
        if git := self.entry.get("git"):
            reference = next(
                (str(self.entry[key]) for key in ("rev", "tag", "branch") if key in self.entry), ""
            )
            return git_url(str(git), reference, str(self.entry.get("subdirectory") or ""))
        return str(self.entry.get("url") or "")


def git_url(address: str, reference: str, subdirectory: str) -> str:
    """A direct reference to a commit, tag or branch of a git repository."""
    address = re.sub(r"^git@([^:/]+):", r"ssh://git@\1/", address).removeprefix("git+")
    at = f"@{reference}" if reference else ""
    return f"git+{address}{at}{f'#subdirectory={subdirectory}' if subdirectory else ''}"


def groups(pyproject: dict[str, Any]) -> dict[str, list[Dependency]]:
    """The dependencies of each group, ``main`` among them."""
    poetry = table(pyproject, "tool", "poetry")
    project = table(pyproject, "project")
    found = {MAIN: [*_texts(project.get("dependencies"))]}
    stated = {dependency.name for dependency in found[MAIN]}
    main = [d for d in _entries(table(poetry, "dependencies")) if d.name not in stated]
    found[MAIN] += main
    for extra in table(project, "optional-dependencies").values():
        found[MAIN] += [Dependency(d.name, {**d.entry, "optional": True}) for d in _texts(extra)]
    for name, group in table(poetry, "group").items():
        found[name] = [*_entries(table(group, "dependencies"))]
    if "dev-dependencies" in poetry:
        found.setdefault("dev", []).extend(_entries(table(poetry, "dev-dependencies")))
    return found


def in_extras(pyproject: dict[str, Any], extras: Collection[str]) -> frozenset[str]:
    """The names of the optional dependencies that `extras` ask for."""
    stated = {
        **table(pyproject, "tool", "poetry", "extras"),
        **table(pyproject, "project", "optional-dependencies"),
    }
    wanted = {canonical(extra) for extra in extras}
    names = [text for key in stated if canonical(key) in wanted for text in strings(stated[key])]
    return frozenset(canonical(re.split(r"[^\w.-]", text)[0]) for text in names)


def indexes(pyproject: dict[str, Any]) -> tuple[str, ...]:
    """The addresses of ``[[tool.poetry.source]]``."""
    found = tables(table(pyproject, "tool", "poetry").get("source"))
    return tuple(str(one["url"]) for one in found if "url" in one)


def is_package(root: Path, pyproject: dict[str, Any]) -> bool:
    """Whether there is anything to build: Poetry refuses a project whose package it cannot find."""
    poetry = table(pyproject, "tool", "poetry")
    if poetry.get("package-mode") is False or "build-system" not in pyproject:
        return False
    if packages := tables(poetry.get("packages")):
        return all(_is_there(root, package) for package in packages)
    if poetry.get("include"):
        return True
    name = table(pyproject, "project").get("name") or poetry.get("name")
    stem = re.sub(r"[-.]+", "_", str(name or ""))
    folders = (root, root / "src")
    return bool(stem) and any((f / stem).is_dir() or (f / f"{stem}.py").is_file() for f in folders)


def _is_there(root: Path, package: dict[str, Any]) -> bool:
    """Whether what the project is to include is in the checkout."""
    pattern = "/".join(str(package[key]) for key in ("from", "include") if package.get(key))
    try:
        return any(True for _ in root.glob(pattern))
    except (ValueError, NotImplementedError):  # no pattern, or one that starts at the root of disks
        return False


def _entries(entries: Mapping[str, Any]) -> Iterator[Dependency]:
    for name, value in entries.items():
        if canonical(name) == "python":
            continue
        for one in value if isinstance(value, list) else [value]:
            entry = one if isinstance(one, dict) else {"version": str(one)}
            yield Dependency(canonical(name), entry)


def _texts(value: Any) -> Iterator[Dependency]:
    """Requirements of PEP 508 as entries."""
    for text in strings(value):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        entry: dict[str, Any] = {"extras": sorted(requirement.extras)}
        entry |= {"version": str(requirement.specifier)} if requirement.specifier else {}
        entry |= {"url": requirement.url} if requirement.url else {}
        entry |= {"markers": str(requirement.marker)} if requirement.marker else {}
        yield Dependency(canonical(requirement.name), entry)
