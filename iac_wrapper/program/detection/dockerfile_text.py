"""Reads the instructions of a Dockerfile: as text, without its variables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import NamedTuple


class Instruction(NamedTuple):
    """`line` from 1, `word` in capitals, `rest` with continuations joined."""

    line: int
    word: str
    rest: str


def instructions(dockerfile: str) -> Iterator[Instruction]:
    """All instructions, in order."""
    lines = dockerfile.splitlines()
    number = 0
    while number < len(lines):
        start, text = number + 1, lines[number].rstrip()
        while text.endswith("\\") and number + 1 < len(lines):
            number += 1
            if not (following := lines[number].strip()).startswith("#"):
                text = f"{text[:-1].rstrip()} {following}"
        number += 1
        word, _, rest = text.strip().partition(" ")
        if word and not word.startswith("#"):
            yield Instruction(start, word.upper(), rest.strip())


def started(dockerfile: str) -> tuple[str, str]:
    """What the image of the last stage starts, as far as the text says it, and by which
    instructions; empty: the image that it is built on says it."""
    stages: dict[str, dict[str, str]] = {}
    said: dict[str, str] = {}
    for _, word, rest in instructions(dockerfile):
        if word == "FROM":
            image, *name = [part for part in rest.split() if not part.startswith("--")] or [""]
            said = dict(stages.get(image.lower(), {}))
            stages[name[-1].lower() if name else str(len(stages))] = said
        elif word in {"ENTRYPOINT", "CMD"}:
            said[word] = _command(rest)
            if word == "ENTRYPOINT":  # the CMD of an image below does not hold for it
                said.pop("CMD", None)
    order = [word for word in ("ENTRYPOINT", "CMD") if said.get(word)]
    return " ".join(said[word] for word in order), " and ".join(order)


def _command(text: str) -> str:
    """A list of words as a line; a line as it is."""
    try:
        words = json.loads(text)
    except ValueError:
        return text
    is_list = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return shlex.join(words) if is_list else text
