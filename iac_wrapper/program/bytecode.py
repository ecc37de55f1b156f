"""Bytecode of a source, made where the image's Python is of the same version as ours.

Then the image needs no step of its own for it, which takes as long as all the rest of a build
after a change of code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.files.public_tree import DIRECTORY, PLAIN

_HOME = "/app"
"""Where the source is in an image: tracebacks name it."""

PYTHON = ".".join(map(str, sys.version_info[:2])) if sys.implementation.name == "cpython" else ""
"""The version whose bytecode is made here: the same for all patch releases."""


def compile_source(folder: Path, before: Path | None = None) -> None:
    """Put bytecode beside every module below `folder` that compiles; the others stay without.

    It does not tell when it was made: equal sources give equal files. Nothing is run, and a source
    that ends the compiler ends another process than this one.

    Args:
        folder: a source.
        before: an earlier one with its bytecode, which is taken where a module is the same.
    """
    waiting = [path for path in _modules(folder) if not _take(path, folder, before)]
    if waiting:
        names = "".join(f"{path}\n" for path in waiting)
        # compileall reads a list by lines; a name that holds one is found in the folder.
        what = ("-i", "-") if all(str(path).isprintable() for path in waiting) else (str(folder),)
        how = ("-qq", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _HOME)
        argv = (sys.executable, "-I", "-S", "-m", "compileall", *how, *what)
        process.run(Command(argv, env=_SAME, stdin=names))
    for cache in folder.rglob("__pycache__"):
        if cache.is_dir() and not cache.is_symlink():
            cache.chmod(DIRECTORY)
            for path in cache.glob("*.pyc"):
                path.chmod(PLAIN)


def _modules(folder: Path) -> Iterator[Path]:
    """The files that compileall would take."""
    for here, directories, names in os.walk(folder):
        directories[:] = [name for name in directories if name != "__pycache__"]
        yield from (Path(here, name) for name in names if name.endswith(".py"))


def _take(module: Path, folder: Path, before: Path | None) -> bool:
    """Whether the bytecode of the same module at the same place was there to be copied."""
    if before is None or module.is_symlink():
        return False
    relative = module.relative_to(folder)
    old = before / relative
    made = Path(cache_from_source(str(old)))
    try:
        source = module.read_bytes()
        is_same = old.resolve() == before.resolve() / relative  # its place is in the bytecode
        if not is_same or old.read_bytes() != source:
            return False
        code = made.read_bytes()
        if code[:16] != MAGIC_NUMBER + _UNCHECKED + source_hash(source):
            return False  # the repository's own
        target = module.parent / made.parent.name / made.name
        if target.is_symlink() or target.parent.is_symlink():
            return False  # the compiler writes through none
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(code)
    except OSError:  # it does not compile, or another deploy has just removed it
        return False
    return True


_SAME = {"PYTHONHASHSEED": "0"}
_UNCHECKED = b"\1\0\0\0"
"""How bytecode says that it is never held against its source (PEP 552)."""
