"""`python -P -m iac_wrapper.adapters.run_app FOLDER ARGS…`: the cdktf app of a project folder.

The folder comes last on the path: its main.py can import modules that lie beside it, and a folder
`stacks/` or `admin/` of a service cannot take the place of our package.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main(folder: Path, arguments: list[str]) -> None:
    """Run ``main.py`` of `folder` as the main program of this process."""
    app = str(folder / "main.py")
    sys.path.append(str(folder))
    sys.argv = [app, *arguments]
    runpy.run_path(app, run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:])
