"""What the log of a failed build means, and what to write. Text in, values out.

The patterns are of what uv, pip, apt, git, setuptools and gcc print; tests/data/build_logs has logs
of builds that failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from iac_wrapper.model.base_url import without_credentials
from iac_wrapper.model.build_failure import BuildFailure
from iac_wrapper.program.known_packages import DEVELOPMENT, ROWS

_WIDTH = 240
_LINE = 4000
_BEGIN, _END = 200, 1000
"""Lines that are looked at: tools say what failed first, and why last."""

_ANOTHER = "write a version of {name} that has a wheel for this Python"
_OR_ANOTHER = "or another version of {name}"


@dataclass(frozen=True)
class _Rule:
    """A pattern (of whole text, lines) and what it means; ``{0}`` is the pattern's first group."""

    pattern: str
    message: str
    next_step: str


_RULES = (
    _Rule(
        r"No space left on device",
        "the disk is full",
        "free some space (`docker system df` shows what the engine holds), then deploy again",
    ),
    _Rule(
        r"failed to create endpoint \S+ on network (\S+): (.+)",
        "the Docker engine has no network for builds: {1}",
        "restart the engine (`systemctl restart docker`), then deploy again",
    ),
    # apt
    _Rule(
        r"^E: Unable to locate package (\S+)|^E: Package '(\S+)' has no installation candidate",
        "Debian has no package {0}",
        "correct its name in `packages:` or in the Aptfile; packages.debian.org has a search",
    ),
    _Rule(
        r"^E: Version '(\S+)' for '(\S+)' was not found",
        "Debian has no version {0} of {1}",
        "leave the version out in `packages:` or in the Aptfile",
    ),
    _Rule(
        r"^(?:E: Failed to fetch|Err:\d+) (\S+)",
        "no Debian mirror answers the build",
        "check the network, and the mirrors and proxies in /etc/apt of this machine",
    ),
    # what cannot be resolved
    _Rule(
        r"requires-python (\S+) is not met by the base's (.+)",
        "the project needs Python {0}, and the image has {1}",
        "write another range in requires-python, or another base image's version",
    ),
    _Rule(
        r"there is no version of (\S+?)(?= and|,|$)",
        "there is no {0}",
        "write a version that exists",
    ),
    _Rule(
        r"Because (\S+) was not found in the package registry",
        "the package index has no {0}",
        "correct its name, or name the index that has it in UV_INDEX or with --extra-index-url",
    ),
    _Rule(
        r"Python version \((\S+)\) does not satisfy Python(\S+) and (\S+) depends on",
        "{2} needs Python {1}, and the image has {0}",
        "write another version of it, or the Python that it needs in .python-version",
    ),
    _Rule(
        r"Because (\S+) has no wheels with a matching platform tag",
        "{0} is for other systems than Linux",
        "leave it out there: put a marker behind it, ; sys_platform == 'win32' for instance",
    ),
    _Rule(
        r"Because (\S+) has no wheels with a matching Python",
        "{0} is not for this Python",
        "write another version of it, or the Python that it is for in .python-version",
    ),
    _Rule(
        r"(\S+ depends on \S+)[\s\S]*And because you require ([^,\n]+), we can conclude that your"
        r" requirements are unsatisfiable",
        "the requirements contradict one another: {0}, and {1} is required",
        "change one of them; `uv pip compile requirements.txt` finds versions that agree",
    ),
    _Rule(
        r"Hash mismatch for `([^`]+)`",
        "the package index gives another file than the one that was locked",
        "if that is right, write the hashes anew (uv lock, or pip-compile --generate-hashes)",
    ),
    _Rule(
        r"Couldn't parse requirement in `([^`]+)`[^\n]*\n[^\n]*\n\s*(\S.*)",
        "a line of {0} is no requirement: {1}",
        "correct that line: NAME, or NAME==VERSION",
    ),
    _Rule(
        r"The lockfile at `([^`]+)` needs to be updated",
        "{0} does not fit pyproject.toml",
        "uv lock, and commit {0}",
    ),
    # git
    _Rule(
        r"could not read (?:Username|Password) for '([^']+)'|Authentication failed for '([^']+)'"
        r"|unable to access '([^']+)': The requested URL returned error: 40[13]"
        r"|fatal: repository '([^']+)' not found",
        "a repository among the requirements is private, or not there",
        "check its address; if it is private, set the token of its host: GITHUB_TOKEN, GITLAB_TOKEN"
        " or BITBUCKET_TOKEN",
    ),
    _Rule(
        r"failed to fetch (?:branch or tag|branch|tag|commit) `([^`]+)`"
        r"(?=[\s\S]*couldn't find remote ref)|couldn't find remote ref (\S+)",
        "a repository among the requirements has no {0}",
        "write a branch, tag or commit that it has",
    ),
    _Rule(
        r"unable to access '([^']+)': (?:Could not resolve|Failed to connect|Couldn't connect)",
        "a repository among the requirements cannot be reached",
        "check its address, and the network and HTTPS_PROXY of this machine",
    ),
    # the index
    _Rule(
        r"HTTP status client error \((40[13]) [^)]*\) for url \((\S+)\)",
        "the package index refuses the login",
        "set its address with user and password in PIP_INDEX_URL or UV_DEFAULT_INDEX",
    ),
    _Rule(
        r"invalid peer certificate|certificate verify failed",
        "a TLS certificate is not trusted in the build",
        "set IAC_CA_BUNDLE to the CA bundle that this network needs",
    ),
    _Rule(
        r"Failed to fetch:? `?(\S+?)`?$(?=[\s\S]*(?:dns error|[Cc]onnect|timed out|timeout))",
        "the package index does not answer",
        "check the network and HTTPS_PROXY; PIP_INDEX_URL or UV_DEFAULT_INDEX name another index",
    ),
    # what has to be compiled
    _Rule(
        r"(?:fatal error: )(\S+): No such file or directory",
        "{package} cannot be compiled without {0}",
        "",
    ),
    _Rule(
        r"can't find Rust compiler|Cargo, the Rust package manager, is not installed"
        r"|No such file or directory: '(?:cargo|rustc)'|cargo: not found",
        "{package} has no wheel for this Python, and is compiled by Rust, which is not there",
        f"{_ANOTHER}, or `packages: [cargo, build-essential]`",
    ),
    _Rule(
        r"CMake must be installed|No such file or directory: 'cmake'|cmake: not found",
        "{package} is compiled by CMake, which is not there",
        "write `packages: [cmake]`",
    ),
    _Rule(
        r"No such file or directory: '[^']*\b(?:gcc|g\+\+|cc|c\+\+|clang)'"
        r"|command '[^']*\b(?:gcc|g\+\+|cc|c\+\+|clang)' failed: No such file"
        r"|unable to execute '[^']*\b(?:gcc|g\+\+|cc|c\+\+|clang)'",
        "{package} has no wheel for this Python and has to be compiled; the image has no compiler",
        f"write `packages: [build-essential]`, {_OR_ANOTHER}",
    ),
    _Rule(
        r"Package (\S+) was not found in the pkg-config|No package '(\S+)' found"
        r"|(pg_config) executable not found|(\w+-config): (?:command )?not found"
        r"|headers or library files could not be found for (\w+)|find (valid pkg-config name)",
        "{package} has to be compiled, and what it is compiled with is not there: {0}",
        "",
    ),
    # what is too old, or says too little
    _Rule(
        r"No module named '(ConfigParser|Queue|urllib2|urlparse|commands|cPickle|__builtin__)'"
        r"|(Missing parentheses in call to 'print')",
        "{package} is for Python 2",
        "write a newer version of {name}, or what has taken its place",
    ),
    _Rule(
        r"No module named '(distutils|imp|asyncore|cgi)'|has no attribute '(ImpImporter)'",
        "{package} needs {0}, which newer Pythons do not have",
        "write a newer version of {name}, or an older Python in .python-version",
    ),
    _Rule(
        r"No module named 'pkg_resources'",
        "{package} has no wheel for this Python, and is built by a setuptools before 82",
        f"{_ANOTHER}, or an older Python in .python-version; or, with a uv.lock, `{{name}} ="
        ' ["setuptools<82"]` in [tool.uv.extra-build-dependencies]',
    ),
    _Rule(
        r"No module named '(\w+)[.\w]*'",
        "{package} needs {0} to be built, and does not say so",
        f'{_ANOTHER}; or, with a uv.lock, `{{name}} = ["{{0}}"]` in'
        " [tool.uv.extra-build-dependencies]",
    ),
    _Rule(
        r"^error: Failed to build `\S+ @ file:///app[^`]*`"
        r"[\s\S]*^\s*([\w.]*(?:Error|Exception): [^\n]+)",
        "the project's own package cannot be built: {0}",
        "correct that in the repository",
    ),
    _Rule(
        r"^error: Failed to (?:download and )?build `([^`]+)`",
        "{package} could not be built",
        f"read the log for the reason; {_ANOTHER}, if there is one",
    ),
)

_OWN = "The build backend returned an error"
"""What uv says without a package's name of the project itself."""

_OWN_MODULE = _Rule(
    r"No module named '(?!distutils|imp'|setuptools|[A-Z_])(\w+)[.\w]*'",
    "the project needs {0} to be built, and does not say so",
    'write `requires = ["setuptools", "{0}"]` under [build-system] of its pyproject.toml, or'
    " have setup.py not import it",
)
_OWN_ERROR = _Rule(
    r"^\s*(\w*(?:Error|Exception): .+)$(?![\s\S]*^\s*\w*(?:Error|Exception): )",
    "the project cannot be built",
    "correct that in the repository; the log says where it happened",
)

_PACKAGE = re.compile(r"Failed to (?:download and )?build:? `([^`]+)`")


def explain(lines: Sequence[str]) -> BuildFailure | None:
    """The reason in what a failed step printed; None where nothing is known."""
    shown = lines if len(lines) < _BEGIN + _END else [*lines[:_BEGIN], *lines[-_END:]]
    text = "\n".join(line[:_LINE] for line in shown)
    is_own = _OWN in text and not _PACKAGE.search(text)
    for rule in (_OWN_MODULE, *_RULES, _OWN_ERROR) if is_own else _RULES:
        if match := re.search(rule.pattern, text, re.MULTILINE):
            return _failure(rule, match, text)
    return None


def _failure(rule: _Rule, match: re.Match[str], text: str) -> BuildFailure:
    built = _PACKAGE.search(text)
    package = built[1].partition(" @ ")[0] if built else "a requirement"
    name = re.split(r"[=<>~! ]", package)[0]
    found = [group for group in match.groups() if group]
    words = {"package": package, "name": name}
    step = rule.next_step.format(*found, **words) or _headers(name, found[0])
    message = rule.message.format(*found, **words)
    line = " ".join(_line(text, match).split())
    return BuildFailure(
        without_credentials(message), without_credentials(line)[:_WIDTH], without_credentials(step)
    )


def _line(text: str, match: re.Match[str]) -> str:
    """The whole line in which a match begins."""
    begin = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.start())
    return re.sub(r"^\s*(?:error|cause): ", "", text[begin : end if end > 0 else None])


def _headers(name: str, missing: str) -> str:
    """What to write where a header, or a program that tells of headers, is missing."""
    row = ROWS.get(canonicalize_name(name))
    packages = (row.build.split() if row else []) or DEVELOPMENT.get(missing, "").split()
    if packages:
        return f"write `packages: [{', '.join(packages)}]`"
    return (
        f"write the Debian package that has {missing} in `packages:` (its name ends in -dev;"
        " packages.debian.org searches the contents of packages)"
    )
