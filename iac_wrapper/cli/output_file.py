"""A file that a command writes for a person: private, and there as a whole or not at all."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from iac_wrapper.errors import ConfigError


@contextmanager
def written(file: str) -> Iterator[IO[bytes]]:
    """`file` for writing, readable for its owner only; there as a whole or not at all."""
    if file == "-":
        yield sys.stdout.buffer
        return
    path = Path(file)
    if not path.parent.is_dir():
        raise ConfigError(
            "no folder for the backup",
            where=file,
            found=f"no directory {path.parent}",
            next_step=f"mkdir -p {shlex.quote(str(path.parent))}, then run the command again",
        )
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
