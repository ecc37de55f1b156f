"""Files that ask uvicorn for what it refuses: to reload an object, or to run it in several
processes. It needs the name of the object for either."""

from __future__ import annotations

import ast

from iac_wrapper.program.detection.project import Project

_USUAL: dict[str, tuple[object, ...]] = {"reload": (False, None), "workers": (1, None)}
"""What may be said of an object."""


def is_refused(project: Project, relative: str) -> bool:
    """Whether a file hands an object to ``uvicorn.run`` with such an option, or with one whose
    value nobody knows before it runs."""
    parsed = project.own.parsed(relative)
    return parsed is not None and any(
        parsed.origins.dotted(node) == "uvicorn.run()" and _asks(node)
        for node in ast.walk(parsed.tree)
        if isinstance(node, ast.Call)
    )


def _asks(call: ast.Call) -> bool:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    what = call.args[0] if call.args else named.get("app")
    if what is None or isinstance(what, ast.Constant | ast.JoinedStr):
        return False
    return any(
        name in named and not _is_one_of(named[name], usual) for name, usual in _USUAL.items()
    )


def _is_one_of(value: ast.expr, usual: tuple[object, ...]) -> bool:
    return isinstance(value, ast.Constant) and value.value in usual
