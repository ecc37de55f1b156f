"""Which commands start a server, or a worker: read from their words, never run."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from pathlib import PurePosixPath

from iac_wrapper.model.options import Run

UNKNOWN = ""
"""Stands for a word that only running the program tells, such as ``sys.executable``."""

_ANY: Set[str] = frozenset()

_SERVERS: Mapping[str, Set[str]] = {
    **dict.fromkeys(("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "uwsgi"), _ANY),
    **dict.fromkeys(("waitress", "waitress-serve", "sanic", "gradio", "voila", "nginx"), _ANY),
    **dict.fromkeys(("http.server", "runserver", "runserver_plus", "twistd"), _ANY),
    **{name: {"run"} for name in ("flask", "quart", "litestar", "streamlit", "shiny", "solara")},
    **{name: {"run"} for name in ("chainlit", "reflex", "caddy", "mesop")},
    **{name: {"run", "dev"} for name in ("fastapi", "fastmcp")},
    **{
        name: {"serve", "run"}
        for name in ("panel", "bokeh", "bentoml", "vllm", "datasette", "rasa")
    },
    "manage.py": {"runserver", "runserver_plus"},
    "mlflow": {"server", "ui", "serve"},
    "jupyter": {"lab", "notebook", "server"},
    "marimo": {"run", "edit"},
}
"""Commands by name, and the words one of which makes them serve; without any they always do."""

_WORKERS: Mapping[str, Set[str]] = {
    **dict.fromkeys(("dramatiq", "arq", "huey_consumer", "faststream"), _ANY),
    **{name: {"worker", "beat"} for name in ("celery", "rq")},
}

_ASKS = {"--version", "--help", "--check-config", "--print-config", "install", "uninstall"}
"""With one of these a command tells something and ends."""

_BEFORE = {
    *("exec", "env", "nohup", "nice", "setsid", "time", "sudo", "command", "tini", "dumb-init"),
    *("poetry", "pipenv", "uv", "pdm", "hatch", "run", "xvfb-run", "ddtrace-run"),
    *("opentelemetry-instrument", "newrelic-admin", "run-program", "if", "then", "else", "do", "!"),
    UNKNOWN,
}
"""Words that may stand before a command."""

_PYTHON = re.compile(r"(python|pypy)[\d.]*")
_SHELLS = {"sh", "bash", "dash", "zsh", "ash"}
_OPERATORS = set("();<>|&")


Value = Callable[[str], "ast.expr | None"]
"""What a name of the file stands for."""


def words(
    nodes: Iterable[ast.expr], value: Value, _seen: frozenset[str] = frozenset()
) -> list[str]:
    """The words of a command in a call's arguments, as far as they are written down."""
    found: list[str] = []
    for node in nodes:
        match node:
            case ast.Constant(value=str() as text):
                found.append(text)
            case ast.JoinedStr(values=parts):
                texts = (part.value if isinstance(part, ast.Constant) else "x" for part in parts)
                found.append("".join(map(str, texts)))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                found += words(parts, value, _seen)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                before, after = words([left], value, _seen), words([right], value, _seen)
                is_line = any(" " in word for word in before)
                found += ["".join(before + after)] if is_line else before + after
            case ast.Name(id=name) if name not in _seen and (bound := value(name)):
                found += words([bound], value, _seen | {name})
            case _:
                inner = _text_in(node)
                found += words([inner], value, _seen) if inner else [UNKNOWN]
    return found


def _text_in(node: ast.expr) -> ast.expr | None:
    """What a text was made from: ``"…" % x``, ``"…".split()``, ``shlex.split("…")``."""
    match node:
        case ast.Starred(value=value) | ast.BinOp(left=value, op=ast.Mod()):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="split" | "format"), args=args):
            is_text = isinstance(value, ast.Constant | ast.JoinedStr)
            return value if is_text or not args else args[0]
    return None


Command = tuple[str, Sequence[str]]
"""The program that a command runs, for Python its script or module, and its arguments."""


def parsed(words: Sequence[str]) -> Iterator[Command]:
    """The command that these words are, or those of the line that they hold for a shell."""
    if len(words) == 1 and " " in words[0].strip():
        yield from in_script(words[0])
        return
    for position, word in enumerate(words):
        name, rest = PurePosixPath(word).name, words[position + 1 :]
        if word in _BEFORE or word[0] == "-" or "=" in word or _PYTHON.fullmatch(name):
            continue
        if name in _SHELLS:
            yield from in_script(next((each for each in rest if each[:1] != "-"), ""))
        else:
            yield word, rest
        return


def in_script(text: str) -> Iterator[Command]:
    """The commands of lines as a shell reads them."""
    for line in text.replace("\\\n", " ").splitlines():
        parts = _split(re.sub(r"(^|\s)#.*", "", line))
        for ends, command in groupby(parts, lambda word: set(word) <= _OPERATORS):
            if not ends:
                yield from parsed(list(command))


def run(command: Command) -> set[Run]:
    """What a command comes to; empty: nothing that is known."""
    return set(_kinds(PurePosixPath(command[0]).name, command[1]))


def _kinds(name: str, rest: Iterable[str]) -> Iterator[Run]:
    given = set(rest)
    if given & _ASKS:
        return
    tables: tuple[tuple[Run, Mapping[str, Set[str]]], ...] = (
        ("web", _SERVERS),
        ("worker", _WORKERS),
    )
    for run, table in tables:
        needed = table.get(name)
        if needed is not None and (not needed or needed & given):
            yield run


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that another line closes
        return line.split()
