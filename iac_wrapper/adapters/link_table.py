"""What lies where in a source tree, to judge symbolic links before any of them exists. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from iac_wrapper.errors import SourceError

Parts = tuple[str, ...]
"""A path relative to the root of the tree, as components without ``.`` and ``..``."""

MAX_FOLLOWED = 40
"""Links followed for one link; Linux gives up at the same number (path_resolution(7))."""

MAX_STEPS = 2_000_000
"""Components walked for all links together: links that multiply each other end here."""

MAX_TARGET = 1024
"""Characters of one link's target."""


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
        """Note a symbolic link; its target is judged by `check`, when all entries are known.

        Raises:
            SourceError: the path is taken.
        """
        self._free(parts)
        self._targets[parts] = target

    def links(self) -> Iterator[tuple[Parts, str]]:
        """Links with their targets as written."""
        yield from self._targets.items()

    def check(self) -> None:
        """Judge every link.

        Raises:
            SourceError: a link is absolute, empty, a loop, or leaves the tree at any step on its
                way, even if it comes back.
        """
        for parts, target in self._targets.items():
            self._walk(parts, target)

    def _free(self, parts: Parts) -> None:
        if parts in self._kinds or parts in self._targets:
            raise SourceError(
                "the source holds two entries at one path",
                found="/".join(parts),
                expected="each path once, and nothing below a file or a link",
            )

    def _walk(self, link: Parts, target: str) -> None:
        here = list(link[:-1])
        todo = self._components(link, target)
        followed = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if not here:
                    raise _bad_link(link, target, "leaves the source")
                here.pop()
                continue
            here.append(part)
            if (onward := self._targets.get(tuple(here))) is not None:
                followed += 1
                if followed > MAX_FOLLOWED:
                    raise _bad_link(link, target, "goes in circles")
                here.pop()
                todo += self._components(link, onward)

    def _components(self, link: Parts, target: str) -> list[str]:
        """The components of a target, last first."""
        if not target or target.startswith("/") or "\0" in target or len(target) > MAX_TARGET:
            raise _bad_link(link, target, "has an impossible target")
        parts = [part for part in target.split("/") if part not in {"", "."}]
        self._steps += len(parts)
        if self._steps > MAX_STEPS:
            raise _bad_link(link, target, "multiplies with others beyond measure")
        return parts[::-1]


def _bad_link(link: Parts, target: str, why: str) -> SourceError:
    return SourceError(
        f"the source holds a symbolic link that {why}",
        found=f"{'/'.join(link)} -> {target[:200]}",
        expected="a relative link to something inside the same source",
        next_step="remove the link from the source, or deploy a subdirectory without it",
    )
