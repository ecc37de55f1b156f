"""What the imports of a file tell: which files it uses, and whether it is a module or a script.

A script finds the files of its own folder by their bare names, a module those of its package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from iac_wrapper.program.detection import libraries
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import Project

_MAX_FILES = 50
"""How many files are followed, about a millisecond each."""


def imported_files(project: Project, relative: str) -> frozenset[str]:
    """The files of the checkout that the file `relative` imports."""
    if relative not in project.imported:
        project.imported[relative] = _imported_files(project, relative)
    return project.imported[relative]


def all_imported_files(project: Project, relative: str) -> frozenset[str]:
    """The same, with the files that those import."""
    waiting, seen = [relative], {relative}
    while waiting and len(seen) < _MAX_FILES:
        new = imported_files(project, waiting.pop()) - seen
        seen |= new
        waiting += sorted(new)
    return frozenset(seen)


def _imports(project: Project, relative: str) -> frozenset[str]:
    parsed = project.own.parsed(relative)
    return parsed.imports if parsed else frozenset()


def _imported_files(project: Project, relative: str) -> frozenset[str]:
    found = {project.own.located(name, relative)[0] for name in _imports(project, relative)}
    return frozenset(file for file in found if file and project.own.path(file)) - {relative}


def are_alone(project: Project, relative: str) -> bool:
    """Whether neither the file nor one that it imports uses anything that accepts connections."""
    waiting, seen = [relative], {relative}
    while waiting:
        file = waiting.pop()
        parsed = project.own.parsed(file)
        if parsed is None or len(seen) > _MAX_FILES:
            return False
        for name in parsed.imports:
            own = project.own.located(name, file)[0]
            if not own and name.partition(".")[0] not in libraries.ALONE:
                return False
            if own and own not in seen:
                seen.add(own)
                waiting.append(own)
    return True


def module_of(project: Project, relative: str) -> str | None:
    """The dotted name to run a file by, None if it is run by its path.

    Its imports decide: relative ones, or those of its own package, need the name; bare names of
    the files beside it need the path. If they tell nothing, the file of a package is a module.
    """
    path = PurePosixPath(relative)
    if not path.parent.name:
        return None
    imports = _imports(project, relative)
    is_packaged = project.own.path(f"{path.parent}/__init__.py") is not None
    is_relative = any(name.startswith(".") for name in imports)
    if uses_bare_names(project, relative):
        is_module = is_packaged and is_relative
    else:
        is_module = is_relative or _in_package(path, imports, is_packaged)
    if not is_module:
        return None
    has_name = path.parts[0] == "src" and project.own.path("src/__init__.py")
    return ".".join(path.with_suffix("").parts) if has_name else _dotted(relative)


def import_name(project: Project, relative: str) -> str:
    """The dotted name to import a file by: ``src`` is a part of it only where that is a package,
    and the file's own imports start there."""
    name = module_name(relative)
    is_in_src = relative.startswith("src/") and project.own.path("src/__init__.py")
    names = _imports(project, relative) if is_in_src else ()
    return f"src.{name}" if any(one.partition(".")[0] in ("", "src") for one in names) else name


def _in_package(path: PurePosixPath, imports: frozenset[str], is_packaged: bool) -> bool:
    """``src`` is where imports start, and no package."""
    folders = path.parts[path.parts[0] == "src" : -1]
    if not folders:
        return False
    return is_packaged or any(name.partition(".")[0] == folders[0] for name in imports)


def _dotted(relative: str) -> str:
    name = module_name(relative)
    return f"{name}.__init__" if relative.endswith("/__init__.py") else name


def uses_bare_names(project: Project, relative: str) -> bool:
    """Whether it imports a file beside it by a name that only its folder makes known, itself or in
    a file that it imports."""
    folder = str(PurePosixPath(relative).parent)
    waiting, seen = [relative], {relative}
    while waiting and len(seen) < _MAX_FILES:
        file = waiting.pop()
        if _has_bare_names(project, folder, file):
            return True
        new = imported_files(project, file) - seen
        seen |= new
        waiting += sorted(name for name in new if name.startswith(f"{folder}/"))
    return False


def _has_bare_names(project: Project, folder: str, file: str) -> bool:
    key = folder, file
    if key not in project.bare:
        project.bare[key] = any(_bare_names(project, folder, file))
    return project.bare[key]


def _bare_names(project: Project, folder: str, file: str) -> Iterator[str]:
    """Imports of `file` that are found in `folder`, and not from the root."""
    for name in _imports(project, file):
        parts = name.split(".")
        if not parts[0] or parts[0] in sys.stdlib_module_names or _is_installed(project, parts[0]):
            continue
        if project.own.module_file(parts, folder)[0] and not project.own.module_file(parts, "")[0]:
            yield name


def _is_installed(project: Project, top: str) -> bool:
    """``telegram`` of python-telegram-bot: a file of that name beside it is not what is meant."""
    return top.lower() in project.installed
