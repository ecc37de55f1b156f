"""What a source says beside its code, for the next step after a failure. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_TEMPLATE = {"example", "examples", "sample", "template", "tmpl", "dist", "default", "tpl"}


@dataclass(frozen=True)
class SourceHints:
    """`files` are paths of a source, relative to it; `variables` are those that its example of a
    `.env` file names, with their values there, and `env_file` is that example."""

    files: frozenset[str] = frozenset()
    env_file: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def template_of(self, path: str) -> str:
        """The file that shows what belongs in the file `path`; empty: there is none."""
        wanted, at = _words(path), PurePosixPath(path)
        near = sorted(f for f in self.files if PurePosixPath(f).parent == at.parent)
        return next((f for f in near if is_template(f) and _words(f) == wanted), "")

    def describing(self, variable: str) -> str:
        """Ends a next step: where a variable is described, if it is."""
        named = variable in self.variables
        return f"; {self.env_file} in its source has an example" if named else ""


def is_template(path: str) -> bool:
    """Whether a file is named as an example of another one."""
    return bool(_TEMPLATE & set(_split(path)))


def is_env_template(path: str) -> bool:
    """Whether a file is named as an example of a `.env` file."""
    return is_template(path) and "env" in _split(path)


def _words(path: str) -> list[str]:
    """The words of a file's name, in any order, without those that make it an example."""
    return sorted(word for word in _split(path) if word not in _TEMPLATE)


def _split(path: str) -> list[str]:
    return [word for word in re.split(r"[._-]+", PurePosixPath(path).name.lower()) if word]
