"""Which of several requirements files is for production, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

PATTERNS = ("requirements[-_.]*.txt", "*[-_.]requirements.txt", "requirements/*.txt")
"""Where such files are, besides requirements.txt."""

_PREFERRED = (
    *("production", "prod", "deployment", "deploy", "server", "web", "app"),
    *("base", "common", "main", "core", "default", "requirements", "all"),
)
_BASE = ("base", "common")
_NEVER = frozenset(
    (
        *("dev", "devel", "develop", "development", "local", "debug", "test", "tests", "testing"),
        *("lint", "linting", "typing", "mypy", "style", "format", "doc", "docs", "documentation"),
        *("ci", "build", "bench", "benchmark", "benchmarks", "release", "publish", "examples"),
        *("optional", "extra", "extras", "constraints", "min", "minimal", "tools", "precommit"),
    )
)


_SHORT = {"deps", "dependencies", "req", "reqs", "requires"}
_ENDS = ("", ".txt", ".pip")


def is_like_the_usual(name: str) -> bool:
    """Whether a file is called almost ``requirements.txt``: misspelt, with capitals, short
    (``reqs.txt``) or without an end."""
    stem, dot, end = name.lower().rpartition(".")
    stem, end = (stem, f".{end}") if dot else (name.lower(), "")
    close = stem.isalpha() and get_close_matches(stem, ["requirements"], cutoff=0.85)
    return end in _ENDS and (bool(close) or (stem in _SHORT and bool(end)))


def for_production(names: Collection[str]) -> str | None:
    """The one for production, else the one for all environments, else the only one."""
    usable = _usable(names)
    for word in _PREFERRED:
        if chosen := next((name for name in usable if _stem(name) == word), None):
            return chosen
    return usable[0] if len(usable) == 1 else None


def for_all(names: Collection[str]) -> str | None:
    """The one that is for all environments."""
    return next((name for name in _usable(names) if _stem(name) in _BASE), None)


def is_for_developers(name: str) -> bool:
    """Whether what is called so (an extra, the stem of a file) is for work on the code."""
    return bool(_NEVER & {*re.split(r"[-_.]", name)})


def _usable(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if not is_for_developers(_stem(name)))


def _stem(name: str) -> str:
    """``prod`` of requirements/prod.txt, requirements-prod.txt and prod-requirements.txt."""
    stem = name.rpartition("/")[2].removesuffix(".txt").lower()
    return re.sub(r"^requirements[-_.]|[-_.]requirements$", "", stem)
