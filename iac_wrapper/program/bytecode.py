"""Bytecode of a source, made where the image's Python is of the same version as ours.

Then the image needs no step of its own for it, which takes as long as all the rest of a build
after a change of code.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.files.public_tree import DIRECTORY
from iac_wrapper.program import bytecode_process

_HOME = "/app"
"""Where the source is in an image: tracebacks name it."""

PYTHON = ".".join(map(str, sys.version_info[:2])) if sys.implementation.name == "cpython" else ""
"""The version whose bytecode is made here: the same for all patch releases."""

_SAME = {"PYTHONHASHSEED": "0"}
_UNCHECKED = b"\1\0\0\0"
"""How bytecode says that it is never held against its source (PEP 552)."""


def compile_source(folder: Path, before: Path | None = None) -> None:
    """Put bytecode beside every module below `folder` that compiles; the others stay without.

    It does not tell when it was made: equal sources give equal files. Nothing is run, and a source
    that ends the compiler ends another process than this one.

    Args:
        folder: a source.
        before: an earlier one with its bytecode, which is taken where a module is the same.
    """
    waiting = list(_different(folder, before))
    if waiting:
        argv = (sys.executable, "-I", "-S", bytecode_process.__file__)
        process.run(Command(argv, env=_SAME, stdin=marshal.dumps(waiting).hex()))


def _different(folder: Path, before: Path | None) -> Iterator[tuple[bytes, bytes, str, bytes]]:
    """What is left to do for `bytecode_process`, after all that could be taken from `before`."""
    for here, directories, names in os.walk(folder):
        if "__pycache__" in directories:
            directories.remove("__pycache__")
        cache = Path(here, "__pycache__")
        if cache.is_symlink():
            continue
        relative = os.path.relpath(here, folder)
        old = before and _same_place(before, relative)
        for name in names:
            if name.endswith(".py"):
                path = Path(here, name)
                made = cache / Path(cache_from_source(name)).name
                try:
                    source = path.read_bytes()
                except OSError:  # a link to nowhere
                    continue
                header = MAGIC_NUMBER + _UNCHECKED + source_hash(source)
                is_link = path.is_symlink() or made.is_symlink()
                if not is_link and old and _take(old / name, source, header, made):
                    continue
                if not made.is_symlink():
                    shown = os.path.normpath(f"{_HOME}/{relative}/{name}")
                    yield os.fsencode(path), os.fsencode(made), shown, header


def _same_place(before: Path, relative: str) -> Path | None:
    """The folder `relative` of `before`, None if it is elsewhere: its place is in the bytecode."""
    folder = before / relative
    return folder if folder.resolve() == before.resolve() / relative else None


def _take(old: Path, source: bytes, header: bytes, target: Path) -> bool:
    """Whether `old` is the same module, and `target` became a name of its bytecode."""
    try:
        made = old.parent / target.parent.name / target.name
        if old.is_symlink() or made.is_symlink() or old.read_bytes() != source:
            return False
        with made.open("rb", buffering=0) as file:
            if file.read(len(header)) != header:
                return False  # the repository's own
        if not target.parent.is_dir():
            target.parent.mkdir()
            target.parent.chmod(DIRECTORY)
        target.unlink(missing_ok=True)
        target.hardlink_to(made)
    except OSError:  # it does not compile, or another deploy has just removed it
        return False
    return True
