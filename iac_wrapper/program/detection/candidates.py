"""The places where a repository keeps its program, in the order they are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from iac_wrapper.model.entrypoint import Entrypoint, first_script
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.candidate import MISSING, Candidate, absent, judge, serve
from iac_wrapper.program.detection.commands import in_script
from iac_wrapper.program.detection.dockerfile_text import started
from iac_wrapper.program.detection.imports import module_of, uses_bare_names
from iac_wrapper.program.detection.markers import DOCKERFILE
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_files import is_aside, may_hold_programs
from iac_wrapper.program.detection.ranking import STEMS, is_named, ordered
from iac_wrapper.program.detection.refusals import no_such_module
from iac_wrapper.program.detection.scripts import scripts
from iac_wrapper.program.detection.served_objects import (
    GUARD,
    can_be_supplied,
    served_objects,
)
from iac_wrapper.program.detection.web_objects import NAMES, WORDS
from iac_wrapper.program.python_project import inside, read_text

BINARY = "main"
"""The program of a repository that is not Python, at its root; /app/main in the image."""

_PROGRAM_WORDS = re.compile(rb"main|" + WORDS.pattern)
_PROGRAM_NAMES = re.compile(
    rb"^(src/)?[^/]+\.py$|(^|/)(.*_)?(" + "|".join(STEMS).encode() + rb")\.py$|" + NAMES.pattern
)
"""One of these is in the path, or of the words in the text, of every file that the search sees."""

_MAX_FAULTS = 5
"""How many files that do not parse, those nearest to the root, are told of."""

Rank = list[Candidate]
"""Candidates of equal right: more than one that could run is a question to the user."""


def ranked(project: Project) -> Iterator[Rank]:
    """Python candidates at the places people agree on, best first, missing ones included."""
    yield [judge(project, "__main__.py", module=None)]
    yield [judge(project, "main.py", module=None)]
    yield from ([script] for script in _scripts(project))
    yield from _packages(project, "")


def served(project: Project) -> Iterator[Rank]:
    """Web applications for which the requirements name a server."""
    for _, group in groupby(served_objects(project), key=lambda one: one[0]):
        yield [candidate for _, candidate in group]


def later(project: Project) -> Iterator[Rank]:
    """Places that come after a web application with a server, missing ones included."""
    yield [judge(project, "app.py", module=None)]
    yield from _packages(project, "src")


def scan(project: Project) -> Iterator[Rank]:
    """Every other Python file that could be run, see `ranking`."""
    files = project.files_with(_PROGRAM_WORDS, _PROGRAM_NAMES)
    found = [_scanned(project, relative) for relative in files]
    faults = [candidate for candidate in found if candidate.fault]
    named = [each for each in faults if is_named(project, each.name)]
    able = [candidate for candidate in found if candidate.entrypoint]
    if not can_be_supplied(project):
        able = [c for c in able if c.entrypoint and not c.entrypoint.supplied]
    yield from ordered(project, [*named, *able])
    others = [replace(each, fault=None) for each in faults if each not in named]
    yield others[:_MAX_FAULTS]


def beside(project: Project) -> Iterator[Candidate]:
    """Files at the root with a guard: named as losers where no search was made."""
    for relative in project.files_with(GUARD):
        if "/" not in relative:
            yield _scanned(project, relative)


def binary(project: Project) -> Candidate:
    """The executable `main` at the root, for programs that are not Python."""
    path = inside(project.root, BINARY)
    if path is None:
        return absent("/app/main")
    if not path.stat().st_mode & 0o111:
        return Candidate(
            "/app/main", note="main is not executable: git update-index --chmod=+x main"
        )
    with path.open("rb") as file:
        head = file.read(4)
    if head != b"\x7fELF" and not head.startswith(b"#!"):
        return Candidate("/app/main", note="main is neither an ELF program nor a script with #!")
    reason = "main at the root is an executable file"
    return Candidate("/app/main", Entrypoint("binary", "/app/main", None, reason), reason)


def _scripts(project: Project) -> Iterator[Candidate]:
    """The first [project.scripts] entry, or that of an older table; the others are its losers."""
    where, file, found = scripts(project.root)
    if not found:
        yield absent(where, f"no such table in {file}" if file else MISSING)
    chosen = _started(project, found) or next(iter(found), "")
    is_first = chosen == next(iter(found), "")
    left = "not the first script" if is_first else f"the Dockerfile starts {chosen}"
    for name, value in sorted(found.items(), key=lambda each: each[0] != chosen):
        label = f"{where} {name}"
        module, colon, function = (part.strip() for part in value.split("[")[0].partition(":"))
        if not (colon and module and function):
            yield Candidate(label, note=f"{value!r} is not of the form module:function")
        elif name != chosen:
            yield Candidate(label, note=left)
        elif _is_nowhere(project, module):
            error = no_such_module(label, value, file)
            yield Candidate(
                label, note=f"names {module}, which is not in the checkout", error=error
            )
        elif lacking := _lacks(project, module, function):
            error = no_such_module(label, value, file, lacking)
            yield Candidate(label, note=f"names {function}, which {lacking} has not", error=error)
        else:
            yield _script(project, label, file, module, function)


def _started(project: Project, found: Mapping[str, str]) -> str:
    """The script that the image of the author starts, empty if it starts none of them."""
    line, _ = started(read_text(project.root, DOCKERFILE) or "")
    names = (name.rpartition("/")[2] for name, _ in in_script(line))
    return next((name for name in names if name in found), "")


def _script(project: Project, label: str, file: str, module: str, function: str) -> Candidate:
    """What a script calls; a web application, which is not called so, is served."""
    relative = file_of(project, module)
    if relative and (app := project.web_object(relative, function)):
        reason = f"{label} names {relative}, which"
        return replace(serve(project, app, module, relative, reason), name=label)
    table, name = label.split(" ", 1)
    names = [*scripts(project.root)[2]]
    is_first = name == names[0]
    reason = first_script(table, name, file) if is_first else f"{label}: the Dockerfile starts it"
    run = run_of(project, module, function)
    return Candidate(label, Entrypoint("module", module, function, reason, run=run), reason)


def is_helper_script(candidate: Candidate) -> bool:
    """Whether it is a command of the project with a name that says "beside the service"."""
    table, _, name = candidate.name.rpartition(" ")
    return bool(table) and is_aside(name.replace("-", "_"))


def _is_nowhere(project: Project, module: str) -> bool:
    """Whether no file could be meant: neither of the checkout nor of what it requires."""
    top = module.partition(".")[0]
    if not top.isidentifier():
        return True
    if project.declared & {top.lower(), top.lower().replace("_", "-")}:
        return False
    ways = (f"{folders}{top}{end}" for folders in ("", "*/", "*/*/") for end in ("", ".*"))
    return not any(True for way in ways for _ in project.root.glob(way))


def _lacks(project: Project, module: str, function: str) -> str:
    """The file of the module, if nothing in it can be the function; empty: it may be there."""
    relative = file_of(project, module)
    source = project.source(relative) if relative else None
    if source is None or source.fault or source.open_ended:
        return ""
    return "" if function.partition(".")[0] in source.names else relative


def run_of(project: Project, module: str, function: str) -> Run | None:
    """What calling `function` of a module of the checkout is."""
    relative = file_of(project, module)
    source = project.source(relative) if relative else None
    return source.functions.get(function) if source else None


def file_of(project: Project, module: str) -> str:
    """The file of a module of the checkout; empty: it is none."""
    relative, rest = project.own.module_file(module.split("."), "")
    return "" if rest else relative


def _packages(project: Project, parent: str) -> Iterator[Rank]:
    """``{package}/__main__.py`` below `parent`; the package named like the project first."""
    prefix = f"{parent}/" if parent else ""
    names = sorted(path.parent.name for path in (project.root / parent).glob("*/__main__.py"))
    own = {"src", *(f.path.removeprefix(prefix) for f in project.folders if f.is_python)}
    programs = [name for name in names if may_hold_programs(name) and name not in own]
    named = [name for name in programs if name.lower() in project.names]
    for group in (named, [name for name in programs if name not in named]):
        judged = [_package(project, prefix, name) for name in group]
        if judged:
            yield judged
    if not programs:
        yield [absent(f"{prefix}{{package}}/__main__.py")]


def _package(project: Project, prefix: str, name: str) -> Candidate:
    relative = f"{prefix}{name}/__main__.py"
    is_script = uses_bare_names(project, relative) and not module_of(project, relative)
    return judge(project, relative, module=None if is_script else name)


def _scanned(project: Project, relative: str) -> Candidate:
    return judge(project, relative, module=module_of(project, relative))
