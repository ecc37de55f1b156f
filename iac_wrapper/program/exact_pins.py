"""The versions that lines of requirements pin by ``==``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from iac_wrapper.model.pythons import SUPPORTED


def read_requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    """The lines that are requirements with a name and are installed in some image."""
    for line in lines:
        try:
            one = Requirement(line.partition(" #")[0].partition(" --")[0].strip())
        except InvalidRequirement:
            continue
        if _applies(one):
            yield one


def exact_pins(requirements: Iterable[Requirement]) -> dict[str, Version]:
    """The pinned version of each name, in canonical form; ``==1.2.*`` is none."""
    found: dict[str, Version] = {}
    for one in requirements:
        exact = [spec.version for spec in one.specifier if spec.operator == "=="]
        try:
            found.update({canonicalize_name(one.name): Version(text) for text in exact})
        except InvalidVersion:
            continue
    return found


def _applies(one: Requirement) -> bool:
    """Whether it is for Linux and some Python that can be had."""
    environments = [{"python_version": v, "sys_platform": "linux"} for v in SUPPORTED]
    try:
        return one.marker is None or any(map(one.marker.evaluate, environments))
    except (UndefinedComparison, UndefinedEnvironmentName):
        return True
