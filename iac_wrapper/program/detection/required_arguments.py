"""Arguments without which a program prints its usage and ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.command_groups import group_file
from iac_wrapper.program.detection.given_commands import without_command
from iac_wrapper.program.detection.own_files import ParsedFile
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.syntax import Function

_PARSERS = {"argparse.ArgumentParser()", "configargparse.ArgumentParser()"}
_OPTIONAL = {"?", "*", "...", None}
"""`nargs` of an argument that may be left out, or is no constant."""


def required_arguments(project: Project, chosen: Entrypoint) -> tuple[str, ...]:
    """A sentence if the file that is run asks for arguments that nothing gives."""
    if group := group_file(project, chosen):
        return (without_command(project, chosen, group),)
    if chosen.args or chosen.kind not in ("script", "module"):
        return ()
    relative, start = chosen.target, chosen.display
    if chosen.kind == "module":
        is_main = chosen.function is None
        relative = project.own.module_file(chosen.target.split("."), "", main=is_main)[0]
        start = f"python -m {chosen.target}" if is_main else chosen.display
    parsed = project.own.parsed(relative)
    names = list(dict.fromkeys((*_of_argparse(parsed), *_of_click(parsed)))) if parsed else []
    if not names:
        return ()
    words = " ".join(f"{name} …" if name.startswith("-") else name.upper() for name in names)
    return (
        f"{relative} ends without the arguments {', '.join(names)}: `entrypoint: {start} {words}`"
        " in its entry gives them",
    )


def _of_argparse(parsed: ParsedFile) -> Iterator[str]:
    """Of parsers that read the command line; a group of arguments, or a command, is none."""
    made = {
        target.id
        for node in parsed.nodes
        if isinstance(node, ast.Assign) and parsed.origins.dotted(node.value) in _PARSERS
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [*_methods(parsed, made)]
    if not any(name == "parse_args" and not call.args for name, call in calls):
        return
    for name, call in calls:
        if name == "add_argument" and (option := _first_text(call)):
            said = _constants(call)
            is_required = said.get("required") is True
            if is_required if option.startswith("-") else said.get("nargs", 1) not in _OPTIONAL:
                yield option


def _methods(parsed: ParsedFile, objects: set[str]) -> Iterator[tuple[str, ast.Call]]:
    for node in parsed.nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                if name in objects:
                    yield method, node


def _of_click(parsed: ParsedFile) -> Iterator[str]:
    """Of the only command; a variable may give what has an `envvar`."""
    functions = [node for node in parsed.tree.body if isinstance(node, Function)]
    decorators = [
        [(parsed.origins.dotted(d).removesuffix("()"), d) for d in function.decorator_list]
        for function in functions
    ]
    commands = [each for each in decorators if any(name == "click.command" for name, _ in each)]
    for name, decorator in commands[0] if len(commands) == 1 else ():
        if not isinstance(decorator, ast.Call) or not (option := _first_text(decorator)):
            continue
        said = _constants(decorator)
        if said.keys() & {"envvar", "default"}:
            continue
        is_option = name == "click.option" and said.get("required") is True
        is_argument = name == "click.argument" and said.get("required", True) is True
        if is_option or (is_argument and "nargs" not in said):
            yield option


def _first_text(call: ast.Call) -> str:
    """The longest name of an option, the name of an argument."""
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return max(texts, key=len, default="") if len(texts) == len(call.args) else ""


def _constants(call: ast.Call) -> dict[str | None, object]:
    """The keywords with their values, None for what is no constant."""
    return {
        word.arg: word.value.value if isinstance(word.value, ast.Constant) else None
        for word in call.keywords
    }
