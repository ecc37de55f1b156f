"""A slug: the short text that names a git repository (or local path), a ref and a subdirectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SlugKind = Literal["gh", "gl", "bb", "git", "path"]


@dataclass(frozen=True)
class Slug:
    """A parsed slug.

    `text` is what was written; `location` is ``owner/repo`` (gh, gl with nested groups, bb), a
    clone URL without the ``git+`` prefix (git), or a path as written (path). `ref` is a branch,
    tag or (short) SHA, None for the default branch; `subdir` is relative and stays inside.
    """

    text: str
    kind: SlugKind
    location: str
    ref: str | None = None
    subdir: str | None = None
