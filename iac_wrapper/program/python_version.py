"""Which Python an app's image gets: what the project asks for, out of what this machine has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from iac_wrapper.errors import EntrypointError
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.program.inline_metadata import inline_metadata
from iac_wrapper.program.python_pins import Pin, python_pins
from iac_wrapper.program.python_project import PYPROJECT, read_pyproject, table

_PATCHES = range(40)
"""Patch releases to try: a base knows its minor version only, the installer checks the rest."""


@dataclass(frozen=True)
class PythonChoice:
    """A minor version (``3.11``), one sentence fragment why, and sentences on wishes not met.

    `check` is the range to hold the image's Python against, empty if any patch release is in it.
    """

    version: str
    reason: str
    notes: tuple[str, ...] = ()
    check: str = ""


@dataclass(frozen=True)
class _Required:
    """What a range says, where it stands, and as which alternatives it is read."""

    where: str = ""
    text: str = ""
    ranges: tuple[SpecifierSet, ...] = (SpecifierSet(),)

    def allows(self, minor: str) -> bool:
        return any(
            spec.contains(f"{minor}.{patch}", prereleases=True)
            for spec in self.ranges
            for patch in _PATCHES
        )

    def check(self, minor: str) -> str:
        """The range, if it allows some patch releases of `minor` only."""
        spec = self.ranges[0]
        every = all(spec.contains(f"{minor}.{patch}", prereleases=True) for patch in _PATCHES)
        return "" if every or len(self.ranges) > 1 else str(spec)


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
    required = _required(root, script)
    allowed = [version for version in bases if required.allows(version)]
    if not allowed:
        raise _unmet(required, bases, default)
    pins = python_pins(root)
    wanted = next((pin for pin in pins if pin.minor in allowed), None)
    if wanted and wanted.minor:
        reason = f"{wanted.where} asks for it"
        return PythonChoice(wanted.minor, reason, _patch_note(wanted), required.check(wanted.minor))
    if default not in bases:
        raise EntrypointError(
            f"no base image for Python {default} on this machine",
            where="IAC_PYTHON_VERSION",
            found=", ".join(bases),
            next_step=setup_command(IAC_PYTHON_VERSION=default),
        )
    if default in allowed:
        version, reason = default, "the default"
    else:
        version = allowed[0]
        reason = f"requires-python {required.text} in {required.where}"
    notes = _unmet_wish(version, pins, required)
    return PythonChoice(version, reason, notes, required.check(version))


def _unmet(required: _Required, bases: list[str], default: str) -> EntrypointError:
    return EntrypointError(
        "the project needs a Python that this machine has no base image for",
        where=required.where or None,
        found=f"requires-python {required.text!r}" if required.where else "no base image",
        expected="a range that includes " + (" or ".join(bases) or default),
        next_step=setup_command(IAC_PYTHON_VERSION="…") + " with a version in that range, if it is"
        " one of 3.11, 3.12 and 3.13",
    )


def _patch_note(pin: Pin) -> tuple[str, ...]:
    if not pin.has_patch:
        return ()
    said = f"{pin.where} asks for {pin.text}, the patch release is that of the base image"
    return (f"python {pin.minor}: {said}",)


def _unmet_wish(version: str, pins: tuple[Pin, ...], required: _Required) -> tuple[str, ...]:
    """One sentence on version files none of whose versions is taken."""
    if not pins:
        return ()
    wished = " or ".join(pin.text for pin in pins)
    minors = [pin.minor for pin in pins if pin.minor]
    excluded = minors and not any(required.allows(minor) for minor in minors)
    why = f"which requires-python {required.text} excludes" if excluded else "not available here"
    return (f"python {version}: {pins[0].where} asks for {wished}, {why}",)


def _required(root: Path, script: str | None) -> _Required:
    """The first requires-python that is stated; by default any Python will do."""
    pyproject = read_pyproject(root)
    stated = [(PYPROJECT, table(pyproject, "project").get("requires-python"))]
    if script:
        stated.insert(0, (script, inline_metadata(root, script).get("requires-python")))
    for where, text in stated:
        if isinstance(text, str):
            return _Required(where, text, (_parse(where, text),))
    poetry = table(pyproject, "tool", "poetry", "dependencies").get("python")
    if isinstance(poetry, str):
        ranges = tuple(_parse(PYPROJECT, _poetry(part)) for part in re.split(r"\|\|?", poetry))
        return _Required(PYPROJECT, poetry, ranges)
    return _Required()


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


def _poetry(text: str) -> str:
    """One alternative of Poetry's own notation as a range of the standard one."""
    parts = re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[<>=!~^])", text.strip())
    return ",".join(_poetry_part(part.strip()) for part in parts)


def _poetry_part(text: str) -> str:
    """``^3.11``, ``~3.11``, ``3.11`` and ``3.*``; anything else Poetry writes is a range."""
    if match := re.fullmatch(r"\^\s*(\d+)(\.[\d.]+)?", text):
        return f">={match[1]}{match[2] or ''},<{int(match[1]) + 1}"
    if match := re.fullmatch(r"~\s*(\d+)\.(\d+)[\d.]*", text):
        return f"=={match[1]}.{match[2]}.*"
    if text == "*":
        return ""
    return re.sub(r"^(\d[\d.]*)(?:\.\*)?$", r"==\1.*", text)


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
