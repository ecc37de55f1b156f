"""The errors of detection: what was looked for, what was nearly right, what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.build_folder import build_folder
from iac_wrapper.program.detection.candidate import MISSING, Candidate
from iac_wrapper.program.detection.factories import Factory, factory_with_arguments
from iac_wrapper.program.detection.folders import Folder, below
from iac_wrapper.program.detection.markers import DOCKERFILE, language_marker, requirements
from iac_wrapper.program.detection.old_syntax import is_old
from iac_wrapper.program.detection.other_kinds import (
    BY_DOCKERFILE,
    in_language,
    other_kind,
    own_dockerfile,
)
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_files import may_hold_programs
from iac_wrapper.program.detection.web_objects import DASH_SERVER
from iac_wrapper.program.python_project import inside

_WELL_KNOWN = ("__main__.py", "main.py", "app.py", "pyproject.toml", "Procfile")
_TO_WRITE = "entrypoint: package.module:function"
_MAX_NAMES = 12

PROCFILE, APP, BINARY = "Procfile", "app.py", "/app/main"
"""Places in the order of what was looked for."""


def for_python_2(relative: str, where: str, found: str) -> EntrypointError:
    """The file `relative`, without which nothing runs, has a line that only Python 2 can read."""
    return EntrypointError(
        f"{relative} is written for Python 2",
        where=where,
        found=found,
        expected="code for Python 3: there is no image with Python 2",
        next_step="port the repository to Python 3 (correct that line, if it is the only one);"
        " or write a Dockerfile that has Python 2, and `build: dockerfile` in its entry of"
        " repos.yaml",
    )


def of_a_template(root: Path, where: str) -> EntrypointError | None:
    """A checkout out of which a tool is to make a project: its own files have gaps."""
    folders = [path.name for path in root.glob("{{*") if path.is_dir()]
    tools = ("cookiecutter.json", "copier.yml", "copier.yaml")
    file = next((name for name in tools if inside(root, name)), "")
    if not (file and folders):
        return None
    is_copier = file.startswith("copier")
    command = "copier copy URL FOLDER" if is_copier else "cookiecutter URL"
    return EntrypointError(
        "the repository is a template for projects, and none itself",
        where=where or None,
        found=f"{file} and the folder {folders[0]}",
        expected="a project that was made of it",
        next_step=f"run `{command}`, and deploy the folder that it writes",
    )


def does_not_parse(candidate: Candidate) -> EntrypointError:
    """The best candidate is a file with a syntax error."""
    if is_old(candidate.note):
        return for_python_2(candidate.name, str(candidate.fault), candidate.note)
    return EntrypointError(
        f"{candidate.name} cannot be read as Python",
        where=candidate.fault,
        found=candidate.note,
        expected="a file that Python can compile",
        next_step="correct that line; or, if it needs a newer Python than this command runs on, "
        f"write `entrypoint: {candidate.name}` in its entry of repos.yaml",
    )


def several(
    where: str, slug: str, candidates: list[Candidate], others: Sequence[str] = ()
) -> EntrypointError:
    """More than one candidate of equal right: which one is meant is not ours to guess.

    Args:
        where: ``file:line`` of the app in repos.yaml.
        slug: what repos.yaml calls the repository.
        candidates: those of equal right.
        others: files by which other platforms know what to start.
    """
    lines = [f"entrypoint: {c.write}    # {c.note}" for c in candidates]
    entry = [f"- slug: {slug}", *("  " + "# " * (at > 0) + line for at, line in enumerate(lines))]
    entry += (f"or the command that {file} starts: it is not read" for file in others)
    return EntrypointError(
        "several programs could be meant, and nothing in the repository says which",
        where=where or None,
        found=_listing([c.write for c in candidates]),
        expected="one program, or a Procfile with a `web:` line",
        next_step="write one of these lines to its entry in repos.yaml",
        detail="\n".join(entry),
    )


def no_such_module(label: str, value: str, file: str, lacking: str = "") -> EntrypointError:
    """The script that the author names is in no file: another program is not what was meant.
    `lacking` is the file of its module that has no such function."""
    what = (
        f"a function that {lacking} has not" if lacking else "a module that is not in the checkout"
    )
    return EntrypointError(
        f"{label} names {what}",
        where=file,
        found=value,
        expected="a function of the repository" if lacking else "a module of the repository",
        next_step="correct that line in the repository, or write `entrypoint:` in its entry",
    )


def not_python(command: str, where: str, instead: str) -> EntrypointError:
    """The command starts a program that comes with another language."""
    return EntrypointError(
        "the program of that command is not in an image for Python",
        where=where,
        found=command,
        expected="a program of the checkout, or of packages that its requirements name",
        next_step=instead,
    )


def several_folders(
    project: Project, where: str, slug: str, programs: Mapping[Folder, Entrypoint]
) -> EntrypointError:
    """More than one folder is a project of its own, and the root is none that can be run."""
    folders = project.folders
    lines = [_folder_line(project, slug, folder, programs.get(folder)) for folder in folders]
    if marker := language_marker(project.root):
        lines.insert(0, f"the root: {in_language(project.root, marker)}")
    elif own_dockerfile(project.root) == BY_DOCKERFILE:
        lines.insert(0, f"- slug: {slug}    # the whole repository: add {BY_DOCKERFILE}")
    named = [f"{folder.path} ({folder.marker})" for folder in folders]
    return EntrypointError(
        "several projects lie in folders of this repository, and none that runs at its root",
        where=where or None,
        found=_listing([*([f"the root ({marker})"] if marker else []), *named]),
        expected="an entry for each folder that is to run",
        next_step="write to repos.yaml those of these entries that are to run",
        detail="\n".join(lines),
    )


def _folder_line(project: Project, slug: str, folder: Folder, program: Entrypoint | None) -> str:
    line = f"- slug: {below(slug, folder.path)}    # {folder.marker}"
    if folder.is_python:
        inner = f"{folder.path}/" if program and program.kind == "script" else ""
        return f"{line}: runs {inner}{program.display}" if program else line
    if build_folder(project.root, folder.path) == "":
        own = f"{folder.path}/{DOCKERFILE}"
        return (
            f"- slug: {slug}    # {folder.marker}: add `build: {own}`, which copies from the root"
        )
    build = own_dockerfile(project.root / folder.path)
    return (
        f"{line}: add {build}" if build else f"{line}: needs a Dockerfile and `build: dockerfile`"
    )


def several_processes(where: str, names: Sequence[str]) -> EntrypointError:
    """The Procfile has processes, and none by the name of the one that a service is."""
    return EntrypointError(
        f"the {PROCFILE} has several processes, and neither a `web:` nor a `worker:` among them",
        where=where or None,
        found=", ".join(names),
        expected="one that is the service; the others run as `processes:` of its entry",
        next_step=f"copy the command of one of them to `entrypoint:` in its entry, or rename it"
        f" to `web:` or `worker:` in the {PROCFILE}",
    )


def nothing_to_run(project: Project, where: str, candidates: list[Candidate]) -> EntrypointError:
    """No candidate fits."""
    root = project.root
    names = sorted(path.name for path in root.iterdir() if path.name != ".git")
    procfile = "no process but `release:`" if (root / PROCFILE).is_file() else MISSING
    lines = [
        "an override (entrypoint:, ENTRYPOINT, LABEL ENTRYPOINT in the Dockerfile): none",
        f"{PROCFILE}: {procfile}",
        *(f"{c.name}: {c.note}" for c in candidates),
    ]
    _insert(lines, APP, "a web application for which the requirements name a server: none")
    _insert(lines, APP, "a file that a framework's tool runs, such as `streamlit run`: none")
    _insert(lines, BINARY, "any other web application: none")
    _insert(lines, BINARY, "a file of Celery, Locust or Scrapy: none")
    _insert(lines, BINARY, "any other Python file with a `__main__` guard or a `main()`: none")
    detail = "looked for, in this order:\n" + "\n".join(lines)
    if factory := factory_with_arguments(project):
        return _needs_arguments(factory, where, detail)
    return EntrypointError(
        "nothing to run in the checkout",
        where=where or None,
        found=_listing(names),
        expected="one of the files below, or an entrypoint: of your own",
        next_step=_layout(project)
        or _packages(root, names)
        or other_kind(root)
        or _unread(candidates)
        or _hint(root, names),
        detail=detail,
    )


def _needs_arguments(factory: Factory, where: str, detail: str) -> EntrypointError:
    """All that could be served is made by a function, and nothing says what to give to it."""
    first, *_ = factory.required
    known = f", of which {first} is one of {', '.join(factory.values)}" if factory.values else ""
    return EntrypointError(
        "the function that makes the application cannot be called without arguments",
        where=where or None,
        found=f"{factory.written} in {factory.relative}",
        expected=f"what to give to it: {', '.join(factory.required)}{known}",
        next_step=factory.advice,
        detail=detail,
    )


def _layout(project: Project) -> str:
    """A Dash application that no server reaches together with its layout."""
    for other, relative in project.layouts.items():
        return (
            f"add `from {module_name(relative)} import {DASH_SERVER}` to {other}, which gives"
            f" the application of {relative} its layout, and write `entrypoint:"
            f" {module_name(other)}:{DASH_SERVER}` in its entry"
        )
    return ""


def _packages(root: Path, names: list[str]) -> str:
    """The folders that say what they need, and are packages, where the root says nothing."""
    if requirements(root):
        return ""
    folders = (name for name in names if inside(root, f"{name}/__init__.py"))
    found = [
        f"…#:{name}" for name in folders if may_hold_programs(name) and requirements(root / name)
    ]
    if not found:
        return ""
    return f"add the folder of the program to the slug, by what it requires: {_listing(found)}"


def _unread(candidates: Sequence[Candidate]) -> str:
    for candidate in candidates:
        if candidate.fault:
            return (
                f"if the program is in {candidate.name}, and needs a newer Python than this command"
                " runs on, name it by `entrypoint:` in its entry of repos.yaml"
            )
    return ""


def _insert(lines: list[str], place: str, line: str) -> None:
    """Put what is no file of its own before the line of `place`, where its turn is."""
    at = (i for i, known in enumerate(lines) if known.startswith(f"{place}: "))
    lines.insert(next(at, len(lines)), line)


def _listing(names: list[str]) -> str:
    if not names:
        return "an empty directory"
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _hint(root: Path, names: list[str]) -> str:
    programs = [name for name in names if name.endswith(".py") and name.isprintable()]
    to_write = f"entrypoint: {programs[0]}" if len(programs) == 1 else _TO_WRITE
    write = f"write `{to_write}` in its entry of repos.yaml"
    for name in names:
        near = get_close_matches(name.lower(), _WELL_KNOWN, n=1, cutoff=0.8)
        if near and name not in _WELL_KNOWN:
            return f"rename {name} to {near[0]} if that is what it is meant to be; or {write}"
    for name in names:
        if any((root / name / file).is_file() for file in ("manage.py", "main.py", "Procfile")):
            return f"add the folder to the slug, …#:{name}, if the program lies there; or {write}"
    return write
