"""Packages of conda and pixi: nothing here installs them, so a program that needs them cannot run.

It must not know what a program is; it says which file states such packages, and what would help.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from iac_wrapper.errors import SourceError
from iac_wrapper.program.python_project import PYPROJECT, inside, read_pyproject, read_text, table

_OF_ANY = ("python", "pip", "setuptools", "wheel")
"""Packages that are there without conda."""


def conda_file(root: Path) -> str:
    """The file of the checkout that states packages of conda or pixi, empty if none does."""
    return next((n for n, states in _FILES.items() if inside(root, n) and states(root, n)), "")


def advice(name: str) -> str:
    """What to do about the packages that the file `name` states."""
    return (
        f"commit a requirements.txt with the packages of {name} that PyPI has (`pip list"
        " --format=freeze` in that environment prints one); what only conda has needs a Dockerfile,"
        " and `build: dockerfile` in the entry"
    )


def not_installed(name: str) -> SourceError:
    """The error for a checkout whose packages are stated nowhere but in the file `name`."""
    return SourceError(
        "conda's packages are not installed here, and the repository states no others",
        where=name,
        found="no requirements.txt, setup.py or `[project]` in pyproject.toml, and no lock",
        expected="a file that says which packages of PyPI the program needs",
        next_step=advice(name),
    )


def _environment(root: Path, name: str) -> bool:
    """Whether an environment has more than Python. One that cannot be read may have."""
    try:
        found = yaml.safe_load(read_text(root, name) or "")
    except (yaml.YAMLError, ValueError, RecursionError):
        return True
    listed = found.get("dependencies") if isinstance(found, dict) else None
    packages = [one for one in listed if one] if isinstance(listed, list) else []
    return any(not isinstance(one, str) or _package(one) not in _OF_ANY for one in packages)


def _package(line: str) -> str:
    """``python`` of ``conda-forge::python >=3.9``."""
    name = line.rpartition("::")[2].strip()
    return name.partition(" ")[0].partition("=")[0].partition("<")[0].partition(">")[0]


def _list(root: Path, name: str) -> bool:
    """What ``conda list --explicit`` and ``--export`` print."""
    text = read_text(root, name) or ""
    return "@EXPLICIT" in text or "# platform:" in text


def _pixi(root: Path, _name: str) -> bool:
    """Whether pyproject.toml states packages for pixi."""
    return bool(table(read_pyproject(root), "tool", "pixi", "dependencies"))


def _always(_root: Path, _name: str) -> bool:
    return True


_FILES: dict[str, Callable[[Path, str], bool]] = {
    "environment.yml": _environment,
    "environment.yaml": _environment,
    "conda-lock.yml": _always,
    "package-list.txt": _list,
    "pixi.toml": _always,
    PYPROJECT: _pixi,
}
