"""Every error that a person can see says what to do next."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from iac_wrapper.errors import IacError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDERS = ("iac_wrapper", "admin", "constructs_lib", "stacks")

WITHOUT = {
    "SourceUnavailableError(": "git is asked for the commit next: nobody sees this one alone",
    "ConfigError('the cdktf app refused its input'": "the lines below it are the app's own error",
    "super().__init__(_sentence(": "the lines below it have the step of each service",
}
"""How the making of an error begins that has no next step, and why it needs none."""


@cache
def _modules() -> dict[str, ast.Module]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    files.append(ROOT / "main.py")
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


@cache
def _errors() -> dict[str, bool]:
    """`IacError` and what is made from it, by name: whether it has a constructor of its own."""
    nodes = (node for tree in _modules().values() for node in ast.walk(tree))
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    found = {IacError.__name__: False}
    while more := [
        each
        for each in classes
        if each.name not in found and any(_name(base) in found for base in each.bases)
    ]:
        for each in more:
            found[each.name] = any(getattr(part, "name", "") == "__init__" for part in each.body)
    return found


def _made(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls that fill in the facts of an error."""
    errors = _errors()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and errors.get(_name(node.func)) is False:
            yield node
        if isinstance(node, ast.ClassDef) and errors.get(node.name):
            calls = (part for part in ast.walk(node) if isinstance(part, ast.Call))
            yield from (call for call in calls if ast.unparse(call.func) == "super().__init__")


def _has_step(call: ast.Call) -> bool:
    """Whether it gets a step, also where a condition decides on it."""
    steps = [each.value for each in call.keywords if each.arg == "next_step"]
    parts = (part for step in steps for part in (step, getattr(step, "orelse", step)))
    return bool(steps) and not any(ast.unparse(part) in ("None", "''") for part in parts)


def _left_open(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions that make an error and may get no step for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            named = [*node.args.args, *node.args.kwonlyargs]
            values = [*node.args.defaults, *node.args.kw_defaults]
            for argument, value in zip(reversed(named), reversed(values), strict=False):
                if argument.arg == "next_step" and ast.unparse(value or argument) == "None":
                    yield node


def test_every_error_says_what_to_do_next() -> None:
    """Where something can be done; the few others are listed here with the reason."""
    bare = [
        f"{path}:{call.lineno}: {ast.unparse(call)[:100]}"
        for path, tree in _modules().items()
        for call in _made(tree)
        if not _has_step(call) and not ast.unparse(call).startswith(tuple(WITHOUT))
    ]
    assert not bare, "\n".join(bare)
    open_ones = [
        f"{path}:{node.lineno}: {node.name} may leave next_step out"
        for path, tree in _modules().items()
        for node in _left_open(tree)
    ]
    assert not open_ones, "\n".join(open_ones)


def test_every_exception_is_still_one() -> None:
    """None is kept for an error that has a step by now, or that is gone."""
    bare = [
        ast.unparse(call)
        for tree in _modules().values()
        for call in _made(tree)
        if not _has_step(call)
    ]
    assert [start for start in WITHOUT if not any(one.startswith(start) for one in bare)] == []


def test_the_rule_sees_what_it_is_to_see() -> None:
    """Errors of all kinds, also those that are made by a function or a class of their own."""
    made = [ast.unparse(call) for tree in _modules().values() for call in _made(tree)]
    assert len(made) > 150
    assert any(text.startswith("super().__init__('no such deployment'") for text in made)
    tree = ast.parse("def f(text, *, next_step=None): raise ConfigError(text, where='x')")
    assert [_has_step(call) for call in _made(tree)] == [False]
    assert [node.name for node in _left_open(tree)] == ["f"]
