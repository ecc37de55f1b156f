"""Whether the versions that requirements.txt pins have wheels for a Python, of packages that cannot
be compiled in the build: they take hours, or compilers and headers that no image has.

Without a lock nobody names the wheels, so the first version with some is data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from packaging.version import Version

from iac_wrapper.errors import EntrypointError
from iac_wrapper.program.exact_pins import exact_pins, read_requirements
from iac_wrapper.program.locked_wheels import LOCKS, Wheels
from iac_wrapper.program.python_project import REQUIREMENTS, inside, requirement_files

FIRST: Mapping[str, tuple[str | None, ...]] = {
    "numpy": ("1.23.2", "1.26.0", "2.1.0", "2.3.2"),
    "scipy": ("1.9.2", "1.11.2", "1.14.1", "1.16.1"),
    "pandas": ("1.5.0", "2.1.1", "2.2.3", "2.3.3"),
    "scikit-learn": ("1.1.3", "1.3.1", "1.5.2", "1.7.2"),
    "greenlet": ("1.1.3", "3.0.0", "3.1.0", "3.2.3"),
    "gevent": ("22.10.1", "23.7.0", "24.10.1", "25.8.1"),
    "tensorflow": ("2.12.0", "2.16.1", "2.20.0", None),
}
"""The first version with a wheel for Linux on Python 3.11, 3.12, 3.13 and 3.14; None: no version.
From PyPI in November 2026, by ``uv pip compile --only-binary :all: --resolution lowest``."""

_MINORS = ("3.11", "3.12", "3.13", "3.14")
_OTHER_LOCKS = ("Pipfile.lock",)
_OLDER = ("cp310", "cp310")
"""Stands for the wheels that such a version has for a Python that nothing here has."""


def pinned_wheels(root: Path) -> Wheels:
    """As `locked_wheels`, of what the requirements.txt of the checkout `root` pins by ``==``; empty
    where a lock is installed from.

    Raises:
        SourceError: a requirements file is no text.
    """
    if any(inside(root, name) for name in (*LOCKS, *_OTHER_LOCKS)):
        return {}
    pins = {name: version for name, version in _pins(root).items() if name in FIRST}
    return {name: frozenset({_OLDER, *_tags(name, version)}) for name, version in pins.items()}


def no_wheels(root: Path, names: tuple[str, ...], python: str) -> EntrypointError:
    """Those of the packages `names` that are pinned have none for any Python that can be had.

    Args:
        root: the checkout's directory.
        names: keys of `pinned_wheels`.
        python: the version that would be taken.
    """
    pins = _pins(root)
    at = _MINORS.index(python) if python in _MINORS else 0
    newer = [f"{name}>={FIRST[name][at]}" for name in names]
    dockerfile = (
        "write `build: dockerfile`: the Dockerfile brings a Python of its own"
        if inside(root, "Dockerfile")
        else "add a Dockerfile on the Python that it was written for, and write `build: dockerfile`"
    )
    return EntrypointError(
        f"what {REQUIREMENTS} pins is older than every Python that can be had here",
        where=REQUIREMENTS,
        found=", ".join(f"{name}=={pins[name]}" for name in names),
        expected=f"versions with wheels for Python {python}: {', '.join(newer)}",
        next_step=f"write such versions in {REQUIREMENTS}; or {dockerfile}",
    )


def _tags(name: str, version: Version) -> list[tuple[str, str]]:
    firsts = zip(_MINORS, FIRST[name], strict=True)
    minors = [minor for minor, first in firsts if first and version >= Version(first)]
    fitting = [minor.replace("3.", "cp3") for minor in minors]
    return [(tag, tag) for tag in fitting]


def _pins(root: Path) -> dict[str, Version]:
    lines = requirement_files(root, REQUIREMENTS).lines if inside(root, REQUIREMENTS) else ()
    return exact_pins(read_requirements(lines))
