"""The folder that a Dockerfile is meant to be built in: the one that has what it copies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from iac_wrapper.program.detection.markers import DOCKERFILE
from iac_wrapper.program.python_project import inside, read_text

_COPY = re.compile(r"^[ \t]*(?:COPY|ADD)[ \t]+(.+)$", re.I | re.M)
_OPEN = re.compile(r"[$*?\[\]<>\"']|://")
"""What makes a word something else than the path of one file or folder."""


def build_folder(root: Path, folder: str) -> str | None:
    """`folder` if what its Dockerfile copies lies there, else the root ("") if it lies there; None:
    neither has it, or there is no Dockerfile.

    Args:
        root: the checkout; only read.
        folder: relative to it.
    """
    text = read_text(root / folder, DOCKERFILE)
    if text is None:
        return None
    copied = {*_copied(text.replace("\\\n", " "))}
    places = (place for place in (folder, "") if all(_lies_in(root / place, c) for c in copied))
    return next(places, None)


def _copied(text: str) -> Iterator[str]:
    """Paths of the build context; those of other stages, patterns and variables are left out."""
    for line in _COPY.findall(text):
        words = line.split()
        if not any(word.startswith("--from") for word in words):
            sources = [word for word in words if not word.startswith("--")][:-1]
            yield from (word for word in sources if not _OPEN.search(word))


def _lies_in(folder: Path, path: str) -> bool:
    relative = path.strip("/")
    return (
        relative in ("", ".")
        or (folder / relative).is_dir()
        or inside(folder, relative) is not None
    )
