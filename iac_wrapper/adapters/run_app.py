"""`python -P -m iac_wrapper.adapters.run_app FOLDER`: the cdktf app of a project folder.

main.py sees what lies beside it before our packages, as any program does, so that folders of the
person's may be called `stacks` or `admin`; the packages that the constructs are made of stay ours.
"""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType

_OURS = ("constructs_lib", "iac_wrapper", "provider")


def main(folder: Path) -> None:
    """Run ``main.py`` of `folder` as the main program of this process."""
    for name in _OURS:
        import_module(name)
    app = str(folder / "main.py")
    sys.path.insert(0, str(folder))
    sys.argv = [app]
    try:
        runpy.run_path(app, run_name="__main__")
    except Exception as error:
        error.__traceback__ = _from(app, error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


def _from(app: str, trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in `app`: what is before is how we start it."""
    begin = trace
    while begin and begin.tb_frame.f_code.co_filename != app:
        begin = begin.tb_next
    return begin or trace


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
