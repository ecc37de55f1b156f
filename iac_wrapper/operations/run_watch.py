"""The process that waits for a detached command: ``python -m … FOLDER PROJECT ID``.

It was handed the lock on the command as an open file, and holds it until it ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import one_offs, run, run_folder
from iac_wrapper.operations.workspace import Workspace


def watch(workspace: Workspace, identifier: str) -> None:
    """Keep the log of a one-off until it has ended, and remove its containers then."""
    record = run_folder.folder(workspace, identifier).load()
    app = one_offs.app_of(one_offs.pairs(workspace).get(identifier, {}))
    if record and app:
        run.follow(workspace, record, app.id)


def _main(folder: str, project: str, identifier: str) -> None:
    root = Path(folder)
    loaded = settings.load_settings(root)
    watch(Workspace(Layout(root), loaded, project, emit=lambda _: None), identifier)


if __name__ == "__main__":
    _main(*sys.argv[1:])
