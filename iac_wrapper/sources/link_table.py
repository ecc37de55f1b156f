"""What lies where in a source tree, to judge symbolic links before any of them exists. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission

Parts = tuple[str, ...]
"""A path relative to the root of the tree, as components without ``.`` and ``..``."""

MAX_FOLLOWED = 40
"""Links followed for one link; Linux gives up at the same number (path_resolution(7))."""

MAX_STEPS = 2_000_000
"""Components walked for all links together: links that multiply each other end here."""

MAX_TARGET = 1024
"""Characters of one link's target."""

_SHOWN = 200  # characters of a target in a sentence


@dataclass(frozen=True)
class LinkVerdict:
    """`good` links with their targets as written; `omissions` names those that leave the tree at
    any step on their way (even if they come back), go in circles or are no path, and those that
    are good but point nowhere.
    """

    good: tuple[tuple[Parts, str], ...]
    omissions: tuple[Omission, ...]


class _BadLinkError(Exception):
    """Why a link cannot be made, as the end of a sentence."""


class LinkTable:
    """Kinds of all entries; refuses two entries at one path and entries below a non-directory."""

    def __init__(self) -> None:
        self._kinds: dict[Parts, Literal["file", "directory"]] = {}
        self._targets: dict[Parts, str] = {}
        self._steps = 0

    def add_directory(self, parts: Parts) -> bool:
        """Note a directory; False if it is known already.

        Raises:
            SourceError: something else is there: a later entry would go through it.
        """
        if self._kinds.get(parts) == "directory":
            return False
        self._free(parts)
        self._kinds[parts] = "directory"
        return True

    def add_file(self, parts: Parts) -> None:
        """Note a regular file.

        Raises:
            SourceError: the path is taken.
        """
        self._free(parts)
        self._kinds[parts] = "file"

    def add_link(self, parts: Parts, target: str) -> None:
        """Note a symbolic link; its target is judged by `judge`, when all entries are known.

        Raises:
            SourceError: the path is taken.
        """
        self._free(parts)
        self._targets[parts] = target

    def judge(self) -> LinkVerdict:
        """Which links can be made.

        Raises:
            SourceError: judging them takes beyond measure, which no honest source does.
        """
        good, omissions = [], []
        for parts, target in self._targets.items():
            path, shown = "/".join(parts), f"-> {target[:_SHOWN]}"
            try:
                end = self._walk(parts, target)
            except _BadLinkError as error:
                omissions.append(Omission("link", path, f"{shown}, which {error}"))
                continue
            good.append((parts, target))
            if end and end not in self._kinds:
                omissions.append(Omission("dangling", path, shown))
        return LinkVerdict(tuple(good), tuple(omissions))

    def _free(self, parts: Parts) -> None:
        if parts in self._kinds or parts in self._targets:
            raise SourceError(
                "the source holds two entries at one path",
                found="/".join(parts),
                expected="each path once, and nothing below a file or a link",
                next_step="rename one of them in the repository",
            )

    def _walk(self, link: Parts, target: str) -> Parts:
        """Where a link ends."""
        here = list(link[:-1])
        todo = self._components(target)
        followed = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if not here:
                    raise _BadLinkError("leaves the source")
                here.pop()
                continue
            here.append(part)
            if (onward := self._targets.get(tuple(here))) is not None:
                followed += 1
                if followed > MAX_FOLLOWED:
                    raise _BadLinkError("goes in circles")
                here.pop()
                todo += self._components(onward)
        return tuple(here)

    def _components(self, target: str) -> list[str]:
        """The components of a target, last first."""
        if target.startswith("/"):
            raise _BadLinkError("leaves the source")
        if not target or "\0" in target or len(target) > MAX_TARGET:
            raise _BadLinkError("is not a path")
        parts = [part for part in target.split("/") if part not in {"", "."}]
        self._steps += len(parts)
        if self._steps > MAX_STEPS:
            raise SourceError(
                "the source holds symbolic links that multiply each other without bound",
                found=f"more than {MAX_STEPS} steps to follow them all",
                next_step="let links in the repository point at files, not at other links",
            )
        return parts[::-1]
