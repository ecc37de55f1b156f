"""What a Python project declares in its files: pyproject.toml and requirement names.

Shared by detection and dependencies. Reads, never runs; it must not know about images.
"""

from __future__ import annotations

import codecs
import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from iac_wrapper.errors import SourceError
from iac_wrapper.program import requirement_names, toml

PYPROJECT = "pyproject.toml"
_PROJECT_FILES = (PYPROJECT, "setup.cfg", "Pipfile")
REQUIREMENTS = "requirements.txt"
_SETUP = re.compile(r"\bsetup\s*\(|\b(setuptools|distutils)\b")
_MAX_TEXT = 4_000_000
"""Bytes; no hand-written file comes near, and a lock of 2,000 packages has about 3 MB."""


def inside(root: Path, relative: str) -> Path | None:
    """The regular file `relative` of the checkout, or None; links that leave it do not count."""
    path = root / relative
    try:
        is_there = path.is_file() and path.resolve().is_relative_to(root.resolve())
    except OSError:  # words that are no name of a file, being too long for one
        return None
    return path if is_there else None


def has_setup(root: Path, name: str = "setup.py") -> bool:
    """Whether the file is there and is that of setuptools or its like: some call a dialogue, or the
    making of tables, ``setup.py``."""
    is_there = inside(root, name) is not None
    return is_there and (name != "setup.py" or bool(_SETUP.search(read_text(root, name) or "")))


def read_text(root: Path, relative: str) -> str | None:
    """The text of a file of the checkout, None without the file.

    UTF-8, or what its byte order mark says, as uv reads requirements.
    """
    path = inside(root, relative)
    if path is None or path.stat().st_size > _MAX_TEXT:
        return None
    data = path.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def read_pyproject(root: Path) -> dict[str, Any]:
    """pyproject.toml as a dictionary, empty without the file.

    Raises:
        SourceError: it is not TOML.
    """
    text = read_text(root, PYPROJECT)
    try:
        return toml.loads(text or "")
    except (ValueError, RecursionError) as error:  # too long a number, too deep a table
        raise SourceError(
            "not valid TOML",
            where=PYPROJECT,
            found=str(error),
            next_step="correct that line in the repository",
        ) from None


def toml_or_empty(text: str | None) -> dict[str, Any]:
    """The text of a TOML file as a dictionary, empty for what is none: the tool whose file it is
    says more about that than we could.
    """
    try:
        return toml.loads(text or "")
    except (ValueError, RecursionError):
        return {}


def table(data: Any, *keys: str) -> dict[str, Any]:
    """The nested table `keys`, empty when it is missing or no table."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def strings(value: Any) -> tuple[str, ...]:
    """The strings of a TOML array, nothing for any other value."""
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def tables(value: Any) -> tuple[dict[str, Any], ...]:
    """The tables of a TOML array, nothing for any other value."""
    return tuple(v for v in value if isinstance(v, dict)) if isinstance(value, list) else ()


@dataclass(frozen=True)
class RequirementFiles:
    """A requirements file and those it includes, and every line of them.

    `need_source` is true when some line points into the source, or an included file is not there
    (`missing`): then not everything can be installed from these files alone. `unreadable` are the
    lines that neither pip nor uv understands, by ``file:line``.
    """

    files: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    need_source: bool = False
    missing: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


_INCLUDES = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)")
_NEEDS_SOURCE = re.compile(
    r"-e|--editable|\.|/|file:|--find-links[\s=]*\.|-f\s*\.|[^;#]*@\s*(?:file:|\.)|[\w.-]+/"
)
_PLAIN_NAME = re.compile(r"[\w./-]+")
"""A name that needs no quoting where it is mounted during a build."""


def requirement_files(root: Path, name: str) -> RequirementFiles:
    """Follow the ``-r`` and ``-c`` lines of the requirements file `name`.

    Raises:
        SourceError: a file is neither UTF-8 nor UTF-16 with a byte order mark: uv refuses it, too.
    """
    found = RequirementFiles()
    waiting = [name]
    while waiting:
        name = waiting.pop(0)
        if name in found.files:
            continue
        text = read_text(root, name)
        if text is None or not _PLAIN_NAME.fullmatch(name) or ".." in name.split("/"):
            found = replace(found, need_source=True, missing=(*found.missing, name))
            continue
        if "\0" in text or "\ufffd" in text:
            raise _not_text(name)
        numbered = _requirement_lines(text)
        lines = tuple(numbered.values())
        folder = PurePosixPath(name).parent
        waiting.extend(
            posixpath.normpath(folder / m[1])
            for line in lines
            if (m := _INCLUDES.match(line)) and "://" not in m[1]
        )
        found = replace(
            found,
            files=(*found.files, name),
            lines=(*found.lines, *lines),
            need_source=found.need_source or any(map(needs_source, lines)),
            unreadable={
                **found.unreadable,
                **{f"{name}:{n}": line for n, line in numbered.items() if not _is_readable(line)},
            },
        )
    return found


def needs_source(line: str) -> bool:
    """Whether a line of a requirements file points into the source."""
    return bool(_NEEDS_SOURCE.match(line))


_OPTION_OR_ADDRESS = re.compile(r"-|[^#;]*(?:://|\$\{|\\)")
"""What is no name with versions: options, URLs, variables of the environment, paths of Windows."""


def _is_readable(line: str) -> bool:
    """False for what is certainly no requirement."""
    if _OPTION_OR_ADDRESS.match(line) or needs_source(line):
        return True
    try:
        Requirement(re.split(r"\s--", line)[0])
    except InvalidRequirement:
        return False
    return True


def _not_text(name: str) -> SourceError:
    return SourceError(
        "the file is not text that can be installed from",
        where=name,
        found="bytes that are neither UTF-8 nor UTF-16 with a byte order mark",
        expected="UTF-8",
        next_step="save it as UTF-8, and commit the file",
    )


def _requirement_lines(text: str) -> dict[int, str]:
    """A requirements file's lines by number, continuations joined, without comments and blanks."""
    found: dict[int, str] = {}
    number = 1
    for part in re.split(r"(?<!\\)\n", re.sub(r"\r\n?", "\n", text)):
        line = re.sub(r"(^|\s)#.*$", "", part.replace("\\\n", " ")).strip()
        if line:
            found[number] = line
        number += 1 + part.count("\n")
    return found


def requirements_of(root: Path) -> tuple[str, ...]:
    """The requirements files to install from: requirements.txt, else by the names of the others.

    Files for development and tests are never among them. Empty if nothing is certain.
    """
    if inside(root, REQUIREMENTS):
        return (REQUIREMENTS,)
    paths = {path for pattern in requirement_names.PATTERNS for path in root.glob(pattern)}
    names = [path.relative_to(root).as_posix() for path in paths]
    there = [name for name in names if inside(root, name)]
    chosen = requirement_names.for_production(there)
    if chosen is None:
        return (
            ("requirements.in",)
            if inside(root, "requirements.in")
            else almost_requirements(root, root)
        )
    base = requirement_names.for_all(there)
    if base is None or base in requirement_files(root, chosen).files:
        return (chosen,)
    return (base, chosen)


def almost_requirements(folder: Path, root: Path) -> tuple[str, ...]:
    """The one file of `folder` that is called almost ``requirements.txt`` and holds requirements
    alone, relative to the checkout `root`; empty if there is none, or several, or if a file of a
    project states what it needs."""
    if any(inside(folder, name) for name in _PROJECT_FILES) or has_setup(folder):
        return ()
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [path for path in there if requirement_names.is_like_the_usual(path.name)]
    found = [path.relative_to(root).as_posix() for path in names]
    found = [name for name in found if inside(root, name) and _only_requirements(root, name)]
    return tuple(found) if len(found) == 1 else ()


def _only_requirements(root: Path, name: str) -> bool:
    try:
        read = requirement_files(root, name)
    except SourceError:
        return False
    return bool(read.lines) and not read.unreadable and not read.missing


def declared_packages(root: Path, files: Sequence[str] = ()) -> frozenset[str]:
    """Canonical names of the packages the project asks for, extras as ``name[extra]`` beside them.

    A guess good enough to choose a web server by; the installer reads the real thing.

    Args:
        root: the checkout.
        files: requirements files of its folders that are installed from as well.
    """
    pyproject = read_pyproject(root)
    names = (*requirements_of(root), *files)
    texts = [
        *(line for name in names for line in requirement_files(root, name).lines),
        *strings(table(pyproject, "project").get("dependencies")),
        *table(pyproject, "tool", "poetry", "dependencies"),
        *_of_pipfile(root),
    ]
    return frozenset(name for text in texts for name in _names(text))


def _of_pipfile(root: Path) -> Iterator[str]:
    try:
        pipfile = toml.loads(read_text(root, "Pipfile") or "")
    except tomllib.TOMLDecodeError:
        return  # said where it is installed from
    for name, value in table(pipfile, "packages").items():
        extras = strings(value.get("extras")) if isinstance(value, dict) else ()
        yield f"{name}[{','.join(extras)}]"


def _names(text: str) -> Iterator[str]:
    try:
        requirement = Requirement(re.split(r"\s--", text)[0])
    except InvalidRequirement:
        return
    name = canonicalize_name(requirement.name)
    yield name
    yield from (f"{name}[{extra}]" for extra in requirement.extras)
