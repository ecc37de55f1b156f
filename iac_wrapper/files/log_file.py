"""Logs that commands append to again and again, and that must not fill the disk."""

from __future__ import annotations

from pathlib import Path

MOST_BYTES = 1_000_000
"""A log that is longer gets another name, with ``.1`` at its end, in place of the last one of that
name."""


def append(path: Path, text: str) -> None:
    """Add `text` to the log at `path`, whose folder is there."""
    if path.exists() and path.stat().st_size > MOST_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    with path.open("a", encoding="utf-8") as log:
        log.write(text)
