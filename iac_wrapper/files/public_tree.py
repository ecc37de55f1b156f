"""Directories and files that other users must be able to read: images are made of them.

The umask takes bits away from what `mkdir` and `open` are asked for (077 is common), and user code
runs under another uid than the one that copied it: so every mode is set after the fact.
"""

from __future__ import annotations

from pathlib import Path

DIRECTORY = 0o755
PLAIN = 0o644
EXECUTABLE = 0o755


def make_directory(path: Path) -> None:
    """Make `path` with mode 0755 exactly; parents that are missing too get the process's mode.

    Raises:
        FileExistsError: it is there.
    """
    path.mkdir(parents=True)
    path.chmod(DIRECTORY)


def file_mode(mode: int) -> int:
    """0755 for what its owner may execute, else 0644: nothing else of `mode` counts, as in git."""
    return EXECUTABLE if mode & 0o100 else PLAIN
