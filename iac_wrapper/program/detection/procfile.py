"""Procfile: the commands by which the author's own platform runs the repository.

Only one process of a repository runs here, the web process or else the worker; what is not run is
said. A command is translated into a program started without a shell wherever that means the same.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.python_project import inside, read_text

PROCFILE = "Procfile"

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(\S.*)")
_PORT = re.compile(r"\$PORT\b|\$\{PORT(?::?-[^}$]*)?\}")
_PARAMETER = re.compile(r"\$\{[^{}`()]*\}")
_PYTHON = re.compile(r"(?:\S*/)?python(?:3(?:\.\d+)?)?")
_WRAPPERS = re.compile(r"(?:pipenv|poetry|uv|pdm|hatch) run (?=[^-\s])")
"""They would look for an environment of their own; the packages are already on PATH."""

_RELEASE = "release"
"""The process that runs once before a new version, and the key of repos.yaml for the same."""

_SHELL_WORDS = {
    *(".", ":", "[", "case", "cd", "eval", "exec", "export", "for", "if", "set", "source"),
    *("test", "trap", "ulimit", "umask", "until", "wait", "while"),
}
_OPERATORS = set("();<>|&")


@dataclass(frozen=True)
class Process:
    """One line of the Procfile, at line `number` from 1."""

    name: str
    command: str
    number: int

    @property
    def label(self) -> str:
        """``Procfile: web``."""
        return f"{PROCFILE}: {self.name}"


def read_procfile(root: Path) -> list[Process]:
    """The processes of the checkout's Procfile; none without one."""
    found = []
    for number, line in enumerate((read_text(root, PROCFILE) or "").splitlines(), start=1):
        if match := _LINE.fullmatch(line.strip()):
            found.append(Process(match[1], match[2], number))
    return found


def main_process(processes: Sequence[Process]) -> Process | None:
    """The process that a service is: ``web``, or ``worker`` where there is no ``web``."""
    by_name = {process.name: process for process in processes}
    return by_name.get("web") or by_name.get("worker")


def left_out(processes: Sequence[Process], chosen: Process | None) -> list[str]:
    """A sentence for each process that is not run."""
    return [f"{p.label}: {p.command} is not run{_instead(p)}" for p in processes if p is not chosen]


def _instead(process: Process) -> str:
    if process.name != _RELEASE:
        return ""
    return f" from there; `{_RELEASE}: {process.command}` in its entry runs it before each version"


def entrypoint(project: Project, process: Process) -> Entrypoint:
    """The program of a process.

    Raises:
        EntrypointError: the command cannot be read, or names a file that is not in the checkout.
    """
    return _Command(project, process).entrypoint()


@dataclass(frozen=True)
class _Command:
    project: Project
    process: Process

    def entrypoint(self) -> Entrypoint:
        text = _WRAPPERS.sub("", self.process.command, count=1)
        plain = _PORT.sub("$PORT", text)
        words = self._words(plain)
        if _needs_shell(plain, words):
            return self._made("shell", _ending_in_exec(text))
        return self._program(words)

    def _program(self, words: list[str]) -> Entrypoint:
        program, *args = words
        if _PYTHON.fullmatch(program):
            return self._python(args)
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

    def _made(self, kind: str, target: str, args: Sequence[str] = ()) -> Entrypoint:
        run: Run = "web" if self.process.name == "web" else "worker"
        reason = f"{self.process.name}: in the {PROCFILE}"
        return Entrypoint(kind, target, None, reason, (), tuple(args), run)  # type: ignore[arg-type]

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
            where=f"{PROCFILE}:{self.process.number}",
            found=f"{self.process.name}: {self.process.command}",
            expected="a command that runs in the root of the repository",
            next_step=next_step or "correct that line, or write `entrypoint:` in repos.yaml",
        )


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
