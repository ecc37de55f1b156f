"""Which shell scripts of a program's source have Windows line ends, which no shell reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_READ_BYTES = 1 << 18
"""Far more than a script that starts a program has."""

_SHELL = re.compile(r"(?:.*/)?(?:ba|da|k|z)?sh|\.|source")
_WORD = re.compile(r"[^\s'\"`;|&()<>:=,]+")


def with_windows_lines(root: Path, command: str, output: Iterable[str]) -> tuple[str, ...]:
    """Paths below `root`, the folder that is ``/app`` in the container.

    Looked at are the files that `command` (a line as for a shell) and `output` name, so that one
    script may call another. A file counts when most of its lines end in CR LF.
    """
    found = [path for text in (command, *output) for path in _named(root, text)]
    return tuple(dict.fromkeys(found))


def _named(root: Path, text: str) -> Iterator[str]:
    before = ""
    for word in _WORD.findall(text):
        path = word.removeprefix("/app/").removeprefix("./")
        if _is_windows_script(root, path, called=bool(_SHELL.fullmatch(before))):
            yield path
        before = word


def _is_windows_script(root: Path, path: str, *, called: bool) -> bool:
    """Whether it is there, has such line ends, and is a script: by name, first line or caller."""
    file = root / path
    try:
        if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
            return False
        with file.open("rb") as opened:
            data = opened.read(_READ_BYTES)
    except (OSError, ValueError):
        return False
    if data.count(b"\r\n") * 2 <= data.count(b"\n") or b"\0" in data:
        return False
    return called or file.suffix in {".sh", ".bash"} or data.startswith(b"#!")
