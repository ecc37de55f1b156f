"""Which file of a checkout a dotted name stands for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from iac_wrapper.program.detection.origins import OWN_FILE
from iac_wrapper.program.python_project import inside


def module_file(
    root: Path, parts: list[str], near: str, *, main: bool = False
) -> tuple[str, list[str]]:
    """The file of the longest part of a dotted name that is a module, and what is left of it.

    Args:
        root: of the checkout.
        parts: the name's.
        near: a folder to look in first, relative to the root.
        main: whether it is run as ``python -m``, which runs ``__main__`` of a package.
    """
    ends = (".py", "/__main__.py") if main else (".py", "/__init__.py")
    for length in range(len(parts), 0, -1):
        for folder in dict.fromkeys((near, "", "src")):
            path = PurePosixPath(folder, *parts[:length])
            for end in ends:
                if inside(root, f"{path}{end}"):
                    return f"{path}{end}", parts[length:]
    return "", []


def located(root: Path, dotted: str, by: str) -> tuple[str, list[str]]:
    """The file that a name of `OWN_FILE` in the file `by` is from, and its name there."""
    written = dotted.removeprefix(OWN_FILE)
    name = written.lstrip(".")
    parts = [part.removesuffix("()") for part in name.split(".") if part]
    folder = PurePosixPath(by).parent
    for _ in range(len(written) - len(name) - 1):
        folder = folder.parent
    found, rest = module_file(root, parts, str(folder))
    if not found and written != name:  # ``from . import x``, where x is in __init__
        return f"{folder}/__init__.py", parts
    return found, rest


def module_name(relative: str) -> str:
    """The dotted name of a Python file seen from the root: ``src`` and ``__init__`` are no part."""
    parts = list(PurePosixPath(relative).with_suffix("").parts)
    if parts[0] == "src" and len(parts) > 1:
        del parts[0]
    if parts[-1] == "__init__" and len(parts) > 1:
        del parts[-1]
    return ".".join(parts)
