"""Dash applications that another file gives their layout: served alone, they are empty pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from iac_wrapper.program.detection.origins import OWN_FILE
from iac_wrapper.program.detection.own_files import OwnFiles, ParsedFile
from iac_wrapper.program.detection.syntax import module_level, target_names

LAYOUT = re.compile(rb"\.layout\b")

_DASH = "dash.Dash()"
_SERVER = f"{_DASH}.server"


def laid_out_by(own: OwnFiles, relative: str, files: list[str]) -> str:
    """The file that gives the Dash application of `relative` its layout, where importing that
    does not; empty: it has one, or is no such application.

    Args:
        own: the checkout's files.
        relative: the one that makes the application.
        files: those that may set a layout.
    """
    parsed = own.parsed(relative)
    if parsed is None or not _binds_a_server(parsed) or _sets(own, relative, relative):
        return ""
    imported = {own.located(name, relative)[0] for name in parsed.origins.own_imports()}
    return next((f for f in files if f not in imported and _sets(own, f, relative)), "")


def _sets(own: OwnFiles, relative: str, maker: str) -> bool:
    """Whether the file sets the layout of an application of the file `maker`."""
    parsed = own.parsed(relative)
    return parsed is not None and any(
        _is_from(own, parsed, value, relative, maker) for value in _laid_out(parsed)
    )


def _laid_out(parsed: ParsedFile) -> Iterator[ast.expr]:
    for statement in module_level(parsed.tree.body):
        for target in statement.targets if isinstance(statement, ast.Assign) else ():
            if isinstance(target, ast.Attribute) and target.attr == "layout":
                yield target.value


def _is_from(own: OwnFiles, parsed: ParsedFile, value: ast.expr, relative: str, maker: str) -> bool:
    dotted = parsed.origins.dotted(value)
    if dotted.startswith(OWN_FILE):
        return own.located(dotted, relative)[0] == maker
    return relative == maker and dotted == _DASH


def _binds_a_server(parsed: ParsedFile) -> bool:
    """Whether its module level has a name for the server of a Dash application, or gives it one."""
    return any(
        parsed.origins.dotted(statement.value) == _SERVER or _gets_a_server(parsed, statement.value)
        for statement in module_level(parsed.tree.body, imported=True)
        if isinstance(statement, ast.Assign) and any(target_names(statement.targets))
    )


def _gets_a_server(parsed: ParsedFile, value: ast.expr) -> bool:
    """``Dash(__name__, server=server)``, which leaves the name that was there."""
    if not isinstance(value, ast.Call) or parsed.origins.dotted(value) != _DASH:
        return False
    return any(word.arg == "server" and isinstance(word.value, ast.Name) for word in value.keywords)
