"""Failures at files, folders and programs: from what was printed to code, cause and step. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from iac_wrapper.model import forms
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.distributions import DEBIAN_PACKAGES
from iac_wrapper.model.source_hints import SourceHints

APP = PurePosixPath("/app")
"""The folder of the source in the container, and where its program starts."""

_BUILT = {"dist", "build", "out", "www", "public", "node_modules", ".next", "_build"}
"""How the folders are called that tools of a front end make, and git ignores."""

_MADE_AT_RUN = {".log", ".db", ".sqlite", ".sqlite3", ".pid", ".lock"}
"""Suffixes of files that a program makes: if one is missing, its folder is."""

_CHROME = re.compile(r"chrom(e|ium)", re.I)


class Program(NamedTuple):
    """What failed, and what its source says."""

    app: ResolvedApp
    hints: SourceHints


def read_only(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """It writes outside of `volumes:` and `tmpfs:`."""
    said = match.groupdict()
    if not (path := said.get("path")):
        text = "it writes where it cannot: the root is read-only"
        return "read-only-path", text, let_it_write(program.app)
    at, text = _absolute(path, program), f"{path} cannot be written: the root is read-only"
    folder = _folder_of(at, makes=bool(said.get("makes")))
    step = _mount(folder) if folder else let_it_write(program.app)
    return "read-only-path", text, step


def _absolute(path: str, program: Program) -> str:
    """Of a relative path what it is in the container; where an image starts its program is its."""
    return path if program.app.foreign else str(APP / path)


def _folder_of(path: str, *, makes: bool) -> str | None:
    """The folder to mount so that `path` can be written, which the program `makes` as a folder, or
    may do so if its name has no suffix; None: no folder above it can be mounted."""
    at = PurePosixPath(path)
    above = forms.is_mountable(str(at.parent))
    found = at if makes or not (above or at.suffix) else at.parent
    return str(found) if forms.is_mountable(str(found)) else None


def _mount(folder: str) -> str:
    name = PurePosixPath(folder).name.lower().lstrip(".")
    line = (
        f"volumes: {{{name if re.fullmatch('[a-z][a-z0-9_]{0,31}', name) else 'data'}: {folder}}}"
    )
    return f"write `{line}` in its entry if that is to stay, `tmpfs: {{{folder}: 64m}}` if not"


def mount_for(path: str) -> str:
    """What to write so that a program can make the file `path` (absolute); empty: no folder above
    it can be mounted."""
    folder = _folder_of(path, makes=False)
    return _mount(folder) if folder else ""


def let_it_write(app: ResolvedApp) -> str:
    """Where a program can write, if nothing tells where it wants to."""
    if kept := sorted(app.options.volumes.values()):
        return f"let it write below {' or '.join(kept)}, which `volumes:` in its entry names"
    return (
        "let it write below a folder that `volumes:` in its entry names, such as"
        " `volumes: {data: /app/data}`; what need not stay, below /tmp or a folder of `tmpfs:`"
    )


def database(_match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """SQLite names no path."""
    text = "its SQLite file cannot be written: the root is read-only"
    return "read-only-path", text, let_it_write(program.app)


def permission(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """A file belongs to somebody else."""
    path = PurePosixPath(match["path"])
    text = f"it has no permission for {path}"
    for volume in program.app.options.volumes.values():
        if path.is_relative_to(volume):
            step = f"run `iac deploy`: it gives all files of {volume} to the program again"
            return "permission", text, step
    return "permission", text, let_it_write(program.app)


def file(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """A file or a folder is not there: forgotten, never built, or to be made by the program."""
    path = match["path"].removeprefix(f"{APP}/").removeprefix("./").rstrip("/") or match["path"]
    at = PurePosixPath(path)
    whole = _absolute(path, program)
    if _BUILT & set(at.parts) and not program.app.foreign:
        return "missing-build", f"the built front end {path} is missing", _build(program)
    if at.suffix in _MADE_AT_RUN and (folder := _folder_of(whole, makes=False)):
        return "missing-file", f"the folder of {path} is missing", _mount(folder)
    if at.name.startswith(".env"):
        step = "write its variables to `env:` in its entry, and let it do without the file"
        return "missing-file", f"the file {path} is missing", step
    where = "image" if program.app.foreign else "source"
    step = f"add {path} to its {where}" + (" (git may ignore it)" if where == "source" else "")
    if not at.suffix:
        step += ", with a file in it if it is a folder: git keeps no empty ones"
    elif template := program.hints.template_of(path):
        step += f", as {template} there shows"
    step += ", or let it read what it needs from variables that `env:` in its entry sets"
    return "missing-file", f"{path} is missing", step


def _build(program: Program) -> str:
    if "Dockerfile" in program.hints.files:
        return "write `build: dockerfile` in its entry if its Dockerfile builds it, else commit it"
    return "commit it, or write `build: dockerfile` in its entry and a Dockerfile that builds it"


def missing_program(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """A program that it calls."""
    name = PurePosixPath(match[1]).name
    if _CHROME.search(name):
        return browser(match, program)
    if program.app.foreign:
        step = f"let its Dockerfile install {name}, or correct the command"
    elif package := DEBIAN_PACKAGES.get(name):
        step = f"write `packages: [{package}]` in its entry"
    else:
        step = (
            f"add the package that brings {name} to its requirements, or a Debian package to"
            " `packages:` in its entry, or correct the command"
        )
    return "missing-program", f"there is no program {name} in its image", step


def browser(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """Drivers and browsers that tools download on a developer's machine."""
    said = match[0]
    own = "write `build: dockerfile` in its entry, with a Dockerfile that installs them"
    if program.app.foreign:
        step = "let its Dockerfile install them"
    elif not _CHROME.search(said):
        step = own
    elif "playwright" in said:
        start = 'start it with `executable_path="/usr/bin/chromium"`'
        step = f"write `packages: [chromium]` in its entry and {start}; or {own}"
    else:
        step = f"write `packages: [chromium, chromium-driver]` in its entry; or {own}"
    return "missing-browser", "there is no browser, or no driver of one, in its image", step
