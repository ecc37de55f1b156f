"""Which Python an app's image gets: what the project asks for, out of what this machine has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from iac_wrapper.errors import EntrypointError
from iac_wrapper.inline_metadata import inline_metadata
from iac_wrapper.python_project import PYPROJECT, read_pyproject, read_text, table

_VERSION_FILE = ".python-version"
_PATCHES = range(40)
"""Patch releases to try: a base knows its minor version only, the installer checks the rest."""


@dataclass(frozen=True)
class PythonChoice:
    """A minor version (``3.11``) and one sentence fragment why."""

    version: str
    reason: str


def choose_python(
    root: Path, *, default: str, available: Iterable[str], script: str | None = None
) -> PythonChoice:
    """The Python for the checkout `root`.

    Args:
        root: the checkout's directory; only read.
        default: the version of the settings, taken when nothing speaks against it.
        available: minor versions that this machine has a base image for.
        script: the Python file that is run, whose own metadata (PEP 723) counts too.

    Raises:
        EntrypointError: no available version is allowed by the project's requires-python.
    """
    bases = sorted({*available}, key=_key, reverse=True)
    where, spec = _required(root, script)
    allowed = [version for version in bases if _allows(spec, version)]
    if not allowed:
        raise EntrypointError(
            "the project needs a Python that this machine has no base image for",
            where=where or None,
            found=f"requires-python {str(spec)!r}" if where else f"no base image in {bases}",
            expected="a range that includes " + (" or ".join(bases) or default),
            next_step="make bootstrap IAC_PYTHON_VERSION=… with a version in that range, if it is"
            " one of 3.11, 3.12 and 3.13",
        )
    wanted = _pinned(root)
    if wanted in allowed:
        return PythonChoice(wanted, f"{_VERSION_FILE} asks for it")
    if default not in bases:
        raise EntrypointError(
            f"no base image for Python {default} on this machine",
            where="IAC_PYTHON_VERSION",
            found=", ".join(bases),
            next_step=f"make bootstrap IAC_PYTHON_VERSION={default}",
        )
    note = f"; {_VERSION_FILE} asks for {wanted}, which is not available" if wanted else ""
    if default in allowed:
        return PythonChoice(default, f"the default{note}")
    return PythonChoice(allowed[0], f"requires-python {spec} in {where}{note}")


def _required(root: Path, script: str | None) -> tuple[str, SpecifierSet]:
    """Where a requires-python stands, and what it says; an empty file name means nowhere."""
    pyproject = read_pyproject(root)
    stated = [
        (PYPROJECT, table(pyproject, "project").get("requires-python")),
        (PYPROJECT, _poetry(table(pyproject, "tool", "poetry", "dependencies").get("python"))),
    ]
    if script:
        stated.insert(0, (script, inline_metadata(root, script).get("requires-python")))
    for where, text in stated:
        if isinstance(text, str):
            return where, _parse(where, text)
    return "", SpecifierSet()


def _parse(where: str, text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise EntrypointError(
            "requires-python is not a version range",
            where=where,
            found=repr(text),
            expected='a range such as ">=3.11"',
            next_step="correct it in the repository",
        ) from None


def _poetry(text: object) -> str | None:
    """Poetry's own ``^3.11`` and ``~3.11`` as a range; anything else it writes is a range."""
    if not isinstance(text, str) or "||" in text:
        return None
    if match := re.fullmatch(r"\^\s*(\d+)(\.[\d.]+)?", text.strip()):
        return f">={match[1]}{match[2] or ''},<{int(match[1]) + 1}"
    if match := re.fullmatch(r"~\s*(\d+)\.(\d+)[\d.]*", text.strip()):
        return f"=={match[1]}.{match[2]}.*"
    return re.sub(r"^(\d[\d.]*)$", r"==\1.*", text.strip())


def _allows(spec: SpecifierSet, minor: str) -> bool:
    return any(spec.contains(f"{minor}.{patch}", prereleases=True) for patch in _PATCHES)


def _pinned(root: Path) -> str | None:
    match = re.match(r"\s*(?:cpython-|python-?)?(\d+\.\d+)", read_text(root, _VERSION_FILE) or "")
    return match[1] if match else None


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
