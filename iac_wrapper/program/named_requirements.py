"""What the files name that dependencies are installed from: packages, and repositories of git.

Read from whatever files were chosen, requirements and locks alike. A lock names more than is
installed (other platforms, groups); what follows from a name must bear that.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from iac_wrapper.program import toml
from iac_wrapper.program.dependencies import Dependencies
from iac_wrapper.program.python_project import read_text, strings, table


@dataclass(frozen=True)
class NamedRequirements:
    """`names` are canonical, with extras as ``name[extra]`` beside them; `from_source` is what
    ``--no-binary`` names; `git_urls` are clone URLs as they are written, without a revision.
    """

    names: frozenset[str] = frozenset()
    from_source: frozenset[str] = frozenset()
    git_urls: tuple[str, ...] = ()

    def is_from_source(self, name: str) -> bool:
        """Whether a wheel of it is not to be used."""
        return bool(self.from_source & {name, ":all:"})


def named_requirements(root: Path, dependencies: Dependencies) -> NamedRequirements:
    """What the files of `dependencies` name, in the checkout `root`."""
    files = dict.fromkeys((*dependencies.files, *dependencies.sources))
    in_source = ((name, read_text(root, name) or "") for name in files)
    texts = [*dependencies.written.items(), *in_source]
    return NamedRequirements(
        names=frozenset(name for file, text in texts for name in _names(file, text)),
        from_source=frozenset(_from_source(text for _, text in texts)),
        git_urls=tuple(dict.fromkeys(url for _, text in texts for url in git_urls(text))),
    )


_QUOTED = re.compile(r"""["']([A-Za-z][^"'\n]*)["']|^\s*(\S+)$""", re.M)
"""What is quoted, or alone on a line: setup.py and setup.cfg list requirements so, and other words
that are names of no package here."""


def _names(file: str, text: str) -> Iterator[str]:
    if file.endswith("Pipfile.lock"):
        yield from map(canonicalize_name, table(_json(text), "default"))
    elif file.endswith((".toml", ".lock")):
        yield from _names_of_toml(_toml(text))
    elif file.endswith((".py", ".cfg")):
        yield from _requirements(map("".join, _QUOTED.findall(text)))
    else:
        yield from _requirements(text.splitlines())


def _names_of_toml(data: Mapping[str, Any]) -> Iterator[str]:
    """Those of a pyproject.toml, a Pipfile, or a lock of uv, Poetry, PDM or PEP 751."""
    for key in ("package", "packages"):
        locked = data.get(key)
        if isinstance(locked, list):
            names = (one.get("name") for one in locked if isinstance(one, dict))
            yield from (canonicalize_name(name) for name in names if isinstance(name, str))
        elif isinstance(locked, dict):
            yield from map(canonicalize_name, locked)
    yield from _requirements(strings(table(data, "project").get("dependencies")))
    yield from map(canonicalize_name, table(data, "tool", "poetry", "dependencies"))


def _requirements(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        try:
            found = Requirement(re.split(r"\s--|\s#|\s\\", line.strip())[0])
        except InvalidRequirement:
            continue
        name = canonicalize_name(found.name)
        yield name
        yield from (f"{name}[{canonicalize_name(extra)}]" for extra in found.extras)


def _from_source(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for words in re.findall(r"--no-binary[=\s]+(\S+)", text):
            yield from (w if w == ":all:" else canonicalize_name(w) for w in words.split(","))


_GIT = re.compile(
    r"""git\+(?P<plain>(?:https?|ssh)://[^\s"'#;,\]]+)"""
    r"""|\bgit["']?\s*[=:]\s*["'](?P<key>[^"'\s]+)["']"""  # TOML, and Pipfile.lock
    r"""|type\s*=\s*["']git["']\s*\n\s*url\s*=\s*["'](?P<poetry>[^"'\s]+)["']"""
)


def git_urls(text: str) -> Iterator[str]:
    """Clone URLs in a requirements file, a lock or a pyproject.toml, without revision or query."""
    for match in _GIT.finditer(text):
        url = re.split("[?#]", next(filter(None, match.groups())))[0].removeprefix("git+")
        scheme, _, rest = url.rpartition("://")
        host, _, path = rest.partition("/")
        if scheme in ("https", "http", "ssh"):
            yield f"{scheme}://{host}/{path.partition('@')[0]}"
        elif not scheme and re.match(r"[\w.-]+@[\w.-]+:[^/]", url):
            yield url


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {}


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return toml.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
