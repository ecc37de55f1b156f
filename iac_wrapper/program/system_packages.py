"""Which Debian packages an app's image needs, and which only its build: by requirements, by
`packages:` and by files of the repository.

A package that holds headers, or compiles, stays out of the final image. It must not know how
packages are installed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.model.debian_package import PATTERN
from iac_wrapper.program.dependencies import Dependencies
from iac_wrapper.program.known_packages import ROWS, Row
from iac_wrapper.program.named_requirements import NamedRequirements, named_requirements
from iac_wrapper.program.python_project import inside, read_text
from iac_wrapper.program.space import space

APTFILE = "Aptfile"
_STREAMLIT = "packages.txt"
"""Streamlit's hosting and Spaces read Debian packages from it; elsewhere it is anybody's file."""
_NOT_READ = ("apt.txt", _STREAMLIT)

_TOOLS = ("build-essential", "pkg-config", "git")
_BUILDS = re.compile(
    r"[a-z0-9+.-]+-dev|build-essential|gcc|g\+\+|make|cmake|pkg-config|pkgconf|swig|autoconf"
    r"|automake|libtool|ninja-build|gfortran|rustc|cargo|golang(-go)?"
)
"""Names of packages that nothing needs at run time."""


@dataclass(frozen=True)
class SystemPackages:
    """Debian packages: `build` for the build alone, `final` for the image.

    `compiles` says that there is something to compile, `git_urls` are repositories among the
    requirements; either needs a stage of its own. `notes` are sentences on lines that are not
    followed.
    """

    build: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    compiles: bool = False
    git_urls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.stage or bool(self.final)

    @property
    def stage(self) -> bool:
        """Whether the image is built in two stages."""
        return self.compiles or self.git

    @property
    def git(self) -> bool:
        """Whether git has to be there."""
        return bool(self.git_urls)

    @property
    def tools(self) -> tuple[str, ...]:
        """What the first stage begins with; one of two texts, so that builds share the layer."""
        return _TOOLS if self.compiles else ("git",)

    @property
    def headers(self) -> tuple[str, ...]:
        """Those of `build` that belong to a library."""
        names = (name.partition("=")[0] for name in self.build)
        return tuple(name for name in names if name.endswith("-dev"))

    @property
    def words(self) -> str:
        """What is installed, as a fragment; empty without any."""
        built = f"built with {' '.join((*self.tools, *self.build))}" if self.stage else ""
        final = f"Debian packages: {' '.join(self.final)}" if self.final else ""
        return ", ".join(filter(None, (built, final)))


def find_system_packages(
    root: Path, dependencies: Dependencies, wanted: Sequence[str], *, python: bool
) -> SystemPackages:
    """What the checkout `root` needs of Debian.

    Args:
        root: the checkout.
        dependencies: what is installed; the files that they are read from are looked at.
        wanted: `packages:` of its entry.
        python: whether it is a Python program; else only what is asked for by name counts.
    """
    found = named_requirements(root, dependencies) if python else NamedRequirements()
    asked, notes = _asked(root, found.names)
    named = (*asked, *wanted)
    if not python:
        return SystemPackages(final=_unique(named), notes=notes)
    rows = list(_rows(found))
    build = [name for name in named if _BUILDS.fullmatch(name.partition("=")[0])]
    compiles = bool(build) or any(is_compiled for _, is_compiled in rows)
    build += [name for row, is_compiled in rows if is_compiled for name in row.build.split()]
    final = [name for name in named if name not in build]
    final += [name for row, _ in rows for name in row.final.split()]
    return SystemPackages(
        build=_unique(name for name in build if name not in _TOOLS),
        final=_unique(final),
        compiles=compiles,
        git_urls=found.git_urls,
        notes=notes,
    )


def _rows(found: NamedRequirements) -> Iterator[tuple[Row, bool]]:
    """The rows of what is installed, each with whether it is compiled."""
    for name in sorted(found.names & ROWS.keys()):
        row = ROWS[name]
        if not found.names.intersection(row.unless):
            asked = row.source == "asked" and found.is_from_source(name)
            yield row, row.source == "always" or asked


def _asked(root: Path, declared: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages that files of the repository list, and a sentence for each line that is none."""
    is_hosted = "streamlit" in declared or space(root)
    read = [APTFILE, *([_STREAMLIT] if is_hosted else [])]
    names, notes = [], []
    for file in read:
        for number, line in enumerate((read_text(root, file) or "").splitlines(), 1):
            text = line.partition("#")[0].strip()
            for word in [text] if text.startswith(":repo:") else text.split():
                if re.fullmatch(PATTERN, word):
                    names.append(word)
                else:
                    notes.append(f"{file}:{number}: {_why_not(word)}")
    notes += [
        f"{name} is not read" for name in _NOT_READ if name not in read and inside(root, name)
    ]
    return tuple(names), tuple(notes)


def _why_not(word: str) -> str:
    if word.startswith(":repo:"):
        return "other repositories of packages are not added: only Debian's own are installed"
    if "://" in word or word.endswith(".deb"):
        return f"{word} is not installed: only packages of Debian's own are"
    return f"{word!r} is no name of a Debian package, and is not installed"


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
