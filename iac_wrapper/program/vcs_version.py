"""Version numbers that a build backend would ask git for: the source that is built has no history.

Each backend is told by what it reads instead, what it would have found out. A version without a tag
is said in a note; it must not know how a commit is described (`sources/description.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from iac_wrapper.program.python_project import PYPROJECT, read_text, strings, table, toml_or_empty
from iac_wrapper.sources.description import Description

_DEPTH = 3
"""Folders below the source in which a member of a workspace is looked for."""

_SKIPPED = re.compile(r"\..*|node_modules|__pycache__|tests?|docs|examples")

_SHORT = 9
"""Digits of a commit in a version, as setuptools-scm has them."""

_TAG = re.compile(r"(?:\D*[-_/])?[vV]?(\d[^/]*)")
"""``v1.2``, ``release-1.2``, ``shop/v1.2``: what a tag has before its version."""

_SCM = frozenset({"setuptools-scm", "hatch-vcs", "flit-scm", "vcs-versioning"})
_NAMELESS = frozenset({"hatch-vcs", "flit-scm"})
"""Those of them that do not say which project they ask for."""

_DUNAMAI = {
    "uv-dynamic-versioning": "UV_DYNAMIC_VERSIONING_BYPASS",
    "poetry-dynamic-versioning": "POETRY_DYNAMIC_VERSIONING_BYPASS",
}


@dataclass(frozen=True)
class VcsVersion:
    """What a build is told of the version.

    `variables` are for the environment of the build; `pkg_info` is the version for a PKG-INFO at
    the time of the build, empty if no backend reads one. `said` is a fragment for people, empty if
    no backend asks git; `notes` say that no tag gave the version.
    """

    variables: tuple[tuple[str, str], ...] = ()
    pkg_info: str = ""
    said: str = ""
    notes: tuple[str, ...] = ()


def vcs_version(root: Path, describe: Callable[[], Description]) -> VcsVersion:
    """What the build of the checkout `root` is told.

    Args:
        root: the checkout's directory; only read.
        describe: says where the commit stands among the tags; called only if a backend would ask.

    Raises:
        SourceError: `describe` cannot say it.
    """
    projects = [project for folder in _folders(root) for project in _projects(root, folder)]
    if not projects:
        return VcsVersion()
    found = describe()
    variables = dict(one for project in projects for one in _variables(project, found))
    of_root = [project for project in projects if not project.folder]
    info = next((p for p in of_root if p.backend == "versioningit"), None)
    version = _version((of_root or projects)[0].backend, found)
    return VcsVersion(
        variables=tuple(sorted(variables.items())),
        pkg_info=_version(info.backend, found) if info else "",
        said=f"version {version} ({_origin(found)})",
        notes=() if _tagged(found) else (f"version {version}: {_origin(found)}",),
    )


@dataclass(frozen=True)
class _Project:
    """A project whose `backend` asks git; `folder` is relative, empty for the source itself."""

    folder: str
    name: str
    backend: str


def _folders(root: Path, depth: int = 0) -> Iterator[Path]:
    """The source and its folders, as far as a project may lie in them."""
    yield root
    if depth < _DEPTH:
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.is_symlink() and not _SKIPPED.fullmatch(path.name):
                yield from _folders(path, depth + 1)


def _projects(root: Path, folder: Path) -> Iterator[_Project]:
    """The project in `folder` once for each backend in it that asks git."""
    here = folder.relative_to(root).as_posix()
    inner = "" if here == "." else here
    pyproject = toml_or_empty(read_text(folder, PYPROJECT))
    setup = (read_text(folder, "setup.py") or "") + (read_text(folder, "setup.cfg") or "")
    if not (pyproject or setup):
        return
    project, poetry = table(pyproject, "project"), table(pyproject, "tool", "poetry")
    named = project.get("name") or poetry.get("name") or _setup_name(setup)
    requires = _names(strings(table(pyproject, "build-system").get("requires")))
    for backend in sorted(_asking(pyproject, requires, setup)):
        yield _Project(inner, named if isinstance(named, str) else "", backend)


def _asking(pyproject: dict[str, object], requires: frozenset[str], setup: str) -> set[str]:
    """Which backends would ask git: those named, where no version is written out."""
    found = {"pbr"} if "pbr" in requires or re.search(r"\bpbr\s*=\s*True", setup) else set()
    if "use_scm_version" in setup:
        found.add("setuptools-scm")
    poetry = table(pyproject, "tool", "poetry-dynamic-versioning")
    if poetry.get("enable") is True and "poetry-dynamic-versioning" in requires:
        found.add("poetry-dynamic-versioning")
    if "version" in table(pyproject, "project"):
        return found - {"pbr"}
    found |= requires & (_SCM | {"versioningit", "uv-dynamic-versioning"})
    if table(pyproject, "tool", "pdm", "version").get("source") == "scm":
        found.add("pdm-backend")
    return found


def _names(requirements: tuple[str, ...]) -> frozenset[str]:
    names = set()
    for text in requirements:
        try:
            names.add(str(canonicalize_name(Requirement(text).name)))
        except InvalidRequirement:
            continue
    return frozenset(names)


def _setup_name(setup: str) -> str:
    """The name in setup.py or setup.cfg, if it is written out."""
    match = re.search(r"""(?m)^\s*name\s*=\s*["']?([\w.-]+)["']?\s*,?\s*$""", setup)
    match = match or re.search(r"""\(\s*name\s*=\s*["']([\w.-]+)["']""", setup)
    return match[1] if match else ""


def _variables(project: _Project, found: Description) -> Iterator[tuple[str, str]]:
    version = _version(project.backend, found)
    if project.backend in _SCM:
        # With the name: what is built for this project from source must keep its own version.
        named = "" if project.backend in _NAMELESS else project.name.upper()
        name = re.sub(r"[^A-Z0-9]+", "_", named)
        yield "SETUPTOOLS_SCM_PRETEND_VERSION" + (f"_FOR_{name}" if name else ""), version
    elif project.backend in _DUNAMAI:
        yield _DUNAMAI[project.backend], version
    elif project.backend == "pdm-backend":
        yield "PDM_BUILD_SCM_VERSION", version
    elif project.backend == "pbr":
        yield "PBR_VERSION", version


def _tagged(found: Description) -> Version | None:
    match = _TAG.fullmatch(found.tag or "")
    try:
        return Version(match[1]) if match else None
    except InvalidVersion:
        return None


def _origin(found: Description) -> str:
    """Where a version comes from."""
    at = f"commit {found.sha[:_SHORT]}" if found.sha else "the source, which is in no repository,"
    if _tagged(found) is None:
        return f"no tag with a version leads to {at}"
    plural = "" if found.distance == 1 else "s"
    after = f"{found.distance} commit{plural} after " if found.distance else ""
    return f"{after}tag {found.tag}" + (", with changes" if found.dirty else "")


def _version(backend: str, found: Description) -> str:
    """The version as `backend` makes it from a tag when nothing else is configured, normalized
    (PEP 440)."""
    return str(Version(_made(backend, found)))


def _made(backend: str, found: Description) -> str:
    sha = found.sha[:_SHORT]
    dirty = ["dirty"] if found.dirty else []
    tagged = _tagged(found)
    if tagged is None:
        local = ".".join([f"g{sha}", *dirty]) if sha else ""
        return f"0.0.0+{local}" if local else "0.0.0"
    if not (found.distance or found.dirty):
        return str(tagged)
    if backend in _DUNAMAI:
        after = f".post{found.distance}.dev0" if found.distance else ""
        return f"{tagged.public}{after}+{'.'.join([sha, *dirty])}"
    local = "+" + ".".join([f"g{sha}", *dirty])
    if backend == "versioningit":
        return f"{tagged.base_version}.post{found.distance}{local}"
    return f"{_next(tagged)}.dev{found.distance}{'' if backend == 'pbr' else local}"


def _next(tagged: Version) -> str:
    """The next version after a tag, as setuptools-scm guesses it: the last number is one more."""
    if tagged.pre or tagged.dev is not None:
        start, last = re.fullmatch(r"(.*?)(\d+)", tagged.public).groups()  # type: ignore[union-attr]
        return f"{start}{int(last) + 1}".split(".dev")[0]
    *first, last = tagged.release
    return ".".join(map(str, (*first, last + 1)))
