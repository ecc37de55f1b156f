"""One thing that could be run: judged by reading its file, with the reason in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from iac_wrapper.detection import python_source
from iac_wrapper.detection.python_source import PythonSource, WebApp
from iac_wrapper.detection.web_server import choose_server, server_arguments, servers_for
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.python_project import inside

MISSING = "no such file"
NO_TABLE = "no such table in pyproject.toml"


@dataclass(frozen=True)
class Candidate:
    """What was looked for (`name`), and either an entrypoint or why there is none (`note`).

    `fault` is ``file:line`` of a syntax error: a file that was meant to run but cannot.
    """

    name: str
    entrypoint: Entrypoint | None = None
    note: str = MISSING
    fault: str | None = None

    @property
    def present(self) -> bool:
        """Something was there, usable or not."""
        return self.note not in (MISSING, NO_TABLE)


def judge(
    root: Path, relative: str, *, module: str | None, declared: frozenset[str], reason: str = ""
) -> Candidate:
    """The Python file `relative` of the checkout as a candidate.

    Args:
        root: the checkout.
        relative: the file, with forward slashes.
        module: the dotted name to run it by; None runs it as a script.
        declared: packages the project asks for; a web application needs a server among them.
        reason: said before what the file's text adds; the file's name by default.
    """
    path = inside(root, relative)
    if path is None:
        return Candidate(relative)
    source = python_source.read(path)
    if source.fault:
        line = f"{relative}:{source.fault_line}" if source.fault_line else relative
        return Candidate(relative, note=f"does not parse: {source.fault}", fault=line)
    return _run(source, relative, module, declared, reason or relative)


def _run(
    source: PythonSource, relative: str, module: str | None, declared: frozenset[str], reason: str
) -> Candidate:
    if source.calls_main_missing:
        note = f"{reason} defines main() and never calls it, so it is called"
        return _candidate(relative, module, "main", note)
    if source.web_app:
        name = module or ".".join(PurePosixPath(relative).with_suffix("").parts)
        return _serve(source.web_app, name, relative, declared, reason)
    if source.guard:
        return _candidate(relative, module, None, f"{reason} has a __main__ guard")
    if source.acts:
        return _candidate(relative, module, None, f"{reason} does its work when it is run")
    if source.defines_main:
        return Candidate(relative, note="main() is never called and cannot be without arguments")
    return Candidate(relative, note="defines things but runs none of them")


def _candidate(relative: str, module: str | None, function: str | None, reason: str) -> Candidate:
    if module:
        return Candidate(relative, Entrypoint("module", module, function, reason), reason)
    return Candidate(relative, Entrypoint("script", relative, function, reason), reason)


def _serve(
    app: WebApp, module: str, relative: str, declared: frozenset[str], reason: str
) -> Candidate:
    """A web application object that nothing serves: by the server the project asks for."""
    found = f"{reason} defines the web application {app.name} and nothing serves it"
    server = choose_server(app, declared)
    if server is None:
        needed = " or ".join(servers_for(app))
        return Candidate(relative, note=f"{found}: add {needed} to the requirements")
    note = f"{found}, so {server} does"
    args = server_arguments(server, app, module)
    return Candidate(relative, Entrypoint("module", server, None, note, (), args), note)
