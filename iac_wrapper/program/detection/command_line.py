"""A command line, of a Procfile or of `entrypoint:`, as a program without a shell where that means
the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint, EntrypointKind
from iac_wrapper.program.detection import commands
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.serving import surely
from iac_wrapper.program.python_project import inside

_PORT = re.compile(r"\$PORT\b|\$\{PORT(?::?-[^}$]*)?\}")
_PARAMETER = re.compile(r"\$\{[^{}`()]*\}")
_PYTHON = re.compile(r"(?:\S*/)?python(?:3(?:\.\d+)?)?")
_WRAPPERS = re.compile(r"(?:pipenv|poetry|uv|pdm|hatch) run (?=[^-\s])")
"""They would look for an environment of their own; the packages are already on PATH."""

_CALL = re.compile(r"(?<=\s)([\w.]+:[\w.]+\(\))(?=\s|$)")
"""An application factory, as gunicorn takes it."""

_SHELL_WORDS = {
    *(".", ":", "[", "case", "cd", "eval", "exec", "export", "for", "if", "set", "source"),
    *("test", "trap", "ulimit", "umask", "until", "wait", "while"),
}
_OPERATORS = set("();<>|&")


@dataclass(frozen=True)
class CommandLine:
    """A command that runs in the root of `project`.

    `where` is ``file:line``, `found` the line as it is written there and `next_step` what to do
    about a bad one, for errors.
    """

    project: Project
    text: str
    where: str
    found: str
    next_step: str

    def entrypoint(self) -> Entrypoint:
        """The program, without a reason; ``run`` as far as the words of the command tell it.

        Raises:
            EntrypointError: it cannot be read, or names a file that is not in the checkout.
        """
        text = _quoted(_WRAPPERS.sub("", self.text, count=1))
        plain = _PORT.sub("$PORT", text)
        words = self._words(plain)
        if _needs_shell(plain, words):
            return self._made("shell", _ending_in_exec(text))
        return self._program(words)

    def _program(self, words: list[str]) -> Entrypoint:
        program, *args = words
        where, _, function = program.removeprefix("./").partition(":")
        if function and all(part.isidentifier() for part in function.split(".")):
            if where.endswith(".py"):
                self._file(where)
                return replace(self._made("script", where, args), function=function)
            found, rest = self.project.own.module_file(where.split("."), "")
            if found and not rest:
                return replace(self._made("module", where, args), function=function)
        if _PYTHON.fullmatch(program):
            return self._python(args)
        if program.endswith(".py") and inside(self.project.root, program):
            return self._python(words)
        if "/" in program and not program.startswith("/"):
            path = program.removeprefix("./")
            file = self._file(path)
            if not file.stat().st_mode & 0o111:
                raise self._bad(f"{path} is not executable", f"git update-index --chmod=+x {path}")
            # Not a binary: a script may call programs of the packages that are installed.
            return self._made("command", f"/app/{path}", args)
        return self._made("command", program, args)

    def _python(self, args: list[str]) -> Entrypoint:
        while args[:1] == ["-u"]:  # output is never buffered here
            args = args[1:]
        if args[:1] == ["-m"] and len(args) > 1:
            return self._made("module", args[1], args[2:])
        is_folder = args and (self.project.root / args[0]).is_dir()
        if args and not args[0].startswith("-") and not is_folder:
            self._file(args[0])
            return self._made("script", args[0].removeprefix("./"), args[1:])
        return self._made("command", "python", args)

    def _made(self, kind: EntrypointKind, target: str, args: Sequence[str] = ()) -> Entrypoint:
        kinds = {
            kind for command in commands.in_script(self.text) for kind in commands.run(command)
        }
        return Entrypoint(kind, target, None, "", args=tuple(args), run=surely(kinds))

    def _words(self, text: str) -> list[str]:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            return list(lexer)
        except ValueError as error:
            raise self._bad(f"the command cannot be read: {error}".lower()) from None

    def _file(self, path: str) -> Path:
        file = inside(self.project.root, path)
        if file is None:
            raise self._bad(f"it names {path}, which is not in the checkout")
        return file

    def _bad(self, message: str, next_step: str = "") -> EntrypointError:
        return EntrypointError(
            message,
            where=self.where or None,
            found=self.found,
            expected="a command that runs in the root of the repository",
            next_step=next_step or self.next_step,
        )


def _quoted(text: str) -> str:
    """``gunicorn shop:make()`` as its author means it: to a shell the parentheses are an error."""
    return text if set(text) & set("'\"") else _CALL.sub(r"'\1'", text)


def _needs_shell(text: str, words: list[str]) -> bool:
    """Anything that a shell might read in another way than word for word."""
    without_port = text.replace("$PORT", "")
    return (
        bool(re.search(r"[$`*?~#{}\[\]\\!]", without_port))
        or ("$PORT" in text and "'" in text)
        or any(set(word) <= _OPERATORS for word in words)
        or words[0] in _SHELL_WORDS
        or re.match(r"\w+=", words[0]) is not None
    )


def _ending_in_exec(text: str) -> str:
    """``a && b`` as ``a && exec b``: a shell that stays would not pass the signal to stop on."""
    head, joint, tail = text.rpartition("&&")
    first = (tail.split() or [""])[0]
    simple = not set(_PARAMETER.sub("", tail)) & set("|;&()<>`{}")
    if (
        not first
        or not simple
        or "=" in first
        or first in _SHELL_WORDS
        or set(head) & set("|;()`'\"")
    ):
        return text
    return f"{head}{joint}{' ' if joint else ''}exec {tail.strip()}"
