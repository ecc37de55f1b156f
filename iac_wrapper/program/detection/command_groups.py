"""Groups of commands: called without one, they print their usage and end."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.origins import Origins
from iac_wrapper.program.detection.own_files import ParsedFile
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.syntax import Function, is_guard, module_level, walk

_CLICK = {f"{package}.group" for package in ("click", "asyncclick", "rich_click")}
_COMMANDS = {group.replace(".group", ".command") for group in _CLICK}
_CLASSES = {"click.Group", "click.MultiCommand", "click.CommandCollection"}
_FIND = {"list_commands", "get_command"}
_TYPER = "typer.Typer()"
_OF_FRAMEWORKS = {"flask.cli.main", "litestar.cli.main.litestar_group"}
"""Those of frameworks, which programs hand over to."""

_MADE_OF_THEM = {"flask.cli.FlaskGroup()"}

_OPTIONS = {"cls", "invoke_without_command"}
"""What may have a group do something without a command."""

_HARMLESS = {"obj", "prog_name", "auto_envvar_prefix"}
"""Arguments of a group that are no command."""


def group_file(project: Project, entrypoint: Entrypoint) -> str:
    """The file of the group that the program certainly is, so that it only prints its usage; empty
    if it is none, or gets arguments."""
    if entrypoint.args or entrypoint.kind not in ("module", "script"):
        return ""
    relative, rest = entrypoint.target, list[str]()
    if entrypoint.kind == "module":
        is_main = entrypoint.function is None
        relative, rest = project.own.module_file(relative.split("."), "", main=is_main)
    is_group = not rest and needs_a_command(project, relative, entrypoint.function)
    return relative if is_group else ""


def needs_a_command(project: Project, relative: str, name: str | None) -> bool:
    """Whether calling `name` of the Python file `relative` certainly only prints the usage: it is a
    group, or a function that calls one; None: what the guard of the file calls."""
    parsed = project.own.parsed(relative)
    if parsed is None:
        return False
    names = {*_names(parsed)}
    return bool(names) and (name in names if name else _called_by_guard(parsed) in names)


def commands_of(project: Project, relative: str) -> list[str]:
    """The names of the commands that the file registers, as a person would type them."""
    parsed = project.own.parsed(relative)
    functions = [node for node in parsed.nodes if isinstance(node, Function)] if parsed else []
    return [
        _command_name(decorator) or function.name.replace("_", "-")
        for function in functions
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call | ast.Attribute)
        and ast.unparse(getattr(decorator, "func", decorator)).endswith(".command")
    ]


def _command_name(decorator: ast.expr) -> str:
    match decorator:
        case ast.Call(args=[ast.Constant(value=str() as name), *_]):
            return name
    return ""


def _called_by_guard(parsed: ParsedFile) -> str:
    """The name that is called without arguments last of all, at the end of the file or below its
    guard."""
    last = parsed.tree.body[-1] if parsed.tree.body else None
    if isinstance(last, ast.If) and is_guard(last.test):
        last = last.body[-1]
    match last:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[], keywords=words)):
            return name if {word.arg for word in words} <= _HARMLESS else ""
    return ""


def _names(parsed: ParsedFile) -> Iterator[str]:
    groups: set[str] = set()
    functions: list[Function] = []
    classes: set[str] = set()
    for statement in module_level(parsed.tree.body, imported=True):
        match statement:
            case ast.ClassDef(name=name) if _is_group_class(statement, parsed.origins):
                classes.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions.append(statement)
                decorators = statement.decorator_list
                if any(_is_click(each, parsed.origins, classes) for each in decorators):
                    groups.add(statement.name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                if _is_object(name, call, parsed):
                    groups.add(name)
    yield from groups
    yield from (f.name for f in functions if _hands_over(f, groups, parsed.origins))


def _is_click(decorator: ast.expr, origins: Origins, classes: set[str]) -> bool:
    name = origins.dotted(decorator).removesuffix("()")
    if name in _CLICK:
        return not _decides(decorator)
    if name not in _COMMANDS or not isinstance(decorator, ast.Call):
        return False
    given = {word.arg: word.value for word in decorator.keywords}
    made_of = given.pop("cls", None)
    is_group = isinstance(made_of, ast.Name) and made_of.id in classes
    return is_group and not ({None, *_OPTIONS} & given.keys())


def _is_group_class(node: ast.ClassDef, origins: Origins) -> bool:
    """A group of click with a way of its own to find commands, and none to go on without one."""
    own = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    bases = {origins.dotted(base) for base in node.bases}
    return bool(bases & _CLASSES) and own <= _FIND


def _is_object(name: str, call: ast.Call, parsed: ParsedFile) -> bool:
    """One of typer has two commands or more: a single one runs without being named."""
    dotted = parsed.origins.dotted(call)
    if dotted in _MADE_OF_THEM:
        return not _decides(call)
    if dotted != _TYPER:
        return False
    calls = [node for node in parsed.nodes if _method(node, name)]
    if any(_decides(each) for each in (call, *calls)):
        return False
    methods = [_method(each, name) for each in calls]
    return bool({"callback", "add_typer"} & set(methods)) or methods.count("command") > 1


def _method(node: ast.AST, name: str) -> str:
    """``command`` of ``app.command(…)`` for ``app``; empty for anything else."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=base), attr=attr)) if base == name:
            return attr
    return ""


def _decides(node: ast.AST) -> bool:
    """Whether a call may say what its group does without a command."""
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return any(each.arg is None or each.arg in _OPTIONS for each in keywords)


def _hands_over(function: Function, groups: set[str], origins: Origins) -> bool:
    """Whether it calls a group, and does nothing to the arguments that this one reads."""
    nodes = walk(function)
    if function.decorator_list or any(getattr(node, "attr", "") == "argv" for node in nodes):
        return False
    calls = (node for node in nodes if isinstance(node, ast.Call) and not node.args)
    return any(
        origins.dotted(call.func) in _OF_FRAMEWORKS
        or (isinstance(call.func, ast.Name) and call.func.id in groups)
        for call in calls
        if {keyword.arg for keyword in call.keywords} <= _HARMLESS
    )
