"""A token that no output, file or process may show, and how to look for it."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

SENTINEL = f"sentinel{secrets.token_hex(8)}Qx"
"""Of this process alone: one that runs other tests may have its own on a command line of git, which
puts a URL of the user's `insteadOf` there."""

_USERS = ("x-access-token", "oauth2", "x-token-auth", "me")


def forms(token: str = SENTINEL) -> list[str]:
    """The token as it may stand somewhere: plain, and in the headers that carry it."""
    pairs = (f"{user}:{token}" for user in _USERS)
    return [token, *(base64.b64encode(pair.encode()).decode() for pair in pairs)]


def showing(texts: Iterable[str], token: str = SENTINEL) -> list[str]:
    """Those of `texts` that show the token."""
    return [text for text in texts if any(form in text for form in forms(token))]


def files_showing(folder: Path, token: str = SENTINEL) -> list[Path]:
    """The files below `folder` that show the token, in their content or their name."""
    return [
        path
        for path in folder.rglob("*")
        if showing([str(path)], token)
        or (path.is_file() and showing([path.read_bytes().decode("latin-1")], token))
    ]


@contextmanager
def process_list() -> Iterator[set[str]]:
    """The command lines of all processes while the block runs, sampled without a pause."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((process / "cmdline").read_bytes().decode("latin-1"))
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
