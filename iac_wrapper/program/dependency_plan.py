"""What has to be installed before an app runs, as uv commands, and which of the source it needs.

Values: nothing is installed here, and nothing here knows about images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from iac_wrapper.sources.tree import tree_hash


@dataclass(frozen=True)
class Beside:
    """Parts of a source around the folder that is deployed: what only the installation needs.

    `root` is the whole source; `folder` lies in it and is deployed; `project` lies in it and has
    the lock; `parts` are files and folders, relative to `root`.
    """

    root: Path
    folder: str
    project: str
    parts: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """A hash over the parts, as they were when it was first asked for: a change elsewhere in
        the source builds nothing."""
        digest = hashlib.sha256()
        for part in self.parts:
            path = self.root / part
            content = tree_hash(path) if path.is_dir() else path.read_bytes().hex()
            digest.update(f"{part}:{content}\n".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Dependencies:
    """How to fill the app's virtual environment.

    `early` are uv arguments that need `files` (relative to the source, or to `beside`) and
    `written` only, so their layer outlives a change of the code; `late` run in the source itself,
    where they read `sources`. `written` are files of ours by name: requirements that a lock or a
    comment states in another form. `reason` is one sentence fragment for people; `notes` are
    sentences on what is not read, and on what was chosen between.
    """

    reason: str
    files: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)
    beside: Beside | None = None
    notes: tuple[str, ...] = ()

    @property
    def early_folder(self) -> str:
        """Where `early` runs, relative to where its files are."""
        return self.beside.project if self.beside else ""
