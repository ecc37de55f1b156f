"""What failing programs print, and what each means for the author of repos.yaml. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from iac_wrapper.model import crash_paths
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.crash_paths import Program
from iac_wrapper.model.crash_servers import LOCAL, refused
from iac_wrapper.model.distributions import DISTRIBUTIONS
from iac_wrapper.model.mesh import PORTS
from iac_wrapper.model.source_hints import SourceHints

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
    *("worker-killed", "missing-build", "missing-browser"),
)
"""Causes that time does not heal: what fails for one of them fails again."""

_NONE = SourceHints()

_MESH_PORTS = ", ".join(str(PORTS[name]) for name in ("stats", "mtls", "outbound", "runner"))


@dataclass(frozen=True)
class Finding:
    """One cause: a stable code, a sentence, the line that shows it, and what to do."""

    code: str
    cause: str
    evidence: str
    next_step: str


Explain = Callable[[re.Match[str], Program], tuple[str, str, str]]
"""From a match to code, cause and next step."""


class _Pattern(NamedTuple):
    """`loose`: libraries print such lines in passing, so only a program's last one counts."""

    regex: re.Pattern[str]
    explain: Explain
    loose: bool


_MARGIN = re.compile(r"^ +\| ?")
"""What Python prints before the lines of an exception within a group."""


def find(lines: Sequence[str], app: ResolvedApp, hints: SourceHints = _NONE) -> Finding | None:
    """The newest known failure in a program's output; `hints` are those of its source."""
    lines, program = [_MARGIN.sub("", line) for line in lines], Program(app, hints)
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
                code, cause, next_step = explain(match, program)
                found = match.end(), Finding(code, cause, evidence, next_step)
    return found and found[1]


_EXCEPTION = re.compile(r"[\w.]*[A-Z][a-z]\w*: ")


def _ends(line: str, last: str) -> bool:
    """Whether a program may have ended with this line."""
    return line == last or bool(_EXCEPTION.match(line))


def _module(match: re.Match[str], _: Program) -> tuple[str, str, str]:
    module, dot, inner = match[1].partition(".")
    package = DISTRIBUTIONS.get(module, (module,))[0]
    if module == "pkg_resources":
        package = "setuptools<82"  # the last that has it
    step = f"add a line `{package}` to its requirements, or a file {module}.py to its source"
    if dot:  # Python names the outermost package that it does not find: the one around is there
        step = (
            f"{module} is there: add {module}/{inner.replace('.', '/')}.py to its source if it is"
            f" its own (git may ignore it), else require another version of `{package}`"
        )
    return "missing-module", f"the module {match[1]} is missing", step


def _address_of_database(match: re.Match[str], _: Program) -> tuple[str, str, str]:
    """Flask-SQLAlchemy: a key of the program's settings, and no variable by itself."""
    name = match[1]
    step = (
        f"write the variable that its code reads {name} from to `env:` in its entry, such as"
        " `env: {DATABASE_URL: …}`"
    )
    return "missing-variable", f"its setting {name} has no value", step


def _reload(_: re.Match[str], __: Program) -> tuple[str, str, str]:
    """uvicorn.run() with an object can neither reload nor have several workers."""
    text = "it calls uvicorn.run() with an object and `reload` or `workers`, which uvicorn refuses"
    step = "write `entrypoint: uvicorn MODULE:OBJECT` in its entry, or leave both out of the call"
    return "failed", text, step


def _variable(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    name = match[1]
    return "missing-variable", f"the environment variable {name} is not set", _set(program, name)


def _field(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    """Pydantic's settings: a field is read from the variable of its name in capitals, which may
    have a prefix: then an example of a `.env` file tells it."""
    fields = re.findall(r"^(\w+)\n +[Ff]ield required", match[0], re.M)
    known = program.hints.variables
    names = []
    for name in (each.upper() for each in fields):
        longer = [each for each in known if each.upper().endswith(f"_{name}")]
        names.append(longer[0] if len(longer) == 1 and name not in known else name)
    has = "has" if len(fields) == 1 else "have"
    text = f"the setting{'s' * (len(fields) > 1)} {', '.join(fields)} {has} no value"
    return "missing-variable", text, _set(program, *names)


def _set(program: Program, *names: str) -> str:
    step = f"write `env: {{{', '.join(f'{name}: …' for name in names)}}}` in its entry"
    return step + program.hints.describing(names[0])


def _address(_match: re.Match[str], program: Program) -> tuple[str, str, str]:
    step = f"let it listen on $PORT ({program.app.port}) only once; the sidecar has {_MESH_PORTS}"
    return "address-in-use", "the port it wants to listen on is taken", step


def _windows_lines(match: re.Match[str], program: Program) -> tuple[str, str, str]:
    app = program.app
    own = PurePosixPath(app.entrypoint.target).name if app.entrypoint.kind == "binary" else ""
    name = (match[1] if match.re.groups else own) or own
    text = f"{name or 'a script that it runs'} has Windows line ends (CR LF)"
    return "windows-lines", text, unix_lines(name)


def _worker(match: re.Match[str], _: Program) -> tuple[str, str, str]:
    return (
        "worker-killed",
        f"a worker process of its server was ended by {match[1]}",
        "find out which code of it crashes: PYTHONFAULTHANDLER=1 in its `env:` prints where",
    )


_NAME = r"[\"'`$]{0,2}\b([A-Z][A-Z0-9]*_[A-Z0-9_]+|TOKEN|PASSWORD|SECRET)\b[\"'`]?"
"""The name of a variable in a sentence."""

_VERB = r"(?:set|provided|defined|configured|specified|found|given)"

_PORT = r"(?P<port>\d{1,5})\b"

_LOOSE: tuple[tuple[str, Explain], ...] = (
    (r"^.*[Ss]et the ([A-Z][A-Z0-9_]+) environment variable.*$", _variable),
    (r"^.*[Ee]nvironment variable [\"'`]?([A-Z][A-Z0-9_]+).*$", _variable),
    (
        rf"^.*?{_NAME}(?: (?:environment|env))?(?: variable| var)?"
        rf" (?:(?:must|needs? to|has to) be {_VERB}|(?:is |was |are )?not {_VERB}"
        rf"|isn['\u2019]t {_VERB}|(?:is|was) (?:required|missing|unset|empty)).*$",
        _variable,
    ),
    (
        r"^.*?\b(?:[Mm]issing|[Pp]lease (?:set|provide|define))"
        rf"(?: (?:the|a|your|required|environment|env|variables?|var))*:? {_NAME}.*$",
        _variable,
    ),
    (r"^.*[Rr]ead-only file system(?! *[:,]).*$", crash_paths.read_only),
    # Python; Node; Go.
    (r"^.*No such file or directory: '(?P<path>[^']+)'.*$", crash_paths.file),
    (r"^.*ENOENT: no such file or directory, open '(?P<path>[^']+)'.*$", crash_paths.file),
    (r"^.*?\bopen (?P<path>[^:\s]+): no such file or directory$", crash_paths.file),
    # Starlette and FastAPI; aiohttp.
    (r"^RuntimeError: Directory '(?P<path>[^']+)' does not exist$", crash_paths.file),
    (r"^ValueError: '(?P<path>[^']+)' does not exist$", crash_paths.file),
    # redis; asyncio, asyncpg and aiohttp; pymongo; requests and urllib3; Node; Go; anybody.
    (rf"^.*Error 111 connecting to {LOCAL}:{_PORT}\..*$", refused()),
    (rf"^.*Connect call failed \('(?:127\.0\.0\.1|::1)', {_PORT}.*$", refused()),
    (rf"^.*?{LOCAL}:{_PORT}: \[Errno 111\] Connection refused.*$", refused()),
    (rf"^.*host='{LOCAL}', port={_PORT}\).*Connection refused.*$", refused()),
    (rf"^.*connect ECONNREFUSED {LOCAL}:{_PORT}.*$", refused()),
    (rf"^.*dial tcp {LOCAL}:{_PORT}: connect: connection refused.*$", refused()),
    (r"^[\w.]+: (?:<urlopen error )?\[Errno 111\] Connection refused>?$", refused()),
)

_PATTERNS: tuple[_Pattern, ...] = tuple(
    _Pattern(re.compile(pattern, re.M), explain, (pattern, explain) in _LOOSE)
    for pattern, explain in (
        # First: `No module named 'app\\r'` is no missing module. dash, bash, then anybody.
        (r"^(?:\S*/)?([\w.-]+): (?:line )?\d+: .*(?:\r|\\r).*$", _windows_lines),
        (r"^(?:\S*/)?([\w.-]+): (?:line )?\d+: set: Illegal option -\s*$", _windows_lines),
        (r"^.*\\r['\"\u2019].*$", _windows_lines),
        (r"^launch: (\S+) has Windows line ends \(CR LF\)$", _windows_lines),
        # Before a missing file: the frame of subprocess.py that raises stands just above.
        (
            r"in _execute_child\n(?: .*\n){0,2}?FileNotFoundError: .*: '([^']+)'$",
            crash_paths.missing_program,
        ),
        (r"^.*(?:ModuleNotFound|Import)Error: No module named '?([\w.]+)'?.*$", _module),
        (
            r"^RuntimeError: Either '?(SQLALCHEMY_DATABASE_URI)'? or '?SQLALCHEMY_BINDS'?"
            r" (?:must|needs to) be set\.?$",
            _address_of_database,
        ),
        (r"^.*You must pass the application as an import string to enable .*$", _reload),
        # int(os.getenv("NAME")) and the like, in the last line of code of a traceback.
        (
            r"(?:getenv|\bget|env|config)\([\"']([A-Z][A-Z0-9_]+)[\"']\).*\n(?:[ ^~]*\n)?"
            r"(?:TypeError|AttributeError): .*NoneType.*$",
            _variable,
        ),
        # os.environ["NAME"]: the frame of os.py stands just above.
        (r"(?:os\.py|<frozen os>).*\n(?:.*\n){0,3}?KeyError: '(\w+)'$", _variable),
        (
            r"validation errors? for .*\n(?:\w+\n +[Ff]ield required.*\n(?: {4}.*\n)?)*"
            r"\w+\n +[Ff]ield required.*$",
            _field,
        ),
        (r"^.*?([A-Z][A-Z0-9_]+) not found\. Declare it as envvar.*$", _variable),
        # Starlette.
        (r"^KeyError: \"Config '(\w+)' is missing, and has no default\.\"$", _variable),
        # Python: the frame of a mkdir stands just above; Node; Go; coreutils, shells and C.
        (
            r"^(?:.*(?P<makes>\bmkdir\(|\bmakedirs\(|, in (?:mkdir|makedirs)$)"
            r".*\n(?:[ ^~]*\n)?)?"
            r".*Read-only file system: '(?P<path>[^']+)'.*$",
            crash_paths.read_only,
        ),
        (
            r"^.*EROFS: read-only file system, (?:(?P<makes>mkdir)|\w+) '(?P<path>[^']+)'.*$",
            crash_paths.read_only,
        ),
        (
            r"^.*?\b(?:(?P<makes>mkdir)|\w+) (?P<path>/[^:\s]+): read-only file system.*$",
            crash_paths.read_only,
        ),
        (
            r"^.*?\b(?:(?P<makes>mkdir)|open) (?P<path>[^:\s]+): read-only file system.*$",
            crash_paths.read_only,
        ),
        (
            r"^.*? (?P<path>[\w-]*[./][^:'\"\u2018\u2019\s]*): Read-only file system\s*$",
            crash_paths.read_only,
        ),
        (
            r"^.*?(?P<makes>create directory )?['\"\u2018]?(?P<path>/[^:'\"\u2018\u2019\s]+)"
            r"['\"\u2019]?: Read-only file system\s*$",
            crash_paths.read_only,
        ),
        (
            r"^.*?(?P<makes>create directory )['\"\u2018](?P<path>[^:'\"\u2018\u2019]+)"
            r"['\"\u2019]: Read-only file system\s*$",
            crash_paths.read_only,
        ),
        # Ours; dash, with its number of a line; bash.
        (r"^launch: no program (\S+) in this image.*$", crash_paths.missing_program),
        (
            r"^(?:/bin/)?sh: \d+: (?:exec: )?([\w./-]+): not found$",
            crash_paths.missing_program,
        ),
        (
            r"^(?:\S+: )?(?:line \d+: )?(?:exec: )?([\w./-]+): command not found$",
            crash_paths.missing_program,
        ),
        # Playwright; selenium.
        (r"^.*Executable doesn't exist at \S*playwright\S*$", crash_paths.browser),
        (r"^.*Unable to obtain driver for \w+.*$", crash_paths.browser),
        (
            r"^.*(?:attempt to write a readonly database|unable to open database file).*$",
            crash_paths.database,
        ),
        (r"^.*Permission denied: '(?P<path>[^']+)'.*$", crash_paths.permission),
        (r"^.*EACCES: permission denied, \w+ '(?P<path>[^']+)'.*$", crash_paths.permission),
        (r"^.*?\b(?:open|mkdir) (?P<path>/[^:\s]+): permission denied.*$", crash_paths.permission),
        # psycopg, also through its socket; the drivers of MySQL; celery; pika.
        (
            rf"^.*connection to server at \"{LOCAL}\"(?: \(\S+\))?, port {_PORT}"
            r" failed: Connection refused$",
            refused(),
        ),
        (rf"^.*on socket \"\S*\.s\.PGSQL\.{_PORT}\" failed: No such file.*$", refused()),
        (
            rf"^.*Can't connect to MySQL server on '{LOCAL}(?::{_PORT})?'.*$",
            refused(3306),
        ),
        (
            rf"^.*Cannot connect to \w+://(?:\S*@)?{LOCAL}:{_PORT}.*Connection refused.*$",
            refused(),
        ),
        (r"^pika\.exceptions\.AMQPConnectionError$", refused(5672)),
        # gunicorn; its SIGABRT and the SIGKILL after it are what a request's time limit ends in.
        (r"^.*Worker \(pid:\d+\) was sent (SIG(?:SEGV|BUS|ILL|FPE))!.*$", _worker),
        (r"^.*(?:Address already in use|address already in use|EADDRINUSE).*$", _address),
        *_LOOSE,
    )
)
