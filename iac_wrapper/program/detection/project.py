"""A checkout as detection sees it: its folder, what it asks for, and which modules are its own."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from iac_wrapper.model.options import Run
from iac_wrapper.program.detection import markers, python_source
from iac_wrapper.program.detection.dash_layouts import LAYOUT, laid_out_by
from iac_wrapper.program.detection.folders import Folder, find_folders
from iac_wrapper.program.detection.followed import Follower
from iac_wrapper.program.detection.origins import imported_modules
from iac_wrapper.program.detection.own_files import Fault, OwnFiles, ParsedFile
from iac_wrapper.program.detection.python_files import python_files
from iac_wrapper.program.detection.python_source import PythonSource
from iac_wrapper.program.detection.requirements_below import requirements_below
from iac_wrapper.program.detection.web_objects import DASH_SERVER, IMPORTERS, Kind, WebApp
from iac_wrapper.program.python_project import (
    declared_packages,
    read_pyproject,
    table,
)
from iac_wrapper.program.space import space

MANAGE = markers.MANAGE
"""Django's command: its folder is where a project's imports start."""

_DASH = re.compile(rb"\bDash\b")

_KEPT_BYTES = 100_000
"""Larger files are read anew for each question."""


@dataclass(frozen=True)
class Project:
    """The checkout `root`; only read.

    `name` is what its slug calls it; `above` is the folder that says what it needs, None: its own.
    """

    root: Path
    name: str = ""
    above: Path | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        """What the project is called, in lower case with underscores."""
        pyproject = read_pyproject(self.root)
        tables = table(pyproject, "project"), table(pyproject, "tool", "poetry")
        given = (self.name, *(str(each.get("name", "")) for each in tables))
        return frozenset(re.sub(r"[-. ]", "_", name.lower()) for name in given if name)

    @cached_property
    def folders(self) -> tuple[Folder, ...]:
        """Folders in it that are projects of their own."""
        return find_folders(self.root)

    @cached_property
    def is_python(self) -> bool:
        """Whether any program in it is likely to be what it is for: it says what it needs of
        Python, or neither it nor a folder in it is a project of another kind."""
        if self.above or markers.python_marker(self.root):
            return True
        return not (self.folders or markers.language_marker(self.root))

    @cached_property
    def declared(self) -> frozenset[str]:
        """Canonical names of the packages that it asks for."""
        root = self.above or self.root
        below = requirements_below(root)
        sdk = {its.sdk} if (its := space(root)) else set[str]()
        return declared_packages(root, below if len(below) == 1 else ()) | sdk

    @cached_property
    def installed(self) -> frozenset[str]:
        """How the packages among those begin: ``telegram`` of python-telegram-bot."""
        return frozenset(name.removeprefix("python-").split("-")[0] for name in self.declared)

    def files_with(
        self, words: re.Pattern[bytes], names: re.Pattern[bytes] | None = None
    ) -> list[str]:
        """Python files that may be programs, and have one of `words` in the text or the path, or
        one of `names` in the path: parsing costs far more."""
        asked = (words, names or words)
        if asked not in self._found:
            self._found[asked] = [
                relative
                for relative in self._files
                if any(one.search(relative.encode()) for one in asked)
                or words.search(self._text(relative))
            ]
        return self._found[asked]

    @cached_property
    def _found(self) -> dict[tuple[re.Pattern[bytes], ...], list[str]]:
        return {}

    @cached_property
    def _files(self) -> list[str]:
        own = [folder.path for folder in self.folders if folder.is_python]
        return python_files(self.root, without=own)

    def _text(self, relative: str) -> bytes:
        """What a file holds; read once, unless it is large."""
        text = self._texts.get(relative)
        if text is None:
            text = (self.root / relative).read_bytes()
            if len(text) <= _KEPT_BYTES:
                self._texts[relative] = text
        return text

    @cached_property
    def _texts(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def own(self) -> OwnFiles:
        """What its files hold, and which of them a name is from."""
        return OwnFiles(self.root)

    @cached_property
    def reached(self) -> dict[tuple[str, str, str | None], Run | None]:
        """What `reach` has found out of its programs, by kind, target and function."""
        return {}

    @cached_property
    def imported(self) -> dict[str, frozenset[str]]:
        """What `imports` has found out: the files that a file imports."""
        return {}

    @cached_property
    def bare(self) -> dict[tuple[str, str], bool]:
        """Likewise, by folder and file: whether the file finds others only from that folder."""
        return {}

    def source(self, relative: str) -> PythonSource | None:
        """What the Python file `relative` does, None without the file."""
        if relative not in self._sources:
            self._sources[relative] = self._source(relative)
        return self._sources[relative]

    @cached_property
    def _sources(self) -> dict[str, PythonSource | None]:
        return {}

    def _source(self, relative: str) -> PythonSource | None:
        file = self.own.read(relative)
        if file is None:
            return None
        found = python_source.read_source(file)
        if self.own.is_hidden(relative) or _is_for_uwsgi(file):  # no server of ours can import it
            return replace(found, web_apps=())
        if any(app.kind != "unknown" for app in found.web_apps) or not found.may_follow:
            apps = (self._follower.outermost(relative, app) for app in found.web_apps)
            return replace(found, web_apps=() if self.laid_out_by(relative, found) else (*apps,))
        followed = self._follower.web_apps(relative)
        if followed and PurePosixPath(relative).stem not in IMPORTERS:
            followed = tuple(app for app in followed if app.imported is None)
        return replace(found, web_apps=followed) if followed else found

    def is_for_uwsgi(self, relative: str) -> bool:
        """Whether nothing but uWSGI can run the file."""
        file = self.own.read(relative)
        return file is not None and _is_for_uwsgi(file)

    def laid_out_by(self, relative: str, source: PythonSource) -> str:
        """The file without which the Dash application of `relative` is an empty page; empty: it is
        none, or needs no other."""
        if DASH_SERVER not in source.objects:
            return ""
        return laid_out_by(self.own, relative, self.files_with(LAYOUT))

    @cached_property
    def layouts(self) -> dict[str, str]:
        """Such files, each with the one of the application that it gives a layout."""
        found: dict[str, str] = {}
        for relative in self.files_with(_DASH):
            source = self.source(relative)
            if source and (other := self.laid_out_by(relative, source)):
                found[other] = relative
        return found

    def made(self, relative: str, name: str) -> Kind | None:
        """What calling the function `name` of a Python file certainly gives."""
        return self._follower.made(relative, name)

    def web_object(self, relative: str, name: str) -> WebApp | None:
        """The web application that `name` of a Python file certainly is, wherever it is made."""
        kind = self._follower.kind(relative, name)
        return WebApp(kind, name) if kind else None

    @cached_property
    def _follower(self) -> Follower:
        return Follower(self.own)


def _is_for_uwsgi(file: ParsedFile | Fault) -> bool:
    """Whether it imports what only uWSGI gives to the programs that it embeds."""
    statements = [] if isinstance(file, Fault) else file.tree.body
    plain = (node for node in statements if isinstance(node, ast.Import | ast.ImportFrom))
    return bool(
        {"uwsgi", "uwsgidecorators"} & {n.partition(".")[0] for n in imported_modules(plain)}
    )
