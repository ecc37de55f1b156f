"""The requirements that setup.cfg and setup.py state as plain text. Read, never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iac_wrapper.program.python_project import strings
from iac_wrapper.program.setup_files import setup_cfg, setup_py


@dataclass(frozen=True)
class SetupMetadata:
    """`base` is what is always required, None if that cannot be told; `extras` by their names, in
    the file `file`."""

    file: str = ""
    base: tuple[str, ...] | None = None
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def setup_metadata(root: Path) -> SetupMetadata:
    """Of the file that has extras, setup.cfg before setup.py; empty without any."""
    for file, read in (("setup.cfg", _of_setup_cfg), ("setup.py", _of_setup_py)):
        base, extras = read(root)
        if extras:
            return SetupMetadata(file, base, extras)
    return SetupMetadata()


_Read = tuple[tuple[str, ...] | None, dict[str, tuple[str, ...]]]


def _of_setup_cfg(root: Path) -> _Read:
    parser = setup_cfg(root)
    table = "options.extras_require"
    names = parser.options(table) if parser.has_section(table) else []
    base = _lines(parser.get("options", "install_requires", fallback=""))
    is_plain = not any(line.startswith("file:") for line in base)
    return (base if is_plain else None), {name: _lines(parser.get(table, name)) for name in names}


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _of_setup_py(root: Path) -> _Read:
    tree = setup_py(root, "extras_require")
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            stated = {keyword.arg: keyword.value for keyword in node.keywords}
            if isinstance(extras := _literal(stated.get("extras_require"), named), dict):
                base = _literal(stated.get("install_requires"), named)
                is_known = "install_requires" not in stated or isinstance(base, list | tuple | str)
                given = {str(name): _texts(lines) for name, lines in extras.items()}
                return (_texts(base) if is_known else None), given
    return None, {}


def _texts(value: Any) -> tuple[str, ...]:
    """One requirement, or several."""
    if isinstance(value, str):
        return _lines(value)
    return strings([*value]) if isinstance(value, list | tuple) else ()


def _literal(node: ast.expr | None, named: Mapping[str, ast.expr]) -> Any:
    """What is written there, or in the variable for it; None if it is not written out."""
    if isinstance(node, ast.Name):
        node = named.get(node.id)
    try:
        return ast.literal_eval(node) if node is not None else None
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
