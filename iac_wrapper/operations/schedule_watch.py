"""The process that runs what is due in a project, for the admin API.

It is ``python -m … FOLDER PROJECT``: a backup must outlive a restart of the server.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations.run_schedule import run_due
from iac_wrapper.operations.workspace import Workspace


def start(workspace: Workspace) -> None:
    """Start it.

    Raises:
        CommandError: it cannot be started.
    """
    argv = (sys.executable, "-P", "-m", __name__, workspace.layout.root, workspace.project)
    process.start_alone(Command(process.argv(*argv)))


def _main(folder: str, project: str) -> None:
    root = Path(folder)
    loaded = settings.load_settings(root)
    run_due([Workspace(Layout(root), loaded, project, emit=lambda _: None)])


if __name__ == "__main__":
    _main(*sys.argv[1:])
