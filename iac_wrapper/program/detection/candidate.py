"""One thing that could be run: judged by reading its file, with the reason in plain words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import reach
from iac_wrapper.program.detection.folders import with_path
from iac_wrapper.program.detection.frameworks import Mark
from iac_wrapper.program.detection.imports import imported_files, module_of, uses_bare_names
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_source import PythonSource
from iac_wrapper.program.detection.web_objects import WebApp
from iac_wrapper.program.detection.web_server import choose_server, server_arguments

MISSING = "no such file"


@dataclass(frozen=True)
class Candidate:
    """What was looked for (`name`), and either an entrypoint or why there is none (`note`).

    `present`: something was there, usable or not. `fault` is ``file:line`` of a syntax error: a
    file that was meant to run but cannot. `write` is what `entrypoint:` must say to get this one.
    `guarded`: it runs because of its ``__main__`` guard. `error` is raised if nothing else serves
    or works.
    """

    name: str
    entrypoint: Entrypoint | None = None
    note: str = ""
    fault: str | None = None
    write: str = ""
    present: bool = True
    guarded: bool = False
    error: EntrypointError | None = None


def absent(name: str, note: str = MISSING) -> Candidate:
    """A place where nothing is."""
    return Candidate(name, note=note, present=False)


def judge(project: Project, relative: str, *, module: str | None, reason: str = "") -> Candidate:
    """The Python file `relative` of the checkout as a candidate.

    Args:
        project: the checkout.
        relative: the file, with forward slashes.
        module: the dotted name to run it by; None runs it as a script.
        reason: said before what the file's text adds; the file's name by default.
    """
    source = project.source(relative)
    if source is None:
        return absent(relative)
    if source.fault:
        line = f"{relative}:{source.fault_line}" if source.fault_line else relative
        return Candidate(relative, note=f"does not parse: {source.fault}", fault=line)
    if project.is_for_uwsgi(relative):
        return Candidate(relative, note="imports uwsgi, which only programs inside of uWSGI can")
    return _Judge(project, source, relative, module, reason or relative).candidate()


@dataclass(frozen=True)
class _Judge:
    project: Project
    source: PythonSource
    relative: str
    module: str | None
    reason: str

    def candidate(self) -> Candidate:
        tools = [mark for mark in marked(self.source) if not mark.framework.is_last]
        tools = tools or self._drawn_elsewhere()
        return self._by_tool(tools[0]) if len(tools) == 1 else self._by_code()

    def _by_code(self) -> Candidate:
        source = self.source
        if source.calls_main_missing:
            return self._runs("defines main() and never calls it, so it is called", "main")
        if self._waits_for_a_server():
            return self._served()
        if source.guard:
            return replace(self._runs("has a __main__ guard"), guarded=True)
        laid_out = self.project.layouts.get(self.relative)
        if source.acts and not laid_out:
            return self._runs("does its work when it is run")
        if laid_out:
            note = f"only gives the application of {laid_out} its layout"
        elif source.defines_main:
            note = "main() is never called and cannot be without arguments"
        else:
            note = "defines things but runs none of them"
        return Candidate(self.relative, note=note)

    def _by_tool(self, mark: Mark) -> Candidate:
        module = self.module or module_name(self.relative)
        found = mark.framework.entrypoint(self.relative, module, mark.name)
        return Candidate(self.relative, found, found.reason, write=self.relative)

    def _drawn_elsewhere(self) -> list[Mark]:
        """What draws in the files that it imports, if it is run for what they do."""
        source = self.source
        if source.run or source.may_serve or not source.acts or source.web_apps:
            return []
        files = sorted(imported_files(self.project, self.relative))
        sources = filter(None, map(self.project.source, files))
        found = (mark for each in sources for mark in each.marks if mark.framework.draws)
        return list(dict.fromkeys(found))

    def _waits_for_a_server(self) -> bool:
        """Whether it makes an application and leaves serving it to others."""
        source = self.source
        if not source.web_apps or source.may_serve or (source.guard and not source.idles):
            return False
        script = Entrypoint("script", self.relative, None, "")
        return reach.run(self.project, script) is None

    def _runs(self, what: str, function: str | None = None) -> Candidate:
        reason = f"{self.reason} {what}"
        run = self.source.functions.get(function) if function else self.source.run
        module = self._imported_name() if function else self.module
        kind, target = ("module", module) if module else ("script", self.relative)
        entrypoint = Entrypoint(kind, target, function, reason, run=run)  # type: ignore[arg-type]
        return Candidate(self.relative, entrypoint, reason, write=target)

    def _imported_name(self) -> str | None:
        """``pkg`` of ``pkg.__init__``, by which Python would run that file."""
        return self.module.removesuffix(".__init__") if self.module else None

    def _served(self) -> Candidate:
        app, *others = self.source.web_apps
        if others:
            names = ", ".join(each.name for each in self.source.web_apps)
            return Candidate(self.relative, note=f"defines several web applications: {names}")
        module = self._imported_name() or module_name(self.relative)
        return serve(self.project, app, module, self.relative, self.reason)


def serve(project: Project, app: WebApp, module: str, relative: str, reason: str = "") -> Candidate:
    """A web application object as a candidate.

    Args:
        project: the checkout.
        app: the object, in the Python file `relative`.
        module: the dotted name to import it from.
        reason: said before the rest; the file's name by default.
    """
    entrypoint = served_file(project, app, module, relative, reason)
    return Candidate(relative, entrypoint, entrypoint.reason, write=f"{module}:{app.name}")


def served_file(
    project: Project, app: WebApp, module: str, relative: str, reason: str = ""
) -> Entrypoint:
    """The same as a program; the server also looks in the file's folder if it must."""
    folder = PurePosixPath(relative).parent
    is_bare = uses_bare_names(project, relative) and module_of(project, relative) is None
    if not (is_bare and folder.name):
        return served(project, app, module, reason or relative)
    stem = PurePosixPath(relative).stem
    return with_path(served(project, app, stem, reason or relative), str(folder))


def served(project: Project, app: WebApp, module: str, reason: str) -> Entrypoint:
    """The same as a program: by the server that the project asks for, else by one of ours."""
    server = choose_server(app, project.declared)
    return Entrypoint(
        "module",
        server.module,
        None,
        f"{reason} defines the web application {app.name}, {server.module} serves it",
        args=server_arguments(server.module, app, module),
        run="web",
        supplied=server.module if server.is_supplied else None,
    )


def marked(source: PythonSource) -> list[Mark]:
    """What has the file run by a tool of its framework, unless it serves by itself."""
    if source.fault or source.run or source.may_serve:
        return []
    return [mark for mark in source.marks if source.acts or not mark.framework.draws]
