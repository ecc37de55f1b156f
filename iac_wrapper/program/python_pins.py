"""Which Python the version files of a repository name: of pyenv, uv, mise, asdf, buildpacks, pipenv
and conda. Knows nothing of what is available.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from iac_wrapper.program.python_project import read_text, strings, table, toml_or_empty
from iac_wrapper.program.python_ranges import Range

_VERSION = re.compile(
    r"(?:(?:cpython|python)[-@]?)?(?:latest:|prefix:)?"
    r"(?P<major>\d+)(?:\.(?P<minor>\d+))?(?P<patch>\.\d+)?(?P<any>\.[*x])?"
    r"(?P<threads>t|\+freethreaded)?(?:(?:-|a|b|rc|\+|/)[\w.+/-]*)?",
    re.ASCII,
)
_CONDA = ("environment.yml", "environment.yaml")
_ANY = ("system", "*")
"""Words that leave the version to the machine."""


@dataclass(frozen=True)
class Pin:
    """One version that a file names: as it is written, and as a range.

    `range` is None if it is no CPython version (``pypy3.10``). `minor` is the one minor version
    that is meant (``3.12``), None if there are several. `patch` is whether it names a patch
    release, which a base image decides by itself; `threads` whether it wants a free-threaded build.
    """

    where: str
    text: str
    range: Range | None
    minor: str | None = None
    patch: bool = False
    threads: bool = False

    def allows(self, minor: str) -> bool:
        """Whether `minor` is what it asks for."""
        return self.range is not None and self.range.allows(minor)


def python_pins(root: Path) -> tuple[tuple[Pin, ...], ...]:
    """What each of the version files names, file by file, in the order in which they count."""
    texts = (
        (".python-version", _words(read_text(root, ".python-version"))),
        *((name, _mise(read_text(root, name))) for name in ("mise.toml", ".mise.toml")),
        (".tool-versions", _tool_versions(read_text(root, ".tool-versions"))),
        ("runtime.txt", _words(read_text(root, "runtime.txt"))),
        ("Pipfile", _pipfile(read_text(root, "Pipfile"))),
        *((name, _conda(read_text(root, name))) for name in _CONDA),
    )
    files = (tuple(pin(where, text) for text in found) for where, found in texts)
    return tuple(pins for pins in files if pins)


def dockerfile_python(root: Path) -> str | None:
    """The minor version of the official image that the repository's own Dockerfile ends on."""
    found = re.findall(
        r"^\s*FROM\s+(?:--\S+\s+)*(?:\S+/)?python:(\d+\.\d+)\b",
        read_text(root, "Dockerfile") or "",
        re.M | re.I,
    )
    return found[-1] if found else None


def pin(where: str, text: str) -> Pin:
    """What `text` in the file `where` means."""
    if match := _VERSION.fullmatch(text):
        major, minor = match["major"], match["minor"]
        named = f"{major}.{minor}" if minor else None
        meant = Range(where, text, (SpecifierSet(f"=={named or major}.*"),))
        return Pin(where, text, meant, named, bool(match["patch"]), bool(match["threads"]))
    try:
        spec = SpecifierSet("" if text == "latest" else text)
        return Pin(where, text, Range(where, text, (spec,)))
    except InvalidSpecifier:
        return Pin(where, text, None)


def _words(text: str | None) -> Iterator[str]:
    """Versions without comments; pyenv takes several in a line, too. A range may have spaces."""
    for line in (text or "").splitlines():
        said = re.sub(r"\s*(,|[<>=!~]=?)\s*", r"\1", line.partition("#")[0].strip())
        yield from (word for word in said.split() if word not in _ANY)


def _tool_versions(text: str | None) -> Iterator[str]:
    for line in (text or "").splitlines():
        tool, _, versions = line.strip().partition(" ")
        if tool == "python":
            yield from _words(versions)


def _mise(text: str | None) -> Iterator[str]:
    value = table(toml_or_empty(text), "tools").get("python")
    for one in value if isinstance(value, list) else [value]:
        named = one.get("version") if isinstance(one, dict) else one
        if isinstance(named, (str, int, float)):
            yield from _words(str(named))


def _pipfile(text: str | None) -> Iterator[str]:
    requires = table(toml_or_empty(text), "requires")
    named = strings([requires.get("python_full_version") or requires.get("python_version")])
    for one in named:
        yield from _words(one)


def _conda(text: str | None) -> Iterator[str]:
    """``python=3.12``, ``python>=3.9``, ``conda-forge::python 3.12.*`` among the dependencies."""
    try:
        found = yaml.safe_load(text or "")
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    listed = found.get("dependencies") if isinstance(found, dict) else None
    for line in strings([one for one in listed if isinstance(one, str)] if listed else []):
        if match := re.match(r"(?:[\w-]+::)?python(?![\w-])\s*=?\s*([^\s=]*[^\s]*)", line):
            # A single = is conda's fuzzy match, and a build may follow the version.
            yield from _words(re.sub(r"^=+|(?<![=<>!~])=[^=,<>!~]*$", "", match[1]))
