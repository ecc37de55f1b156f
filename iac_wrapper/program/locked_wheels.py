"""Whether the packages of a lock file have wheels for a Python: a lock knows those of its day.

An older lock under a newer Python would compile what it has no wheel for, mostly in vain. It reads
file names only, and knows nothing of who installs them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from iac_wrapper.program.python_project import read_text

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")

WHEEL = re.compile(
    r"[/\"'](?P<name>[A-Za-z0-9_.]+)-[\w.!+%]+(?:-\d\w*)?"
    r"-(?P<python>(?:py|cp)[\w.]*)-(?P<abi>[\w.]+)-(?P<platform>[\w.]+)\.whl"
)
"""A wheel's file name (packaging.python.org, "Binary distribution format") in quotes or a URL."""

Wheels = Mapping[str, frozenset[tuple[str, str]]]
"""Package -> tags of Python and ABI of its wheels that can be installed on Linux. Names are as file
names have them, in small letters: those of one package differ in that."""


def locked_wheels(root: Path) -> tuple[str, Wheels]:
    """The first lock file of the checkout `root` that names wheels, and those; else nothing."""
    for lock in LOCKS:
        found = defaultdict(set)
        for match in WHEEL.finditer(read_text(root, lock) or ""):
            if is_for_linux(match["platform"]):
                name = match["name"].lower().replace(".", "_")
                found[name].add((match["python"], match["abi"]))
        if found:
            return lock, {name: frozenset(tags) for name, tags in found.items()}
    return "", {}


def is_for_linux(platform: str) -> bool:
    """Whether a wheel of that platform tag can be installed in an image."""
    return platform == "any" or "manylinux" in platform or platform.startswith("linux_")


def only_for(wheel: re.Match[str]) -> str:
    """The one Python (``3.10``) that a match of `WHEEL` fits, empty if it fits several."""
    alone = re.fullmatch(r"cp3(\d+)", wheel["python"])
    return f"3.{alone[1]}" if alone and "abi3" not in wheel["abi"] else ""


def without_wheel(wheels: Wheels, minor: str) -> list[str]:
    """The packages that have wheels, and none for Python `minor` (``3.13``)."""
    major, _, number = minor.partition(".")
    tags = {(python, abi) for found in wheels.values() for python, abi in found}
    fitting = {tag for tag in tags if _fits(*tag, major, int(number))}
    return [name for name, found in sorted(wheels.items()) if not found & fitting]


def newest_with_wheels(wheels: Wheels, names: Collection[str]) -> str:
    """The newest Python 3 that one of these packages has a wheel for alone: the day of the lock."""
    tags = (python for name in names for python, abi in wheels[name] if "abi3" not in abi)
    minors = (int(minor) for tag in tags for minor in re.findall(r"cp3(\d+)", tag))
    newest = max(minors, default=0)
    return f"3.{newest}" if newest else ""


def _fits(python: str, abi: str, major: str, minor: int) -> bool:
    """Whether a wheel of these tags can be installed (PEP 425; of abi3 and py3, later ones too)."""
    for tag in python.split("."):
        match = re.fullmatch(r"(py|cp)(\d)(\d*)", tag)
        if not match or match[2] != major:
            continue
        since = int(match[3] or 0)
        if since == minor if match[1] == "cp" and "abi3" not in abi else since <= minor:
            return True
    return False
