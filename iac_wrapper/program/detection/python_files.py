"""Which Python files of a checkout may hold its program, nearest to the root first."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

_NOT_PROGRAMS = {
    *("alembic", "benchmarks", "build", "dist", "doc", "docs", "env", "example", "examples"),
    *("migrations", "node_modules", "samples", "scripts", "site-packages", "test", "tests"),
    "venv",
}
"""Directories whose programs serve the project's developers, not its users."""

_NOT_ENTRYPOINTS = {
    *("setup.py", "conftest.py", "noxfile.py", "fabfile.py", "tasks.py", "tests.py", "manage.py"),
}
"""Files with a guard that wait for a command; without one they print their usage and exit."""

_SCAN_DEPTH = 3
_SCAN_FILES = 500
"""Bounds of the scan: parsing a file costs about a millisecond."""


def python_files(root: Path) -> list[str]:
    """Paths relative to `root`, with forward slashes; at most `_SCAN_FILES`, `_SCAN_DEPTH` deep."""
    files: list[str] = []
    for folder, directories, names in os.walk(root):
        relative = PurePosixPath(Path(folder).relative_to(root).as_posix())
        deep = len(relative.parts) >= _SCAN_DEPTH
        directories[:] = [] if deep else sorted(filter(may_hold_programs, directories))
        files.extend(str(relative / name) for name in sorted(names) if _may_be_program(name))
        if len(files) >= _SCAN_FILES:
            break
    return files[:_SCAN_FILES]


def may_hold_programs(directory: str) -> bool:
    """False for the name of a folder of tests, examples, documents and the like."""
    return directory not in _NOT_PROGRAMS and not directory.startswith((".", "_"))


def _may_be_program(name: str) -> bool:
    return (
        name.endswith(".py")
        and name not in _NOT_ENTRYPOINTS
        and not name.startswith("test_")
        and not name.endswith("_test.py")
    )
