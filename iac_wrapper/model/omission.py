"""What a source has and its checkout lacks: facts, and the sentences that name them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePosixPath
from typing import Literal

from iac_wrapper.model.plain import plain

Kind = Literal[
    "lfs", "submodule", "repository", "link", "dangling", "key", "special", "gone", "own", "empty"
]

_SENTENCES: dict[Kind, tuple[str, str]] = {
    "lfs": ("{} is a Git LFS pointer, its content is not here", "Git LFS pointers without content"),
    "submodule": ("the submodule {} is not part of the source", "submodules left out"),
    "repository": ("{} is a git repository of its own, left out", "git repositories left out"),
    "link": ("the symbolic link {}, left out", "symbolic links left out"),
    "dangling": ("the symbolic link {} points nowhere", "symbolic links that point nowhere"),
    "key": (
        "{} holds a ca.key that git does not track, left out",
        "folders with a ca.key left out",
    ),
    "special": ("{} is neither a file nor a link, left out", "neither files nor links, left out"),
    "gone": ("{} is tracked by git, but not on disk", "tracked by git, but not on disk"),
    "own": (
        "{} is never part of a local source, left out",
        "never part of a local source, left out",
    ),
    "empty": ("the folder {} is empty, left out as git does", "empty folders left out as git does"),
}
"""By kind: the sentence about one path, and what to write before the paths of several."""

_NAMED = 3
"""How many paths a sentence names."""


@dataclass(frozen=True, order=True)
class Omission:
    """`path` is relative to the root of the source; `detail` a submodule's URL, a link's fault."""

    kind: Kind
    path: str
    detail: str = ""

    @property
    def named(self) -> str:
        """The path and its detail, as text that any file and terminal can hold."""
        text = f"{self.path} ({self.detail})" if self.detail else self.path
        return plain(text.encode("utf-8", "replace").decode()).replace("\n", " ")


def below(omissions: Iterable[Omission], folder: str) -> tuple[Omission, ...]:
    """Those in `folder` (relative to the root), seen from there."""
    inside = "" if folder == "." else folder + "/"
    return tuple(
        replace(one, path=one.path.removeprefix(inside))
        for one in omissions
        if one.path.startswith(inside)
    )


def sentences(omissions: Iterable[Omission]) -> tuple[str, ...]:
    """One sentence a kind, sorted: a count and the first paths."""
    groups = groupby(sorted(omissions), key=lambda one: one.kind)
    return tuple(_sentence(kind, [one.named for one in group]) for kind, group in groups)


def _sentence(kind: Kind, names: list[str]) -> str:
    single, several = _SENTENCES[kind]
    if len(names) == 1:
        return single.format(names[0])
    if kind == "own":
        return f"{several}: {', '.join(_by_name(names))}"
    return f"{len(names)} {several}: {_first(names)}"


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _by_name(paths: list[str]) -> Iterator[str]:
    """``3 .env (a/.env, b/.env, c/.env)``, ``lib/m.pyc``: what is called alike in one group."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        name = PurePosixPath(path)
        groups.setdefault(f"*{name.suffix}" if name.suffix else name.name, []).append(path)
    for label, found in groups.items():
        yield found[0] if len(found) == 1 else f"{len(found)} {label} ({_first(found)})"
