"""Poetry's own notation of versions, as ranges of PEP 440."""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from iac_wrapper.errors import SourceError
from iac_wrapper.program.python_project import PYPROJECT

_NEXT = re.compile(r"\s*,\s*|(?<=[\w*])\s+(?=[<>=!~^])")


def ranges(text: str) -> tuple[SpecifierSet, ...]:
    """The alternatives of a constraint such as ``^1.2 || ^2.0``.

    Raises:
        SourceError: it is none.
    """
    try:
        return parsed(text)
    except (InvalidSpecifier, InvalidVersion):
        raise SourceError(
            "not a version constraint of Poetry",
            where=PYPROJECT,
            found=repr(text),
            expected='a constraint such as "^1.2" or ">=1.2,<2"',
            next_step="correct it in the repository",
        ) from None


def parsed(text: str, *, bare: str = "=={}") -> tuple[SpecifierSet, ...]:
    """The alternatives of a constraint, for who words the error alone.

    Args:
        text: the constraint.
        bare: what a version without an operator stands for.

    Raises:
        InvalidSpecifier, InvalidVersion: it is none.
    """
    return tuple(_range(part, bare) for part in re.split(r"\|\|?", text))


def allows(text: str, version: str) -> bool:
    """Whether a constraint allows a version; pre-releases too, as a lock has chosen it."""
    try:
        return any(one.contains(version, prereleases=True) for one in ranges(text))
    except SourceError:
        return True


def python_markers(text: str) -> str:
    """The constraint ``python = …`` of a dependency as a marker."""
    alternatives = []
    for one in ranges(text):
        parts = []
        for spec in sorted(one, key=str):
            short = len(spec.version.rstrip(".*").split(".")) < 3
            variable = "python_version" if short else "python_full_version"
            parts.append(f'{variable} {spec.operator} "{spec.version}"')
        alternatives.append(" and ".join(parts))
    if "" in alternatives:
        return ""
    return " or ".join(f"({part})" if len(alternatives) > 1 else part for part in alternatives)


def _range(text: str, bare: str) -> SpecifierSet:
    parts = [part.strip() for part in _NEXT.split(text.strip())]
    return SpecifierSet(",".join(_part(part, bare) for part in parts if part))


def _part(text: str, bare: str) -> str:
    if text == "*":
        return ""
    if match := re.fullmatch(r"\^\s*(\S+)", text):
        return _below(Version(match[1]), _first_nonzero(match[1]))
    if match := re.fullmatch(r"~(?!=)\s*(\S+)", text):
        return _below(Version(match[1]), min(1, match[1].count(".")))
    if re.match(r"\d", text):
        return f"=={text}" if text.endswith(".*") else bare.format(text)
    return text


def _first_nonzero(text: str) -> int:
    """The place that ``^`` keeps: the first that is not zero, or the last that is written."""
    release = Version(text).release
    return next((at for at, number in enumerate(release) if number), len(release) - 1)


def _below(least: Version, kept: int) -> str:
    """From `least` on, up to the next number at the place `kept`."""
    upper = [*least.release[:kept], least.release[kept] + 1]
    return f">={least},<{'.'.join(map(str, upper))}"
