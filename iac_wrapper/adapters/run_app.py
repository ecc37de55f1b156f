"""`python -P -m iac_wrapper.adapters.run_app FOLDER`: the cdktf app of a project folder.

main.py sees what lies beside it before our packages, as any program does, so that folders of the
person's may be called `stacks` or `admin`; the packages that the constructs are made of stay ours.
"""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path

_OURS = ("constructs_lib", "iac_wrapper", "provider")


def main(folder: Path) -> None:
    """Run ``main.py`` of `folder` as the main program of this process."""
    for name in _OURS:
        import_module(name)
    app = str(folder / "main.py")
    sys.path.insert(0, str(folder))
    sys.argv = [app]
    runpy.run_path(app, run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
