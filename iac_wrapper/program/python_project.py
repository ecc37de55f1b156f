"""What a Python project declares in its files: pyproject.toml and requirement names.

Shared by detection and dependencies. Reads, never runs; it must not know about images.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from iac_wrapper.errors import SourceError

PYPROJECT = "pyproject.toml"
REQUIREMENTS = "requirements.txt"
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
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError as error:
        raise SourceError(
            "not valid TOML",
            where=PYPROJECT,
            found=str(error),
            next_step="correct that line in the repository",
        ) from None


def table(data: Any, *keys: str) -> dict[str, Any]:
    """The nested table `keys`, empty when it is missing or no table."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def strings(value: Any) -> tuple[str, ...]:
    """The strings of a TOML array, nothing for any other value."""
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


@dataclass(frozen=True)
class RequirementFiles:
    """A requirements file and those it includes, and every line of them.

    `need_source` is true when some line points into the source, or an included file is not there:
    then nothing can be installed from these files alone.
    """

    files: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    need_source: bool = False


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
            found = replace(found, need_source=True)
            continue
        if "\0" in text or "\ufffd" in text:
            raise _not_text(name)
        lines = _requirement_lines(text)
        folder = PurePosixPath(name).parent
        waiting.extend(str(folder / m[1]) for line in lines if (m := _INCLUDES.match(line)))
        found = RequirementFiles(
            files=(*found.files, name),
            lines=(*found.lines, *lines),
            need_source=found.need_source or any(map(_NEEDS_SOURCE.match, lines)),
        )
    return found


def _not_text(name: str) -> SourceError:
    return SourceError(
        "the file is not text that can be installed from",
        where=name,
        found="bytes that are neither UTF-8 nor UTF-16 with a byte order mark",
        expected="UTF-8",
        next_step="save it as UTF-8, and commit the file",
    )


def _requirement_lines(text: str) -> list[str]:
    """A requirements file's lines: continuations joined, comments and blank lines dropped."""
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def declared_packages(root: Path) -> frozenset[str]:
    """Canonical names of the packages the project asks for, extras as ``name[extra]`` beside them.

    A guess good enough to choose a web server by; the installer reads the real thing.
    """
    pyproject = read_pyproject(root)
    texts = [
        *requirement_files(root, REQUIREMENTS).lines,
        *strings(table(pyproject, "project").get("dependencies")),
        *table(pyproject, "tool", "poetry", "dependencies"),
    ]
    return frozenset(name for text in texts for name in _names(text))


def _names(text: str) -> Iterator[str]:
    try:
        requirement = Requirement(re.split(r"\s--", text)[0])
    except InvalidRequirement:
        return
    name = canonicalize_name(requirement.name)
    yield name
    yield from (f"{name}[{extra}]" for extra in requirement.extras)
