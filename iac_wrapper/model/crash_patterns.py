"""What failing programs print, and what each means for the author of repos.yaml. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from iac_wrapper.model import forms
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.distributions import DISTRIBUTIONS
from iac_wrapper.model.mesh import PORTS

TRACEBACK = "Traceback (most recent call last):"
"""How Python begins to tell of an exception."""


def unix_lines(path: str = "") -> str:
    """How to mend a script with Windows line ends."""
    name = path or "FILE"
    return (
        f"run `sed -i 's/\\r$//' {name}` in its repository and commit that;"
        " `* text=auto eol=lf` in .gitattributes keeps it so"
    )


LASTING = (
    *("missing-module", "missing-variable", "read-only-path", "permission", "windows-lines"),
    "worker-killed",
)
"""Causes that time does not heal: what fails for one of them fails again."""

_MESH_PORTS = ", ".join(str(PORTS[name]) for name in ("stats", "mtls", "outbound", "runner"))


@dataclass(frozen=True)
class Finding:
    """One cause: a stable code, a sentence, the line that shows it, and what to do."""

    code: str
    cause: str
    evidence: str
    next_step: str


Explain = Callable[[re.Match[str], ResolvedApp], tuple[str, str, str]]
"""From a match to code, cause and next step."""


class _Pattern(NamedTuple):
    """`loose`: libraries print such lines in passing, so only a program's last one counts."""

    regex: re.Pattern[str]
    explain: Explain
    loose: bool


def find(lines: Sequence[str], app: ResolvedApp) -> Finding | None:
    """The newest known failure in a program's output."""
    text = "\n".join(lines)
    own = (line.strip() for line in lines if line.strip() and not line.startswith("runner: "))
    last = next(reversed([*own]), "")
    found: tuple[int, Finding] | None = None
    for regex, explain, loose in _PATTERNS:
        for match in regex.finditer(text):
            if found is None or match.end() > found[0]:
                evidence = text[match.start() : match.end()].strip().split("\n")[-1].strip()
                if loose and not _ends(evidence, last):
                    continue
                code, cause, next_step = explain(match, app)
                found = match.end(), Finding(code, cause, evidence, next_step)
    return found and found[1]


_EXCEPTION = re.compile(r"[\w.]*[A-Z][a-z]\w*: ")


def _ends(line: str, last: str) -> bool:
    """Whether a program may have ended with this line."""
    return line == last or bool(_EXCEPTION.match(line))


def _module(match: re.Match[str], _: ResolvedApp) -> tuple[str, str, str]:
    module, dot, inner = match[1].partition(".")
    package = DISTRIBUTIONS.get(module, (module,))[0]
    step = f"add a line `{package}` to its requirements, or a file {module}.py to its source"
    if dot:  # Python names the outermost package that it does not find: the one around is there
        step = (
            f"{module} is there: add {module}/{inner.replace('.', '/')}.py to its source if it is"
            f" its own (git may ignore it), else require another version of `{package}`"
        )
    return "missing-module", f"the module {match[1]} is missing", step


def _variable(match: re.Match[str], _: ResolvedApp) -> tuple[str, str, str]:
    name = match[1]
    return "missing-variable", f"the environment variable {name} is not set", _set(name)


def _field(match: re.Match[str], _: ResolvedApp) -> tuple[str, str, str]:
    """Pydantic's settings: a field is read from the variable of its name in capitals."""
    step = _set(match[1].upper())
    return "missing-variable", f"the setting {match[1]} has no value", step


def _set(name: str) -> str:
    return f"write `env: {{{name}: …}}` in its entry"


def _program(match: re.Match[str], _: ResolvedApp) -> tuple[str, str, str]:
    step = f"add the package that brings {match[1]} to its requirements, or correct the command"
    return "missing-program", f"there is no program {match[1]} in its image", step


def _read_only(match: re.Match[str], app: ResolvedApp) -> tuple[str, str, str]:
    said = match.groupdict()
    if not (path := said.get("path")):
        text = "it writes where it cannot: the root is read-only"
        return "read-only-path", text, _let_it_write(app)
    folder, text = _folder_of(path, makes=bool(said.get("makes"))), _CANNOT.format(path)
    if folder is None:
        return "read-only-path", text, _let_it_write(app)
    name = PurePosixPath(folder).name.lower()
    line = (
        f"volumes: {{{name if re.fullmatch('[a-z][a-z0-9_]{0,31}', name) else 'data'}: {folder}}}"
    )
    step = f"write `{line}` in its entry if that is to stay, `tmpfs: {{{folder}: 64m}}` if not"
    return "read-only-path", text, step


_CANNOT = "{} cannot be written: the root is read-only"


def _folder_of(path: str, *, makes: bool) -> str | None:
    """The folder to mount so that `path` can be written, which the program `makes` as a folder, or
    may do so if its name has no suffix; None: no folder above it can be mounted."""
    at = PurePosixPath(path)
    above = forms.is_mountable(str(at.parent))
    found = at if makes or not (above or at.suffix) else at.parent
    return str(found) if forms.is_mountable(str(found)) else None


def _let_it_write(app: ResolvedApp) -> str:
    """Where a program can write, if nothing tells where it wants to."""
    if kept := sorted(app.options.volumes.values()):
        return f"let it write below {' or '.join(kept)}, which `volumes:` in its entry names"
    return (
        "let it write below a folder that `volumes:` in its entry names, such as"
        " `volumes: {data: /app/data}`; what need not stay, below /tmp or a folder of `tmpfs:`"
    )


def _database(_match: re.Match[str], app: ResolvedApp) -> tuple[str, str, str]:
    text = "its SQLite file cannot be written: the root is read-only"
    return "read-only-path", text, _let_it_write(app)


def _permission(match: re.Match[str], app: ResolvedApp) -> tuple[str, str, str]:
    path = PurePosixPath(match["path"])
    text = f"it has no permission for {path}"
    for volume in app.options.volumes.values():
        if path.is_relative_to(volume):
            step = f"run `iac deploy`: it gives all files of {volume} to the program again"
            return "permission", text, step
    return "permission", text, _let_it_write(app)


def _address(_match: re.Match[str], app: ResolvedApp) -> tuple[str, str, str]:
    step = f"let it listen on $PORT ({app.port}) only once; the sidecar has {_MESH_PORTS}"
    return "address-in-use", "the port it wants to listen on is taken", step


def _windows_lines(match: re.Match[str], app: ResolvedApp) -> tuple[str, str, str]:
    own = PurePosixPath(app.entrypoint.target).name if app.entrypoint.kind == "binary" else ""
    name = (match[1] if match.re.groups else own) or own
    text = f"{name or 'a script that it runs'} has Windows line ends (CR LF)"
    return "windows-lines", text, unix_lines(name)


def _worker(match: re.Match[str], _: ResolvedApp) -> tuple[str, str, str]:
    return (
        "worker-killed",
        f"a worker process of its server was ended by {match[1]}",
        "find out which code of it crashes: PYTHONFAULTHANDLER=1 in its `env:` prints where",
    )


_LOOSE: tuple[tuple[str, Explain], ...] = (
    (r"^.*[Ss]et the ([A-Z][A-Z0-9_]+) environment variable.*$", _variable),
    (r"^.*[Ee]nvironment variable [\"'`]?([A-Z][A-Z0-9_]+).*$", _variable),
    (r"^.*[Rr]ead-only file system(?! *[:,]).*$", _read_only),
)

_PATTERNS: tuple[_Pattern, ...] = tuple(
    _Pattern(re.compile(pattern, re.M), explain, (pattern, explain) in _LOOSE)
    for pattern, explain in (
        # First: `No module named 'app\\r'` is no missing module. dash, bash, then anybody.
        (r"^(?:\S*/)?([\w.-]+): (?:line )?\d+: .*(?:\r|\\r).*$", _windows_lines),
        (r"^(?:\S*/)?([\w.-]+): (?:line )?\d+: set: Illegal option -\s*$", _windows_lines),
        (r"^.*\\r['\"\u2019].*$", _windows_lines),
        (r"^launch: (\S+) has Windows line ends \(CR LF\)$", _windows_lines),
        *_LOOSE,
        (r"^.*(?:ModuleNotFound|Import)Error: No module named '?([\w.]+)'?.*$", _module),
        # os.environ["NAME"]: the frame of os.py stands just above.
        (r"(?:os\.py|<frozen os>).*\n(?:.*\n){0,3}?KeyError: '(\w+)'$", _variable),
        (r"validation errors? for .*\n(\w+)\n +[Ff]ield required.*$", _field),
        (r"^.*?([A-Z][A-Z0-9_]+) not found\. Declare it as envvar.*$", _variable),
        # Python: the frame of a mkdir stands just above; Node; Go; coreutils, shells and C.
        (
            r"^(?:.*\b(?P<makes>mkdir|makedirs)\(.*\n(?:[ ^~]*\n)?)?"
            r".*Read-only file system: '(?P<path>[^']+)'.*$",
            _read_only,
        ),
        (
            r"^.*EROFS: read-only file system, (?:(?P<makes>mkdir)|\w+) '(?P<path>[^']+)'.*$",
            _read_only,
        ),
        (
            r"^.*?\b(?:(?P<makes>mkdir)|\w+) (?P<path>/[^:\s]+): read-only file system.*$",
            _read_only,
        ),
        (
            r"^.*?(?P<makes>create directory )?['\"\u2018]?(?P<path>/[^:'\"\u2018\u2019\s]+)"
            r"['\"\u2019]?: Read-only file system\s*$",
            _read_only,
        ),
        # Ours; dash, with its number of a line; bash.
        (r"^launch: no program (\S+) in this image.*$", _program),
        (r"^(?:/bin/)?sh: \d+: (?:exec: )?([\w./-]+): not found$", _program),
        (r"^(?:\S+: )?(?:line \d+: )?(?:exec: )?([\w./-]+): command not found$", _program),
        (r"^.*(?:attempt to write a readonly database|unable to open database file).*$", _database),
        (r"^.*Permission denied: '(?P<path>[^']+)'.*$", _permission),
        (r"^.*EACCES: permission denied, \w+ '(?P<path>[^']+)'.*$", _permission),
        (r"^.*?\b(?:open|mkdir) (?P<path>/[^:\s]+): permission denied.*$", _permission),
        # gunicorn; its SIGABRT and the SIGKILL after it are what a request's time limit ends in.
        (r"^.*Worker \(pid:\d+\) was sent (SIG(?:SEGV|BUS|ILL|FPE))!.*$", _worker),
        (r"^.*(?:Address already in use|address already in use|EADDRINUSE).*$", _address),
    )
)
