"""What is said of a program's data before it runs: a SQLite file where nothing can be written, and
migrations that nobody runs. Its first page may be good all the same. Read, never run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.crash_paths import APP, mount_for
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import django
from iac_wrapper.program.detection.imports import all_imported_files
from iac_wrapper.program.detection.markers import DOCKERFILE
from iac_wrapper.program.detection.needed_files import started_files
from iac_wrapper.program.detection.procfile import read_procfile
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.python_project import inside, read_text

_FILE = r"(?P<path>[\w.-][\w./-]*\.(?:db3?|sqlite3?))"
_VARIABLE = (
    r"(?:(?:getenv|get|config|env(?:\.\w+)?)\(\s*[\"'](?P<variable>[A-Z][A-Z0-9_]*)[\"']\s*,"
    r"\s*(?:default\s*=\s*)?)?"
)
"""Where the address is only what holds without a variable."""

_ADDRESS = re.compile(rf"{_VARIABLE}[\"'](?P<scheme>sqlite(?:\+\w+)?:///){_FILE}[\"']")
_OPENED = (
    re.compile(rf"(?:\bconnect|Sqlite\w{0,20}Database)\(\s*[\"']{_FILE}[\"']"),
    re.compile(
        r"^[ \t]{0,40}\w{0,40}(?:DB|DATABASE)\w{0,40}(?: *: *\w{1,40})? *= *" rf"[\"']{_FILE}[\"']",
        re.M,
    ),
)
_BESIDE = re.compile(rf"sqlite[\s\S]{{0,400}}?\bjoin\(\s*\w+\s*,\s*[\"']{_FILE}[\"']\s*\)")
"""In the folder of the file itself, as ``os.path.dirname(__file__)`` is."""

_OF_DJANGO = re.compile(
    r"django\.db\.backends\.sqlite3[\s\S]{0,200}?[\"']NAME[\"']\s*:[^\n\"']*[\"']"
    r"(?P<path>[\w.-][\w./-]*)[\"']"
)
_DJANGO_BYTES = re.compile(rb"django\.db\.backends\.sqlite3")

_MIGRATES = re.compile(
    r"(?<![\w/.-])(?:(?:python3? )?(?:\./)?manage\.py migrate\b|(?:python3? -m )?(?:"
    r"flask (?:--app \S+ )?db upgrade|alembic (?:-\S+ \S+ )*upgrade \w+|aerich upgrade))"
)


class _Place(NamedTuple):
    said_in: str
    path: str
    scheme: str = ""
    variable: str = ""


def notes(project: Project, entrypoint: Entrypoint, spec: AppSpec) -> Iterator[str]:
    """A sentence on the first such file, and one on migrations, with what to write."""
    for place in _places(project, entrypoint):
        at = APP / place.path
        free = (*spec.options.mounted, *entrypoint.writable)
        if place.variable not in spec.env and not any(at.is_relative_to(p) for p in free):
            yield (
                f"{place.said_in} names the SQLite file {place.path}, which lies where nothing can"
                f" be written: {_step(project, place)}"
            )
            break
    if not spec.options.release and not any(
        p.name == "release" for p in read_procfile(project.root)
    ):
        yield from _migrations(project)


def _places(project: Project, entrypoint: Entrypoint) -> Iterator[_Place]:
    if django.is_site(project):
        for file in project.files_with(_DJANGO_BYTES):
            if match := _OF_DJANGO.search(read_text(project.root, file) or ""):
                yield _Place(file, f"{django.folder(project)}{match['path']}")
        return
    is_in_instance = "flask-sqlalchemy" in project.declared
    files = {
        file
        for first in started_files(project, entrypoint)
        for file in all_imported_files(project, first)
    }
    for file in sorted(files):
        text = read_text(project.root, file) or ""
        if not is_in_instance and (match := _ADDRESS.search(text)):
            yield _Place(file, _clean(match["path"]), match["scheme"], match["variable"] or "")
        for pattern in _OPENED if "sqlite" in text.lower() else ():
            if match := pattern.search(text):
                yield _Place(file, _clean(match["path"]))
        if match := _BESIDE.search(text):
            yield _Place(file, str(PurePosixPath(file).parent / match["path"]))


def _clean(path: str) -> str:
    return str(PurePosixPath(path))


def _step(project: Project, place: _Place) -> str:
    name = PurePosixPath(place.path).name
    if place.variable:
        return (
            f"write `env: {{{place.variable}: {place.scheme}/app/data/{name}}}` and `volumes:"
            " {data: /app/data}` in its entry"
        )
    if step := mount_for(str(APP / place.path)):
        return step
    text = (
        "let it lie in a folder that `volumes:` in its entry names, such as"
        " `volumes: {data: /app/data}`"
    )
    if inside(project.root, DOCKERFILE):
        text += (
            "; or write `build: dockerfile` and `writable: true`, if it may be gone after each"
            " deploy"
        )
    return text


def _migrations(project: Project) -> Iterator[str]:
    """Those that the repository's own image or scripts run before the program, else Django's."""
    shells = (p for way in ("*.sh", "*/*.sh") for p in sorted(project.root.glob(way)))
    names = [DOCKERFILE, *(path.relative_to(project.root).as_posix() for path in shells)]
    for name in names:
        if match := _MIGRATES.search(read_text(project.root, name) or ""):
            command = _as_command(match[0])
            yield (
                f"{name} runs `{command}`, which is not run here: `release: {command}` in its entry"
                " runs it before each new version"
            )
            return
    if django.is_site(project) and project.files_with(_DATABASES):
        command = f"python {django.folder(project)}manage.py migrate"
        yield (
            f"migrations are not run: `release: {command}` in its entry runs them before each new"
            " version"
        )


_DATABASES = re.compile(rb"^\s*DATABASES\s*=", re.M)


def _as_command(said: str) -> str:
    text = " ".join(said.split()).replace("python3 ", "python ")
    return f"python {text.removeprefix('./')}" if re.match(r"(?:\./)?manage\.py", text) else text
