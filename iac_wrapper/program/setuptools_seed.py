"""Programs from before setuptools lost `pkg_resources` and Python 3.12 lost `distutils`.

An environment used to have both without asking. It must not know how packages are installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from iac_wrapper.model.pythons import number
from iac_wrapper.program.detection.python_files import python_files
from iac_wrapper.program.python_project import (
    REQUIREMENTS,
    inside,
    read_pyproject,
    requirement_files,
    strings,
    table,
)

SEED = "setuptools<82"
"""The last that has `pkg_resources`."""

_RESOURCES, _DISTUTILS = "pkg_resources", "distutils"

_OLD = {
    "apscheduler": (_RESOURCES, "3.10"),
    "djangorestframework-simplejwt": (_RESOURCES, "5.3"),
    "drf-yasg": (_RESOURCES, "1.21.8"),
    "flask-restx": (_RESOURCES, "1.1"),
    "google-cloud-storage": (_RESOURCES, "3"),
    "gunicorn": (_RESOURCES, "21"),
    "pyramid": (_RESOURCES, "3"),
    "python-telegram-bot": (_RESOURCES, "20"),  # with apscheduler 3.6
    "razorpay": (_RESOURCES, "2"),
    "supervisor": (_RESOURCES, "4.3"),
    "tensorboard": (_RESOURCES, "3"),
    "aioredis": (_DISTUTILS, "3"),
    "django": (_DISTUTILS, "3.2"),
    "eventlet": (_DISTUTILS, "0.34"),
}
"""What a package imports when it starts, and a version from which on it is not known to."""

_IMPORTS = re.compile(rb"(?m)^(?:import|from)\s+(pkg_resources|distutils)\b")
_PINNED = re.compile(r"\s*([\w.-]+(?:\[[^\]]*\])?\s*==\s*[\w.!+]+)")


@dataclass(frozen=True)
class SetuptoolsSeed:
    """A `module` that setuptools would bring, and who imports it."""

    module: str
    who: str

    @property
    def note(self) -> str:
        """What is done about it, as a sentence."""
        return f"{self.who} imports {self.module}: {SEED} is installed if nothing else brings it"


def setuptools_seed(root: Path, python: str) -> SetuptoolsSeed | None:
    """What the checkout `root` misses on Python `python` (``3.12``), None if nothing.

    Raises:
        SourceError: a requirements file is no text, or pyproject.toml no TOML.
    """
    missing = {_RESOURCES} | ({_DISTUTILS} if number(python) >= (3, 12) else set())
    listed = requirement_files(root, REQUIREMENTS).lines if inside(root, REQUIREMENTS) else ()
    project = table(read_pyproject(root), "project")
    lines = (*listed, *strings(project.get("dependencies")))
    wanted = [*_of_code(root), *_of_requirements(lines)]
    wanted.sort(key=lambda seed: seed.module == _DISTUTILS)  # a newer setuptools has that one too
    return next((seed for seed in wanted if seed.module in missing), None)


def _of_code(root: Path) -> Iterable[SetuptoolsSeed]:
    for relative in python_files(root):
        text = (root / relative).read_bytes()
        named = _RESOURCES.encode() in text or _DISTUTILS.encode() in text
        for match in _IMPORTS.finditer(text) if named else ():
            yield SetuptoolsSeed(match[1].decode(), relative)


def _of_requirements(lines: Iterable[str]) -> Iterable[SetuptoolsSeed]:
    for line in lines:
        match = _PINNED.match(line)
        try:
            requirement = Requirement(match[1]) if match else None
        except InvalidRequirement:
            continue
        name = canonicalize_name(requirement.name) if requirement else ""
        if requirement and name in _OLD:
            module, until = _OLD[name]
            (pin,) = requirement.specifier
            if Version(pin.version) < Version(until):
                yield SetuptoolsSeed(module, f"{requirement.name} {pin.version}")
