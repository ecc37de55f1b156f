"""Requirements files: what of them uv has to be told, and what needs no source.

uv reads them itself; this says where it and pip mean different things by a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from iac_wrapper.program.python_project import RequirementFiles, needs_source

BEST_OF_ALL = ("--index-strategy", "unsafe-best-match")
"""Of several indexes the best version of all of them, as pip takes it."""


def options(lines: Iterable[str]) -> tuple[str, ...]:
    """What uv ignores in a file, or means another way than pip, as arguments of ``uv pip``."""
    said: list[str] = []
    for line in lines:
        word, _, value = line.replace("=", " ", 1).partition(" ")
        if word == "--pre":
            said += ["--prerelease", "allow"]
        elif word == "--trusted-host":
            said += ["--allow-insecure-host", value.strip()]
        elif word == "--require-hashes":
            said.append("--require-hashes")
        elif word == "--extra-index-url" and BEST_OF_ALL[1] not in said:
            said += BEST_OF_ALL
    return tuple(said)


def without_source(found: RequirementFiles) -> str | None:
    """The lines that can be installed before the source is there, as a file; None if that is not
    to be told apart: constraints, or wheels that lie in the source."""
    if found.missing or any(re.match(r"-c|--constraint", line) for line in found.lines):
        return None
    if any(re.match(r"(?:-f|--find-links)[\s=]*[./]", line) for line in found.lines):
        return None
    kept = [
        line
        for line in found.lines
        if not needs_source(line) and not re.match(r"-r|--requirement", line)
    ]
    return "".join(f"{line}\n" for line in kept)
