"""Bytecode of a source, made where the image's Python is of the same version as ours.

Then the image needs no step of its own for it, which takes as long as all the rest of a build
after a change of code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.files.public_tree import DIRECTORY, PLAIN

_HOME = "/app"
"""Where the source is in an image: tracebacks name it."""

PYTHON = ".".join(map(str, sys.version_info[:2])) if sys.implementation.name == "cpython" else ""
"""The version whose bytecode is made here: the same for all patch releases."""


def compile_source(folder: Path) -> None:
    """Put bytecode beside every module below `folder` that compiles; the others stay without.

    It does not tell when it was made: equal sources give equal files. Nothing is run, and a source
    that ends the compiler ends another process than this one.
    """
    how = ("-qq", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _HOME)
    command = Command((sys.executable, "-I", "-m", "compileall", *how, str(folder)), env=_SAME)
    process.run(command)
    for cache in folder.rglob("__pycache__"):
        if cache.is_dir() and not cache.is_symlink():
            cache.chmod(DIRECTORY)
            for path in cache.glob("*.pyc"):
                path.chmod(PLAIN)


_SAME = {"PYTHONHASHSEED": "0"}
