"""Virtual environments apart from the project's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from iac_wrapper.program.index_settings import uv_environment


def run(*argv: str | Path, cwd: Path, **environment: str) -> str:
    """What a program prints; it must succeed."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def uv(*arguments: str | Path, cwd: Path = Path("/")) -> None:
    """Run the project's uv, with this machine's package index."""
    run(Path(sys.executable).with_name("uv"), *arguments, cwd=cwd, **uv_environment(os.environ))


def make(folder: Path, *install: str | Path) -> Path:
    """A virtual environment in `folder` with what ``uv pip install`` gets; its interpreter."""
    uv("venv", "--quiet", "--python", sys.executable, folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    only = ("--quiet", "--no-config", "--only-binary", ":all:")
    uv("pip", "install", *only, "--python", python, *install, cwd=folder.parent)
    return python


def build(source: Path, out: Path, *what: str) -> None:
    """Build distributions of `source` into `out`; `what` is ``--wheel``, ``--sdist`` or both."""
    only = ("--no-config", "--no-build-isolation", "--python", sys.executable)
    uv("build", *only, *what, "--out-dir", out, source)
