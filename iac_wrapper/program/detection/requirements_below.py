"""A requirements file in a folder, for a checkout whose root says nothing of what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from iac_wrapper.program.detection.markers import requirements
from iac_wrapper.program.detection.python_files import may_hold_programs
from iac_wrapper.program.python_project import (
    REQUIREMENTS,
    almost_requirements,
    inside,
    requirements_of,
)

_PLACES = (f"*/{REQUIREMENTS}", f"*/*/{REQUIREMENTS}")


def requirements_below(root: Path) -> tuple[str, ...]:
    """The requirements.txt files of its folders, such as ``docker/requirements.txt``, relative to
    `root`; none if the root has requirements of its own.

    Left out are folders that are projects of their own: they have programs, and are no package.
    """
    if requirements(root) or requirements_of(root):
        return ()
    found = (path.relative_to(root) for place in _PLACES for path in root.glob(place))
    names = [path.as_posix() for path in found] or [*_almost(root)]
    return tuple(sorted(name for name in names if _is_of_root(root, PurePosixPath(name))))


def _almost(root: Path) -> Iterator[str]:
    """Those that are called almost like that."""
    for folder in (*root.glob("*/"), *root.glob("*/*/")):
        if folder.is_dir() and all(map(may_hold_programs, folder.relative_to(root).parts)):
            yield from almost_requirements(folder, root)


def _is_of_root(root: Path, path: PurePosixPath) -> bool:
    folder = root / path.parent
    is_part = inside(folder, "__init__.py") or not any(True for _ in folder.glob("*.py"))
    return (
        bool(is_part)
        and all(map(may_hold_programs, path.parts))
        and inside(root, path.as_posix()) is not None
    )
