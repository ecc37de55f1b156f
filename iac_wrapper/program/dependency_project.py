"""A checkout as its dependencies are looked for: its files, its program, the source around it."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program import toml
from iac_wrapper.program.dependency_plan import Beside
from iac_wrapper.program.detection.project import Project as Code
from iac_wrapper.program.imported_packages import imported_packages
from iac_wrapper.program.locks import poetry_project
from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.locks.selection import Selection, select
from iac_wrapper.program.optional_dependencies import (
    LOCKS,
    Needed,
    also_installed,
    needed,
    optionals,
    package_names,
)
from iac_wrapper.program.python_project import PYPROJECT, read_text, strings, table, toml_or_empty
from iac_wrapper.program.setup_metadata import SetupMetadata, setup_metadata


@dataclass(frozen=True)
class Project:
    """`root` is the folder that is deployed, `source` the whole source that it lies in.

    `is_asked`: a person has said what is to be installed, so that imports choose nothing. `code` is
    what was read of its files already.
    """

    root: Path
    pyproject: dict[str, Any]
    entrypoint: Entrypoint
    source: Path
    is_asked: bool = False
    code: Code | None = None

    @property
    def folder(self) -> str:
        """Where it lies in the source, ``.`` if it is all of it."""
        return self.root.resolve().relative_to(self.source.resolve()).as_posix()

    def toml(self, name: str) -> dict[str, Any]:
        """A file of the checkout as a dictionary, empty without the file."""
        return parsed(read_text(self.root, name) or "", name)

    def extras(self) -> dict[str, tuple[str, ...]]:
        """The optional dependencies, by extra."""
        stated = {
            **table(self.pyproject, "tool", "poetry", "extras"),
            **table(self.pyproject, "project", "optional-dependencies"),
        }
        return {name: strings(lines) for name, lines in stated.items()} or dict(self._setup.extras)

    @property
    def file_of_extras(self) -> str:
        """The file that states them."""
        return self._setup.file or PYPROJECT

    @cached_property
    def _setup(self) -> SetupMetadata:
        """What setup.cfg or setup.py says, where pyproject.toml states no project."""
        is_stated = "project" in self.pyproject or table(self.pyproject, "tool", "poetry")
        return SetupMetadata() if is_stated else setup_metadata(self.root)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The dependency groups of the project, with what each names."""
        found = {k: strings(v) for k, v in table(self.pyproject, "dependency-groups").items()}
        for tool, name in (("pdm", "dev-dependencies"),):
            found |= {k: strings(v) for k, v in table(self.pyproject, "tool", tool, name).items()}
        for name, group in table(self.pyproject, "tool", "poetry", "group").items():
            found[name] = tuple(table(group, "dependencies"))
        if table(self.pyproject, "tool", "poetry", "dev-dependencies"):
            found["dev"] = tuple(table(self.pyproject, "tool", "poetry", "dev-dependencies"))
        return found

    def select(self, asked: Collection[str], where: str) -> Selection:
        """Groups and extras that are installed: what is asked for, what says that it is for
        production, and what has the program that is run.

        Raises:
            SourceError: there is no such group and no such extra.
        """
        found = select(asked, self.groups(), self.extras(), where)
        if asked:
            return found
        extras = () if found.groups else self.with_program()
        chosen = [one.optional for one in self.needed]
        return Selection(
            (*found.groups, *(one.name for one in chosen if one.is_group)),
            (*extras, *(one.name for one in chosen if not one.is_group)),
        )

    @cached_property
    def needed(self) -> list[Needed]:
        """Extras and groups that bring what the program imports and what nothing else does."""
        groups = {**table(self.pyproject, "dependency-groups")}
        groups |= table(self.pyproject, "tool", "poetry", "group")
        stated = {name: lines for name, lines in self.groups().items() if name in groups}
        offered = optionals(self.extras(), stated)
        base = self._base()
        if self.is_asked or base is None or not offered:
            return []
        always = {*select((), self.groups(), (), "").groups, *self.with_program()}
        there = [*base, *(name for one in offered if one.name in always for name in one.packages)]
        there += [name for lock in LOCKS for name in also_installed(self._lock(lock), there)]
        imports = imported_packages((self.code or Code(self.root)).own, self.entrypoint)
        rest = [one for one in offered if one.name not in always]
        return needed(imports, package_names(there), rest)

    def _lock(self, name: str) -> dict[str, Any]:
        return toml_or_empty(read_text(self.root, name))

    def _base(self) -> tuple[str, ...] | None:
        """What is always required; None if that cannot be told."""
        if self._setup.file:
            return self._setup.base
        project = table(self.pyproject, "project")
        is_stated = project or table(self.pyproject, "tool", "poetry")
        if not is_stated or "dependencies" in strings(project.get("dynamic")):
            return None
        main = poetry_project.groups(self.pyproject)[poetry_project.MAIN]
        return tuple(dependency.name for dependency in main if not dependency.optional)

    def beside(self, paths: Iterable[str], project: str) -> Beside | None:
        """What the installation needs from around the folder; None if all lies in it.

        Args:
            paths: files and folders that it needs, relative to the source.
            project: the folder with the lock or the project, relative to the source.

        Raises:
            SourceError: one is not in the source.
        """
        parts = {posixpath.normpath(path) for path in paths}
        for part in sorted(parts):
            path = self.source / part
            if not (path.exists() and path.resolve().is_relative_to(self.source.resolve())):
                raise SourceError(
                    "what is to be installed lies outside of the source",
                    where=self.folder,
                    found=part,
                    expected="a file or folder of the repository",
                    next_step="deploy it as a folder of its repository: gh:owner/repo#ref:folder",
                )
        if all(_is_below(part, self.folder) for part in parts):
            return None
        if "." in parts:
            parts = {path.name for path in self.source.iterdir()}
        whole = sorted({*parts, self.folder})
        kept = [p for p in whole if not any(_is_below(p, o) for o in whole if o != p)]
        return Beside(self.source, self.folder, project, tuple(kept))

    def with_program(self) -> tuple[str, ...]:
        """The first extra that has the program which is run, where nothing else has it."""
        words = program_words(self.entrypoint)
        main = strings(table(self.pyproject, "project").get("dependencies"))
        if words & package_names(main):
            return ()
        extras = self.extras().items()
        return tuple(name for name, lines in extras if words & package_names(lines))[:1]


def parsed(text: str, name: str) -> dict[str, Any]:
    """TOML as a dictionary.

    Raises:
        SourceError: it is not TOML.
    """
    try:
        return toml.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SourceError(
            "not valid TOML",
            where=name,
            found=str(error),
            next_step="correct that line in the repository, or write the lock anew",
        ) from None


def program_words(entrypoint: Entrypoint) -> set[str]:
    """The words of a command that could be names of packages."""
    if entrypoint.kind == "shell":
        words = re.findall(r"[\w.-]+", entrypoint.target)
    elif entrypoint.kind in {"command", "module"}:
        words = [entrypoint.target.partition(".")[0]]
    else:
        words = []
    return {canonical(word) for word in words}


def _is_below(path: str, folder: str) -> bool:
    return folder in {".", path} or path.startswith(f"{folder}/")
