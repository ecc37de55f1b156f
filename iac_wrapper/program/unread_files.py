"""Files that state what a repository needs and that nothing is installed from: one line for each.

It must not know how dependencies are chosen, only which files that choice has read.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from iac_wrapper.program.python_project import (
    PYPROJECT,
    inside,
    read_pyproject,
    read_text,
    strings,
    table,
)

_NOT_READ = (
    *("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile", "Pipfile.lock"),
    *("environment.yml", "environment.yaml", "conda-lock.yml", "pixi.toml"),
    "package.json",
)
"""Statements of other tools: locks, conda environments, packages of Node and of Debian."""


def unread_files(
    root: Path, read: Collection[str], usable: Collection[str] = ()
) -> tuple[str, ...]:
    """A sentence for each file that states dependencies and is not among `read`.

    Args:
        root: the checkout.
        read: the files that were.
        usable: those that could be chosen in their place.
    """
    others = sorted({*usable} - {*read})
    read = {*read, *others}
    found = [f"{name} found, not used: `dependencies: {name}` chooses it" for name in others]
    found += [
        f"{name} is not read" for name in _NOT_READ if inside(root, name) and name not in read
    ]
    if PYPROJECT not in read and _pyproject_states(root):
        found.append(f"the dependencies in {PYPROJECT} are not read")
    found += [
        f"the dependencies in {name} are not read"
        for name in ("setup.py", "setup.cfg")
        if _states(root, name) and name not in read
    ]
    found += [f"{name} found, not used" for name in _requirements(root) if name not in read]
    return tuple(found)


def _requirements(root: Path) -> list[str]:
    patterns = ("requirements*.txt", "*requirements.txt", "requirements/*.txt")
    names = {path.relative_to(root).as_posix() for p in patterns for path in root.glob(p)}
    return sorted(name for name in names if inside(root, name))


def _pyproject_states(root: Path) -> bool:
    pyproject = read_pyproject(root)
    return bool(
        strings(table(pyproject, "project").get("dependencies"))
        or table(pyproject, "tool", "poetry", "dependencies")
    )


def _states(root: Path, name: str) -> bool:
    """setup.cfg is often there for a linter only."""
    return "install_requires" in (read_text(root, name) or "")
