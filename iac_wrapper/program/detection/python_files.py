"""Which Python files of a checkout may hold its program, nearest to the root first."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from iac_wrapper.program.python_project import inside

_NOT_PROGRAMS = {
    *("alembic", "bench", "benchmark", "benchmarks", "build", "dist", "doc", "docs", "docs_src"),
    *("e2e", "env", "example", "examples", "fixtures", "migrations", "node_modules", "notebooks"),
    *("sample", "samples", "scripts", "site-packages", "test", "testing", "tests", "third_party"),
    *("vendor", "venv"),
}
"""Directories whose programs serve the project's developers, not its users."""

_NOT_ENTRYPOINTS = {
    *("setup.py", "conftest.py", "noxfile.py", "fabfile.py", "tasks.py", "manage.py"),
    *("test.py", "tests.py", "example.py", "examples.py", "gunicorn.conf.py"),
}
"""Files with a guard that wait for a command; without one they print their usage and exit."""

_ASIDE = re.compile(
    r"""
    (.*_)?(client|clients|helper|helpers|util|utils|common|constants|version)
    |(settings|config|conf|logger|logging_config)(_.*)?|(.*_)?(settings|config|conf)
    |(.*_)?(pre_?start|initial_data|benchmark|bench|backfill|migrations?|fixtures?)(_.*)?
    |(init|create|seed|setup|reset|drop|populate|wait_for|migrate|load_?test|test|check)(_.*)?
    |(install|lint|build_docs|release)
    """,
    re.X,
)
"""Names of what other programs use, or people run beside the service."""

_SCAN_DEPTH = 3
_SCAN_FILES = 500
"""Bounds of the scan: parsing a file costs about a millisecond."""


def python_files(root: Path, without: Collection[str] = ()) -> list[str]:
    """Files of the checkout by their paths relative to `root`, with forward slashes: at most
    `_SCAN_FILES`, `_SCAN_DEPTH` deep.

    Args:
        root: the checkout.
        without: folders to leave out.
    """
    files: list[str] = []
    level = [""]
    for _ in range(_SCAN_DEPTH + 2):
        below: list[str] = []
        for folder in level:
            entries = _entries(root / folder)
            files += [folder + e.name for e in entries if _may_be_program(root, folder, e)]
            inner = (e.name for e in entries if e.is_dir(follow_symlinks=False))
            below += [f"{folder}{n}/" for n in inner if may_hold_programs(n)]
        near = [folder for folder in below if _depth(folder) <= _SCAN_DEPTH]
        level = [folder for folder in near if folder.rstrip("/") not in without]
        if len(files) >= _SCAN_FILES:
            break
    return files[:_SCAN_FILES]


def _depth(folder: str) -> int:
    """How deep it lies; ``src`` does not count."""
    return folder.removeprefix("src/").count("/")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:  # not ours to read
        return []


def may_hold_programs(directory: str) -> bool:
    """False for the name of a folder of tests, examples, documents and the like, and for one that
    is still to be filled in."""
    return (
        directory.lower() not in _NOT_PROGRAMS
        and not {"{{", "}}"} & {directory[:2], directory[-2:]}
        and not directory.startswith((".", "_"))
        and directory.isprintable()
    )


def is_aside(stem: str) -> bool:
    """Whether a file of this name is a helper of the program rather than the program."""
    return bool(_ASIDE.fullmatch(stem.lower()))


def _may_be_program(root: Path, folder: str, entry: os.DirEntry[str]) -> bool:
    """By its name; a link that leaves the checkout is none. Only links are followed to see that,
    which costs more than all the rest."""
    name = entry.name
    return (
        name.endswith(".py")
        and name.isprintable()  # bytes that are no UTF-8, or a new line, are in no entrypoint
        and name not in _NOT_ENTRYPOINTS
        and not name.startswith("test_")
        and not name.endswith(("_test.py", "_pb2.py", "_pb2_grpc.py"))
        and (entry.is_file(follow_symlinks=False) or inside(root, folder + name) is not None)
    )
