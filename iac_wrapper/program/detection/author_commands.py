"""Commands by which the author starts the repository: those of its image, with the shell scripts
that it runs, and those of its README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from iac_wrapper.program.detection.commands import Command, in_script, parsed, run
from iac_wrapper.program.detection.dockerfile_text import started
from iac_wrapper.program.detection.markers import DOCKERFILE
from iac_wrapper.program.python_project import inside, read_text

_PORT = re.compile(r"\$\{PORT(?::?-[^}$]*)?\}")
_GIVEN = re.compile(r"\$[@*]")
"""What a script was called with."""

_DEPTH = 3
"""How many scripts may start each other."""

_SHOWN = re.compile(
    r"""
    (?:^|[\s`$>(;&"'])
    ((?:(?:uv|poetry|pipenv|pdm)\ run\ +)?
     (?:py|python[\d.]*|uvicorn|gunicorn|hypercorn|daphne|streamlit|chainlit|fastapi|flask)
     \ +[^`\n|<)]+)
    """,
    re.X | re.M,
)


class AuthorCommand(NamedTuple):
    """A program and its words, as in `commands.Command`, and where they stand."""

    name: str
    words: Sequence[str]
    where: str


def image_commands(root: Path) -> Iterator[AuthorCommand]:
    """What the Dockerfile of the checkout starts, and what the scripts do that this runs."""
    line, by = started(read_text(root, DOCKERFILE) or "")
    yield from _followed(root, line, f"{by} of the {DOCKERFILE}", _DEPTH)


def readme_commands(root: Path) -> Iterator[AuthorCommand]:
    """Commands of Python that the README shows."""
    names = sorted(path.name for path in root.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*"))
    for name in names:
        for shown in _SHOWN.findall(read_text(root, name) or ""):
            for word, words in in_script(shown):
                program = word.rstrip(".,;:")
                if " -m " in shown or program.endswith(".py") or run((program, words)):
                    yield AuthorCommand(program, words, name)  # else: "a python bot for …"


def _followed(root: Path, text: str, where: str, depth: int) -> Iterator[AuthorCommand]:
    for name, words in in_script(_PORT.sub("$PORT", text)):
        script = _script(root, name)
        if not (script and depth):
            yield AuthorCommand(name, words, where)
            continue
        inside_it = read_text(root, script) or ""
        yield from _followed(root, inside_it, script, depth - 1)
        if _GIVEN.search(inside_it):
            yield from (AuthorCommand(*one, where) for one in _of_words(words))


def _of_words(words: Sequence[str]) -> Iterator[Command]:
    return parsed([word for word in words if word])


def _script(root: Path, name: str) -> str:
    """The shell script of the checkout that a path in its image is; empty: none, or not certain."""
    if not name.endswith(".sh"):
        return ""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    if found := next((end for end in ends if inside(root, end)), ""):
        return found
    paths = [path for way in ("*/*.sh", "*/*/*.sh") for path in root.glob(way)]
    paths = [path for path in paths if path.name == parts[-1]]
    return paths[0].relative_to(root).as_posix() if len(paths) == 1 else ""
