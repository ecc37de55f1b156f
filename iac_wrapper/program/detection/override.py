"""An entrypoint that a person wrote down: in repos.yaml, the environment or a Dockerfile label."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint, EntrypointSource
from iac_wrapper.program.detection import commands, django
from iac_wrapper.program.detection.candidate import judge, served, served_file
from iac_wrapper.program.detection.command_line import CommandLine
from iac_wrapper.program.detection.dockerfile_text import instructions
from iac_wrapper.program.detection.factories import FactoryCall, factory_call, two_lines
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import MANAGE, Project
from iac_wrapper.program.detection.python_source import PythonSource
from iac_wrapper.program.detection.serving import surely
from iac_wrapper.program.detection.web_objects import WELL_KNOWN, WebApp
from iac_wrapper.program.detection.web_server import servers_for
from iac_wrapper.program.python_project import inside, read_text

FORMS = (
    "package.module, package.module:function, package.module:create_app('production'), a path such"
    " as src/serve.py or bin/server, or a command such as gunicorn -b 0.0.0.0:$PORT shop.wsgi"
)
_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"


@dataclass(frozen=True)
class Override:
    """The value, where it stands (for errors), what it is called and in which place, and whose
    choice it is."""

    value: str
    where: str
    name: str
    place: str
    source: EntrypointSource

    @property
    def reason(self) -> str:
        """``entrypoint: in repos.yaml``, to be shown."""
        return f"{self.name} {self.place}"


def overrides(
    root: Path, *, entrypoint: str | None, where: str, environment: str | None
) -> Iterator[Override]:
    """Overrides in order of precedence: repos.yaml, the environment, the Dockerfile's label."""
    if entrypoint:
        value = entrypoint.strip()
        yield Override(value, where, "entrypoint:", "in repos.yaml", "repos-file")
    if environment:
        value = environment.strip()
        yield Override(value, "ENTRYPOINT", "ENTRYPOINT", "in the environment", "environment")
    yield from _labels(read_text(root, "Dockerfile") or "")


def resolve(project: Project, override: Override) -> Entrypoint:
    """The entrypoint that `override` names.

    Raises:
        EntrypointError: it has none of the forms, or names what the checkout has not.
    """
    found = _Resolver(project, override).entrypoint()
    if found.kind == "command" and found.command is None:  # by the tool of its framework
        found = replace(found, command=override.value)
    return replace(found, reason=override.reason, source=override.source)


@dataclass(frozen=True)
class _Resolver:
    project: Project
    override: Override

    @property
    def root(self) -> Path:
        return self.project.root

    def entrypoint(self) -> Entrypoint:
        if call := factory_call(self.override.value):
            return replace(self._called(call), command=self.override.value)
        if self._is_command():
            return self._command()
        text, colon, function = self.override.value.removeprefix("/app/").partition(":")
        text = text.removeprefix("./")
        if not text or (colon and not re.fullmatch(_DOTTED, function)):
            raise self._bad("not an entrypoint", FORMS)
        if "/" in text or text.endswith((".py", ".sh")) or (self.root / text).is_file():
            return self._path(text, function or None)
        if not re.fullmatch(_DOTTED, text):
            raise self._bad("not an entrypoint", FORMS)
        return self._module(text, function or None)

    def _is_command(self) -> bool:
        """Several words. A single one is a module or a path; so is a file with a blank in it."""
        value = self.override.value
        file, _, function = value.removeprefix("/app/").removeprefix("./").partition(":")
        has_words = len(value.split()) > 1
        return has_words and (len(function.split()) > 1 or inside(self.root, file) is None)

    def _command(self) -> Entrypoint:
        name, value = self.override.name, self.override.value
        found = CommandLine(
            self.project,
            value,
            where=self.override.where,
            found=f"{name} {value}",
            next_step=f"correct {name}, or leave it out to have the program found",
        ).entrypoint()
        return replace(found, command=value)

    def _called(self, call: FactoryCall) -> Entrypoint:
        """The application that a factory makes, called as it is written."""
        own, is_file = self.project.own, call.where.endswith(".py")
        where = call.where.removeprefix("/app/").removeprefix("./")
        relative, rest = (where, []) if is_file else own.module_file(where.split("."), "")
        module = module_name(relative) if is_file else where
        if (is_file and own.path(relative) is None) or rest:
            raise self._bad("no such module in the checkout", "a module of the repository")
        if source := self.project.source(relative):
            self._check_function(source, relative, call.name)
        kind = (self.project.made(relative, call.name) if relative else None) or "unknown"
        app = WebApp(kind, call.name, factory=True, arguments=call.arguments)
        if not servers_for(app, self.project.declared):
            written = f"{call.name}({call.arguments})"
            raise self._bad(
                "no server of ASGI calls a factory with arguments",
                "package.module:object, or a factory without arguments",
                two_lines(module, call.name, written, is_asgi=True),
            )
        if relative:
            return served_file(self.project, app, module, relative)
        return served(self.project, app, module, module)

    def _path(self, text: str, function: str | None) -> Entrypoint:
        path = str(PurePosixPath(text))
        if (self.root / path).is_dir():
            path += "/__main__.py"
        file = inside(self.root, path)
        if file is None or ".." in PurePosixPath(path).parts:
            raise self._bad("no such file in the checkout", "a file of the repository")
        if path.endswith(".py"):
            return self._python(path, None, function)
        if not file.stat().st_mode & 0o111:
            raise self._bad(
                "the file is not executable",
                "an executable file, or a Python file that ends in .py",
                f"git update-index --chmod=+x {path}",
            )
        return Entrypoint("binary", f"/app/{path}", None, "")

    def _module(self, module: str, function: str | None) -> Entrypoint:
        """A module of the checkout is checked; any other must come from the dependencies."""
        module = module.removesuffix(".__init__") if function else module
        base = module.replace(".", "/")
        top = base.split("/", maxsplit=1)[0]
        for prefix in ("", "src/"):
            package = function is None and (self.root / f"{prefix}{base}").is_dir()
            names = ["/__main__.py"] if package else [".py", "/__init__.py"]
            for name in names:
                if inside(self.root, prefix + base + name):
                    return self._python(prefix + base + name, module, function)
            if (self.root / prefix / top).is_dir() or inside(self.root, f"{prefix}{top}.py"):
                looked = " or ".join(prefix + base + name for name in names)
                raise self._bad("no such module in the checkout", f"a file {looked}")
        run = surely(commands.run((module, ())))
        return Entrypoint("module", module, function, "", run=run)

    def _python(self, relative: str, module: str | None, function: str | None) -> Entrypoint:
        """What was asked for; without a function, one that the file plainly waits for is added.

        A file that does not parse here is taken all the same: it may be for a newer Python.
        """
        source = self.project.source(relative) or PythonSource()
        if function is None:
            if PurePosixPath(relative).name == MANAGE and (site := django.program(self.project)):
                return replace(site, command=relative)
            judged = judge(self.project, relative, module=module)
            if judged.entrypoint:
                return judged.entrypoint
            if len(source.web_apps) > 1:
                objects = ", ".join(f"{module or relative}:{app.name}" for app in source.web_apps)
                raise self._bad("the file defines several web applications", f"one of {objects}")
        elif app := _web_app(source, function) or self.project.web_object(relative, function):
            return self._served(relative, module, app)
        else:
            self._check_function(source, relative, function)
        run = source.functions.get(function or "", None if function else source.run)
        kind, target = ("module", module) if module else ("script", relative)
        return Entrypoint(kind, target, function, "", run=run)  # type: ignore[arg-type]

    def _served(self, relative: str, module: str | None, app: WebApp) -> Entrypoint:
        name = module or module_name(relative)
        return served_file(self.project, app, name, relative)

    def _check_function(self, source: PythonSource, relative: str, function: str) -> None:
        name = function.partition(".")[0]
        if source.fault or source.open_ended or name in source.names:
            return
        names = ", ".join(sorted(source.names)[:20])
        raise self._bad(
            f"no {name} in {relative}", f"one of {names}" if names else "a file that defines it"
        )

    def _bad(self, message: str, expected: str, next_step: str = "") -> EntrypointError:
        name = self.override.name
        return EntrypointError(
            message,
            where=self.override.where or None,
            found=f"{name} {self.override.value!r}",
            expected=expected,
            next_step=next_step or f"correct {name}, or leave it out to have the program found",
        )


def _web_app(source: PythonSource, name: str) -> WebApp | None:
    """The web application called `name`: one we know, or an object with a server's usual name."""
    for app in source.web_apps:
        if app.name == name:
            return app
    if name in WELL_KNOWN and name in source.objects and name not in source.functions:
        return WebApp("unknown", name)
    return None


def _labels(dockerfile: str) -> Iterator[Override]:
    """``LABEL ENTRYPOINT=value`` lines, the last first: it is the one Docker would keep."""
    found: list[Override] = []
    for line, word, rest in instructions(dockerfile):
        labels = "\n".join(_words(rest)) if word == "LABEL" else ""
        for value in re.findall(r"^ENTRYPOINT[= ](.+)$", labels, re.M):
            text, where = value.strip(), f"Dockerfile:{line}"
            label = Override(text, where, "LABEL ENTRYPOINT", "in the Dockerfile", "repository")
            found.append(label)
    yield from reversed(found)


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text, comments=False)
    except ValueError:  # an open quote: not ours to judge, Docker would refuse it
        return []
    if words and "=" not in words[0]:
        return [" ".join(words)]  # the old form, LABEL key value
    return words
